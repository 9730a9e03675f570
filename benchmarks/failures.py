"""Which drawn faces fail, with all kinds in Training and with dark skin rare there, by seed: nbs/failures.csv. A seed that stands in the
file is not trained again. `python benchmarks/failures.py --seeds 0 1 2`"""
import argparse
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from fer_teach.drawn import drawn_faces
from fer_teach.evaluation import evaluate
from fer_teach.failures import accuracy_by, compare_groups, repaint
from fer_teach.learner import train
from fer_teach.scratch import MINI_XCEPTION

FILE = Path(__file__).parents[1]/'nbs/failures.csv'
RARE, DARK = .02, .5  # the share of faces with dark skin in the second arm; the tone below which skin is called dark


def dials_of(faces):
    "The nine dials of chapter 74 as groups"
    a = faces.attributes
    thirds = dict(yaw=a.yaw.abs(), light=a.light_x.abs(), lines=a.age, blur=a.blur, noise=a.noise)
    pairs = {o: np.where(a[o] > 0, 'with', 'without') for o in ('glasses', 'beard', 'occlusion')}
    skin = np.where(a.skin < DARK, 'dark', 'light')
    cut = {name: pd.qcut(o, 3, labels=['low', 'middle', 'high']) for name, o in thirds.items()}
    return cut | pairs | dict(skin=skin)


def half_of_them(faces, rng):
    "The same people, all for testing; glasses, beard and something in the way for half of them each"
    glasses, beard, occlusion = rng.random((3, len(faces))) < .5
    moved = repaint(faces, glasses=glasses*1., beard=beard*rng.random(len(faces)), occlusion=occlusion*1.)
    return replace(moved, usage=np.full(len(faces), 'test'))


def with_dark(faces, share, seed):
    "The same people, with dark skin in `share` of them"
    rng = np.random.default_rng([seed, 5])
    dark = rng.random(len(faces)) < share
    tone = rng.random(len(faces))
    return repaint(faces, skin=np.where(dark, .35 + (DARK - .35)*tone, DARK + (.85 - DARK)*tone))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--faces', type=int, default=2800)
    parser.add_argument('--test', type=int, default=5000)
    parser.add_argument('--out', default=FILE, type=Path)
    args = parser.parse_args()
    rows = pd.read_csv(args.out).to_dict('records') if args.out.exists() else []
    for seed in args.seeds:
        if seed in {row['seed'] for row in rows}: continue
        rows += measured(seed, args)
        pd.DataFrame(rows).round(5).to_csv(part := args.out.with_suffix('.part'), index=False)
        os.replace(part, args.out)


def measured(seed, args):
    "The rows of one seed: both arms, on the same test faces, by dial and in all"
    faces, rows = drawn_faces(args.faces, seed), []
    test = half_of_them(drawn_faces(args.test, 100 + seed), np.random.default_rng([seed, 6]))
    groups = dials_of(test)
    for arm, trained_on in {'all kinds': faces, 'dark skin rare': with_dark(faces, RARE, seed)}.items():
        start, learn = time.perf_counter(), train(trained_on, MINI_XCEPTION, seed=seed)
        result = evaluate(learn, test)
        facts = dict(arm=arm, seed=seed, seconds=round(time.perf_counter() - start))
        for dial, found in {'faces like those of Training': learn.result, 'all': result}.items():
            low, high = found.interval
            rows.append(facts | dict(dial=dial, group='all', images=len(found), accuracy=found.accuracy, low=low, high=high))
        tests = compare_groups(result, groups)
        for (dial, group), o in accuracy_by(result, groups).iterrows():
            p = dict(p=tests.p[dial], corrected=tests.corrected[dial])
            rows.append(facts | dict(dial=dial, group=group) | o.to_dict() | p)
        print(f'{arm}, seed {seed}: {result.accuracy:.3f}\n{tests.round(4).to_string()}', flush=True)
    return rows


if __name__ == '__main__': main()
