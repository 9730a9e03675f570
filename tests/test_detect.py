"All faces of pictures and videos as a table, from Python and from the command."
import csv
import io
import json
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from fer_teach.cli import main
from fer_teach.core import FaceError
from fer_teach.detect import FACE_COLUMNS, Followed, detect_emotions, shots, watch
from fer_teach.runs import load_emotions

from tests.test_pictures import scene

CLASSES = ['angry', 'disgust', 'fear', 'happy', 'neutral', 'sad', 'surprise']
BLANK = np.full((120, 160), 128, np.uint8)


def film(file, frames, rate=10):
    "Write uint8 `frames` (n, h, w, 3) as a video"
    av = pytest.importorskip('av')
    with av.open(str(file), 'w') as opened:
        stream = opened.add_stream('mpeg4', rate=rate)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], 'yuv420p'
        for frame in frames: opened.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')))
        opened.mux(stream.encode())


def passing_by(frames=12, step=6):
    "Two drawn people who move to the right"
    wide = np.pad(scene(2), ((0, 0), (0, step*frames), (0, 0)), mode='edge')
    return np.stack([np.roll(wide, step*i, 1) for i in range(frames)])


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    "Two pictures with faces, one without, one broken, a video and a text"
    here = tmp_path_factory.mktemp('pictures')
    Image.fromarray(scene(1)).save(here/'a.png')
    (here/'more').mkdir()
    Image.fromarray(scene(3)).save(here/'more'/'b.jpg')
    Image.fromarray(BLANK).save(here/'wall.png')
    (here/'broken.png').write_bytes(b'no picture')
    (here/'notes.txt').write_text('nothing')
    film(here/'walk.mp4', passing_by())
    return here


def test_every_form_of_pictures(folder):
    content = (folder/'a.png').read_bytes()
    forms = [folder/'a.png', str(folder/'a.png'), Image.open(folder/'a.png'), scene(), content, io.BytesIO(content),
             [folder/'a.png'], scene()[None], (o for o in [scene()]), str(folder/'a.*')]
    tables = [detect_emotions(o) for o in forms]
    for table in tables:
        assert list(table.columns) == [*FACE_COLUMNS, *CLASSES] and len(table) == 1
        assert table[CLASSES].equals(tables[0][CLASSES]) and table[CLASSES].sum(axis=1).sub(1).abs().max() < 1e-5
        assert table.emotion[0] == table[CLASSES].idxmax(axis=1)[0] and .5 < table.score[0] <= 1


def test_folder(folder):
    with pytest.warns(UserWarning, match='1 skipped: .*broken.png cannot be read'): table = detect_emotions(folder, every=4)
    assert [os.path.basename(o) for o in table.file.unique()] == ['a.png', 'b.jpg', 'walk.mp4', 'wall.png']
    assert len(table.attrs['skipped']) == 1 and 'notes' not in str(table.attrs)
    wall = table[table.file.str.endswith('wall.png')].iloc[0]
    assert wall.drop('file').isna().all()
    b = table[table.file.str.endswith('b.jpg')]
    assert b.face.tolist() == [0, 1, 2] and b.width.is_monotonic_decreasing and b.frame.isna().all()


def test_nothing_can_be_read(folder):
    with pytest.raises(FaceError, match='broken.png cannot be read'): detect_emotions(folder/'broken.png')
    with pytest.raises(FaceError, match='no picture and no video in'): detect_emotions(str(folder/'*.gif'))
    with pytest.raises(FaceError, match='every and batch_size must be 1 or more'): detect_emotions(BLANK, every=0)


def test_video_keeps_who_is_who(folder):
    table = detect_emotions(folder/'walk.mp4')
    assert sorted(table.face.unique()) == [0, 1] and (table.face.value_counts() >= 11).all()
    for _, one in table.groupby('face'):
        assert one.x.diff().abs().max() < 40 and abs(np.ptp(one.x) - 6*11) < 30  # they stand 220 pixels apart
    assert np.allclose(table.time, table.frame.astype(float)/10)
    assert sorted(detect_emotions(folder/'walk.mp4', every=5).frame.unique()) == [0, 5, 10]


def test_a_broken_video_says_so(folder, tmp_path):
    content = (folder/'walk.mp4').read_bytes()
    (tmp_path/'v.mp4').write_bytes(content[:len(content)//3])
    with pytest.raises(FaceError, match='v.mp4 cannot be read as a video'): detect_emotions(tmp_path/'v.mp4')


def test_without_pyav(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(FaceError, match='pip install "fer_teach.video."'): detect_emotions(folder/'walk.mp4')


def test_a_lost_face_is_waited_for():
    followed = Followed(patience=2)
    box = (0, 0, 10, 10)
    assert [followed.numbers(o) for o in ([box], [], [box], [], [], [], [box])] == [[0], [], [0], [], [], [], [1]]


def test_batches_do_not_change_answers():
    pictures = [scene(2, 100, seed) for seed in range(4)]
    tables = [detect_emotions(pictures, batch_size=o) for o in (1, 3, 256)]
    for table in tables[1:]: assert np.abs(table[CLASSES] - tables[0][CLASSES]).max().max() < 1e-5
    largest = detect_emotions(pictures, largest=True)
    assert len(largest) == 4 and largest.x.tolist() == tables[0][tables[0].face == 0].x.tolist()


def test_boxes_are_in_pixels_of_the_picture(tmp_path):
    large, exif = Image.fromarray(scene()).resize((2750, 4000)), Image.Exif()  # eight times
    exif[0x0112] = 6
    large.save(tmp_path/'large.jpg', quality=90)
    for name in ('lying.png', 'lying.jpg'): large.rotate(90, expand=True).save(tmp_path/name, exif=exif)
    box, *others = (detect_emotions(o)[[*FACE_COLUMNS[4:8]]].to_numpy()
                    for o in (large, tmp_path/'lying.png', tmp_path/'large.jpg', tmp_path/'lying.jpg'))
    assert len(box) == 1 and box[0, 2] > 800
    assert np.abs(others[0] - box).max() < 1
    for other in others[1:]: assert overlap(other[0], box[0]) > .6  # what JPEG does to the pixels moves a box


def overlap(a, b):
    "The area that two boxes (x, y, width, height) share, by the area that they cover together"
    shared = np.prod([max(min(a[i] + a[i + 2], b[i] + b[i + 2]) - max(a[i], b[i]), 0) for i in (0, 1)])
    return shared/(a[2]*a[3] + b[2]*b[3] - shared)


def test_memory_does_not_grow_with_frames():
    learn = load_emotions()
    def peak(frames):
        tracemalloc.start()
        for _ in watch((BLANK.repeat(4, 0) for _ in range(frames)), learn, batch_size=4): pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found
    peak(8)
    assert peak(120) < 1.5*peak(30)


def test_generators_are_read_lazily():
    read = []
    def frames():
        for i in range(1000):
            read.append(i)
            yield BLANK
    next(watch(frames(), load_emotions(), batch_size=1))
    assert len(read) < 20
    assert [o.frame for o in shots((BLANK for _ in range(7)), every=3)] == [0, 3, 6]


# --- the command

def test_command_lines(folder, capsys):
    assert main(['predict', str(folder), '--every', '6']) == 2
    out, err = capsys.readouterr()
    lines = [o.removeprefix(str(folder)) for o in out.splitlines()]
    assert lines[0].startswith('/a.png: ') and lines[1].startswith('/more/b.jpg face 0: ') and lines[-1] == '/wall.png: no face found'
    assert any(o.startswith('/walk.mp4 0.60 s face 1: ') for o in lines)
    assert err.count('\n') == 1 and 'broken.png cannot be read' in err


def test_command_tables(folder, capsys):
    assert main(['predict', str(folder/'more'/'b.jpg'), str(folder/'wall.png'), '--csv']) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 4 and list(rows[0]) == [*FACE_COLUMNS, *CLASSES] and rows[3]['emotion'] == rows[3]['x'] == ''
    assert main(['predict', str(folder/'more'/'b.jpg'), str(folder/'wall.png'), '--json', '--largest']) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first['emotion'] == rows[0]['emotion'] and abs(first['happy'] - float(rows[0]['happy'])) < 1e-5
    assert second['emotion'] is None and second['frame'] is None
    assert main(['predict', str(folder/'a.png'), '--json', '--csv']) == 2


def test_command_draws(folder, tmp_path, capsys):
    names = [str(folder/o) for o in ('a.png', 'walk.mp4')]
    assert main(['predict', *names, '--draw', str(tmp_path/'seen'), '--every', '4']) == 0
    assert sorted(o.name for o in (tmp_path/'seen').iterdir()) == ['a.png', 'walk.mp4']
    before, after = (np.asarray(Image.open(o).convert('RGB')) for o in (folder/'a.png', tmp_path/'seen'/'a.png'))
    assert before.shape == after.shape and (before != after).any()
    assert [o.time for o in shots(tmp_path/'seen'/'walk.mp4')] == [0, .4, .8]
    assert main(['predict', *names, '--draw', str(tmp_path/'seen')]) == 2
    assert 'is not empty' in capsys.readouterr().err
    assert main(['predict', names[0], '--draw', str(tmp_path/'seen'), '--force']) == 0


def test_command_draws_two_of_one_name(folder, tmp_path):
    assert main(['predict', str(folder/'a.png'), str(folder/'a.png'), '--draw', str(tmp_path/'seen')]) == 0
    assert sorted(o.name for o in (tmp_path/'seen').iterdir()) == ['a-2.png', 'a.png']


def test_command_reads_a_list(folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'stdin', io.StringIO(f'{folder/"a.png"}\n\n{folder/"wall.png"}\n'))
    assert main(['predict', '-', '--json']) == 0
    assert [json.loads(o)['file'] for o in capsys.readouterr().out.splitlines()] == [str(folder/'a.png'), str(folder/'wall.png')]


def test_command_in_a_pipe_that_closes(folder):
    call = [sys.executable, '-m', 'fer_teach', 'predict', *[str(folder/'wall.png')]*100]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout.readline().endswith(b'wall.png: no face found\n')
        running.stdout.close()
        said = running.stderr.read()
    assert (running.returncode, said) == (141, b'')
