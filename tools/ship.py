"""Make a run folder the network that comes with fer_teach: its weights, description, figures and model card.

`python tools/ship.py RUN NAME [--data fer2013]`: the card's figures are measured anew, and nbs/altered.csv gets the rows of NAME.
What takes longer, its section on worse pictures and on people, comes from the tables of benchmarks/corruption.py, if they are of these
weights: run that after this, and this once more.
"""
import argparse
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT/'benchmarks'))
from altered import judge_altered, mean_altered, rows_of  # noqa: E402
from corruption import weights_of  # noqa: E402
from fer_teach.cards import model_card  # noqa: E402
from fer_teach.readers import find_faces  # noqa: E402
from fer_teach.reduction import judge_on  # noqa: E402
from fer_teach.runs import load_emotions  # noqa: E402

SMALL = 4_000_000  # bytes that the wheel carries at most
MORE = """## On altered pictures
Accuracy on PublicTest, on which the network was chosen, as it is and altered, with 95 % intervals:

| pictures | accuracy |
|---|---|
{altered}
| mean of the six altered | {mean:.1%} |

{worse}## Judged on fewer classes
Without further training, on PrivateTest: {coarser}.

## Its data
FER2013's Training split: 28,709 pictures from web searches, labelled by people, a quarter of them happy and 1.5 % disgust. The pictures
belong to others and are not part of this package; the weights are released like the package.
"""


WORSE = """## On worse pictures, and beside people
PublicTest, {images:,} pictures, in nine kinds of corruption at five strengths, one view of each (chapter 74): error {clean:.1%} as they are,
{mean:.1%} in the mean, from {least:.1%} ({least_kind}) to {most:.1%} ({most_kind}). With FER+'s majority of ten people it agrees on {people:.1%} of
{voted:,} pictures of PrivateTest: on {ten:.1%} of those on which all ten agree, on {four:.1%} of those on which at most four do.

"""


def worse_of(name, weights):
    "The section from the tables of benchmarks/corruption.py; empty if they are not of these `weights`"
    tables = [pd.read_csv(ROOT/'nbs'/o) for o in ('corruption.csv', 'people.csv')]
    photos, votes = (o[(o.network == name) & (o.weights == weights)] for o in tables)
    if photos.empty or votes.empty: return ''
    errors = (1 - photos.accuracy)[photos.strength > 0].groupby(photos.kind).mean()
    agrees = votes[votes.what == 'network, the majority'].set_index('group')
    return WORSE.format(images=photos.images.iloc[0], clean=1 - photos.accuracy[photos.strength == 0].iloc[0], mean=errors.mean(),
                        least=errors.min(), least_kind=errors.idxmin(), most=errors.max(), most_kind=errors.idxmax(),
                        people=agrees.value['all'], voted=agrees.images['all'], ten=agrees.value['10'], four=agrees.value['up to 4'])


def told(result): return '{:.1%} ({:.1%} to {:.1%})'.format(result.accuracy, *result.interval)


def more_of(learn, faces, altered, worse):
    "The sections of the card that only this network has"
    rows = '\n'.join(f'| {name} | {told(result)} |' for name, result in altered.items())
    schemes = {4: 'angry, happy, neutral, sad', 2: 'angry against happy'}
    coarser = '; '.join(f'{words} {told(judge_on(learn.result, k, faces))}' for k, words in schemes.items())
    return MORE.format(altered=rows, mean=mean_altered(altered), coarser=coarser, worse=worse)


def write_altered(name, altered):
    file = ROOT/'nbs/altered.csv'
    old = pd.read_csv(file) if file.exists() else pd.DataFrame(columns=['network'])
    new = pd.concat([old[old.network != name], pd.DataFrame(rows_of(name, altered))])
    new.to_csv(file, index=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('run', type=Path)
    parser.add_argument('name')
    parser.add_argument('--data', default='fer2013')
    args = parser.parse_args()
    weights = args.run/'model.safetensors'
    if (size := weights.stat().st_size) >= SMALL: sys.exit(f'{weights} has {size:,} bytes: the wheel carries {SMALL:,} at most')
    target, faces, learn = ROOT/'fer_teach/shipped'/args.name, find_faces(args.data).reduce(7), load_emotions(args.run)
    learn.judge(faces)
    altered = judge_altered(learn, faces)
    target.mkdir(parents=True, exist_ok=True)
    for file in ('model.safetensors', 'model.json'): shutil.copyfile(args.run/file, target/file)
    scores = learn.result.summary() | dict(valid_accuracy=learn.valid_result.accuracy)
    (target/'result.json').write_text(json.dumps(scores, indent=1) + '\n')
    parameters = sum(o.numel() for o in learn.model.parameters())
    run = replace(learn.this_run, data='FER2013')
    more = more_of(learn, faces, altered, worse_of(args.name, weights_of(args.run)))
    card = model_card(run, learn.result, learn.valid_result, parameters, more)
    (target/'README.md').write_text(card, encoding='utf-8')
    write_altered(args.name, altered)
    print(f'{target}: {size:,} bytes, {learn.result!r}')


if __name__ == '__main__': main()
