"""Grad-CAM of 500 drawn faces, timed; with --scores also the grades of all twelve methods for our network, into nbs/grades.csv:
trained on drawn faces and explained there; the one that comes with fer_teach, trained on FER2013, explained on drawn faces and on PrivateTest.
`FER_TEACH_DATA=... python benchmarks/explain.py [--scores 200]`"""
import argparse
import os
import time
import warnings
from pathlib import Path

warnings.simplefilter('ignore')
import numpy as np
import pandas as pd
from fer_teach.drawn import drawn_faces
from fer_teach.explainability import METHODS, PLACEBOS
from fer_teach.grading import against_placebo, score_explanations
from fer_teach.readers import find_faces
from fer_teach.runs import load_emotions
from fer_teach.learn import learn_emotions
from torch import nn

FILE = Path(__file__).parents[1]/'nbs/grades.csv'


def methods_for(learn):
    "All methods but the placebos, which are always graded; guided backpropagation needs ReLU"
    guided = any(isinstance(o, nn.ReLU) for o in learn.model.modules())
    return [o for o in METHODS if o not in PLACEBOS and (guided or o != 'GuidedBackprop')]


def graded(cases, n, file):
    "Grade every (network, faces) of `cases` on `n` faces; the file is written after each"
    tables = {}
    for name, (learn, faces) in cases.items():
        start = time.perf_counter()
        some = faces[np.sort(np.random.default_rng(0).permutation(len(faces))[:n])]
        tables[name] = score_explanations(learn, some, methods_for(learn))
        print(f'{name}, {len(some)} faces, {time.perf_counter() - start:.0f} s\n{tables[name].xs("mean", axis=1, level=1).to_string()}\n{against_placebo(tables[name]).to_string()}', flush=True)
        pd.concat(tables, names=['graded']).to_csv(part := file.with_suffix('.part'))
        os.replace(part, file)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--scores', type=int, default=0, metavar='FACES', help='grade all methods on so many faces')
    parser.add_argument('--data', default='fer2013')
    parser.add_argument('--out', default=FILE, type=Path)
    args = parser.parse_args()
    drawn = drawn_faces(7000, difficulty='easy')
    learn, test = learn_emotions('wink', 7, drawn), drawn.split('test')
    learn.explain(test[:64], 'GradCAM')
    start = time.perf_counter()
    learn.explain(test[:500], 'GradCAM')
    print(f'{learn.result.accuracy:.1%} on drawn faces; Grad-CAM of {len(test[:500])} faces in {time.perf_counter() - start:.1f} s', flush=True)
    if args.scores:
        shipped = load_emotions()
        graded({'trained on drawn faces, explained on drawn faces': (learn, test), 'trained on FER2013, explained on drawn faces': (shipped, test),
                'trained on FER2013, explained on FER2013': (shipped, find_faces(args.data).reduce(7).split('test'))}, args.scores, args.out)


if __name__ == '__main__': main()
