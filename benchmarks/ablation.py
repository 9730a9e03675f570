"What each idea in wink's recipe buys: every one left out in turn, on FER2013's valid split; writes nbs/ablation.csv"
import argparse
import os
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
from fer_teach.evaluation import evaluate
from fer_teach.readers import find_faces
from fer_teach.learner import train
from fer_teach.fast import WINK

FILE = Path(__file__).parents[1]/'nbs/ablation.csv'
WHOLE = 'the recipe'


def variants(recipe):
    "Name and recipe of each run; where another optimiser takes Muon's place it has its own best rate of 1e-3, 3e-3 and 1e-2"
    yield WHOLE, recipe
    for lr in (1e-3, 3e-3, 1e-2): yield f'AdamW at {lr:g} instead of Muon', replace(recipe, optimizer='adamw', lr=lr)
    yield 'no small pictures first', replace(recipe, progressive_sizes=())
    yield f'{recipe.progressive_sizes[0][1]} pixels all the time', replace(recipe, progressive_sizes=(), size=recipe.progressive_sizes[0][1])
    yield 'no averaging of weights', replace(recipe, ema=0)
    yield 'no label smoothing', replace(recipe, label_smoothing=0)
    yield 'no augmentation but the mirror', replace(recipe, augment=dict(flip=True))
    yield 'half the width', replace(recipe, build=dict(widths=(32, 80)))


def row_of(name, result, learn, seed, start):
    low, high = result.interval
    return dict(variant=name, seed=seed, valid_accuracy=round(result.accuracy, 4), low=round(low, 4), high=round(high, 4), epochs=len(learn.recorder.values),
                parameters=sum(o.numel() for o in learn.model.parameters()), seconds=round(time.perf_counter() - start))


def measure(name, recipe, faces, seed):
    "The row of a variant; after the whole recipe, that of the same network without the mirror, too"
    start = time.perf_counter()
    learn = train(faces, WINK, recipe, seed=seed)
    rows = [row_of(name, learn.valid_result, learn, seed, start)]
    if name == WHOLE:
        learn.this_run = replace(learn.this_run, recipe=replace(recipe, tta={}))
        rows.append(row_of('no mirror at test time', evaluate(learn, faces, 'valid'), learn, seed, start))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', default='fer2013')
    parser.add_argument('--epochs', type=int)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    parser.add_argument('--only', nargs='+', help='variants; all by default')
    parser.add_argument('--out', default=FILE, type=Path, help='rows already in it are not measured again')
    args = parser.parse_args()
    faces, recipe = find_faces(args.data).reduce(7), WINK.recipe('default')
    if args.epochs: recipe = recipe.with_epochs(args.epochs)
    rows = pd.read_csv(args.out).to_dict('records') if args.out.exists() else []
    done = {(row['variant'], row['seed']) for row in rows}
    for seed in args.seeds:
        for name, variant in variants(recipe):
            if (name, seed) in done or (args.only and name not in args.only): continue
            rows += measure(name, variant, faces, seed)
            pd.DataFrame(rows).to_csv(part := args.out.with_suffix('.part'), index=False)
            os.replace(part, args.out)
            print(pd.DataFrame(rows).to_string(), flush=True)


if __name__ == '__main__': main()
