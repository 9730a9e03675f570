"""The accuracy of a network on altered pictures: darker, brighter, of less and more contrast, noisy, from further away.

`python benchmarks/altered.py [RUN ...] [--data fer2013] [--split valid] [--out FILE]`; without RUN, the network that comes along.
"""
import argparse
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from fer_teach.batches import warped
from fer_teach.evaluation import evaluate
from fer_teach.readers import find_faces
from fer_teach.runs import SHIPPED, load_emotions


def noisy(x):
    grain = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    return x + 20*grain


def smaller(x):
    "The face a fifth smaller; the border is repeated"
    maps = torch.eye(2, 3).expand(len(x), 2, 3)/.8
    return warped(x[:, None], maps)[:, 0]


ALTERATIONS = {
    'half the light': lambda x: x/2,
    '60 levels brighter': lambda x: x + 60,
    'contrast .4': lambda x: 128 + .4*(x - 128),
    'contrast 1.8': lambda x: 128 + 1.8*(x - 128),
    'noise of 20 levels': noisy,
    'a fifth smaller': smaller}


def altered(faces, name):
    "Grey faces after one of `ALTERATIONS`"
    x = ALTERATIONS[name](torch.tensor(faces.pixels).float())
    return replace(faces, pixels=x.round().clamp(0, 255).to(torch.uint8).numpy())


def judge_altered(learn, faces, split='valid'):
    "{alteration: `Result`}, first of the pictures as they are"
    part = faces.split(split)
    return {'as they are': evaluate(learn, part, split)} | {
        name: evaluate(learn, altered(part, name), split) for name in ALTERATIONS}


def mean_altered(results):
    "The mean accuracy over `ALTERATIONS`"
    return sum(results[name].accuracy for name in ALTERATIONS)/len(ALTERATIONS)


def rows_of(network, results):
    for name, result in results.items():
        low, high = result.interval
        yield dict(network=network, pictures=name, images=len(result),
                   accuracy=round(result.accuracy, 4), low=round(low, 4), high=round(high, 4))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('runs', nargs='*', type=Path, default=[SHIPPED/'wink'])
    parser.add_argument('--data', default='fer2013')
    parser.add_argument('--split', default='valid')
    parser.add_argument('--out', type=Path)
    args = parser.parse_args()
    faces, rows = find_faces(args.data).reduce(7), []
    for run in args.runs:
        results = judge_altered(load_emotions(run), faces, args.split)
        rows += rows_of(run.name, results)
        print(f'{run.name}: mean of the altered {mean_altered(results):.4f}', flush=True)
    table = pd.DataFrame(rows)
    print(table.to_string())
    if args.out: table.to_csv(args.out, index=False)


if __name__ == '__main__': main()
