"""What does `detect_emotions` cost, beside the bare network, and how many photographs does it see in a minute?

`python benchmarks/detect.py [--faces 1000] [--photographs 200] [--data fer2013.zip] [--others PYTHON] [--rounds 5] [--threads 2]`

- table: cropped faces of 48 pixels through `detect_emotions`; bare: the same network on the same faces as tensors, in batches of 256,
  with the same views, without `Faces`, table or threads. They take turns, and the ratio is that of the medians.
- photographs: JPEGs of 640 x 480 with one to three faces of 48 to 160 pixels, pasted into pictures without people; drawn faces, or those
  of `--data`. They are written into a temporary folder, and read by `detect_emotions` and by `fer_teach predict --csv`.
- the packages fer and deepface on the same photographs, one after the other and warm, as their own pages show it. `--others` is the
  Python of an environment of their own, made by: pip install fer deepface tf-keras tensorflow-cpu werkzeug "setuptools<81". What is not there is left out.

All is said twice: by the clock, and by the processor's time of all threads and processes. Where others use the machine, look at the latter.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from detector import backgrounds
from fer_teach.detect import detect_emotions
from fer_teach.drawn import drawn_faces
from fer_teach.learner import views
from fer_teach.readers import read_faces
from fer_teach.runs import load_emotions

OTHERS = dict(  # imports, and what finds the faces of a file and names their expressions
    fer="""import cv2; from fer.fer import FER; own = FER()
def look(file): return own.detect_emotions(cv2.imread(file))""",
    deepface="""from deepface import DeepFace
def look(file): return DeepFace.analyze(file, actions=['emotion'], enforce_detection=False, silent=True)""",
    deepface_faces_alone="""from deepface import DeepFace
def look(file): return [o for o in DeepFace.extract_faces(file, enforce_detection=False) if o['confidence']]""")
MEASURE = """
import json, sys, time
from pathlib import Path
files = sorted(map(str, Path(sys.argv[1]).iterdir()))
look(files[0])
start = time.perf_counter(), time.process_time()
faces = sum(len(look(o)) for o in files)
print(json.dumps([time.perf_counter() - start[0], time.process_time() - start[1], faces]))
"""


def clocks():
    "Seconds of the clock, and of the processor with all processes that ended"
    own = os.times()
    return np.array([own.elapsed, own.user + own.system + own.children_user + own.children_system])


def timed(function):
    start = clocks()
    function()
    return clocks() - start


@torch.inference_mode()
def bare(learn, batches):
    for x in batches: torch.cat([learn.model(o) for o in torch.cat(views(x, learn.recipe)).split(256)])


def against_the_network(n, rounds):
    learn = load_emotions()
    faces = drawn_faces(max(n, 70)).split('test').pixels
    faces = np.resize(faces, (n, 48, 48))
    batches = list(learn.arch.inputs(learn.this_run.look_at(faces)))
    learn.model.eval()
    contestants = dict(bare=lambda: bare(learn, batches), table=lambda: detect_emotions(faces, learn))
    seconds = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, run in contestants.items(): seconds[name].append(timed(run))
    median = {name: np.median(o[1:], 0) for name, o in seconds.items()}  # the first round warms up
    for name, (wall, own) in median.items(): print(f'{n:,} faces, {name}: {wall:.2f} s, {own:.2f} s of the processor', flush=True)
    wall, own = median['table']/median['bare']
    print(f'ratio: {wall:.2f} by the clock, {own:.2f} by the processor', flush=True)


def photograph(faces, rng):
    "640 x 480 pixels with one to three of `faces` side by side"
    picture = Image.fromarray(backgrounds()[rng.integers(len(backgrounds()))])
    for left in range(0, 213*rng.integers(1, 4), 213):
        side = int(rng.integers(48, 161))
        face = Image.fromarray(faces[rng.integers(len(faces))]).convert('RGB').resize((side, side), Image.Resampling.BICUBIC)
        picture.paste(face, (left + int(rng.integers(213 - side)), int(rng.integers(480 - side))))
    return picture


def write_photographs(folder, n, data):
    rng = np.random.default_rng(0)
    faces = read_faces(data).split('valid').pixels if data else drawn_faces(70, difficulty='easy', size=160).pixels
    for i in range(n): photograph(faces, rng).save(f'{folder}/{i:04}.jpg', quality=90)


def by_command(folder, threads):
    table = Path(f'{folder}.csv')
    with table.open('wb') as file:
        command = [sys.executable, '-m', 'fer_teach', 'predict', folder, '--csv']
        subprocess.run(command, stdout=file, check=True, env=os.environ | dict(OMP_NUM_THREADS=str(threads)))
    table.unlink()


def say(name, n, seconds, faces=None):
    wall, own = seconds
    found = '' if faces is None else f'{faces} faces, '
    print(f'{n} photographs, {name}: {found}{wall:.1f} s, {own:.1f} s of the processor; '
          f'1,000 would take {1000*wall/n:.0f} s, {1000*own/n:.0f} of the processor', flush=True)


def by_another(name, python, folder, n, threads):
    limits = dict.fromkeys(('OMP_NUM_THREADS', 'TF_NUM_INTRAOP_THREADS', 'TF_NUM_INTEROP_THREADS', 'OPENCV_FOR_THREADS_NUM'), str(threads))
    done = subprocess.run([python, '-c', OTHERS[name] + MEASURE, folder], capture_output=True, text=True, env=os.environ | limits)
    if done.returncode:
        why = [o for o in done.stderr.splitlines() if o.strip()][-1]
        return print(f'{name} was left out ({why[:200]}): pip install fer deepface tf-keras tensorflow-cpu werkzeug "setuptools<81", '
                     'in an environment whose Python is given by --others', flush=True)
    *seconds, faces = json.loads(done.stdout.splitlines()[-1])
    say(name, n, seconds, faces)


def photographs(n, data, python, threads):
    learn = load_emotions()
    with tempfile.TemporaryDirectory() as root:
        folder = f'{root}/photographs'
        Path(folder).mkdir()
        write_photographs(folder, n, data)
        tables = []
        seconds = timed(lambda: tables.append(detect_emotions(folder, learn)))
        say('detect_emotions', n, seconds, tables[0].face.notna().sum())
        say('fer_teach predict --csv, with its start', n, timed(lambda: by_command(folder, threads)))
        for name in OTHERS: by_another(name, python, folder, n, threads)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--faces', type=int, default=1000)
    parser.add_argument('--photographs', type=int, default=200)
    parser.add_argument('--data', help="FER2013's archive or table, whose faces are pasted; drawn ones by default")
    parser.add_argument('--others', default=sys.executable, metavar='PYTHON', help='of the environment with fer and deepface')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--threads', type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f'{args.threads} threads', flush=True)
    against_the_network(args.faces, args.rounds)
    photographs(args.photographs, args.data, args.others, args.threads)


if __name__ == '__main__': main()
