"""Which detector finds the most faces, and how often does it see one where there is none?

`python benchmarks/detector.py --data fer2013.zip [--faces 100] [--contestants fer_teach cascade dlib] [--out rows.csv]`

FER2013's faces (photographs of all kinds, some in profile, some no faces at all, so nobody finds all of them) are pasted, in memory,
into pictures of 640 x 480, at several sizes, turns and lights; drawn faces likewise. A face is found if the middle of a box is near its
own (a quarter of its side) and their sides differ by less than a factor of 1.6. False alarms are counted on pictures without people: those
of scikit-image and scikit-learn, their quarters, and noise with the spectrum of photographs.

`upright` are those of FER2013's faces that look into the camera, chosen without a detector: dlib's landmarks (extra `landmarks`), fitted
to the whole crop, are the same in its mirror image, the eyes are level and the nose is between them. These limits were set on PublicTest
(`--split valid`), after a look at what fer_teach missed there under looser ones; what counts are PrivateTest's faces, the default, which
nobody had looked at when the limits were settled.

- fer_teach: `face_boxes`, the cascade of three networks that comes along.
- cascade: scikit-image's local binary patterns, which fer_teach had before.
- dlib: the frontal detector of dlib-bin (extra `landmarks`).

Milliseconds are the process's own, on one thread.
"""
import argparse
import time
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from scipy.stats import binomtest

SIZES, TURNS = (32, 48, 80, 140, 240), (-40, -20, 20, 40)
LIGHTS = {'dark': lambda o: .3*o, 'pale': lambda o: 150 + .3*o, 'from one side': lambda o: o*np.linspace(.2, 1, o.shape[1])[:, None],
          'noise': lambda o: o + np.random.default_rng(0).normal(0, 25, o.shape)}
EMPTY = ('brick', 'grass', 'gravel', 'coffee', 'moon', 'clock', 'hubble_deep_field', 'immunohistochemistry', 'page', 'text', 'coins',
         'cell', 'rocket', 'retina', 'logo', 'horse', 'colorwheel', 'chelsea')


# --- contestants: an RGB picture in, boxes out

def by_fer_teach(picture):
    from fer_teach.pictures import face_boxes
    return face_boxes(picture)[0]


def by_cascade(picture, smallest=32):
    padded = np.pad(np.asarray(picture.convert('L')), smallest, mode='edge')
    found = cascade().detect_multi_scale(padded, 1.1, 1, (smallest, smallest), (max(padded.shape),)*2, min_neighbor_number=3)
    return [np.array([o['c'], o['r'], o['c'] + o['width'], o['r'] + o['width']]) - smallest for o in found]


@cache
def cascade():
    from skimage import data
    from skimage.feature import Cascade
    return Cascade(data.lbp_frontal_face_cascade_filename())


def by_dlib(picture):
    return [(o.left(), o.top(), o.right(), o.bottom()) for o in dlib_detector()(np.asarray(picture), 1)]


@cache
def dlib_detector():
    import dlib
    return dlib.get_frontal_face_detector()


CONTESTANTS = dict(fer_teach=by_fer_teach, cascade=by_cascade, dlib=by_dlib)


# --- pictures

MIRRORED = np.r_[16:-1:-1, 26:16:-1, 27:31, 35:30:-1, 45:41:-1, 47, 46, 39:35:-1, 41, 40, 54:47:-1, 59:54:-1, 64:59:-1, 67:64:-1]  # of the 68


def is_upright(pixels):
    "Which of uint8 faces (n, h, w) look straight ahead, and can be seen so well that their landmarks are sure"
    from fer_teach.baselines import find_landmarks
    points, mirrored = find_landmarks(pixels), find_landmarks(np.ascontiguousarray(pixels[..., ::-1]))[:, MIRRORED]
    mirrored[..., 0] = 1 - mirrored[..., 0]
    unsure = np.linalg.norm(points - mirrored, axis=2)[:, 17:].mean(1)  # in sides of the crop, without the jaw
    points = (points + mirrored)/2
    left, right = points[:, 36:42].mean(1), points[:, 42:48].mean(1)
    apart = np.linalg.norm(right - left, axis=1)
    slope = np.degrees(np.arctan2(*(right - left).T[::-1]))
    nose = ((points[:, 30] - (left + right)/2)*(right - left)).sum(1)/apart**2  # 0 between the eyes, .5 below one of them
    return (unsure < .015) & (abs(slope) < 15) & (abs(nose) < .2)


@cache
def empty_pictures():
    from skimage import data
    from sklearn.datasets import load_sample_image
    pictures = [Image.fromarray(np.asarray(getattr(data, o)()).astype(np.uint8)).convert('RGB') for o in EMPTY]
    return pictures + [Image.fromarray(load_sample_image(f'{o}.jpg')) for o in ('china', 'flower')]


def without_faces(noises=40):
    "Pictures without people, their quarters, and noise"
    for picture in empty_pictures():
        yield picture
        w, h = picture.size
        for x, y in np.ndindex(2, 2): yield picture.crop((x*w//2, y*h//2, (x + 1)*w//2, (y + 1)*h//2))
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(480)[:, None], np.fft.fftfreq(640)) + 1e-3
    for _ in range(noises):
        waves = np.fft.ifft2(np.exp(2j*np.pi*rng.random(frequency.shape))/frequency).real
        yield Image.fromarray(np.uint8(np.clip(128 + 50*waves/waves.std(), 0, 255))).convert('RGB')


@cache
def backgrounds(): return [np.asarray(o.resize((640, 480))) for o in empty_pictures()[:8]]


def pasted(face, side, turn, light, rng):
    "(picture, middle of the face): `face` uint8 (h, w) enlarged, turned and lit, in a picture of its own"
    i = rng.integers(len(backgrounds()))
    picture, room = Image.fromarray(backgrounds()[i]), int(side*1.5)
    at = [int(rng.integers(room//2, o - room//2 + 1)) for o in picture.size]
    patch = Image.fromarray(face).convert('RGB').resize((side, side), Image.Resampling.BICUBIC)
    mask = Image.new('L', (side, side), 255).rotate(turn, expand=True)
    patch = patch.rotate(turn, Image.Resampling.BICUBIC, expand=True)
    picture.paste(patch, (at[0] - patch.width//2, at[1] - patch.height//2), mask)
    if light: picture = Image.fromarray(np.uint8(np.clip(LIGHTS[light](np.asarray(picture, float)), 0, 255)))
    return picture, at


def tight(face):
    "The crop alone, enlarged: there is nothing around the face"
    return Image.fromarray(face).convert('RGB').resize((200, 200), Image.Resampling.BICUBIC), (100, 100)


def conditions(sets):
    "(name, side, faces, picture of one face)"
    for name, faces in sets.items():
        for side in SIZES: yield f'{name} {side} pixels', side, faces, lambda o, rng, side=side: pasted(o, side, 0, None, rng)
        for turn in TURNS: yield f'{name} turned {turn}', 100, faces, lambda o, rng, turn=turn: pasted(o, 100, turn, None, rng)
        for light in LIGHTS: yield f'{name} {light}', 100, faces, lambda o, rng, light=light: pasted(o, 100, 0, light, rng)
        yield f'{name} alone', 200, faces, lambda o, rng: tight(o)


def is_found(box, at, side):
    middle, width = ((box[0] + box[2])/2, (box[1] + box[3])/2), box[2] - box[0]
    return np.hypot(middle[0] - at[0], middle[1] - at[1]) < side/4 and side/1.6 < width < 1.6*side


def measured(detect, faces, side, make):
    "found, other boxes, seconds"
    rng, found, others, seconds = np.random.default_rng(0), 0, 0, 0
    for face in faces:
        picture, at = make(face, rng)
        start = time.process_time()
        boxes = detect(picture)
        seconds += time.process_time() - start
        right = sum(is_found(o, at, side) for o in boxes)
        found, others = found + (right > 0), others + len(boxes) - (right > 0)
    return found, others, seconds


def rows(name, sets, only):
    detect = CONTESTANTS[name]
    for condition, side, faces, make in conditions(sets):
        if only not in condition: continue
        found, others, seconds = measured(detect, faces, side, make)
        low, high = binomtest(found, len(faces)).proportion_ci(method='wilson')
        yield dict(detector=name, pictures=condition, n=len(faces), found=found/len(faces), low=low, high=high,
                   false_alarms=others, milliseconds=1000*seconds/len(faces))
    pictures, start = list(without_faces()), time.process_time()
    alarms = [len(detect(o)) for o in pictures]
    yield dict(detector=name, pictures='without a face', n=len(pictures), false_alarms=sum(alarms), with_alarm=np.count_nonzero(alarms),
               milliseconds=1000*(time.process_time() - start)/len(pictures))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', required=True, help="FER2013's archive or table")
    parser.add_argument('--faces', type=int, default=100)
    parser.add_argument('--split', default='test', choices=('valid', 'test'))
    parser.add_argument('--contestants', nargs='+', default=list(CONTESTANTS), choices=CONTESTANTS)
    parser.add_argument('--only', default='', metavar='TEXT', help='of the pasted faces, those in pictures whose name holds TEXT')
    parser.add_argument('--out', type=Path, help='CSV to write')
    args = parser.parse_args()
    from fer_teach.drawn import drawn_faces
    from fer_teach.readers import read_faces
    torch.set_num_threads(1)
    people = read_faces(args.data).split(args.split).pixels
    people = people[np.random.default_rng(0).permutation(len(people))[:4*args.faces]]
    sets = dict(FER2013=people[:args.faces], upright=people[is_upright(people)][:args.faces],
                drawn=drawn_faces(max(70, args.faces), 0, size=160).pixels[:args.faces])
    table = []
    for name in args.contestants:
        for row in rows(name, sets, args.only):
            table.append(row)
            print(row, flush=True)
            if args.out: pd.DataFrame(table).to_csv(args.out, index=False, float_format='%.3f')
    table = pd.DataFrame(table)
    print(table.pivot(index='pictures', columns='detector', values=['found', 'false_alarms', 'milliseconds']).round(2).to_string())


if __name__ == '__main__': main()
