"The data: drawn faces that teach, and FER2013 where FER_TEACH_DATA names it."
import importlib.util
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from fer_teach.drawn import drawn_faces

ROOT = Path(__file__).parent.parent


def test_linear_model_is_not_enough():
    from sklearn.linear_model import LogisticRegression
    faces = drawn_faces()
    train, test = faces.split('train'), faces.split('test')
    flat = lambda o: o.pixels.reshape(len(o), -1)/255 - .5
    accuracy = LogisticRegression(C=.01, max_iter=200).fit(flat(train), train.labels).score(flat(test), test.labels)
    assert .3 < accuracy < .75


@pytest.fixture(scope='module')
def fer2013():
    from fer_teach.readers import read_faces
    path = os.environ.get('FER_TEACH_DATA')
    if not path: pytest.skip('FER_TEACH_DATA names no FER2013')
    return read_faces(path)


def test_fer2013_counts(fer2013):
    counts = fer2013.counts()
    assert counts.sum().to_dict() == dict(train=28709, valid=3589, test=3589)
    assert counts['train'].to_dict() == dict(angry=3995, disgust=436, fear=4097, happy=7215, neutral=4965, sad=4830, surprise=3171)
    assert len(fer2013.drop_duplicates()) == 35887 - 1234
    copies = fer2013.copied_from('train')
    assert ((copies & (fer2013.usage == 'test')).sum(), (copies & (fer2013.usage == 'valid')).sum()) == (288, 280)


def test_fer2013_is_learned(fer2013, tmp_path):
    "All of its faces, small, for one epoch"
    from fer_teach.runs import load_emotions
    from fer_teach.learn import learn_emotions
    from fer_teach.scratch import MINI_XCEPTION
    small = replace(MINI_XCEPTION.recipe('default'), size=24)
    learn = learn_emotions('mini_xception', 7, data=fer2013, recipe=small, epochs=1, seed=0)
    assert learn.result.accuracy > learn.result.majority + .1
    assert len(learn.result) == 3589 and (~learn.result.clean).sum() == 288
    learn.save_emotions(tmp_path/'run1')
    Image.fromarray(fer2013.pixels[0]).save(tmp_path/'face.png')
    name, probabilities = load_emotions(tmp_path/'run1').predict_emotion(tmp_path/'face.png')
    assert name in learn.vocab and abs(sum(probabilities.values()) - 1) < 1e-5


def test_shipped_network_is_what_its_card_says(fer2013):
    from fer_teach.evaluation import evaluate
    from fer_teach.runs import SHIPPED, load_emotions
    learn, folder = load_emotions(), SHIPPED/'wink'
    told, card = json.loads((folder/'result.json').read_text()), (folder/'README.md').read_text()
    assert abs(evaluate(learn, fer2013).accuracy - told['accuracy']) < .002
    assert f"{told['accuracy']:.1%}" in card and f"{told['clean_accuracy']:.1%}" in card
    assert sum(o.numel() for o in learn.model.parameters()) < 1_000_000 and (folder/'model.safetensors').stat().st_size < 4_000_000


def test_card_says_what_the_tables_of_corruption_say():
    spec = importlib.util.spec_from_file_location('ship_tool', ROOT/'tools'/'ship.py')
    spec.loader.exec_module(ship := importlib.util.module_from_spec(spec))
    folder = ROOT/'fer_teach'/'shipped'/'wink'
    section = ship.worse_of('wink', ship.weights_of(folder))
    assert section and section in (folder/'README.md').read_text(encoding='utf-8')
    assert ship.worse_of('wink', 'other weights') == ''
