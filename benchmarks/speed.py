"""Images per second of `learner.train` at batch 64, beside a bare PyTorch loop and the students' Keras stack, and the time of one prediction.

`python benchmarks/speed.py [--networks sequential convnet ...] [--rounds 7] [--keras PYTHON] [--out nbs/speed.csv]`. The contestants
take turns in short rounds, so that whatever else the machine does hits all of them, and the ratios are medians over rounds. Where
others use the machine, look at the processor time: the clock also measures who else is waiting.

- fer_teach: the training batches of `train`, with loader, shuffling, augmentation, callbacks and recorder, as a callback times them.
- bare: the same network, optimiser, loss and precision on batches that were normalised before the clock started: no
  shuffling, no augmentation, nothing but forward, backward and step.
- keras: `ImageDataGenerator.flow_from_directory` on a folder of JPEGs and `model.fit`, in a Python with TensorFlow that you name (a
  virtual environment with tensorflow-cpu, pillow and scipy; no requirement of fer_teach). Both get colour and S1's augmentation.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path

BATCHES = dict(sequential=16, mini_xception=16, wink=8, convnet=4, vgg16_scratch=2)  # of 64 images, in a round
PUBLISHED_IN_KERAS = ('sequential', 'convnet', 'vgg16_scratch')
BATCH, CLASSES = 64, 7


def clocks(): return time.perf_counter(), time.process_time()
def since(start): return [now - then for now, then in zip(clocks(), start)]


# --- the students' stack; runs in the other Python

def keras_network(name):
    from keras import Input, Sequential, layers as k
    from keras.applications import VGG16
    def dense(*head): return [k.Flatten(), *(o for width, drop in head for o in (k.Dense(width, 'relu'), k.Dropout(drop))), k.Dense(CLASSES, 'softmax')]
    if name == 'sequential':
        return Sequential([Input((48, 48, 3)), k.Conv2D(32, 3, activation='relu'), k.MaxPool2D(), k.Conv2D(64, 3, activation='relu'), k.MaxPool2D(), *dense((128, .5))])
    if name == 'convnet':
        body = [[k.Conv2D(o, 3, activation='relu'), k.Conv2D(o, 3, activation='relu'), k.BatchNormalization(), k.MaxPool2D(), *drop]
                for o, drop in ((64, [k.Dropout(.5)]), (64, [k.Dropout(.5)]), (128, []))]
        return Sequential([Input((48, 48, 3)), *sum(body, []), *dense((1024, .2), (1024, .2))])
    return Sequential([VGG16(include_top=False, weights=None, input_shape=(48, 48, 3)), *dense((512, .5), (256, .3))])


def keras_worker(folder, threads):
    "For each line `network batches` on standard input, train so many batches and answer with the seconds"
    import tensorflow as tf
    from keras.src.legacy.preprocessing.image import ImageDataGenerator
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    images = ImageDataGenerator(rescale=1/255, rotation_range=15, width_shift_range=.1, height_shift_range=.1, shear_range=.1, zoom_range=.1, horizontal_flip=True)
    models = {}
    for line in sys.stdin:
        name, batches = line.split()
        flow = images.flow_from_directory(folder, target_size=(48, 48), batch_size=BATCH, class_mode='categorical')
        if name not in models:
            models[name] = keras_network(name)
            models[name].compile('adam', 'categorical_crossentropy', metrics=['accuracy'])
            models[name].fit(flow, steps_per_epoch=2, verbose=0)
        start = clocks()
        models[name].fit(flow, steps_per_epoch=int(batches), verbose=0)
        print('SECONDS', *since(start), tf.__version__, flush=True)


class Keras:
    "The worker, told what to train and waiting otherwise"
    def __init__(self, python, folder, threads):
        environment = {name: value for name, value in os.environ.items() if name not in ('PYTHONPATH', 'OMP_NUM_THREADS')} | dict(TF_CPP_MIN_LOG_LEVEL='3', CUDA_VISIBLE_DEVICES='')
        self.process = subprocess.Popen([python, __file__, '--keras-worker', str(folder), '--threads', str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def seconds(self, name, batches):
        "(seconds, processor seconds) for the batches"
        self.process.stdin.write(f'{name} {batches}\n')
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith('SECONDS'):
                *seconds, self.version = line.split()[1:]
                return tuple(map(float, seconds))
        sys.exit('the Python with TensorFlow stopped: see its message above')


# --- ours

def our_seconds(faces, arch, recipe):
    "(seconds, processor seconds) that `train` spends on its training batches"
    from fastai.callback.core import Callback
    from fastai.torch_core import defaults
    from fer_teach.learner import train

    class Start(Callback):
        order = -100
        def before_train(self): clock['start'] = clocks()

    class Stop(Callback):
        order = 100
        def after_train(self): clock['spent'] = since(clock['start'])

    clock, usual = {}, defaults.callbacks
    defaults.callbacks = [*usual, Start, Stop]
    try:
        with open(os.devnull, 'w') as nowhere, redirect_stdout(nowhere): train(faces, arch, recipe, epochs=1)
    finally: defaults.callbacks = usual
    return clock['spent']


def bare_seconds(faces, arch, recipe):
    "(seconds, processor seconds) of a loop without a library, for the same number of batches, prepared beforehand"
    import torch
    import torch.nn.functional as F
    from fer_teach.callbacks import fast_bfloat16
    from fer_teach.learner import OPTIMIZERS
    arch, train = arch.with_recipe(recipe), faces.split('train')
    model = arch.build(arch.channels, CLASSES).to(memory_format=torch.channels_last).train()
    optimizer = OPTIMIZERS[recipe.optimizer](model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    batches = list(zip(arch.inputs(train, batch_size=BATCH), torch.tensor(train.labels).split(BATCH)))
    start = clocks()
    for x, y in batches:
        with torch.autocast('cpu', torch.bfloat16, enabled=fast_bfloat16(torch.device('cpu'))): logits = model(x)
        F.cross_entropy(logits.float(), y, label_smoothing=recipe.label_smoothing).backward()
        optimizer.step()
        optimizer.zero_grad()
    return since(start)


def race(name, rounds, keras):
    "A row for each pair of contestants: images per second (median) and the ratio of the times, by the clock and by processor time, with quartiles"
    from dataclasses import replace
    import numpy as np
    from fer_teach.batches import AUGMENTATIONS
    from fer_teach.archs import ARCHS
    arch, images = ARCHS[name], BATCHES[name]*BATCH
    own = table(images)
    recipe = replace(arch.recipe('default'), batch_size=BATCH, progressive_sizes=(), ema=0)
    theirs = replace(recipe, channels=3, mean=(0.,)*3, std=(1.,)*3, augment=AUGMENTATIONS['S1'], build=dict(norm=False) if name == 'vgg16_scratch' else {})
    contestants = dict(fer_teach=lambda: our_seconds(own, arch, recipe), bare=lambda: bare_seconds(own, arch, recipe))
    if keras and name in PUBLISHED_IN_KERAS:
        contestants |= {'fer_teach, colour': lambda: our_seconds(own, arch, theirs), 'keras': lambda: keras.seconds(name, BATCHES[name])}
    for run in contestants.values(): run()  # warm up
    spent = np.array([[run() for run in contestants.values()] for _ in range(rounds)])  # (rounds, contestants, clocks)
    seconds = dict(zip(contestants, spent.transpose(1, 2, 0)))
    pairs = [(rival, ours) for rival, ours in (('bare', 'fer_teach'), ('keras', 'fer_teach, colour')) if rival in seconds]
    return [row(name, images, rival, seconds[ours], seconds[rival]) for rival, ours in pairs]


def row(name, images, rival, ours, theirs):
    import numpy as np
    found = dict(network=name, rival=rival, ours_per_second=round(np.median(images/ours[0])), rival_per_second=round(np.median(images/theirs[0])))
    for what, mine, other in zip(('clock', 'processor'), ours, theirs):
        for part, value in zip(('', '_low', '_high'), np.quantile(other/mine, (.5, .25, .75))): found[what + part] = round(value, 3)
    return found


def table(images):
    "Drawn faces, as many for training as asked and a few to judge"
    from dataclasses import replace
    import numpy as np
    from fer_teach.drawn import drawn_faces
    faces = drawn_faces(images + 140)
    order = np.random.default_rng(0).permutation(len(faces))
    return replace(faces[order], usage=np.array(['train']*images + ['valid', 'test']*70))


def write_jpegs(folder):
    from PIL import Image
    faces = table(BATCH*max(BATCHES.values())).split('train')
    for i, (pixels, label) in enumerate(zip(faces.pixels, faces.labels)):
        (Path(folder)/faces.vocab[label]).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(Path(folder)/faces.vocab[label]/f'{i}.jpg', quality=90)


def latency():
    "Milliseconds from the pixels of one face, and from its file, to the answer of a model that was saved and loaded"
    import numpy as np
    from PIL import Image
    from fer_teach.runs import load_emotions
    from fer_teach.learn import learn_emotions
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, 'w') as nowhere:
        with redirect_stdout(nowhere): learn_emotions('mini_xception', data=table(640), epochs=1, out=f'{folder}/run')
        learn, face = load_emotions(f'{folder}/run'), table(7).pixels[0]
        Image.fromarray(face).save(f'{folder}/face.jpg')
        for what, picture in (('pixels', face), ('a JPEG file', Path(folder)/'face.jpg')):
            times = []
            for _ in range(220):
                start = clocks()
                learn.predict_emotion(picture)
                times.append(since(start))
            wall, processor = 1000*np.median(times[20:], 0)
            print(f'one face from {what}: {wall:.1f} ms, of which {processor:.1f} ms on the processor')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--networks', nargs='+', default=list(BATCHES), choices=BATCHES)
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--threads', type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument('--keras', metavar='PYTHON', help='a Python with tensorflow-cpu, pillow and scipy')
    parser.add_argument('--out', type=Path, help='CSV to write')
    parser.add_argument('--keras-worker', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.keras_worker: return keras_worker(args.keras_worker, args.threads)
    import pandas as pd
    import torch
    torch.set_num_threads(args.threads)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        keras = None
        if args.keras:
            write_jpegs(folder)
            keras = Keras(args.keras, folder, args.threads)
        for name in args.networks:
            rows += race(name, args.rounds, keras)
            print(pd.DataFrame(rows).to_string(), flush=True)
        if keras:
            print(f'TensorFlow {keras.version}')
            keras.process.stdin.close()
            keras.process.wait()
    if args.out: pd.DataFrame(rows).to_csv(args.out, index=False)
    latency()


if __name__ == '__main__': main()
