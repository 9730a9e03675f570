"""Does pretraining on drawn faces help on real ones? Mini-Xception on 1 %, 10 % and 100 % of FER2013's labels, from random weights
and from those of drawn faces, judged on valid: `FER_TEACH_DATA=... python benchmarks/transfer.py [--epochs 10] [--seeds 0 1 2] [--out transfer.csv]`"""
import argparse
import time
import warnings

warnings.simplefilter('ignore')
import matplotlib
matplotlib.use('agg')
import pandas as pd
from fer_teach.drawn import drawn_faces
from fer_teach.learn import find_arch, find_faces, learn_emotions
from fer_teach.transfer import label_experiment, plot_labels

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument('--arch', default='mini_xception')
parser.add_argument('--data', default='fer2013')
parser.add_argument('--drawn', type=int, default=14000, help='drawn faces to begin with')
parser.add_argument('--epochs', type=int, help="instead of the recipe's, of every run")
parser.add_argument('--shares', type=float, nargs='+', default=[.01, .1, 1])
parser.add_argument('--seeds', type=int, nargs='+', default=[0])
parser.add_argument('--out', default='transfer.csv', help='the table; the figure goes beside it')
args = parser.parse_args()

faces, start = find_faces(args.data).reduce(7), time.perf_counter()
source = learn_emotions(args.arch, 7, drawn_faces(args.drawn), epochs=args.epochs)
print(f'drawn faces: {source.result.accuracy:.3f} on drawn test faces, {time.perf_counter() - start:.0f} s; '
      f'on the valid faces of {args.data} without any training there: {(source.probabilities(faces.split("valid")).argmax(1) == faces.split("valid").labels).mean():.3f}', flush=True)
tables = []
for seed in args.seeds:
    tables.append(label_experiment(find_arch(args.arch), source, faces, args.shares, args.epochs, seed).assign(seed=seed))
    pd.concat(tables).to_csv(args.out, index=False)
    print(tables[-1].round(3).to_string(), flush=True)
mean = pd.concat(tables).groupby(['start', 'labels'], sort=False).mean().reset_index()
plot_labels(mean).figure.savefig(str(args.out).rsplit('.', 1)[0] + '.png', dpi=150)
print(f'{args.out} and its figure in {time.perf_counter() - start:.0f} s')
