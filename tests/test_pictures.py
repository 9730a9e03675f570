"One way to look at a picture: whatever form it has and whoever asks, the answer is the same."
import io
import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image

from fer_teach.app import look
from fer_teach.cli import main
from fer_teach.core import FaceError
from fer_teach.drawn import drawn_faces
from fer_teach.learn import learn_emotions
from fer_teach.pictures import crop_faces, face_boxes, open_picture
from fer_teach.recipes import Recipe
from fer_teach.runs import load_emotions


@cache
def people(side, seed):
    "Seven drawn faces that the detector is sure of: what is tested here comes after finding them"
    sure = []
    for face in drawn_faces(140, seed, 'easy', size=side).pixels:
        _, scores = face_boxes(open_picture(in_a_row([face], side)))
        if len(scores) == 1 and scores[0] > .95: sure.append(face)
        if len(sure) == 7: return sure
    raise AssertionError(f'the detector is sure of {len(sure)} in 140 drawn faces only')


def in_a_row(faces, side):
    "RGB pixels with these faces, each of `side` x `side`"
    picture = np.full((2*side, (side + 60)*len(faces) + 60, 3), (90, 120, 150), np.uint8)
    for i, face in enumerate(faces):
        picture[side//2:side//2 + side, 60 + (side + 60)*i:60 + (side + 60)*i + side] = face[..., None]
    return picture


def scene(n=1, side=160, seed=3):
    "RGB pixels with `n` drawn faces in a row"
    return in_a_row(people(side, seed)[:n], side)


def probabilities(learn, picture, **how): return np.array([*learn.predict_emotion(picture, **how)[1].values()])


@pytest.fixture(scope='module')
def coloured():
    "Faces whose class only their colour tells: angry is red, happy is blue, at the same grey"
    faces = drawn_faces(280, difficulty='easy').reduce(['angry', 'happy'])
    grey = np.random.default_rng(0).integers(60, 100, faces.pixels.shape).astype(np.uint8)
    pixels = np.repeat(grey[..., None], 3, 3)
    red = faces.labels == faces.vocab.index('angry')
    pixels[red, ..., 0] += 76
    pixels[~red, ..., 2] += 150
    pixels[~red, ..., 1] += 10
    return replace(faces, pixels=pixels, regions=None, attributes=None)


@pytest.mark.parametrize('size', (48, 96))
def test_every_form_gets_the_same_answer(size, tmp_path):
    learn, faces = load_emotions(), drawn_faces(200, 5, size=size).pixels
    for i, face in enumerate(faces): Image.fromarray(face).save(tmp_path/f'{i}.png')
    forms = dict(path=[tmp_path/f'{i}.png' for i in range(200)], pil=[Image.fromarray(o) for o in faces], array=faces)
    found = {name: learn.probabilities(learn.this_run.look_at(o, crop=False)) for name, o in forms.items()}
    assert (found['path'] == found['pil']).all() and (found['pil'] == found['array']).all()
    one = {name: probabilities(learn, o[7], crop=False) for name, o in forms.items()}
    assert (one['path'] == one['pil']).all() and (one['pil'] == one['array']).all()


def test_the_same_scene_is_cropped_alike_in_every_form(tmp_path):
    learn, picture = load_emotions(), scene()
    Image.fromarray(picture).save(tmp_path/'scene.png')
    content = (tmp_path/'scene.png').read_bytes()
    forms = [tmp_path/'scene.png', str(tmp_path/'scene.png'), content, io.BytesIO(content), picture, torch.tensor(picture)]
    answers = [probabilities(learn, o) for o in [Image.fromarray(picture), *forms]]
    assert all((o == answers[0]).all() for o in answers)
    assert np.abs(answers[0] - probabilities(learn, picture, crop=False)).max() > .01


def test_python_command_app_and_explanation_agree(tmp_path, capsys):
    learn, file = load_emotions(), tmp_path/'scene.png'
    Image.fromarray(scene()).save(file)
    name, told = learn.predict_emotion(file)
    assert main(['predict', str(file), '--json']) == 0
    row = json.loads(capsys.readouterr().out)
    seen, explained = look(learn, file), learn.explain(file)
    assert row['emotion'] == name == explained.classes[0]
    expected = [*told.values()]
    assert explained.show()[0, 0].get_title() == f'{name} {max(expected):.0%}'  # and no label, for there is none
    for found in ([row[o] for o in learn.vocab], seen['probabilities'][0], explained.probabilities[0]):
        assert np.abs(np.array(found) - expected).max() < 1e-5


def test_a_colour_model_is_asked_in_colour(coloured, tmp_path):
    learn = learn_emotions('mini_xception', ['angry', 'happy'], coloured, Recipe(channels=3, epochs=4, augment={}, tta={}))
    assert learn.result.accuracy == 1
    learn.save_emotions(tmp_path/'run')
    learn = load_emotions(tmp_path/'run')
    test = coloured.split('test')
    for i, pixels in enumerate(test.pixels[:10]):
        Image.fromarray(pixels).save(tmp_path/f'{i}.png')
        for picture in (tmp_path/f'{i}.png', Image.fromarray(pixels), pixels):
            assert learn.predict_emotion(picture)[0] == test.vocab[test.labels[i]]


def test_a_grey_model_is_asked_in_grey():
    learn, picture = load_emotions(), scene()
    assert learn.this_run.look_at(picture).pixels.shape == (1, 48, 48)


def test_pictures_are_asked_at_the_size_of_the_training(tmp_path):
    small = drawn_faces(350, difficulty='easy')
    learn = learn_emotions('mini_xception', ['angry', 'happy'], small, Recipe(size=96, epochs=1))
    large = drawn_faces(140, 4, size=120).pixels[0]
    Image.fromarray(large).save(tmp_path/'a.png')
    shrunk = Image.fromarray(large).resize((48, 48), Image.Resampling.LANCZOS)
    for picture in (tmp_path/'a.png', large): assert (probabilities(learn, picture, crop=False) == probabilities(learn, shrunk)).all()


def test_a_cropped_face_is_taken_whole():
    "No side over 64 pixels, or the very size of the training"
    face = drawn_faces(70, size=64).pixels[0]
    boxes, scores, pixels = crop_faces(face)
    assert boxes == [(0, 0, 64, 64)] and np.isnan(scores).all() and len(pixels) == 1
    assert len(crop_faces(np.full((100, 100), 128, np.uint8), shape=(100, 100)).boxes) == 1
    assert len(crop_faces(np.full((100, 100), 128, np.uint8)).boxes) == 0


def test_no_face_is_told():
    learn = load_emotions()
    for ask in (learn.predict_emotion, learn.explain):
        with pytest.raises(FaceError, match='there is no face in this picture.*crop=False'): ask(np.full((200, 300), 128, np.uint8))
        ask(np.full((200, 300), 128, np.uint8), crop=False)


def test_more_than_ten_faces_have_scores():
    picture = np.concatenate([scene(7, 100, seed) for seed in range(3)])
    boxes, scores = face_boxes(open_picture(picture))
    assert 18 <= len(boxes) == len(scores) <= 21 and all(.5 <= o <= 1 for o in scores) and np.median(scores) > .9


def test_a_face_at_the_border_is_cut_out_whole():
    picture = scene()[100:, 80:]
    box, pixels = crop_faces(picture).boxes[0], crop_faces(picture).pixels
    assert box[0] < 5 and pixels.shape == (1, 48, 48)
