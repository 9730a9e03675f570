"""Class reduction on FER2013. Every choice of four and of two classes, judged from the network that comes with fer_teach on PrivateTest: nbs/reduction.csv.
And what helps against imbalance, on valid: nbs/imbalance.csv. `FER_TEACH_DATA=... python benchmarks/reduction.py [subsets] [imbalance]`"""
import argparse
import os
import warnings
from pathlib import Path

warnings.simplefilter('ignore')
import pandas as pd
from fer_teach.evaluation import evaluate
from fer_teach.readers import find_faces
from fer_teach.runs import load_emotions
from fer_teach.reduction import every_subset, imbalance_arms, judge_on
from fer_teach.scratch import MINI_XCEPTION

NBS = Path(__file__).parents[1]/'nbs'


def write(table, file, **kwargs):
    table.round(4).to_csv(part := file.with_suffix('.part'), **kwargs)
    os.replace(part, file)
    print(f'{file}\n{table.round(3).to_string()}', flush=True)


def subsets(faces, out):
    result = evaluate(load_emotions(), faces)
    asked = {' '.join(o.vocab): o for o in (result, judge_on(result, 'valence'))}
    rows = [dict(classes=name, accuracy=o.accuracy, low=o.interval[0], high=o.interval[1], majority=o.majority,
                 bits=o.bits, k=len(o.vocab), images=len(o)) for name, o in asked.items()]
    chosen = [every_subset(result, k).assign(k=k) for k in (4, 2)]
    for table in chosen:
        judged = [judge_on(result, o.split()) for o in table.classes]
        table['images'] = [len(o) for o in judged]
        table['low'], table['high'] = zip(*(o.interval for o in judged))
    write(pd.concat([pd.DataFrame(rows), *chosen]), out/'reduction.csv', index=False)


def imbalance(faces, out):
    counts = faces.counts()['train']
    largest, smallest = int(counts.max()), int(counts.min())
    write(imbalance_arms(faces, MINI_XCEPTION, margins=(750, largest - smallest)), out/'imbalance.csv', index_label='arm')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('what', nargs='*', default=['subsets', 'imbalance'])
    parser.add_argument('--data', default='fer2013')
    parser.add_argument('--out', default=NBS, type=Path)
    args = parser.parse_args()
    faces = find_faces(args.data).reduce(7)
    if 'subsets' in args.what: subsets(faces, args.out)
    if 'imbalance' in args.what: imbalance(faces, args.out)


if __name__ == '__main__': main()
