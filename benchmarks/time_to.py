"""Accuracy by time: a plain reference, Mini-Xception, network A and wink, trained one after another on one machine: nbs/time.csv.

`python benchmarks/time_to.py [--data fer2013] [--seeds 0 1 2] [--threads 2] [--only reference wink ...] [--add]`. The reference is a
residual network of 760 thousand parameters, trained by AdamW for 14 epochs; R is its time of training, and every other time is told as
a share of it. Seconds are of training alone, without reading and judging. `--test` also reads PrivateTest, once per network and seed.
What is added with `--add` is a run of its own if the reference is among it, since machines change from hour to hour; without the
reference it belongs to the latest run, and must be of the same hour.
"""
import argparse
import os
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from fastai.callback.core import Callback
from fastai.torch_core import no_random
from fer_teach.evaluation import evaluate
from fer_teach.fast import WINK
from fer_teach.learner import emotion_learner, fit_recipe
from fer_teach.readers import find_faces
from fer_teach.recipes import Arch, Recipe
from fer_teach.scratch import MINI_XCEPTION, plain_conv
from torch import nn

FILE = Path(__file__).parents[1]/'nbs/time.csv'


def conv(i, o, size=3, stride=1):
    return nn.Sequential(nn.Conv2d(i, o, size, stride, size//2, bias=False), nn.BatchNorm2d(o), nn.ReLU())


class Residual(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.body = nn.Sequential(conv(n, n), nn.Conv2d(n, n, 3, padding=1, bias=False), nn.BatchNorm2d(n))
    def forward(self, x): return (x + self.body(x)).relu()


def plain_residual(channels, classes):
    return nn.Sequential(
        conv(channels, 32, 3, 2), conv(32, 64), nn.MaxPool2d(2), Residual(64),
        conv(64, 128), nn.MaxPool2d(2), Residual(128), conv(128, 256),
        nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Dropout(.3), nn.Linear(256, classes))


REFERENCE = Arch('reference', plain_residual, recipes=dict(default=Recipe(
    epochs=14, lr=3e-3, batch_size=128, weight_decay=.05,
    augment=dict(flip=True, rotation=10, zoom=.1, shift=.05))))


class Block(nn.Module):
    "Two convolutions beside a shortcut that is averaged; at first the block adds nothing"
    def __init__(self, i, o, stride=1):
        super().__init__()
        self.body = nn.Sequential(conv(i, o, 3, stride), *plain_conv(o, o))
        nn.init.zeros_(self.body[-1].weight)
        pool = [nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False)] if stride > 1 else []
        self.shortcut = nn.Sequential(*pool, nn.Conv2d(i, o, 1, bias=False), nn.BatchNorm2d(o)) if i != o else nn.Identity()
    def forward(self, x): return (self.body(x) + self.shortcut(x)).relu()


def network_a(channels, classes, widths=(64, 160)):
    stages = [nn.Sequential(Block(i, o, 2), Block(o, o)) for i, o in zip((32, *widths), widths)]
    return nn.Sequential(conv(channels, 32, 5, 2), *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], classes))


NETWORK_A = Arch('network A', network_a, recipes=dict(default=Recipe(  # what fer_teach came with before wink
    epochs=8, lr=5e-3, batch_size=128, weight_decay=.05, optimizer='muon', ema=.99,
    progressive_sizes=((0, 32), (.4, 40), (.7, 48)), augment=dict(flip=True, shift=.06))))


def contestants():
    "{name: (arch, recipe)}"
    wink = WINK.recipe('default')
    return {'reference': (REFERENCE, REFERENCE.recipe('default')),
            'network A': (NETWORK_A, NETWORK_A.recipe('default')),
            'wink': (WINK, wink),
            'wink, 5 epochs': (WINK, replace(wink, epochs=5, augment=dict(flip=True, shift=.08))),
            'wink, 20 epochs': (WINK, replace(WINK.recipe('long'), epochs=20)),
            'wink, 28 epochs': (WINK, replace(WINK.recipe('record'), epochs=28)),
            'mini_xception': (MINI_XCEPTION, MINI_XCEPTION.recipe('default'))}


class Clock(Callback):
    "Seconds of training, without judging, at the end of each epoch"
    def before_fit(self): self.seconds, self.ends = 0., []
    def before_train(self): self.start = time.perf_counter()
    def after_train(self):
        self.seconds += time.perf_counter() - self.start
        self.ends.append(self.seconds)


def measure(name, arch, recipe, faces, seed, test):
    "A row per epoch, the last judged with all views"
    clock = Clock()
    with no_random(seed, reproducible=False):
        learn = emotion_learner(faces, arch, recipe)
        learn.add_cb(clock)
        fit_recipe(learn)
    rows = [dict(network=name, seed=seed, epoch=i + 1, seconds=round(seconds, 1), valid=round(accuracy, 4))
            for i, (seconds, (_, _, accuracy)) in enumerate(zip(clock.ends, learn.history))]
    rows[-1]['all_views'] = round(evaluate(learn, faces, 'valid').accuracy, 4)
    if test: rows[-1]['test'] = round(evaluate(learn, faces).accuracy, 4)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', default='fer2013')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument('--only', nargs='+', choices=contestants())
    parser.add_argument('--test', action='store_true', help='read PrivateTest too')
    parser.add_argument('--add', action='store_true', help='keep what stands in the file')
    parser.add_argument('--out', default=FILE, type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    faces = find_faces(args.data).reduce(7)
    tables = [pd.read_csv(args.out)] if args.add and args.out.exists() else []
    run = max((o.run.max() for o in tables), default=0) + (not args.only or 'reference' in args.only)
    for seed in args.seeds:
        for name, (arch, recipe) in contestants().items():
            if args.only and name not in args.only: continue
            tables.append(pd.DataFrame(measure(name, arch, recipe, faces, seed, args.test)).assign(run=run))
            print(tables[-1].tail(1).to_string(), flush=True)
            pd.concat(tables).to_csv(part := args.out.with_suffix('.part'), index=False)
            os.replace(part, args.out)
    ends = pd.concat(tables).groupby(['run', 'network', 'seed'], as_index=False).last()
    R = ends[ends.network == 'reference'].groupby('run').seconds.mean()
    print(ends.assign(share_of_R=ends.seconds/ends.run.map(R)).round(4).to_string())


if __name__ == '__main__': main()
