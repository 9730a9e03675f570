"""What wink's weights are worth where labelled faces are few; writes nbs/few.csv.

`python benchmarks/few.py [--seeds 0 1 2]`: drawn faces of four classes, 50 to 5,000 of them to train on, begun with the weights that
come along and with random ones, by the same recipe, and judged on others.
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
EMOTIONS_USED = ('angry', 'happy', 'neutral', 'sad')
SEEN = 6000  # faces that a network sees in training, at least: few faces are seen more often
VALID = 100  # faces to look at after each epoch


def some(faces, images, seed):
    "So many faces of Training, some of valid, and all of test"
    rng = np.random.default_rng(seed)
    def first(split, n): return rng.permutation(np.flatnonzero(faces.usage == split))[:n]
    return faces[np.concatenate([first('train', images), first('valid', VALID), np.flatnonzero(faces.usage == 'test')])]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--images', type=int, nargs='+', default=[50, 200, 1000, 5000])
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--out', default=FILE, type=Path)
    args = parser.parse_args()
    faces, recipe, rows = drawn_faces(7000, seed=1, emotions=EMOTIONS_USED).reduce(4), WINK.recipe('pretrained'), []
    for images in args.images:
        epochs = min(60, max(4, SEEN//images))
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
