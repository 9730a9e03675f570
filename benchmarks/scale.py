"""Data larger than memory: read, train an epoch, judge, under a limit, beside the table in memory of 30,000 pictures.

`python benchmarks/scale.py [--images 400000] [--beside 30000] [--limit 4] [--folder DIR]`. The pictures are made: JPEGs of 96x96 in
colour in a zip, two classes. Each stage is a process of its own that may hold `--limit` GiB of its own memory (RLIMIT_DATA), so that the
system's cache of files is not limited and not counted: peak is the most that the stage and the processes it started held, sampled ten
times a second. Rates are of the seconds on a processor of the stage itself, since others may use the machine; those of the processes that
decode are not among them. The cache of what a stage is about to read is dropped before it. A folder that is named is kept, and goes on where it was cut off.
"""
import argparse
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import numpy as np

SIDE, BASES = 96, 4000


def make_pictures(file, count):
    "A zip of `count` JPEGs; every `BASES` of them are the same drawings with another step of brightness"
    from PIL import Image
    rng, ramp, bases = np.random.default_rng(0), np.linspace(0, 200, SIDE).astype(np.uint8), []
    for i in range(min(BASES, count)):
        noise = rng.integers(0, 56, (12, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        stream = io.BytesIO()
        Image.fromarray(noise + ramp[::1 - i % 2*2, None]).save(stream, 'JPEG', quality=90)
        bases.append(bytearray(stream.getvalue()))
    step = bases[0].index(b'\xff\xdb') + 5  # the quantisation of a block's mean
    with zipfile.ZipFile(file.with_suffix('.part'), 'w') as archive:
        for i in range(count):
            bases[i % BASES][step] = 2 + i//BASES
            archive.writestr(f'{["happy", "sad"][i % 2]}/{i:07}.jpg', bytes(bases[i % BASES]))
    os.replace(file.with_suffix('.part'), file)


# --- the stages

def network(channels, classes):
    import torch.nn as nn
    return nn.Sequential(nn.Conv2d(channels, 16, 8, 8), nn.ReLU(), nn.Conv2d(16, 32, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(32*5*5, classes))


def clocks(): return np.array([time.perf_counter(), time.process_time()])


def timed(work):
    "(what `work` gives, [seconds by the clock, seconds of this process on a processor])"
    start = clocks()
    found = work()
    return found, (clocks() - start).round(2).tolist()


def read(file, kept):
    from fer_teach import read_faces
    return timed(lambda: read_faces(file, SIDE, True, cache=kept))


def stage_read(file, kept):
    faces, seconds = read(file, kept)
    return dict(images=len(faces), seconds=seconds, table=faces.pixels.nbytes)


def stage_learn(file, kept):
    "Train an epoch and judge on the test split"
    from fer_teach.evaluation import evaluate
    from fer_teach.learner import emotion_learner, fit_recipe
    from fer_teach.recipes import Arch, Recipe
    faces, opened = read(file, kept)
    recipe = Recipe(epochs=1, augment={}, tta={}, precision='float32')
    learn = emotion_learner(faces, Arch('small', network, size=SIDE, channels=3), recipe)
    loader = learn.dls.train
    _, trained = timed(lambda: fit_recipe(learn))
    result, judged = timed(lambda: evaluate(learn, faces))
    return dict(images=len(loader)*loader.bs, opened=opened, seconds=trained, judged=judged, judged_images=len(result), accuracy=result.accuracy)


# --- measuring

def private_bytes():
    "What this process and those that it started hold by themselves; pages of files are not among it"
    total, waiting = 0, [os.getpid()]
    while waiting:
        try:
            status = Path(f'/proc/{(pid := waiting.pop())}/status').read_text()
            total += int(status.partition('RssAnon:')[2].split()[0])*1024
            for task in Path(f'/proc/{pid}/task').iterdir(): waiting += (task/'children').read_text().split()
        except (OSError, IndexError): continue  # it has ended
    return total


def child(name, limit, file, kept):
    "Run one stage in this process under the limit, and print what was measured"
    import fer_teach.learner  # noqa: F401
    import fer_teach.readers  # noqa: F401
    resource.setrlimit(resource.RLIMIT_DATA, (int(float(limit)*2**30),)*2)
    peak, done = [private_bytes()], threading.Event()
    before = peak[0]

    def sample():
        while not done.wait(.1): peak[0] = max(peak[0], private_bytes())
    thread = threading.Thread(target=sample)
    thread.start()
    try: found = globals()[f'stage_{name}'](file, kept or None)
    except MemoryError as problem: found = dict(failed=f'out of memory: {problem}')
    except RuntimeError as problem: found = dict(failed=str(problem).splitlines()[0])
    finally:
        done.set()
        thread.join()
    print(json.dumps(found | dict(before=before, peak=peak[0])))


def drop_from_cache(path):
    "What is read next comes from the disk"
    for file in [path] if path.is_file() else path.rglob('*.npy'):
        with open(file, 'rb') as stream:
            os.fsync(stream.fileno())
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def report(title, name, limit, file, kept):
    for o in (file, kept):
        if o: drop_from_cache(o)
    done = subprocess.run([sys.executable, __file__, '--child', name, str(limit), file, kept or ''], capture_output=True, text=True, check=False)
    if done.returncode: sys.exit(f'{title}: {done.stderr}')
    o = json.loads(done.stdout.splitlines()[-1])
    memory = f'peak {o["peak"]/2**20:6,.0f} MiB, of which {o["before"]/2**20:,.0f} before it began'
    if 'failed' in o: return print(f'{title:34} {memory}: {o["failed"]}', flush=True)
    def rate(images, seconds): return f'{images:8,} images in {seconds[0]:7.1f} s, of which {seconds[1]:6.1f} s on a processor: {images/seconds[1]:7,.0f} images a second'
    print(f'{title:34} {rate(o["images"], o["seconds"])}   {memory}', flush=True)
    if 'judged' in o: print(f'{"judged":>34} {rate(o["judged_images"], o["judged"])}   opened in {o["opened"][1]:.1f} s; accuracy {o["accuracy"]:.3f}', flush=True)
    if 'table' in o: print(f'{"":34} {o["table"]/2**30:8.2f} GiB of pixels', flush=True)


def main(images, beside, limit, folder):
    folder.mkdir(parents=True, exist_ok=True)
    need, free = images*(SIDE*SIDE*3 + 5000), shutil.disk_usage(folder).free
    if need > free: sys.exit(f'{folder} has room for {free/2**30:.0f} GiB, and {need/2**30:.0f} are needed: give fewer --images')
    large, small = folder/f'{images}.zip', folder/f'{beside}.zip'
    for file, count in ((large, images), (small, beside)):
        if not file.exists(): make_pictures(file, count)
    print(f'limit {limit} GiB', flush=True)
    kept = folder/'kept'
    kept.mkdir(exist_ok=True)
    report(f'{beside:,} in memory: read', 'read', limit, small, None)
    report(f'{beside:,} in memory: read, learn', 'learn', limit, small, None)
    report(f'{beside:,} on the disk: decode', 'read', limit, small, kept)
    report(f'{beside:,} on the disk: learn', 'learn', limit, small, kept)
    report(f'{images:,} on the disk: decode', 'read', limit, large, kept)
    report(f'{images:,} on the disk: open', 'read', limit, large, kept)
    report(f'{images:,} on the disk: learn', 'learn', limit, large, kept)
    report(f'{images:,} in memory: read', 'read', limit, large, None)


if __name__ == '__main__':
    if sys.argv[1:2] == ['--child']: child(*sys.argv[2:])
    else:
        parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
        parser.add_argument('--images', type=int, default=400_000)
        parser.add_argument('--beside', type=int, default=30_000)
        parser.add_argument('--limit', type=float, default=4, help='GiB')
        parser.add_argument('--folder', type=Path, help='where pictures and tables are made; a temporary one by default')
        asked = vars(parser.parse_args())
        if asked['folder']: main(**asked)
        else:
            with tempfile.TemporaryDirectory() as place: main(**asked | dict(folder=Path(place)))
