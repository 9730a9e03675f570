"What people do wrong: one clear sentence, exit code 2, nothing written."
import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from fer_teach.cli import main
from fer_teach.core import FaceError
from fer_teach.readers import read_faces


def picture(shade=0): 
    stream = io.BytesIO()
    Image.fromarray(np.full((48, 48), shade, np.uint8)).save(stream, 'PNG')
    return stream.getvalue()


def tree(folder, files):
    for name, content in files.items():
        (folder/name).parent.mkdir(parents=True, exist_ok=True)
        (folder/name).write_bytes(content)
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('FER_TEACH_DATA', raising=False)
    monkeypatch.setenv('KAGGLEHUB_CACHE', str(tmp_path/'cache'))
    return tmp_path


@pytest.mark.parametrize('line, words', [
    ('learn --data nowhere.zip', ['nowhere.zip does not exist']),
    ('learn --data fer2013', ['FER2013 is not on this machine', 'FER_TEACH_DATA']),
    ('learn mini_exception', ["unknown arch 'mini_exception'", 'did you mean mini_xception']),
    ('learn --recipe defualt', ["unknown recipe of mini_xception 'defualt'", 'did you mean default']),
    ('learn sequential --recipe S2-mini-xception', ['unknown recipe of sequential']),
    ('learn --classes hapy,sad', ["unknown class 'hapy'", 'did you mean happy']),
    ('learn --classes good=happy+sad,bad=sad', ['sad is in two groups']),
    ('learn --classes happy', ['two classes or more']),
    ('learn --classes good=,bad=sad', ["unknown class ''"]),
    ('learn --classes 8', ['no contempt']),
    ('learn --epochs 0', ['epochs must be 1 or more']),
    ('learn sequential --recipe S2-sequential --classes 4', ['published for 2 classes']),
    ('predict nowhere a.png', ['nowhere is no run folder']),
    ('explain nowhere a.png', ['nowhere is no run folder']),
    ('explain nowhere a.png --out why.jpg', ['must end in .png']),
    ('learn --device abacus', ["no device 'abacus'"]),
    ('leaderboard --file nowhere.csv', ['nowhere.csv does not exist']),
])
def test_one_sentence(here, capsys, line, words):
    assert main(line.split()) == 2
    said = capsys.readouterr().err
    assert said.startswith('fer_teach: ') and said.count('\n') == 1 and 'Traceback' not in said
    for word in words: assert word in said
    assert list(here.iterdir()) == []


def test_no_images(here):
    with pytest.raises(FaceError, match='holds no pictures'): read_faces(tree(here/'empty', {'happy/notes.txt': b'none'}))
    with zipfile.ZipFile(here/'empty.zip', 'w') as archive: archive.writestr('readme.txt', 'none')
    with pytest.raises(FaceError, match='empty.zip holds no pictures'): read_faces(here/'empty.zip')
    (here/'faces.rar').write_bytes(b'Rar!')
    with pytest.raises(FaceError, match='neither a folder nor a zip'): read_faces(here/'faces.rar')


def test_folders_that_are_no_emotion(here):
    with pytest.raises(FaceError, match="unknown class 'hapy': did you mean happy"): read_faces(tree(here/'typo', {'hapy/a.png': picture(), 'sad/b.png': picture()}))
    with pytest.raises(FaceError, match='lies in no class folder; put it into one, such as happy/, or read it in Python with label='): read_faces(tree(here/'flat', {'a.png': picture()}))


def test_broken_pictures(here):
    good = {f'{name}/{i}.png': picture(i) for i in range(100) for name in ('happy', 'sad')}
    one = read_faces(tree(here/'one', good | {'sad/broken.jpg': b'\xff\xd8 no jpeg'}))
    assert [name for name, _ in one.skipped] == ['sad/broken.jpg'] and len(one) == 200
    with pytest.raises(FaceError, match='3 of 203 pictures cannot be read, the first is happy/b0.png'):
        read_faces(tree(here/'three', good | {f'happy/b{i}.png': b'' for i in range(3)}))


def test_split_without_a_class(here, capsys):
    files = {f'{split}/{name}/{i}.png': picture(i) for split in ('train', 'valid', 'test') for i, name in enumerate(('happy', 'sad'))}
    del files['test/sad/1.png']
    tree(here/'faces', files)
    assert main(['learn', '--data', 'faces', '--classes', 'happy,sad', '--out', 'run']) == 2
    assert 'the test split has no image of sad' in capsys.readouterr().err
    assert not (here/'run').exists()


@pytest.fixture(scope='module')
def run_folder(tmp_path_factory):
    from fer_teach.drawn import drawn_faces
    from fer_teach.learn import learn_emotions
    folder = tmp_path_factory.mktemp('runs')/'run'
    learn_emotions('mini_xception', 2, drawn_faces(280), epochs=1, out=folder)
    return folder


def test_run_is_not_overwritten(run_folder, capsys):
    before = (run_folder/'model.safetensors').read_bytes()
    assert main(['learn', '--out', str(run_folder)]) == 2
    assert 'exists already' in capsys.readouterr().err
    assert (run_folder/'model.safetensors').read_bytes() == before


@pytest.mark.parametrize('file, content, words', [
    ('model.safetensors', None, 'has no model.safetensors'), ('model.safetensors', b'', 'is damaged'),
    ('model.json', None, 'has no model.json'), ('model.json', b'{"arch": ', 'is damaged'), ('model.json', b'{}', 'lacks')])
def test_damaged_run(run_folder, here, capsys, file, content, words):
    copy = tree(here/'copy', {o.name: o.read_bytes() for o in run_folder.iterdir()})
    (copy/file).unlink()
    if content is not None: (copy/file).write_bytes(content)
    assert main(['predict', 'copy', 'a.png']) == 2
    said = capsys.readouterr().err
    assert words in said and said.count('\n') == 1


def test_picture_that_cannot_be_decoded(run_folder, here, capsys):
    tree(here, {'good.png': picture(9), 'bad.png': b'no picture'})
    assert main(['predict', str(run_folder), 'bad.png', 'good.png', 'none.png']) == 2
    out, err = capsys.readouterr()
    assert out.startswith('good.png: ')
    assert err.splitlines()[0].startswith('fer_teach: bad.png cannot be read as a picture') and 'none.png does not exist' in err


def test_picture_without_a_face(run_folder, here, capsys):
    Image.new('L', (300, 200), 128).save(here/'wall.png')
    assert main(['predict', str(run_folder), 'wall.png']) == 0
    assert capsys.readouterr().out == 'wall.png: no face found\n'
    assert main(['explain', str(run_folder), 'wall.png']) == 2
    assert '--no-crop' in capsys.readouterr().err and not (here/'why.png').exists()
    assert main(['predict', str(run_folder), '--no-crop', 'wall.png']) == 0
    assert capsys.readouterr().out.startswith('wall.png: ')
