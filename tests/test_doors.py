"Lists of paths, labels in file names, persons, and arrays"
import re
from pathlib import Path

import fer_teach.all
import numpy as np
import pytest
from PIL import Image

from fer_teach.core import FaceError
from fer_teach.drawn import drawn_faces
from fer_teach.readers import faces_from_arrays, read_faces
from tests.test_data import png, zipped

ROOT = Path(__file__).parent.parent


@pytest.fixture
def pictures(tmp_path):
    "Forty pictures of ten persons in one folder, the label in no name"
    rng = np.random.default_rng(0)
    for i in range(40): Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(tmp_path/f'{i:02}.png')
    return tmp_path


def rows(label='label', path='path', more='person', place=''):
    told = [f'{place}{i:02}.png,{("bored", "awake")[i % 2]},p{i//4}' for i in range(40)]
    return '\n'.join([f'{path},{label},{more}', *told])


@pytest.mark.parametrize('path, label', [('path', 'label'), ('filename', 'emotion'), ('Image ', ' Class')])
def test_list_in_the_folder(pictures, path, label):
    (pictures/'all.csv').write_text(rows(label, path))
    faces = read_faces(pictures, size=8)
    assert len(faces) == 40 and faces.vocab == ('awake', 'bored') and faces.skipped == ()
    assert all(name == ('bored', 'awake')[int(source[:2]) % 2] for name, source in zip(faces.names, faces.source))
    for person in range(10): assert len(set(faces.usage[person*4:person*4 + 4])) == 1
    assert set(faces.usage) == {'train', 'valid', 'test'}


def test_list_by_its_own_path(pictures, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp('lists')/'all.csv'
    elsewhere.write_text(rows(place=f'{pictures}/'))
    assert len(read_faces(elsewhere)) == 40
    (pictures/'all.csv').write_text(rows())
    assert len(read_faces(pictures/'all.csv')) == 40


def test_list_in_a_zip(tmp_path):
    held = {f'set/pictures/{i:02}.png': png() for i in range(40)} | {'set/all.csv': rows(place='pictures/').encode()}
    (tmp_path/'set.zip').write_bytes(zipped(held))
    faces = read_faces(tmp_path/'set.zip')
    assert len(faces) == 40 and faces.source[0] == 'set/pictures/00.png'


def test_list_with_splits(pictures):
    lines = rows(more='split').splitlines()
    told = [lines[0], *(line.rpartition(',')[0] + ',' + ('train', 'val', 'test')[i % 3] for i, line in enumerate(lines[1:]))]
    (pictures/'all.csv').write_text('\n'.join(told))
    faces = read_faces(pictures)
    assert [o for o in faces.usage[:3]] == ['train', 'valid', 'test']


@pytest.mark.parametrize('change, words', [
    (lambda o: o.replace('00.png', 'gone.png'), None), (lambda o: o.replace('.png', '.gone'), 'none of the 40 pictures that all.csv lists is there'),
    (lambda o: o + '\n00.png,awake,p0', 'gives 00.png once more'), (lambda o: o + '\n00.png', 'has 1 of 3 columns'), (lambda o: o + '\n,bored,p1', 'has no path or no label')])
def test_lists_that_do_not_fit(pictures, change, words):
    (pictures/'all.csv').write_text(change(rows()))
    if words:
        with pytest.raises(FaceError, match=words): read_faces(pictures)
    else: assert read_faces(pictures).skipped == (('gone.png', 'is listed and not there'),)


def test_labels_and_persons_in_names(pictures):
    for file in sorted(pictures.glob('*.png')):
        i = int(file.stem)
        file.rename(pictures/f'{"KLMNOPQRST"[i//4]}A.{("AN", "HA")[i % 2]}{i}.png')
    faces = read_faces(pictures, label=r'\.(AN|HA)\d', person=r'^\w\w')
    assert faces.vocab == ('AN', 'HA') and faces.reduce(dict(angry=['AN'], happy=['HA'])).vocab == ('angry', 'happy')
    persons = np.array([o[:2] for o in faces.source])
    for person in np.unique(persons): assert len(set(faces.usage[persons == person])) == 1
    with pytest.raises(FaceError, match='finds no class in'): read_faces(pictures, label=r'\.(AN)\d')
    with pytest.raises(FaceError, match='is no regular expression'): read_faces(pictures, label='(')


def test_folders_of_persons(tmp_path):
    for i in range(80):
        place = tmp_path/('happy', 'sad')[i % 2]/f'p{i//8}'
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), i, np.uint8)).save(place/f'{i}.png')
    faces = read_faces(tmp_path, label=r'^(\w+)/', person=r'/(p\d+)/')
    assert faces.vocab == ('happy', 'sad')
    persons = np.array([o.split('/')[1] for o in faces.source])
    for person in np.unique(persons): assert len(set(faces.usage[persons == person])) == 1
    with pytest.raises(FaceError, match='happy is the class and p0 a person') as told: read_faces(tmp_path)  # persons are no classes
    label, person = re.findall("='(.*?)'", str(told.value))
    advised = read_faces(tmp_path, label=label, person=person)
    assert (advised.labels == faces.labels).all() and (advised.usage == faces.usage).all()


def test_arrays():
    faces = drawn_faces(140, seed=0)
    for y, vocab in ((faces.names, None), (faces.labels, faces.vocab), (list(faces.names), faces.vocab)):
        again = faces_from_arrays(faces.pixels, y, vocab)
        assert np.array_equal(again.names, faces.names) and (again.usage == 'train').sum() > 90
    assert faces_from_arrays(faces.pixels.reshape(140, -1), faces.names).pixels.shape == (140, 48, 48)
    for x, y, words in ((faces.pixels/255, faces.names, 'must be uint8'), (faces.pixels, faces.names[:5], '5 labels for 140'),
                        (faces.pixels, faces.labels, 'say what they mean'), (faces.pixels[:, :, :, None], faces.names, r'pixels must be uint8 \(n, h, w\)')):
        with pytest.raises(FaceError, match=words): faces_from_arrays(x, y)


def test_faces_are_cropped_while_reading(tmp_path):
    "Drawn faces somewhere in larger pictures; a picture without one is skipped and named"
    faces = drawn_faces(70, seed=2, difficulty='easy', size=120, emotions=('happy', 'sad'))
    rng = np.random.default_rng(0)
    for i in range(12):
        scene = np.full((240, 320), 120, np.uint8)
        top, left = rng.integers(10, 110), rng.integers(10, 190)
        scene[top:top + 120, left:left + 120] = faces.pixels[i]
        place = tmp_path/faces.names[i]
        place.mkdir(exist_ok=True)
        Image.fromarray(scene).save(place/f'{i:02}.png')
    Image.fromarray(np.full((200, 200), 90, np.uint8)).save(tmp_path/'sad'/'wall.png')
    found = read_faces(tmp_path, crop=True)
    assert ('sad/wall.png', 'holds no face') in found.skipped and len(found) >= 11
    whole = read_faces(tmp_path)
    assert len(whole) == 13 and found.pixels.std() > whole.pixels.std()  # a face fills what was mostly wall
    wall = tmp_path/'walls'/'happy'
    wall.mkdir(parents=True)
    Image.fromarray(np.full((200, 200), 90, np.uint8)).save(wall/'0.png')
    with pytest.raises(FaceError, match='no face is found in any of its 1 pictures'): read_faces(tmp_path/'walls', crop=True)


def test_quiet_and_logging(capsys, caplog):
    import logging
    from fer_teach.all import Recipe, Arch, train
    import torch.nn as nn
    faces = drawn_faces(60, seed=0, emotions=('happy', 'sad'))
    arch = Arch('dense', lambda channels, classes: nn.Sequential(nn.Flatten(), nn.Linear(48*48, classes)))
    log = logging.getLogger('fer_teach')
    log.setLevel(logging.INFO)
    train(faces, arch, Recipe(epochs=1))
    assert 'epoch 1/1' in capsys.readouterr().out and 'epoch 1/1' in caplog.text
    log.setLevel(logging.WARNING)
    try: train(faces, arch, Recipe(epochs=1))
    finally: log.setLevel(logging.INFO)
    assert capsys.readouterr().out == ''


def test_the_example_of_readme(tmp_path, monkeypatch):
    "Own classes from a folder: README's lines as they stand"
    code = re.search(r'```python\n(faces = read_faces.+?)```', (ROOT/'README.md').read_text(), re.S)[1]
    drawn = drawn_faces(90, difficulty='easy', emotions=('happy', 'surprise', 'neutral'))
    for i, (face, label) in enumerate(zip(drawn.pixels, drawn.labels)):
        folder = tmp_path/'pictures'/('awake', 'bored')[int(label == 2)]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(face).save(folder/f'{i}.png')
    monkeypatch.chdir(tmp_path)
    space = vars(fer_teach.all) | {}
    exec(code, space)
    learn = space['learn']
    assert learn.vocab == ('awake', 'bored') and learn.recipe_name == 'pretrained' and len(learn.result) == 9
    assert {'README.md', 'model.safetensors', 'confusion.png'} <= {o.name for o in (tmp_path/'run1').iterdir()}
