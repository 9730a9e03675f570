"""Does pretraining on drawn faces help on real ones? Mini-Xception on 1 %, 10 % and 100 % of FER2013's labels, from random weights
and from those of drawn faces, judged on valid; fewer labels get more epochs. Writes nbs/transfer.csv: `FER_TEACH_DATA=... python benchmarks/transfer.py`"""
import argparse
import os
import time
from pathlib import Path

import pandas as pd
from fer_teach.drawn import drawn_faces
from fer_teach.readers import find_faces
from fer_teach.learn import learn_emotions
from fer_teach.scratch import MINI_XCEPTION
from fer_teach.transfer import label_experiment

FILE = Path(__file__).parents[1]/'nbs/transfer.csv'
EPOCHS = {.01: 40, .1: 15, 1: 6}  # for each share of the labels


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', default='fer2013')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    parser.add_argument('--out', default=FILE, type=Path)
    args = parser.parse_args()
    faces, start = find_faces(args.data).reduce(7), time.perf_counter()
    source = learn_emotions('mini_xception', 7, drawn_faces(14000))
    valid = faces.split('valid')
    print(f'drawn faces: {source.result.accuracy:.3f} on drawn test faces, {time.perf_counter() - start:.0f} s; on the valid faces of '
          f'{args.data} without any training there: {(source.probabilities(valid).argmax(1) == valid.labels).mean():.3f}', flush=True)
    tables = []
    for seed in args.seeds:
        for share, epochs in EPOCHS.items():
            tables.append(label_experiment(MINI_XCEPTION, source, faces, (share,), epochs, seed).assign(epochs=epochs, seed=seed))
            pd.concat(tables).round(4).to_csv(part := args.out.with_suffix('.part'), index=False)
            os.replace(part, args.out)
            print(tables[-1].round(3).to_string(), f'{time.perf_counter() - start:.0f} s', flush=True)


if __name__ == '__main__': main()
