"""How a network grows, on drawn faces: what each step of chapter 50 buys, on test faces and on moved ones (nbs/grown.csv),
and twenty layers with and without batch norm and shortcuts (nbs/deep.csv). `python benchmarks/grow.py [steps] [deep]`
What stands in these tables is not measured again: remove a table to begin anew."""
import argparse
import os
import time
import warnings
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path

warnings.simplefilter('ignore')
import numpy as np
import pandas as pd
import torch
import torch.nn as nn
import torch.nn.functional as F
from fer_teach.drawn import drawn_faces
from fer_teach.evaluation import evaluate
from fer_teach.learner import train
from fer_teach.recipes import Arch, Recipe
from fer_teach.scratch import Residual, plain_conv, separable_conv

NBS = Path(__file__).parents[1]/'nbs'
MOVES = (0, 2, 4, 8)


# --- the steps; a hidden test of the chapter compares their parameters with those of its networks

def strided(i, o): return [nn.Conv2d(i, o, 3, 2, 1), nn.ReLU()]
def pooled(i, o): return [nn.Conv2d(i, o, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2)]
def normed(i, o): return [*plain_conv(i, o), nn.ReLU(), nn.MaxPool2d(2)]
def dense(numbers, classes): return [nn.Flatten(), nn.Linear(numbers, classes)]


def three(channels, classes, step):
    return nn.Sequential(*step(channels, 16), *step(16, 32), *step(32, 64), *dense(64*6*6, classes))


def whole(channels, classes, pool):
    return nn.Sequential(*normed(channels, 16), *normed(16, 32), *normed(32, 64), pool(1), *dense(64, classes))


def residual(channels, classes, conv):
    blocks = Residual(16, 32, conv), Residual(32, 64, conv)
    return nn.Sequential(*normed(channels, 16), *blocks, nn.AdaptiveAvgPool2d(1), *dense(64, classes))


STEPS = {
    'one convolution': lambda i, k: nn.Sequential(*strided(i, 16), *dense(16*24*24, k)),
    'three convolutions': partial(three, step=strided),
    'max pooling': partial(three, step=pooled),
    'batch norm': partial(three, step=normed),
    'average pooling': partial(whole, pool=nn.AdaptiveAvgPool2d),
    'largest instead of average': partial(whole, pool=nn.AdaptiveMaxPool2d),
    'residual blocks': partial(residual, conv=plain_conv),
    'separable convolutions': partial(residual, conv=separable_conv)}


def moved_faces(faces, pixels, seed):
    "Each face moved by `pixels` along the rows, the columns or both, in a direction drawn by chance"
    ways = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
    chosen = np.random.default_rng([seed, 5]).integers(0, len(ways), len(faces))
    wide = np.pad(faces.pixels, ((0, 0), (pixels, pixels), (pixels, pixels)), mode='edge')
    corners = [(pixels*(1 + ways[o][0]), pixels*(1 + ways[o][1])) for o in chosen]
    return replace(faces, pixels=np.stack([o[i:i + 48, j:j + 48] for o, (i, j) in zip(wide, corners)]))


def steps(args):
    rows = read(args.out/'grown.csv')
    done = {(o['network'], o['epochs'], o['seed']) for o in rows}
    for seed in args.seeds:
        faces = drawn_faces(2800, seed, difficulty='easy')
        test = replace(drawn_faces(2000, 100 + seed, difficulty='easy'), usage=np.repeat('test', 2000))
        for name, build in STEPS.items():
            for epochs in (8, 24) if name == 'average pooling' else (8,):
                if (name, epochs, seed) in done: continue
                rows += step_rows(name, build, epochs, seed, faces, test)
                write(rows, args.out/'grown.csv')


def step_rows(name, build, epochs, seed, faces, test):
    "Accuracy of one network on the test faces, moved by each of `MOVES`"
    start = time.process_time()
    recipe = Recipe(epochs=epochs, lr=3e-3, tta={}, precision='float32')
    with redirect_stdout(StringIO()): learn = train(faces, Arch(name, build), recipe, seed=seed)
    facts = dict(network=name, epochs=epochs, seed=seed, parameters=learn.arch.parameters(),
                 seconds=round(time.process_time() - start, 1))
    found = {pixels: evaluate(learn, moved_faces(test, pixels, seed)) for pixels in MOVES}
    print(facts, {k: round(o.accuracy, 3) for k, o in found.items()}, flush=True)
    return [facts | dict(moved=k, accuracy=o.accuracy, low=o.interval[0], high=o.interval[1], images=len(o)) for k, o in found.items()]


# --- twenty layers

class Two(nn.Module):
    "Two convolutions, with or without batch norm, added to their input or not"
    def __init__(self, width, norm, shortcut):
        super().__init__()
        def conv(): return plain_conv(width, width) if norm else nn.Conv2d(width, width, 3, padding=1)
        self.body, self.shortcut = nn.Sequential(conv(), nn.ReLU(), conv()), shortcut
    def forward(self, x): return F.relu(self.body(x) + x if self.shortcut else self.body(x))


def twenty(norm, shortcut, width=16):
    blocks = [Two(width, norm, shortcut) for _ in range(10)]
    return nn.Sequential(nn.Conv2d(1, width, 4, 4), *blocks, nn.AdaptiveAvgPool2d(1), *dense(width, 7))


def deep(args):
    rows = read(args.out/'deep.csv')
    done = {(o['norm'], o['shortcut'], o['seed']) for o in rows}
    for seed in args.seeds:
        faces = drawn_faces(2800, seed, difficulty='easy')
        for norm in (False, True):
            for shortcut in (False, True):
                if (norm, shortcut, seed) in done: continue
                torch.manual_seed(seed)
                curve = fit(twenty(norm, shortcut), faces, epochs=12)
                rows += [dict(norm=norm, shortcut=shortcut, seed=seed, epoch=i + 1, loss=loss, accuracy=accuracy)
                         for i, (loss, accuracy) in enumerate(curve)]
                write(rows, args.out/'deep.csv')
                print(norm, shortcut, seed, curve[-1], flush=True)


def fit(net, faces, epochs, lr=3e-3):
    "The loop of chapter 20 by Adam: training loss and accuracy on valid after each epoch"
    pixels = torch.tensor(faces.pixels[:, None]/255, dtype=torch.float32)
    (x, y), (valid_x, valid_y) = [(((pixels - pixels.mean())/pixels.std())[faces.usage == o], torch.tensor(faces.labels[faces.usage == o])) for o in ('train', 'valid')]
    optimizer, curve = torch.optim.Adam(net.parameters(), lr), []
    for _ in range(epochs):
        net.train()
        losses = []
        for batch in torch.randperm(len(x)).split(64):
            loss = F.cross_entropy(net(x[batch]), y[batch])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        net.eval()
        with torch.no_grad(): right = net(valid_x).argmax(1) == valid_y
        curve.append((float(np.mean(losses)), right.float().mean().item()))
    return curve


def read(file): return pd.read_csv(file).to_dict('records') if file.exists() else []


def write(rows, file):
    pd.DataFrame(rows).round(4).to_csv(part := file.with_suffix('.part'), index=False)
    os.replace(part, file)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('what', nargs='*', default=['steps', 'deep'])
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--out', default=NBS, type=Path)
    args = parser.parse_args()
    for name in args.what: dict(steps=steps, deep=deep)[name](args)


if __name__ == '__main__': main()
