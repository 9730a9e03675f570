"Data sets that were made to do harm, or that broke on the way: each ends in one sentence, soon and in little memory."
import copy
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.fuzz import case
from fer_teach.core import FaceError, shown
from fer_teach.data import Faces
from fer_teach.pictures import as_faces, crop_faces, open_picture, read_image
from fer_teach.fer2013 import join_ferplus
from fer_teach.readers import read_faces
from tests.test_data import VOTES, png, spoiled, table, tarred, written, yolo, zipped

NAMES = [f'{name}/{i}.png' for name in ('happy', 'sad') for i in range(3)]
MEASURE = '''
import resource, sys, time
from fer_teach.core import FaceError
from fer_teach.readers import read_faces
begin, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
try: print(read_faces(sys.argv[1]))
except FaceError as problem: print(problem)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begin, time.process_time() - start)
'''


def refused(path, words=None):
    "One sentence on one line that any console can show"
    with pytest.raises(FaceError, match=words) as found: read_faces(path)
    sentence = str(found.value)
    assert sentence == shown(sentence) and len(sentence) < 1000
    sentence.encode()
    return sentence


def measured(path):
    "What a process of its own says about `path`, and the MiB and seconds that reading takes"
    run = subprocess.run([sys.executable, '-c', MEASURE, str(path)], capture_output=True, text=True, timeout=200)
    assert run.returncode == 0, run.stderr[-1000:]
    said, numbers = run.stdout.splitlines()
    memory, seconds = map(float, numbers.split())
    return said, memory/2**10, seconds


def cheap(path, words):
    said, memory, seconds = measured(path)
    assert words in said and memory < 1000 and seconds < 30, (said, memory, seconds)


# --- names

def test_shown():
    assert shown('a\nb\x1b[31m\udc80\u202e') == r'a\nb\x1b[31m\udc80\u202e' and shown('Ärger 笑') == 'Ärger 笑'
    assert str(FaceError('two\nlines')) == r'two\nlines'


@pytest.mark.filterwarnings('ignore:Duplicate name')
def test_two_entries_of_one_name(tmp_path):
    with zipfile.ZipFile(tmp_path/'a.zip', 'w') as archive:
        for name in (*NAMES, *NAMES): archive.writestr(name, png())
    assert len(read_faces(tmp_path/'a.zip')) == 12


def test_zip_name_that_is_no_utf8(tmp_path):
    whole = zipped({name.replace('happy', 'hap\u00fcy'): png() for name in NAMES})
    (tmp_path/'a.zip').write_bytes(whole.replace('hap\u00fcy'.encode(), b'hap\xff\xfey'))
    refused(tmp_path/'a.zip', 'damaged')


@pytest.mark.parametrize('odd', ['\udc80.png', 'a\nb.png', '\x1b[31m.png'])
def test_odd_names_are_escaped(tmp_path, odd):
    "In tars and folders they are read, and what is skipped can be printed and written"
    files = {f'{name}/{i}.png': png() for name in ('happy', 'sad') for i in range(80)} | {'sad/' + odd: b'no picture'}
    (tmp_path/'a.tar').write_bytes(tarred(files, 'w'))
    for faces in (read_faces(tmp_path/'a.tar'), read_faces(written(tmp_path/'d', files))):
        assert len(faces) == 160 and [o for o, _ in faces.skipped] == [shown('sad/' + odd)]
        str(faces.skipped[0]).encode()


# --- tables

def test_numbers_of_thousands_of_digits(tmp_path):
    (tmp_path/'f.csv').write_text(spoiled(0, '1'*5000))
    refused(tmp_path/'f.csv', 'f.csv:3 has emotion 1{40},')


def test_headers_stay_on_one_line(tmp_path):
    (tmp_path/'f.csv').write_text('"emo\ntion\x1b[2J",pixels\n1,2\n')
    refused(tmp_path/'f.csv', 'no column emotion')


def test_ragged_votes(tmp_path):
    (tmp_path/'f.csv').write_bytes(table(rows=6))
    (tmp_path/'ferplus.csv').write_text(VOTES + '1,2\n' + '1,'*40 + '\n')
    with pytest.raises(FaceError, match='is no table of votes') as found: join_ferplus(read_faces(tmp_path/'f.csv'), tmp_path/'ferplus.csv')
    assert '\n' not in str(found.value) and r'\n' not in str(found.value)


def test_picture_named_like_a_row(tmp_path):
    files = {f'{name}/x.csv:abc.png': png() for name in ('happy', 'sad')}
    (tmp_path/'ferplus.csv').write_text(VOTES + 'a.jpg,Training,0,0,7,3,0,0,0,0,0,0,0\n')
    with pytest.raises(FaceError, match='none of these faces'): join_ferplus(read_faces(written(tmp_path/'d', files)), tmp_path/'ferplus.csv')


def test_two_million_rows(tmp_path):
    (tmp_path/'f.csv').write_text('emotion,pixels\n' + '3,7\n'*2_000_000)
    cheap(tmp_path/'f.csv', 'more than 262,144 faces')


# --- YOLO

BOMB = 'a0: &a0 [x, x]\n' + ''.join(f'a{i}: &a{i} [*a{i-1}, *a{i-1}]\n' for i in range(1, 60)) + 'names: *a59\n'
MERGE = 'a0: &a0 {x: y}\n' + ''.join(f'a{i}: &a{i} {{<<: [*a{i-1}, *a{i-1}]}}\n' for i in range(1, 40)) + 'names: *a39\n'


@pytest.mark.parametrize('text', ['names: [!!int abc]', 'names: !!float x', 'names: {0: !!timestamp foo}', 'names: [2001-99-99]', 'names: {2001-99-99: a}',
                                  f'names: {{{"1"*5000}: angry}}', f'names: [{"1"*5000}]', BOMB, MERGE, 'names: ' + '['*30_000, 'names: {? [a] : b}', '- '*20_000])
def test_data_yaml(tmp_path, text):
    refused(written(tmp_path, yolo() | {'data.yaml': text.encode()}), 'data.yaml')


@pytest.mark.parametrize('number', ['inf', '-inf', 'nan', '1e400', str(2**70), '9'*5000, '1.5'])
def test_label_files(tmp_path, number):
    faces = read_faces(written(tmp_path, yolo() | {'train/labels/im1.jpg.x.txt': f'{number} 0 0 1 1'.encode()}))
    assert dict(faces.skipped) == {'train/images/im1.jpg.x.png': 'train/labels/im1.jpg.x.txt does not begin with a class number'}


# --- folders and devices

def test_deep_folders(tmp_path):
    here = os.getcwd()
    os.chdir(written(tmp_path, {name: png() for name in NAMES}))
    try:
        for _ in range(1500):
            os.mkdir('d')
            os.chdir('d')
    finally: os.chdir(here)
    assert len(read_faces(tmp_path)) == 6
    subprocess.run(['rm', '-rf', tmp_path/'d'])


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='this system has no pipes in folders')
def test_pipes_and_devices(tmp_path):
    os.mkfifo(tmp_path/'pipe')
    refused(tmp_path/'pipe', 'is a pipe or a device')
    refused('/dev/zero', 'is a pipe or a device')
    os.mkfifo(written(tmp_path/'d', {name: png() for name in NAMES})/'happy'/'pipe.png')
    assert len(read_faces(tmp_path/'d')) == 6
    refused(tmp_path/('x'*300), 'does not exist')


# --- archives that say less than they hold

@pytest.mark.parametrize('kind', [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_long_headers_in_tars(tmp_path, kind):
    "A header of 6 GiB in a file with holes"
    member = tarfile.TarInfo('x')
    member.type, member.size = kind, 6*2**30
    with open(tmp_path/'a.tar', 'wb') as stream:
        stream.write(member.tobuf(tarfile.GNU_FORMAT))
        stream.truncate(6*2**30 + 2048)
    cheap(tmp_path/'a.tar', 'headers as no set of faces')


def test_tar_that_goes_backwards(tmp_path):
    member = tarfile.TarInfo('x')
    member.size = -1024
    (tmp_path/'a.tar').write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    refused(tmp_path/'a.tar')


def test_zip_entry_that_unpacks_to_more(tmp_path):
    "Its header says 5,000 bytes, and it unpacks to 1 GiB"
    with zipfile.ZipFile(tmp_path/'a.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('sad/0.png', png())
        with archive.open('happy/1.png', 'w', force_zip64=True) as entry:
            for _ in range(2**10): entry.write(bytes(2**20))
    whole = (tmp_path/'a.zip').read_bytes()
    for kind in ('<Q', '<L'): whole = whole.replace(struct.pack(kind, 2**30), struct.pack(kind, 5000))
    (tmp_path/'a.zip').write_bytes(whole)
    cheap(tmp_path/'a.zip', 'pictures cannot be read')


# --- a table of faces cannot be changed

def few(pixels=None, **kwargs):
    pixels = np.zeros((3, 4, 4), np.uint8) if pixels is None else pixels
    columns = dict(labels=np.array([0, 0, 1]), vocab=('happy', 'sad'), usage=np.array(['train', 'test', 'test']), source=np.array(['a', 'b', 'c']))
    return Faces(pixels, **columns | kwargs)


def test_the_callers_array_stays_theirs():
    mine = np.zeros((3, 4, 4), np.uint8)
    for pixels in (mine, mine[:], np.broadcast_to(mine, (3, 4, 4))):
        faces = few(pixels)
        mine[:] += 1
        assert mine.flags.writeable and (faces.pixels == mine - 1).all() and not faces.pixels.flags.writeable
    assert np.shares_memory(faces[1:].pixels, faces.pixels)


@pytest.mark.parametrize('again', [copy.copy, copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o)), lambda o: o[:2]])
def test_copies_cannot_be_changed(again):
    faces = again(few())
    for name in ('pixels', 'labels', 'usage', 'source'):
        with pytest.raises(ValueError, match='read-only'): getattr(faces, name)[0] = 0
    for change in (lambda o: o.update(a=1), lambda o: o.pop('happy'), lambda o: o.clear(), lambda o: o.__setitem__('a', 1), lambda o: o.__ior__({})):
        with pytest.raises(TypeError, match='cannot be changed'): change(faces.groups)
    assert json.loads(json.dumps(faces.groups)) == dict(happy=['happy'], sad=['sad'])


def test_loops_end():
    assert [o.source[0] for o in few()] == ['a', 'b', 'c'] and few()[-1].source[0] == 'c'
    for position in (3, -4):
        with pytest.raises(IndexError, match='there is no image'): few()[position]


def test_unknown_splits():
    with pytest.raises(FaceError, match="unknown split 'trian': did you mean train"): few(usage=np.array(['train', 'trian', 'test']))


# --- pictures

def test_sixteen_bits(tmp_path):
    grey = np.arange(0, 2**16, 2**16//(48*48), np.uint32)[:48*48].reshape(48, 48).astype(np.uint16)
    for name in ('a.png', 'a.tif'):
        Image.fromarray(grey).save(tmp_path/name)
        assert (read_image(tmp_path/name) == grey >> 8).all()
    Image.fromarray(grey.astype(np.float32)).save(tmp_path/'f.tif')
    with pytest.raises(FaceError, match='cannot be read as a picture'): read_image(tmp_path/'f.tif')


def test_jfif_is_read(tmp_path):
    stream = io.BytesIO()
    Image.new('L', (48, 48), 99).save(stream, 'JPEG')
    assert len(read_faces(written(tmp_path, {f'{o}/a.jfif': stream.getvalue() for o in ('happy', 'sad')}))) == 2


def test_the_callers_picture_keeps_its_size(tmp_path):
    Image.new('RGB', (3000, 2400), 'grey').save(tmp_path/'a.jpg')
    with Image.open(tmp_path/'a.jpg') as picture:
        crop_faces(picture)
        assert picture.size == (3000, 2400)


def test_folder_as_picture(tmp_path):
    with pytest.raises(FaceError, match='is a folder: give a picture in it'): open_picture(tmp_path)


def test_large_pictures(tmp_path):
    Image.new('RGB', (9000, 9000), 'grey').save(tmp_path/'a.jpg')
    assert max(open_picture(tmp_path/'a.jpg').size) == 1280
    Image.new('LA', (13_300, 13_300)).save(tmp_path/'a.png')
    with pytest.raises(FaceError, match='cannot be read as a picture'): open_picture(tmp_path/'a.png')


def test_every_form_of_a_picture():
    grey = np.random.default_rng(0).integers(0, 256, (48, 48)).astype(np.uint8)
    for form in (png(grey), io.BytesIO(png(grey)), Image.fromarray(grey), torch.tensor(grey), [grey], [torch.tensor(grey)], [png(grey)]):
        assert (as_faces(form).pixels == grey).all()
    clear = np.zeros((30, 20, 4), np.uint8)
    assert all((as_faces(o).pixels == 255).all() and len(as_faces(o)) == 1 for o in (clear, [clear]))
    with pytest.raises(FaceError, match='this array is float64'): as_faces([np.zeros((48, 48))])
    with pytest.raises(FaceError, match='is a folder'): as_faces(os.getcwd())


# --- chance

@pytest.mark.parametrize('begin', range(0, 200, 50))
def test_spoiled_data_sets(begin):
    "`python benchmarks/fuzz.py` tries thousands"
    ends = [case(seed) for seed in range(begin, begin + 50)]
    assert 'read' in ends and 'refused' in ends
