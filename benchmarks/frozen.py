"""Frozen or fine-tuned? The arms of chapter 40 on 301 drawn faces by several seeds, each with faces of its own: nbs/frozen.csv.
`python benchmarks/frozen.py --seeds 0 1 2 3 4`"""
import argparse
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from fer_teach.drawn import drawn_faces
from fer_teach.learner import train
from fer_teach.transfer import OURS, PRETRAINED

FILE = Path(__file__).parents[1]/'nbs/frozen.csv'
KEPT = dict(body_norm='frozen')
ARMS = {  # name of the recipe, and what differs from it
    'frozen': ('frozen', {}),
    'fine-tuned': ('default', {}),
    'fine-tuned, batch norm kept': ('default', dict(KEPT, lr=1e-3)),
    'gradual, batch norm kept': ('default', dict(KEPT, epochs=1, trainable='head', stages=((1, 1e-3, 12), (2, 1e-3, 'all')))),
    'fine-tuned, batch norm kept, rate .003': ('default', KEPT)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2, 3, 4])
    parser.add_argument('--out', default=FILE, type=Path)
    args, rows = parser.parse_args(), []
    usage = np.repeat(['train', 'valid', 'test'], [301, 210, 56])
    for seed in args.seeds:
        few = replace(drawn_faces(567, seed, difficulty='easy'), usage=usage)
        for arm, (recipe, own) in ARMS.items():
            recipe = replace(OURS[recipe], **dict(epochs=4, batch_size=16, lr=3e-3, tta={}) | own)
            learn = train(few, PRETRAINED['efficientnet_lite0'], recipe, seed=seed)
            rows.append(dict(arm=arm, seed=seed, valid_accuracy=round(learn.valid_result.accuracy, 4)))
            pd.DataFrame(rows).to_csv(part := args.out.with_suffix('.part'), index=False)
            os.replace(part, args.out)
            print(rows[-1], flush=True)


if __name__ == '__main__': main()
