"""What each idea in wink's default recipe buys: every one left out in turn; writes nbs/ablation.csv.

`python benchmarks/ablation.py [--data fer2013] [--epochs 4] [--seeds 0 1 2] [--only VARIANT ...]`. Trained on FER2013's Training,
judged on PublicTest, as it is and altered (see altered.py). Rows that are in the file are not measured again. `--short` tries what may
save time instead, on pictures that are only mirrored and moved: with `--epochs 5`, about a third of the time of time_to.py's reference.
Seconds are the processor's (those that stand in ablation.csv so far are the clock's).
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
from fastai.callback.core import Callback
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


class Still(Callback):
    "Stem and first block are not trained any more from a share of the training on"
    def __init__(self, share): self.share = share
    def before_batch(self):
        if self.training: self.model[:4].requires_grad_(self.pct_train < self.share)
    def after_fit(self): self.model.requires_grad_(True)


PLAIN = dict(flip=True, shift=.08)


def variants(recipe):
    "{name: (arch, recipe)}"
    def other(**facts): return WINK, replace(recipe, **facts)
    return {
        WHOLE: (WINK, recipe),
        'no light, contrast, noise, zoom in training': other(augment=PLAIN),
        'light is not taken out': (with_net(nn.InstanceNorm2d, nn.Identity), recipe),
        'neither': (with_net(nn.InstanceNorm2d, nn.Identity), replace(recipe, augment=PLAIN)),
        'AdamW instead of Muon': other(optimizer='adamw', lr=3e-3),
        'no small pictures first': other(progressive_sizes=()),
        'no average of the weights': other(ema=0),
        'no label smoothing': other(label_smoothing=0),
        'ReLU instead of GELU': (with_net(nn.GELU, nn.ReLU), recipe),
        'maximum instead of average at the end': (with_net(nn.AdaptiveAvgPool2d, partial(nn.AdaptiveMaxPool2d, 1)), recipe),
        'half the width': other(build=dict(widths=(32, 64, 112)))}


def short_variants(recipe):
    "{name: (arch, recipe, callbacks)} of a training that must be short"
    def other(*callbacks, **facts): return WINK, replace(recipe, **dict(augment=PLAIN) | facts), *callbacks
    small, longer = ((0, 32), (.25, 40)), dict(epochs=recipe.epochs + 2)
    return {
        WHOLE: (WINK, recipe),
        'only mirrored and moved': other(),
        'moved, nearer, noisy; light as it is': other(augment=dict(PLAIN, zoom=.15, noise=.06)),
        'twice the learning rate': other(lr=2*recipe.lr),
        'stem and first block stand still from .7 on': other(Still(.7)),
        '40 pixels, two epochs more': other(size=40, progressive_sizes=small, **longer),
        '40 pixels, judged at 48, an epoch more': other(progressive_sizes=small, epochs=recipe.epochs + 1)}


def row_of(name, learn, seed, results, seconds):
    low, high = results['as they are'].interval
    return dict(variant=name, seed=seed, valid_accuracy=round(results['as they are'].accuracy, 4),
                low=round(low, 4), high=round(high, 4), altered=round(mean_altered(results), 4),
                epochs=learn.recipe.epochs, parameters=sum(o.numel() for o in learn.model.parameters()), seconds=seconds)


def measure(name, arch, recipe, *callbacks, faces, seed, one_view):
    "The row of a variant; with `one_view`, that of the same network with a single view, too"
    start = time.process_time()
    with no_random(seed, reproducible=False):
        learn = emotion_learner(faces, arch, recipe)
        learn.add_cbs(callbacks)
        fit_recipe(learn)
    seconds = round(time.process_time() - start)
    rows = [row_of(name, learn, seed, judge_altered(learn, faces), seconds)]
    if one_view:
        learn.this_run = replace(learn.this_run, recipe=replace(recipe, tta={}))
        rows.append(row_of('one view instead of six', learn, seed, judge_altered(learn, faces), seconds))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', default='fer2013')
    parser.add_argument('--epochs', type=int, default=4)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    parser.add_argument('--only', nargs='+', help='variants; all by default')
    parser.add_argument('--short', action='store_true', help='what may save time, not what each idea buys')
    parser.add_argument('--out', default=FILE, type=Path)
    args = parser.parse_args()
    faces, recipe = find_faces(args.data).reduce(7), WINK.recipe('default').with_epochs(args.epochs)
    rows = pd.read_csv(args.out).to_dict('records') if args.out.exists() else []
    done = {(row['variant'], row['seed']) for row in rows}
    for seed in args.seeds:
        for name, variant in (short_variants if args.short else variants)(recipe).items():
            if (name, seed) in done or (args.only and name not in args.only): continue
            rows += measure(name, *variant, faces=faces, seed=seed, one_view=name == WHOLE and not args.short)
            pd.DataFrame(rows).to_csv(part := args.out.with_suffix('.part'), index=False)
            os.replace(part, args.out)
            print(pd.DataFrame(rows).to_string(), flush=True)


if __name__ == '__main__': main()
