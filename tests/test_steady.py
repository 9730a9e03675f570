"Training ends well: kill -9 at any moment, Ctrl-C, a full disk, a loss that is no number; and memory does not grow."
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch.nn as nn
from PIL import Image

from fer_teach.cli import main
from fer_teach.core import FaceError
from fer_teach.drawn import drawn_faces
from fer_teach.core import write_folder
from fer_teach.core import read_tensors
from fer_teach.recipes import Arch, Recipe
from fer_teach.learner import train

FORK = multiprocessing.get_context('forkserver')  # processes that start within milliseconds: all that is heavy is imported once
FORK.set_forkserver_preload(['fer_teach.cli', 'fer_teach.learn'])


def tiny_network(channels, classes): return nn.Sequential(nn.Conv2d(channels, 8, 5, 2), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Dropout(.2), nn.Linear(8*5*5, classes))


TINY = Arch('tiny', tiny_network, recipes=dict(default=Recipe(epochs=6, augment=dict(flip=True, rotation=10))))


def run_in(process, *args):
    "Run a function in a process of its own; returns its exit code"
    done = FORK.Process(target=process, args=args)
    done.start()
    done.join()
    return done.exitcode


# --- kill -9

def train_on(kept, log, resume):
    "Train, a line per epoch in `log`, the probabilities of the trained network beside it"
    with open(log, 'w') as file, redirect_stdout(file): learn = train(drawn_faces(350), TINY, checkpoint=kept, resume=resume)
    np.save(log.with_suffix('.npy'), learn.result.probabilities)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    "(seconds, probabilities) of a run that nobody kills"
    folder = tmp_path_factory.mktemp('whole')
    assert run_in(train_on, folder/'kept.safetensors', folder/'warm', False) == 0
    start = time.perf_counter()
    assert run_in(train_on, folder/'kept.safetensors', folder/'log', False) == 0
    return time.perf_counter() - start, np.load(folder/'log.npy')


def check_resumed(folder, whole):
    "At most one epoch is lost, and the run goes on to the same end; returns how many epochs were kept"
    kept, shown = folder/'kept.safetensors', (folder/'log').read_text().count('epoch ') if (folder/'log').exists() else 0
    saved = read_tensors(kept)[1]['epoch'] if kept.exists() else 0
    assert shown - 1 <= saved <= shown
    assert run_in(train_on, kept, folder/'again', saved > 0) == 0
    assert (folder/'again').read_text().count('epoch ') == 6 - saved
    assert (np.load(folder/'again.npy') == whole[1]).all()
    assert not list(folder.glob('.*'))  # nor does anything half-written stay behind
    return saved


@pytest.mark.parametrize('part', [(.2, .4), (.4, .6), (.6, .8), (.8, 1)])
def test_killed_at_any_moment(tmp_path, whole, part):
    moment = random.uniform(*part)*whole[0]
    print(f'killed after {moment:.3f} s of {whole[0]:.3f} s')
    process = FORK.Process(target=train_on, args=(tmp_path/'kept.safetensors', tmp_path/'log', False))
    process.start()
    time.sleep(moment)
    process.kill()
    process.join()
    check_resumed(tmp_path, whole)


def train_and_die(kept, log, function, epoch):
    "Train, and be killed when `function` of os is called for the checkpoint of `epoch`"
    usual, calls = getattr(os, function), []

    def deadly(*args):
        calls.append(args)
        if len(calls) == epoch:
            if function == 'fsync': os.ftruncate(args[0], 4)  # no more than that has reached the disk
            os.kill(os.getpid(), signal.SIGKILL)
        return usual(*args)
    setattr(os, function, deadly)
    train_on(kept, log, False)


@pytest.mark.parametrize('function, epoch', [('fsync', 1), ('fsync', 3), ('replace', 2)])
def test_killed_while_the_checkpoint_is_written(tmp_path, whole, function, epoch):
    assert run_in(train_and_die, tmp_path/'kept.safetensors', tmp_path/'log', function, epoch) == -signal.SIGKILL
    assert check_resumed(tmp_path, whole) == epoch - 1


# --- the command

@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    "A folder of drawn faces, small enough that an epoch takes a moment"
    folder, faces = tmp_path_factory.mktemp('faces'), drawn_faces(280)
    for i, (pixels, label) in enumerate(zip(faces.pixels, faces.labels)):
        (folder/faces.vocab[label]).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder/faces.vocab[label]/f'{i}.png')
    return folder


def command(folder, said, line):
    "The command in `folder`; what it says goes into the file `said`"
    os.chdir(folder)
    with open(said, 'w') as file, redirect_stdout(file), redirect_stderr(file): sys.exit(main(line.split()))


def test_ctrl_c(tmp_path, pictures):
    "The real command, started as a shell would, is interrupted after some epoch, and goes on"
    code = 'import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from fer_teach.cli import main; sys.exit(main())'
    line = f'learn sequential --data {pictures} --classes 2 --epochs 400 --out run'
    process = subprocess.Popen([sys.executable, '-c', code, *line.split()], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path/'run.training.safetensors').exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(.02)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1]
    assert process.returncode == 130 and said == '\nfer_teach: stopped; the last complete epoch is kept: go on with fer_teach learn --resume run\n'
    assert [o.name for o in tmp_path.iterdir()] == ['run.training.safetensors']
    tensors, about = read_tensors(tmp_path/'run.training.safetensors')
    assert 1 <= about['epoch'] < 400 and all(o.isfinite().all() for o in tensors.values())


@pytest.fixture
def small_disk(tmp_path):
    "A disk of 2 MB"
    folder = tmp_path/'disk'
    folder.mkdir()
    mounted = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', folder], capture_output=True, text=True, check=False)
    if mounted.returncode: pytest.skip(f'only root may make a small disk: {mounted.stderr.strip()}')
    yield folder
    subprocess.run(['umount', '-l', folder], check=True)


def test_disk_full(small_disk, pictures):
    "The disk fills up after some epoch: one message, the epoch is kept, and the run goes on when there is room"
    kept, said = small_disk/'run.training.safetensors', small_disk.with_name('said')
    process = FORK.Process(target=command, args=(small_disk, said, f'learn mini_xception --data {pictures} --classes 2 --epochs 20 --out run'))
    process.start()
    while not kept.exists(): time.sleep(.002)
    with open(small_disk/'filler', 'wb', buffering=0) as filler, suppress(OSError):
        while True: filler.write(bytes(4096))
    process.join()
    assert process.exitcode == 2
    words, = (o for o in said.read_text().splitlines() if not o.startswith('epoch '))
    assert words.startswith(f'fer_teach: {kept.name} could not be written (') and words.endswith('go on with fer_teach learn --resume run')
    assert sorted(o.name for o in small_disk.iterdir()) == ['filler', kept.name]
    done = read_tensors(kept)[1]['epoch']
    (small_disk/'filler').unlink()
    assert run_in(command, small_disk, said, 'learn --resume run') == 0, said.read_text()
    assert said.read_text().count('epoch ') == 20 - done and [o.name for o in small_disk.iterdir()] == ['run']


# --- elsewhere the disk is full for files beyond a limit

def train_until_full(kept, log):
    "Train, and let no file grow beyond 1,000 bytes once two epochs are kept; the error is kept in a file that is open already"
    usual, calls = os.replace, []

    def limiting(*args):
        usual(*args)
        calls.append(args)
        if len(calls) == 2: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    os.replace = limiting
    try: train_on(kept, log, False)
    except FaceError as problem: log.with_name('said').write_text(str(problem))


def test_no_room_for_the_checkpoint(tmp_path, whole):
    assert run_in(train_until_full, tmp_path/'kept.safetensors', tmp_path/'log') == 0
    assert (tmp_path/'said').read_text().startswith(f'{tmp_path}/kept.safetensors could not be written')
    assert check_resumed(tmp_path, whole) == 2


def save_too_much(folder, said):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try: write_folder(folder/'run', lambda o: (o/'model.json').write_bytes(bytes(10**4)))
    except FaceError as problem: said.write_text(str(problem))


def test_no_room_for_the_run(tmp_path):
    assert run_in(save_too_much, tmp_path, tmp_path/'said') == 0
    assert (tmp_path/'said').read_text().startswith(f'{tmp_path}/run could not be written (')
    assert [o.name for o in tmp_path.iterdir()] == ['said']


# --- no number, no room

class Spoilt(nn.Module):
    "A network that answers with no number after `good` batches"
    def __init__(self, channels, classes, good):
        super().__init__()
        self.network, self.good = tiny_network(channels, classes), good

    def forward(self, x):
        self.good -= 1
        return self.network(x) if self.good >= 0 else self.network(x)*float('nan')


def test_loss_that_is_no_number(tmp_path):
    "4 batches of training and 1 of validation are an epoch: the third is spoilt, the second is kept"
    arch = replace(TINY, build=partial(Spoilt, good=11))
    with pytest.raises(FaceError, match='^the loss is nan in epoch 3: train with a lower learning rate than'): train(drawn_faces(350), arch, checkpoint=tmp_path/'kept')
    tensors, about = read_tensors(tmp_path/'kept')
    assert about['epoch'] == 2 and all(o.isfinite().all() for o in tensors.values())


def train_and_weigh(kept, weights):
    "Train for 50 epochs; the memory in use after each, in bytes, goes into the file `weights`"
    from fastai.callback.core import Callback
    from fastai.torch_core import defaults

    class Weigh(Callback):
        order = 100
        def after_epoch(self): found.append(int(Path('/proc/self/statm').read_text().split()[1])*os.sysconf('SC_PAGESIZE'))
    found, defaults.callbacks = [], [*defaults.callbacks, Weigh]
    with open(os.devnull, 'w') as nowhere, redirect_stdout(nowhere): train(drawn_faces(350), TINY, epochs=50, checkpoint=kept)
    np.save(weights, found)


@pytest.mark.skipif(not Path('/proc/self/statm').exists(), reason='this system does not tell how much memory a process uses')
def test_memory_does_not_grow(tmp_path):
    assert run_in(train_and_weigh, tmp_path/'kept', tmp_path/'weights.npy') == 0
    weights = np.load(tmp_path/'weights.npy')/2**20
    print(f'{weights[9]:.1f} MiB after 10 epochs, {weights[49]:.1f} after 50')
    assert weights[49] - weights[9] < 8
