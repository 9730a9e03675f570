"""What each idea in wink's default recipe buys: every one left out in turn; writes nbs/ablation.csv.

`python benchmarks/ablation.py [--data fer2013] [--epochs 4] [--seeds 0 1 2] [--only VARIANT ...]`. Trained on FER2013's Training,
judged on PublicTest, as it is and altered (see altered.py). Rows that are in the file are not measured again.
"""
import argparse
import os
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
from altered import judge_altered, mean_altered
from fer_teach.fast import WINK
from fer_teach.learner import emotion_learner, fit_recipe
from fer_teach.readers import find_faces
from fastai.torch_core import no_random
from torch import nn

FILE = Path(__file__).parents[1]/'nbs/ablation.csv'
WHOLE = 'the recipe'


def changed(old, new, channels, classes, **kwargs):
    "The network with every module of one kind replaced"
    net = WINK.build(channels, classes, **kwargs)
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, old): setattr(parent, name, new())
    return net


def with_net(old, new): return replace(WINK, build=partial(changed, old, new))


def variants(recipe):
    "{name: (arch, recipe)}"
    def other(**facts): return WINK, replace(recipe, **facts)
    plain = dict(flip=True, shift=.08)
    return {
        WHOLE: (WINK, recipe),
        'no light, contrast, noise, zoom in training': other(augment=plain),
        'light is not taken out': (with_net(nn.InstanceNorm2d, nn.Identity), recipe),
        'neither': (with_net(nn.InstanceNorm2d, nn.Identity), replace(recipe, augment=plain)),
        'AdamW instead of Muon': other(optimizer='adamw', lr=3e-3),
        'no small pictures first': other(progressive_sizes=()),
        'no average of the weights': other(ema=0),
        'no label smoothing': other(label_smoothing=0),
        'ReLU instead of GELU': (with_net(nn.GELU, nn.ReLU), recipe),
        'maximum instead of average at the end': (with_net(nn.AdaptiveAvgPool2d, partial(nn.AdaptiveMaxPool2d, 1)), recipe),
        'half the width': other(build=dict(widths=(32, 64, 112)))}


def row_of(name, learn, seed, results, seconds):
    low, high = results['as they are'].interval
    return dict(variant=name, seed=seed, valid_accuracy=round(results['as they are'].accuracy, 4),
                low=round(low, 4), high=round(high, 4), altered=round(mean_altered(results), 4),
                epochs=learn.recipe.epochs, parameters=sum(o.numel() for o in learn.model.parameters()), seconds=seconds)


def measure(name, arch, recipe, faces, seed):
    "The row of a variant; after the whole recipe, that of the same network with a single view, too"
    start = time.perf_counter()
    with no_random(seed, reproducible=False):
        learn = emotion_learner(faces, arch, recipe)
        fit_recipe(learn)
    seconds = round(time.perf_counter() - start)
    rows = [row_of(name, learn, seed, judge_altered(learn, faces), seconds)]
    if name == WHOLE:
        learn.this_run = replace(learn.this_run, recipe=replace(recipe, tta={}))
        rows.append(row_of('one view instead of six', learn, seed, judge_altered(learn, faces), seconds))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', default='fer2013')
    parser.add_argument('--epochs', type=int, default=4)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    parser.add_argument('--only', nargs='+', help='variants; all by default')
    parser.add_argument('--out', default=FILE, type=Path)
    args = parser.parse_args()
    faces, recipe = find_faces(args.data).reduce(7), WINK.recipe('default').with_epochs(args.epochs)
    rows = pd.read_csv(args.out).to_dict('records') if args.out.exists() else []
    done = {(row['variant'], row['seed']) for row in rows}
    for seed in args.seeds:
        for name, (arch, changed_recipe) in variants(recipe).items():
            if (name, seed) in done or (args.only and name not in args.only): continue
            rows += measure(name, arch, changed_recipe, faces, seed)
            pd.DataFrame(rows).to_csv(part := args.out.with_suffix('.part'), index=False)
            os.replace(part, args.out)
            print(pd.DataFrame(rows).to_string(), flush=True)


if __name__ == '__main__': main()
