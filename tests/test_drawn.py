"Drawn faces: the same everywhere, faces to a detector too, and truthful about where their muscles show."
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fer_teach.data import EMOTIONS
from fer_teach.drawn import AU_REGIONS, AUS, REGIONS, drawn_faces, face_panel, paint_faces, sample_attributes

MEANS = [[124.9, 107.4, 108.0, 107.6, 108.0, 125.3], [116.5, 126.0, 145.3, 144.9, 127.6, 116.4], [117.2, 120.0, 135.1, 134.9, 124.1, 116.9],
         [122.1, 137.7, 155.1, 157.7, 144.1, 122.4], [124.9, 129.9, 133.6, 134.8, 132.8, 124.6], [126.8, 123.5, 121.9, 123.4, 124.0, 126.6]]
SOME = [[[94, 104, 102], [93, 133, 96], [127, 137, 106], [117, 108, 89]], [[96, 96, 89], [132, 188, 182], [135, 201, 202], [114, 157, 93]],
        [[100, 89, 104], [96, 128, 118], [136, 170, 155], [124, 45, 147]]]


@pytest.mark.pinned
def test_same_seed_same_pixels():
    pixels = drawn_faces(300).pixels.astype(int)
    assert abs(pixels[:100].reshape(100, 6, 8, 6, 8).mean((0, 2, 4)) - MEANS).max() < .2
    assert abs(pixels[[0, 7, 99]][:, [5, 20, 30, 40]][:, :, [12, 24, 36]] - SOME).max() <= 1


def test_colour_keeps_grey():
    colour, grey = drawn_faces(140, rgb=True).pixels.astype(float), drawn_faces(140).pixels
    kept = colour.max(-1) < 255
    assert kept.mean() > .8 and abs(colour @ [.299, .587, .114] - grey)[kept].max() < 1.5


def test_contempt_is_one_sided():
    faces = drawn_faces(400, 1, 'easy', EMOTIONS)
    contempt = (faces.attributes.emotion == 'contempt').to_numpy()
    assert contempt.sum() == 50 and (faces.attributes.one_sided[contempt].abs() == 1).all() and (faces.attributes.one_sided[~contempt] == 0).all()


def alphabet(size=96):
    "A face at rest and, for each action unit, the same face with that unit alone"
    still = sample_attributes(['neutral'], np.random.default_rng(8), 'easy').assign(noise=0, glasses=0, beard=0, age=0)
    rows = pd.concat([still]*(len(AUS) + 1), ignore_index=True)
    for i, unit in enumerate(AUS): rows.loc[i + 1, f'AU{unit}'] = 1
    return paint_faces(rows, size)


@pytest.mark.parametrize('i, unit', list(enumerate(AUS, 1)))
def test_change_lies_in_true_regions(i, unit):
    pixels, regions = alphabet()
    bits = sum(1 << REGIONS.index(o) for o in AU_REGIONS[unit])
    change = abs(pixels[i].astype(int) - pixels[0])
    assert change.sum() > 300  # AU 16 alone barely shows
    assert change[(regions[i] | regions[0]) & bits > 0].sum() > .5*change.sum()


def test_detector_finds_drawn_faces():
    "The frontal face cascade that scikit-image ships, on faces pasted into pictures of 640 x 480"
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade
    cascade, rng, found = Cascade(lbp_frontal_face_cascade_filename()), np.random.default_rng(0), 0
    for face in drawn_faces(70, seed=5).pixels[:40]:
        side, scene = int(rng.integers(120, 280)), np.full((480, 640), rng.integers(60, 200), np.uint8)
        y, x = rng.integers(0, 480 - side), rng.integers(0, 640 - side)
        scene[y:y + side, x:x + side] = np.asarray(Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC))
        boxes = cascade.detect_multi_scale(img=scene, scale_factor=1.1, step_ratio=1, min_size=(60, 60), max_size=(400, 400), min_neighbor_number=2)
        found += any(abs(o['c'] + o['width']/2 - x - side/2) < side/4 and abs(o['r'] + o['height']/2 - y - side/2) < side/4 for o in boxes)
    assert found/40 > .9


def test_panel_redraws():
    panel = face_panel(96)
    seen = {panel.face.value}
    for unit in AUS:
        panel.sliders[unit].value = 1
        seen.add(panel.face.value)
    assert len(seen) == len(AUS) + 1
    for unit in AUS: panel.sliders[unit].value = 0
    assert len(seen | {panel.face.value}) == len(AUS) + 1
