"Every format that faces come in, every way in which they arrive broken, and what the audit finds in FER2013."
import csv
import io
import os
import sys
import tarfile
import types
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fer_teach import data, files, pictures, readers
from fer_teach.core import FaceError
from fer_teach.data import EMOTIONS
from fer_teach.fer2013 import CSV_EMOTIONS, download_fer2013, join_ferplus
from fer_teach.readers import read_faces
from fer_teach.auditing import audit, near_copies, plant_copies
from fer_teach.drawn import drawn_faces

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (30, 48, 48)).astype(np.uint8)
USAGE = ['Training', 'PublicTest', 'PrivateTest']


def png(pixels=PIXELS[0]):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, 'PNG')
    return stream.getvalue()


def table(order=('emotion', 'pixels', 'Usage'), end='\n', start='', space='', rows=30):
    columns = dict(emotion=[str(i % 7) for i in range(rows)], pixels=[' '.join(map(str, o.ravel())) for o in PIXELS[:rows]],
                   Usage=[USAGE[i % 3] for i in range(rows)])
    lines = [','.join(space + o for o in order)] + [','.join(space + columns[o][i] for o in order) for i in range(rows)]
    return (start + end.join(lines) + end).encode('utf-8')


def written(folder, files):
    for name, content in files.items():
        (folder/name).parent.mkdir(parents=True, exist_ok=True)
        (folder/name).write_bytes(content)
    return folder


def zipped(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items(): archive.writestr(name, content)
    return stream.getvalue()


def tarred(files, mode='w:gz'):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def check_table(faces):
    assert (faces.pixels == PIXELS).all()
    assert [faces.vocab[o] for o in faces.labels] == [CSV_EMOTIONS[i % 7] for i in range(30)]
    assert faces.usage.tolist() == [['train', 'valid', 'test'][i % 3] for i in range(30)]


# --- formats

@pytest.mark.parametrize('order', [('emotion', 'pixels', 'Usage'), ('emotion', 'Usage', 'pixels'), ('pixels', 'Usage', 'emotion')])
@pytest.mark.parametrize('kwargs', [{}, dict(end='\r\n'), dict(start='\ufeff'), dict(space=' '), dict(start='\ufeff', end='\r\n', space=' ')])
def test_csv(tmp_path, order, kwargs):
    (tmp_path/'icml_face_data.csv').write_bytes(table(order, **kwargs))
    faces = read_faces(tmp_path/'icml_face_data.csv')
    check_table(faces)
    assert faces.source[0] == 'icml_face_data.csv:2'


@pytest.mark.parametrize('pack', [zipped, tarred, partial(tarred, mode='w'), lambda o: zipped({'fer2013.tar.gz': tarred(o)}),
                                  lambda o: tarred({'a/b.zip': zipped(o)}), lambda o: zipped({'x.zip': zipped({'y.tar': tarred(o, 'w')})})])
def test_csv_in_archives(tmp_path, pack):
    (tmp_path/'packed').write_bytes(pack({'fer2013/README': b'read me', 'fer2013/fer2013.csv': table()}))
    check_table(read_faces(tmp_path/'packed'))
    (tmp_path/'packed').rename(tmp_path/'packed.zip')
    check_table(read_faces(tmp_path))


def test_challenge_zip(tmp_path):
    "Kaggle's competition holds the table four times: the one with splits at the top is read"
    no_usage = table(('emotion', 'pixels'))
    files = {'fer2013.tar.gz': tarred({'fer2013/fer2013.csv': table()}), 'icml_face_data.csv': table(('emotion', 'Usage', 'pixels'), space=' '),
             'train.csv': no_usage, 'test.csv': table(('pixels',)), 'example_submission.csv': b'prediction\n1\n'}
    (tmp_path/'c.zip').write_bytes(zipped(files))
    check_table(read_faces(tmp_path/'c.zip'))
    assert read_faces(written(tmp_path/'folder', {'train.csv': no_usage})).counts().sum().min() > 0
    with pytest.raises(FaceError, match='holds 2 tables of faces'): read_faces(written(tmp_path/'two', {'a.csv': table(), 'b.csv': table()}))


@pytest.mark.parametrize('size, rgb', [(48, True), (24, False), (24, True)])
def test_size_and_colour(tmp_path, size, rgb):
    (tmp_path/'f.csv').write_bytes(table())
    for faces in (read_faces(tmp_path/'f.csv', size, rgb), read_faces(written(tmp_path/'d', {f'{o}/1.png': png() for o in EMOTIONS}), size, rgb)):
        assert faces.pixels.shape[1:] == (size, size, 3)[:2 + rgb]


@pytest.mark.parametrize('pack', [None, zipped, tarred])
def test_class_folders(tmp_path, pack):
    files = {f'{name}/{i}.png': png(PIXELS[i]) for i in range(30) for name in ['sad', 'happy']}
    if pack: (tmp_path/'faces').write_bytes(pack(files))
    else: written(tmp_path/'faces', files)
    faces = read_faces(tmp_path/'faces')
    assert faces.source.tolist() == sorted(files)
    for pixels, source in zip(faces.pixels, faces.source): assert (pixels == PIXELS[int(source.split('/')[1][:-4])]).all()
    assert not any(faces.copied_from(o).any() for o in ('train', 'valid', 'test'))  # copies stay on one side
    assert (read_faces(tmp_path/'faces', seed=1).usage != faces.usage).any()


AFFECTNET = ['Anger', 'Contempt', 'Disgust', 'Fear', 'Happy', 'Neutral', 'Sad', 'Surprise']


def yolo():
    files = {'data.yaml': f'nc: 8\nnames: {AFFECTNET}\n'.encode()}
    for k, split in enumerate(['train', 'valid', 'test']):
        for i in range(8):
            colour = np.stack([PIXELS[8*k + i]]*3, -1).repeat(2, 0).repeat(2, 1)
            files |= {f'{split}/images/im{i}.jpg.x.png': png(colour), f'{split}/labels/im{i}.jpg.x.txt': f'{i} 0.5 0.5 1 1\n0 .1 .1 .1 .1\n'.encode()}
    return files


@pytest.mark.parametrize('pack', [None, zipped, tarred])
@pytest.mark.parametrize('names', [b'names: [' + ','.join(AFFECTNET).encode() + b']', b'names:\n' + b''.join(f'  {i}: {o}\n'.encode() for i, o in enumerate(AFFECTNET))])
def test_yolo(tmp_path, pack, names):
    files = yolo() | {'data.yaml': names}
    if pack: (tmp_path/'y').write_bytes(pack(files))
    else: written(tmp_path/'y', files)
    faces = read_faces(tmp_path/'y', size=96, rgb=True)
    assert faces.pixels.shape == (24, 96, 96, 3) and faces.vocab == EMOTIONS and not faces.skipped
    assert faces.counts().to_numpy().tolist() == [[1, 1, 1]]*8
    assert [faces.vocab[o] for o in faces.split('test').labels] == [data.emotion_name(o) for o in AFFECTNET]


VOTES = 'image,usage,fer2013_row,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,not_a_face\n'


def test_ferplus(tmp_path):
    (tmp_path/'fer2013.csv').write_bytes(table(rows=6))
    (tmp_path/'ferplus.csv').write_text(VOTES + 'a.jpg,Training,0,0,7,3,0,0,0,0,0,0,0\nb.jpg,PublicTest,2,0,0,0,0,0,0,0,9,1,0\n'
                                        'c.jpg,T,1,5,5,0,0,0,0,0,0,0,0\nd.jpg,T,3,1,0,0,0,0,0,0,0,5,4\ne.jpg,T,4,,,,,,,,,,\n')
    faces = read_faces(tmp_path)
    assert len(read_faces(tmp_path/'fer2013.csv')) == 6
    assert faces.vocab == EMOTIONS and [faces.vocab[o] for o in faces.labels] == ['happy', 'contempt']
    assert (faces.votes[:, EMOTIONS.index('happy')] == [7, 0]).all() and faces.attributes.label.tolist() == ['angry', 'fear']
    reasons = dict(faces.skipped)
    assert 'tie' in reasons['fer2013.csv:3'] and 'no known emotion' in reasons['fer2013.csv:5']
    assert 'no FER+ votes' in reasons['fer2013.csv:6'] and 'no FER+ votes' in reasons['fer2013.csv:7']
    with pytest.raises(FaceError, match='none of these faces is in FER'): join_ferplus(read_faces(written(tmp_path/'own', {f'{o}/1.png': png() for o in EMOTIONS})), tmp_path/'ferplus.csv')
    with pytest.raises(FaceError, match='no votes for angry'): join_ferplus(faces, tmp_path/'fer2013.csv')
    with pytest.raises(FaceError, match='does not exist'): join_ferplus(faces, tmp_path/'none.csv')
    with pytest.raises(FaceError, match='no column emotion'): read_faces(tmp_path/'ferplus.csv')


def test_download(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, 'kagglehub', None)
    with pytest.raises(FaceError, match=r'kagglehub is not installed.*msambare/fer2013 in a browser'): download_fer2013()
    def offline(name): raise ConnectionError('no route')
    monkeypatch.setitem(sys.modules, 'kagglehub', types.SimpleNamespace(dataset_download=offline))
    with pytest.raises(FaceError, match=r'cannot be downloaded \(ConnectionError\).*in a browser'): download_fer2013()
    monkeypatch.setitem(sys.modules, 'kagglehub', types.SimpleNamespace(dataset_download=lambda name: str(tmp_path)))
    assert download_fer2013() == tmp_path


# --- bad input: one clear error that names the row or file, or skipped, counted and named

def spoiled(column, value, row=3):
    rows = list(csv.reader(io.StringIO(table(rows=6).decode())))
    rows[row - 1][column] = value
    return '\n'.join(','.join(o) for o in rows)


@pytest.mark.parametrize('content, words', [
    ('', 'is empty'), ('emotion,Usage\n1,Training\n', 'no column pixels'), ('pixels,Usage\n1,Training\n', 'no column emotion'),
    ('emotion,pixels,Usage\n', 'a header and no faces'), ('\0\0\0', 'no column emotion'),
    (spoiled(0, '7'), ':3 has emotion 7'), (spoiled(0, '-1'), ':3 has emotion -1'), (spoiled(0, ''), ':3 has no emotion'),
    (spoiled(0, 'hapy'), 'did you mean happy'), (spoiled(2, 'Trainin'), "usage 'Trainin'"),
    (spoiled(1, '1 2 3'), ':3 has 3 pixels, not 2,304'), (spoiled(1, '1 2 3', 2), ':2 has 3 pixels, not a square'), (spoiled(1, ''), ':3 has'),
    (spoiled(1, ' '.join(['256']*2304)), 'outside 0 to 255'), (spoiled(1, ' '.join(['-1']*2304)), 'outside 0 to 255'),
    (spoiled(1, ' '.join(['4294967297']*2304)), 'outside 0 to 255'), (spoiled(1, ' '.join(['99999999999999999999']*2304)), ':3 has'),
    (spoiled(1, ' '.join(['x']*2304)), 'no whole numbers'), (spoiled(1, ' '.join(['1.5']*2304)), 'no whole numbers'),
    (spoiled(1, '1 '*2304 + 'end'), 'no whole numbers'), (spoiled(1, '1 '*200000), 'cannot be read'), (spoiled(1, '"1 2'), ':'),
    (table(rows=6).decode()[:-3000], ':7 has 2 of 3 columns')])
def test_csv_errors(tmp_path, content, words):
    (tmp_path/'f.csv').write_text(content)
    with pytest.raises(FaceError, match='f.csv.*' + words): read_faces(tmp_path/'f.csv')


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2), st.integers(2, 7), st.text(st.characters(codec='utf-8', exclude_characters=',"\r\n'), max_size=40))
def test_csv_cells(tmp_path, column, row, value):
    "Any text in any cell is an error that names the row, unless it means what was there or another emotion or split"
    (tmp_path/'f.csv').write_text(spoiled(column, value, row), encoding='utf-8')
    try: faces = read_faces(tmp_path/'f.csv')
    except FaceError as problem: assert f'f.csv:{row}' in str(problem) or (row == 2 and 'f.csv:3' in str(problem))
    else:
        assert column != 1 and len(faces) == 6
        assert column == 0 or value.strip() == '' or value.strip().lower() in readers.FOLDER_SPLITS


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.sampled_from(['f.csv', 'f.zip', 'f.tar.gz', 'f', 'd/happy/f.png', 'd/data.yaml', 'd/train/labels/f.txt', 'd/f.csv', 'd/f.zip']))
def test_any_bytes(tmp_path, content, name):
    "No bytes whatever crash the reader"
    target = written(tmp_path, {name: content})/name
    with pytest.raises(FaceError): read_faces(tmp_path/'d' if name.startswith('d/') else target)
    target.unlink()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([zipped, tarred, partial(tarred, mode='w')]), st.booleans(), st.data())
def test_damaged_archives(tmp_path, pack, cut, chance):
    "Cut off or with a changed byte: what is read is right, the rest is named, or there is an error"
    files = {f'{name}/{i}.png': png(PIXELS[i]) for i in range(3) for name in ('happy', 'sad')}
    content = bytearray(pack(files))
    at = chance.draw(st.integers(0, len(content) - 1))
    if cut: del content[at:]
    else: content[at] ^= chance.draw(st.integers(1, 255))
    (tmp_path/'a.zip').write_bytes(content)
    try: faces = read_faces(tmp_path/'a.zip')
    except FaceError: return
    for pixels, source in zip(faces.pixels, faces.source):
        assert source not in files or (pixels == PIXELS[int(source.split('/')[1][0])]).all() or pack is not zipped  # a tar has no checksums


def test_climbing_paths(tmp_path):
    for name in ('../../happy/a.png', '/happy/a.png', 'happy/../../a.png', '..\\happy\\a.png'):
        for pack in (zipped, tarred):
            (tmp_path/'a').write_bytes(pack({name: png(), 'happy/b.png': png()}))
            with pytest.raises(FaceError, match='climbs out'): read_faces(tmp_path/'a')
    assert [o.name for o in tmp_path.iterdir()] == ['a']


def test_damaged_archive_inside_another(tmp_path):
    "Its bytes do not fit its checksum: one sentence that names it"
    inner = b'PK no zip at all'*40
    with zipfile.ZipFile(tmp_path/'outer.zip', 'w', zipfile.ZIP_STORED) as archive: archive.writestr('fer2013.zip', inner)
    whole = (tmp_path/'outer.zip').read_bytes()
    (tmp_path/'outer.zip').write_bytes(whole.replace(inner, inner[:-1] + b'?'))
    with pytest.raises(FaceError, match='fer2013.zip cannot be read'): read_faces(tmp_path/'outer.zip')


def test_bombs(tmp_path, monkeypatch):
    monkeypatch.setattr(files, 'MAX_UNPACKED', 10**6)
    for pack in (zipped, tarred):
        (tmp_path/'a').write_bytes(pack({'happy/a.png': bytes(2*10**6)}))
        with pytest.raises(FaceError, match='unpacks to more than'): read_faces(tmp_path/'a')
    deep = zipped({'happy/a.png': png()})
    for _ in range(5): deep = zipped({'inner.zip': deep})
    (tmp_path/'a').write_bytes(deep)
    with pytest.raises(FaceError, match='archives deep'): read_faces(tmp_path/'a')
    monkeypatch.setattr(pictures, 'MAX_PICTURE', 10**4)
    with pytest.raises(FaceError, match='cannot be read, the first is happy/a.png'): read_faces(written(tmp_path/'d', {'happy/a.png': png(np.zeros((400, 400), np.uint8))}))


def test_broken_pictures(tmp_path):
    good = {f'{name}/{i:03}.png': png(PIXELS[i % 30]) for i in range(200) for name in ('happy', 'sad')}
    bad = {'happy/empty.png': b'', 'sad/cut.png': png()[:900], 'sad/text.jpg': b'no picture'}
    faces = read_faces(written(tmp_path, good | bad))
    assert sorted(o for o, _ in faces.skipped) == sorted(bad) and len(faces) == 400
    assert all('cannot be read as a picture' in why for _, why in faces.skipped)


def test_yolo_mismatches(tmp_path):
    files = yolo() | {'train/images/alone.png': png(), 'train/labels/alone2.txt': b'1 0 0 1 1', 'train/images/e.png': png(), 'train/labels/e.txt': b''}
    faces = read_faces(written(tmp_path/'a', files))
    assert dict(faces.skipped) == {'train/images/alone.png': 'has no label file', 'train/labels/alone2.txt': 'has no picture',
                                   'train/images/e.png': 'train/labels/e.txt does not begin with a class number'}
    assert len(faces) == 24
    with pytest.raises(FaceError, match='im1.jpg.x.txt has class 8'): read_faces(written(tmp_path/'b', yolo() | {'train/labels/im1.jpg.x.txt': b'8 0 0 1 1'}))
    with pytest.raises(FaceError, match='no data.yaml'): read_faces(written(tmp_path/'c', {k: v for k, v in yolo().items() if k != 'data.yaml'}))
    for yaml in (b'', b'names: 3', b'- x', b'names: [', b'\xff\xfe\xff', b'nc: 8'):
        with pytest.raises(FaceError): read_faces(written(tmp_path/'d', yolo() | {'data.yaml': yaml}))


# --- audit

def test_nothing_to_show():
    faces = drawn_faces(140)
    with pytest.raises(FaceError, match='no face to show'): faces.show(0)
    with pytest.raises(FaceError, match='no face to show'): audit(faces).show('test images in train')


def test_near_copies_of_drawn_faces():
    pixels = drawn_faces(700).pixels
    found = near_copies(np.concatenate([pixels, plant_copies(pixels[:200], RNG)]))
    planted = found.second == found['first'] + 700
    assert planted.sum() >= 180 and planted.sum() >= .9*len(found)


def test_audit_of_fer2013():
    path = os.environ.get('FER_TEACH_DATA')
    if not path: pytest.skip('FER_TEACH_DATA names no FER2013')
    faces = read_faces(path)
    report = audit(faces)
    counts = report.table['count']
    expected = {'different images': 34034, 'repeats': 1234, 'test images in train': 288, 'valid images in train': 280, 'conflicting labels': 57, 'blanks': 13}
    assert counts[list(expected)].to_dict() == expected
    assert 2000 < counts['near-copies'] < 6000 and 20 < counts['perhaps no face'] < 100
    conflicts = report.images('conflicting labels')
    assert conflicts.groupby('group').label.nunique().min() >= 2 and conflicts.group.nunique() == 57
    assert (conflicts.source == faces.source[conflicts.position]).all()
    votes = Path(path).parent/'ferplus.csv'
    if not votes.is_file(): return
    joined = join_ferplus(faces, votes)
    reasons = [why for _, why in joined.skipped]
    assert (len(joined), reasons.count('has no FER+ votes'), reasons.count('has a tie of FER+ votes')) == (len(faces) - len(reasons), 177, 1776)


@pytest.mark.parametrize('shape', [(1, 48, 48), (2, 48, 48), (12, 96, 96, 3), (9, 20, 20)])
def test_audit_of_small_sets(shape):
    pixels = RNG.integers(0, 256, shape).astype(np.uint8)
    faces = data.Faces(pixels, np.arange(len(pixels)) % 2, ('happy', 'sad'), np.array(['train']*len(pixels)), np.array(['x']*len(pixels)))
    assert audit(faces).table['count']['different images'] == len(pixels)
    assert audit(faces[[0]*len(pixels)]).table['count']['repeats'] == len(pixels) - 1
    assert len(audit(faces).plot()) == 2
