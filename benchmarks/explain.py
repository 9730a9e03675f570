"Grad-CAM of 500 drawn faces, timed; with --scores also the grading table of all twelve methods. Run: python benchmarks/explain.py"
import argparse
import time
import warnings

warnings.simplefilter('ignore')
from fer_teach.drawn import drawn_faces
from fer_teach.explainability import METHODS, PLACEBOS, against_placebo, score_explanations
from fer_teach.learn import learn_emotions

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument('--arch', default='mini_xception')
parser.add_argument('--epochs', type=int, default=4)
parser.add_argument('--scores', type=int, default=0, metavar='FACES', help='grade all methods on so many faces')
args = parser.parse_args()

faces = drawn_faces(5000, difficulty='easy')
learn = learn_emotions(args.arch, 7, faces, epochs=args.epochs)
test = faces.split('test')
learn.explain(test[:64])
start = time.perf_counter()
learn.explain(test[:500])
print(f'{args.arch}: Grad-CAM of {len(test[:500])} faces in {time.perf_counter() - start:.1f} s')
if args.scores:
    table = score_explanations(learn, test[:args.scores], [o for o in METHODS if o not in PLACEBOS])
    print(table.to_string())
    print(against_placebo(table).to_string())
