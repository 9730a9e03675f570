"Data larger than memory: under a limit that the table in memory breaks, the table on the disk is read, split, trained on, judged and audited."
import importlib.util
import io
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn as nn
from PIL import Image

from fer_teach import batches, cache, files
from fer_teach.auditing import audit
from fer_teach.core import FaceError
from fer_teach.data import data_fingerprint
from fer_teach.drawn import drawn_faces
from fer_teach.evaluation import evaluate
from fer_teach.fer2013 import CSV_EMOTIONS
from fer_teach.leaderboard import read_leaderboard
from fer_teach.learner import _bfloat16, face_loaders, train
from fer_teach.readers import read_faces
from fer_teach.recipes import Arch, Recipe


def tiny_network(channels, classes): return nn.Sequential(nn.Conv2d(channels, 8, 9, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, classes))


def tiny(size, **more): return Arch('tiny', tiny_network, size=size, channels=3, recipes=dict(default=Recipe(epochs=1, tta={}, **more)))


def as_jpeg(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, 'JPEG')
    return stream.getvalue()


def write_zip(file, count, size):
    "`count` pictures of two classes, one bright at the left and one at the right"
    rng, ramp = np.random.default_rng(0), np.linspace(0, 200, size).astype(np.uint8)
    with zipfile.ZipFile(file, 'w') as archive:
        for i in range(count):
            noise = rng.integers(0, 56, (8, 8, 3), np.uint8).repeat(size//8, 0).repeat(size//8, 1)
            archive.writestr(f'{["happy", "sad"][i % 2]}/{i:05}.jpg', as_jpeg(noise + ramp[::1 - i % 2*2, None]))


# --- the same faces

@pytest.fixture(scope='module')
def both(tmp_path_factory):
    "(faces in memory, faces on the disk) of one folder, its FER+ votes and a broken file included"
    folder, drawn = tmp_path_factory.mktemp('drawn'), drawn_faces(210, rgb=True)
    for i, (pixels, name) in enumerate(zip(drawn.pixels, drawn.names)):
        (folder/'faces'/name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder/'faces'/name/f'{i}.png')
    (folder/'faces'/'sad'/'broken.png').write_bytes(b'no picture')
    path = folder/'faces'
    return read_faces(path, rgb=True), read_faces(path, rgb=True, cache=folder/'kept'), path


def test_same_faces(both):
    here, there, _ = both
    assert type(there.pixels) is cache.MappedPixels and data_fingerprint(here) == data_fingerprint(there)
    assert here.skipped == there.skipped and (here.source == there.source).all() and len(here.skipped) == 1
    for change in (lambda o: o.reduce(2), lambda o: o.split('train'), lambda o: o.undersample(5), lambda o: o.drop_duplicates(), lambda o: o[::3]):
        assert type(change(there).pixels) is cache.MappedPixels and data_fingerprint(change(here)) == data_fingerprint(change(there))
    assert (here.copied_from() == there.copied_from()).all()
    assert (audit(here).table == audit(there).table).all(axis=None)
    there.show(3)
    there.plot_embedding()


def test_same_training(both):
    first, second = (train(o, tiny(48), seed=1) for o in both[:2])
    assert (first.result.probabilities == second.result.probabilities).all() and (first.seen == second.seen).all()
    assert evaluate(second, both[0]).accuracy == first.result.accuracy


def test_tables_and_archives(both, tmp_path, monkeypatch):
    "A CSV, and a tar that has an order of its own; what is in processes of its own comes back in order"
    here, _, path = both
    rows = ''.join(f'{CSV_EMOTIONS.index(name)},{" ".join(map(str, o[..., 0].ravel()))}\n' for o, name in zip(here.pixels[:20], here.names))
    (tmp_path/'faces.csv').write_text('emotion,pixels\n' + rows)
    subprocess.run(['tar', 'cf', tmp_path/'faces.tar', '-C', path, 'surprise', 'happy', 'fear', 'angry', 'disgust', 'neutral', 'sad'], check=True)
    monkeypatch.setattr(cache, 'PARALLEL', 100)
    for file in ('faces.csv', 'faces.tar'):
        plain, kept, again = (read_faces(tmp_path/file, cache=o) for o in (None, tmp_path/'kept', tmp_path/'kept'))
        assert data_fingerprint(plain) == data_fingerprint(kept) == data_fingerprint(again)
        assert (plain.source == kept.source).all() and plain.skipped == again.skipped


def test_limits_are_higher(both, tmp_path, monkeypatch):
    monkeypatch.setattr(files, 'MAX_FILES', 100)
    with pytest.raises(FaceError, match='more than 100 files'): read_faces(both[2])
    assert len(read_faces(both[2], cache=tmp_path)) == 210


def test_no_room(both, tmp_path):
    "Too large a table for the disk is one sentence, and nothing of it stays"
    code = ('import resource, sys; from fer_teach import read_faces; resource.setrlimit(resource.RLIMIT_FSIZE, (10**5,)*2)\n'
            'try: read_faces(sys.argv[1], rgb=True, cache=sys.argv[2])\nexcept ValueError as problem: print(problem)')
    done = subprocess.run([sys.executable, '-c', code, both[2], tmp_path], capture_output=True, text=True, check=True)
    assert 'could not be written' in done.stdout and done.stdout.count('\n') == 1 and not [o for o in tmp_path.iterdir() if o.is_dir()]


# --- under a limit

def private_memory():
    "Bytes that the process holds by itself, which is what RLIMIT_DATA limits: no page of a file is among them"
    return int(Path('/proc/self/status').read_text().partition('VmData:')[2].split()[0])*1024


def learn_within(file, kept, room):
    "Read, train and judge with so many bytes of `room` beyond what a small set takes"
    network = tiny(160, augment={}, batch_size=32)
    train(read_faces(f'{file}.small', 160, True, cache=kept), network)
    limit = private_memory() + room
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    faces = read_faces(file, 160, True, cache=kept)
    learn = train(faces.reduce(['happy', 'sad']), network)
    print('judged', len(learn.result), learn.result.accuracy)


@pytest.mark.skipif(not Path('/proc/self/status').exists(), reason='this system does not tell how much memory a process holds')
def test_under_a_limit(tmp_path):
    "2,000 pictures are 154 MB, of which the table in memory holds three; 300 MB of room hold the batches of the one on the disk"
    write_zip(tmp_path/'faces.zip', 2000, 160)
    write_zip(tmp_path/'faces.zip.small', 200, 160)
    code = 'import sys; from tests.test_scale import learn_within; learn_within(sys.argv[1], sys.argv[2] or None, 3*10**8)'
    def within(kept): return subprocess.run([sys.executable, '-c', code, tmp_path/'faces.zip', kept], cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False)
    mapped, plain = within(tmp_path/'kept'), within('')
    assert mapped.returncode == 0, mapped.stderr
    assert 'judged 200 ' in mapped.stdout and float(mapped.stdout.split()[-1]) > .9
    assert plain.returncode and 'emory' in plain.stderr


# --- where there is a graphics card

def test_paths_of_a_graphics_card(both, monkeypatch):
    "The table lies on a card with room, and nowhere else; bfloat16 is chosen where the card has it; a stand-in, since CI has no card"
    here, there, _ = both
    card = torch.device('meta')
    monkeypatch.setattr(batches, '_room_on', lambda device: 10**9 if device == card else 0)
    assert batches.PixelTable(here).on(card).x.device == card and batches.PixelTable(here).on(torch.device('cpu')).x.device.type == 'cpu'
    assert isinstance(batches.PixelTable(there).on(card).x, batches.MappedImages)
    assert all(o.dataset.x.device == card for o in face_loaders(here, tiny(48), device=card))
    monkeypatch.setattr(batches, '_room_on', lambda device: 10**4)
    assert batches.PixelTable(here).on(card).x.device.type == 'cpu'
    for has in (True, False):
        monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda including_emulation: has)
        assert _bfloat16(Recipe(), torch.device('cuda'), torch.nn.Identity()) == has


def test_everything_in_order(monkeypatch):
    "The longest training first; what is judged on coarser classes belongs to its training"
    spec = importlib.util.spec_from_file_location('everything', Path(__file__).parent.parent/'benchmarks'/'everything.py')
    everything = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(everything)
    jobs = everything.jobs_of(read_leaderboard())
    assert jobs.seconds.is_monotonic_decreasing and not jobs.duplicated(everything.KEY).any() and (jobs.trained_on == '').all()
    assert any(jobs.judge) and any(not o for o in jobs.judge)
    line = everything.command_of(next(jobs[jobs.judge.astype(bool)].itertuples()), 'fer2013', Path('there'))
    assert line[3] == 'benchmark' and ',' in line[line.index('--judge') + 1] and ' ' not in line[line.index('--classes') + 1]
    job = next(jobs.itertuples())
    assert everything.run(job, 'no/such', Path('there'), 1) == ('not run', f'it took {job.seconds:,} s where it was measured, and 1 s are left')
    assert everything.took(job._replace(seconds=0)) == 'how long it takes was not noted'
    for code, why in ((0, ''), (2, 'no/such does not exist: check the path'), (-9, 'ended by signal 9, which for 9 means that memory was short')):
        done = subprocess.CompletedProcess([], code, stderr=f'a warning\nfer_teach: {why}\n')
        monkeypatch.setattr(everything.subprocess, 'run', lambda *args, **kwargs: done)
        assert everything.run(job, 'no/such', Path('there'), 10**6) == ('failed' if code else 'measured', why)
