"""How hard are drawn faces? A linear model and a small network at each difficulty: `python benchmarks/drawn.py [easy normal hard]`."""
import sys
import time

import torch
from sklearn.linear_model import LogisticRegression

from fer_teach.drawn import DIFFICULTY, drawn_faces
from fer_teach.learn import learn_emotions


def linear_accuracy(faces):
    train, test = ((o.pixels.reshape(len(o), -1)/255 - .5, o.labels) for o in map(faces.split, ('train', 'test')))
    return LogisticRegression(C=.01, max_iter=200).fit(*train).score(*test)


for difficulty in sys.argv[1:] or DIFFICULTY:
    faces, start = drawn_faces(difficulty=difficulty), time.perf_counter()
    linear, middle = linear_accuracy(faces), time.perf_counter()
    learn = learn_emotions('mini_xception', 7, faces, seed=0)
    print(f'{difficulty:7} linear {linear:.3f} in {middle - start:.0f} s, mini_xception {learn.result.accuracy:.3f} '
          f'in {time.perf_counter() - middle:.0f} s on {torch.get_num_threads()} threads', flush=True)
