"""What wink's weights are worth where labelled faces are few; writes nbs/few.csv.

`python benchmarks/few.py [--seeds 0 1 2]`: drawn faces of four classes, 50 to 5,000 of them to train on, begun with the weights that
come along and with random ones, by the same recipe, and judged on 1,000 others.
"""
import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from fer_teach.drawn import drawn_faces
from fer_teach.fast import WINK
from fer_teach.learner import train

FILE = Path(__file__).parents[1]/'nbs/few.csv'
STEPS = 300  # at least; few faces are seen more often


def some(faces, images, seed):
    "So many faces of Training, and all others"
    rows = np.flatnonzero(faces.usage == 'train')
    left_out = np.random.default_rng(seed).permutation(rows)[images:]
    return faces[np.setdiff1d(np.arange(len(faces)), left_out)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--images', type=int, nargs='+', default=[50, 200, 1000, 5000])
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--out', default=FILE, type=Path)
    args = parser.parse_args()
    faces, recipe, rows = drawn_faces(7000, seed=1).reduce(4), WINK.recipe('pretrained'), []
    for images in args.images:
        if images > (faces.usage == 'train').sum(): faces = drawn_faces(12000, seed=1).reduce(4)
        epochs = min(60, max(4, STEPS*recipe.batch_size//images))
        for seed in args.seeds:
            own = some(faces, images, seed)
            for name, pretrained in (("wink's weights", True), ('random weights', False)):
                start = time.perf_counter()
                result = train(own, WINK, replace(recipe, epochs=epochs), seed=seed, pretrained=pretrained).result
                low, high = result.interval
                rows.append(dict(begins_with=name, images=images, seed=seed, epochs=epochs, accuracy=round(result.accuracy, 4),
                                 low=round(low, 4), high=round(high, 4), majority=round(result.majority, 4),
                                 seconds=round(time.perf_counter() - start)))
                print(rows[-1], flush=True)
    pd.DataFrame(rows).to_csv(args.out, index=False)


if __name__ == '__main__': main()
