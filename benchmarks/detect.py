"""What does `detect_emotions` cost, beside the bare network, and how many photographs does it see in a minute?

`python benchmarks/detect.py [--faces 1000] [--pictures 100] [--rounds 5] [--threads 2]`. No data is needed: faces and scenes are drawn.

- table: cropped faces of 48 pixels through `detect_emotions`; bare: the same network on the same faces as tensors, in batches of 256,
  with the same views, without `Faces`, table or threads. They take turns, and the ratio is that of the medians, by the clock and by
  the process's own time; where others use the machine, look at the latter.
- photographs: JPEGs of 1280 x 960 with three faces each, from files to the table.
- beside them the packages fer and deepface, where they are installed, on the same photographs.
"""
import argparse
import importlib.util
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from fer_teach.detect import detect_emotions
from fer_teach.drawn import drawn_faces
from fer_teach.learner import views
from fer_teach.runs import load_emotions


def clocks(): return np.array([time.perf_counter(), time.process_time()])


def timed(function):
    start = clocks()
    function()
    return clocks() - start


@torch.inference_mode()
def bare(learn, batches):
    for x in batches: torch.cat([learn.model(o) for o in torch.cat(views(x, learn.recipe)).split(256)])


def against_the_network(n, rounds):
    learn = load_emotions()
    faces = drawn_faces(max(n, 70)).split('test').pixels
    faces = np.resize(faces, (n, 48, 48))
    batches = list(learn.arch.inputs(learn.this_run.look_at(faces)))
    learn.model.eval()
    contestants = dict(bare=lambda: bare(learn, batches), table=lambda: detect_emotions(faces, learn))
    seconds = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, run in contestants.items(): seconds[name].append(timed(run))
    median = {name: np.median(o[1:], 0) for name, o in seconds.items()}  # the first round warms up
    for name, (wall, own) in median.items(): print(f'{n:,} faces, {name}: {wall:.2f} s, {own:.2f} s of the processor', flush=True)
    wall, own = median['table']/median['bare']
    print(f'ratio: {wall:.2f} by the clock, {own:.2f} by the processor', flush=True)


def write_photographs(folder, n):
    faces, rng = drawn_faces(70, difficulty='easy', size=240).pixels, np.random.default_rng(0)
    for i in range(n):
        picture = np.uint8(np.clip(rng.normal(128, 8, (960, 1280)), 0, 255))
        for j in range(3): picture[200 + 100*j:440 + 100*j, 100 + 380*j:340 + 380*j] = faces[rng.integers(len(faces))]
        Image.fromarray(picture).convert('RGB').save(folder/f'{i}.jpg', quality=90)


def by_fer(files):
    import cv2
    from fer.fer import FER
    detector = FER()
    return lambda: [detector.detect_emotions(cv2.imread(str(o))) for o in files]


def by_deepface(files):
    from deepface import DeepFace
    return lambda: [DeepFace.analyze(str(o), actions=['emotion'], enforce_detection=False, silent=True) for o in files]


def photographs(n):
    with tempfile.TemporaryDirectory() as folder:
        write_photographs(Path(folder), n)
        files = sorted(Path(folder).iterdir())
        contestants = dict(fer_teach=lambda: detect_emotions(files, load_emotions()))
        for name, make in (('fer', by_fer), ('deepface', by_deepface)):
            if importlib.util.find_spec(name): contestants[name] = make(files)
            else: print(f'{name} is not installed')
        for name, run in contestants.items():
            wall, own = timed(run)
            print(f'{n} photographs, {name}: {wall:.1f} s, {own:.1f} s of the processor; '
                  f'1,000 would take {1000*wall/n:.0f} s, {1000*own/n:.0f} of the processor', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--faces', type=int, default=1000)
    parser.add_argument('--pictures', type=int, default=100)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--threads', type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    against_the_network(args.faces, args.rounds)
    photographs(args.pictures)


if __name__ == '__main__': main()
