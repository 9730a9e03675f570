"""Data larger than memory: read, train an epoch, judge, under a limit, beside the table in memory of 30,000 pictures.

`python benchmarks/scale.py [--images 400000] [--beside 30000] [--limit 4] [--folder DIR] [--out nbs/scale.csv]`. The pictures are made:
JPEGs of 96x96 in colour in a zip, two classes. Each stage is a process of its own, of which no process may hold more than `--limit` GiB of
its own memory (RLIMIT_DATA). This process watches it ten times a second: what it and the processes that it started hold by themselves, and
with it the pages of the zip and of the tables that the system keeps. Where both together come near the limit, all those pages are taken
away from the stage and from the system, on Linux and as root, as a machine of that memory would have to take some. Rates are given by the
clock and by the seconds of the stage itself on a processor, since others may use the machine; those of the processes that decode are not
among the latter. What a stage is about to read comes from the disk. A folder that is
named is kept, and stages whose rows stand in `--out` are not run again.
"""
import argparse
import ctypes
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

SIDE, BASES = 96, 4000
NEAR = 2**30  # bytes below the limit at which pages of files are let go: no disk brings more between two looks


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


# --- memory

def processes_of(pid):
    "`pid` and those that it started"
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        try:
            for task in Path(f'/proc/{found[-1]}/task').iterdir(): waiting += map(int, (task/'children').read_text().split())
        except OSError: continue  # it has ended
    return found


def private_bytes(pid):
    "What `pid` and those that it started hold by themselves; pages of files are not among it"
    total = 0
    for one in processes_of(pid):
        try: total += int(Path(f'/proc/{one}/status').read_text().partition('RssAnon:')[2].split()[0])*1024
        except (OSError, IndexError): continue  # it has ended
    return total


LIBC = ctypes.CDLL(None, use_errno=True)
CACHESTAT, PROCESS_MADVISE, PAGEOUT = 451, 440, 21  # numbers of Linux


def cached_bytes(file):
    "What the system keeps of `file` in memory"
    whole, found = (ctypes.c_uint64*2)(0, 0), (ctypes.c_uint64*5)()
    with open(file, 'rb') as stream:
        if LIBC.syscall(CACHESTAT, stream.fileno(), whole, found, 0): raise OSError(ctypes.get_errno(), 'cachestat')
    return found[0]*os.sysconf('SC_PAGE_SIZE')


def files_of(places):
    "The files whose pages count: zips, and all tables in a folder, those that are being written too"
    return [file for o in places for file in ([o] if o.is_file() else o.rglob('*.npy'))]


def take_away(file, pid):
    "No page of `file` stays in the memory of `pid`, nor in that of the system; what is written is sent to the disk, and goes next time"
    maps = (o.split() for o in Path(f'/proc/{pid}/maps').read_text().splitlines() if o.endswith(str(file)))
    for start, end in ((int(o, 16) for o in row[0].split('-')) for row in maps):
        pidfd = os.pidfd_open(pid)
        for begin in range(start, end, 2**30):  # one call takes no more than 2 GiB
            place = (ctypes.c_uint64*2)(begin, min(2**30, end - begin))
            LIBC.syscall(PROCESS_MADVISE, pidfd, place, 1, PAGEOUT, 0)
        os.close(pidfd)
    let_go(file)


def let_go(file, whole=False):
    "What is read next of `file` comes from the disk, as far as it is there, or the `whole` of it"
    with open(file, 'rb') as stream:
        if whole: os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def watch(process, places, limit):
    "{own: most bytes that the process held by itself, all: with pages of files, taken: how often they were taken away}"
    own, both, taken, looks = 0, 0, 0, 0
    while process.poll() is None:
        held = private_bytes(process.pid)
        own, looks = max(own, held), looks + 1
        if looks % 3 == 0:  # it takes longer
            try:
                held += sum(map(cached_bytes, files_of(places)))
                if held > limit - NEAR:
                    for file in files_of(places): take_away(file, process.pid)
                    taken += 1
            except OSError: pass  # a table was moved to its place, or the process has ended
            both = max(both, held)
        time.sleep(.1)
    return dict(own=own, all=max(own, both), taken=taken)


# --- measuring

def child(name, limit, file, kept):
    "Run one stage in this process under the limit, and print what was measured"
    import fer_teach.learner  # noqa: F401
    import fer_teach.readers  # noqa: F401
    resource.setrlimit(resource.RLIMIT_DATA, (int(float(limit)*2**30),)*2)
    before = private_bytes(os.getpid())
    try: found = globals()[f'stage_{name}'](file, kept or None)
    except MemoryError as problem: found = dict(failed=f'out of memory: {problem}')
    except RuntimeError as problem: found = dict(failed=str(problem).splitlines()[0])
    print(json.dumps(found | dict(before=before)))


def measured(name, limit, file, kept):
    "What a stage tells, and what its process held meanwhile"
    places = [o for o in (file, kept) if o]
    for o in files_of(places): let_go(o, whole=True)
    with tempfile.TemporaryFile('w+') as said, tempfile.TemporaryFile('w+') as errors:
        process = subprocess.Popen([sys.executable, __file__, '--child', name, str(limit), file, kept or ''], stdout=said, stderr=errors)
        memory = watch(process, places, limit*2**30)
        for o in (said, errors): o.seek(0)
        if process.returncode: sys.exit(f'{name} of {file}: {errors.read()}')
        return json.loads(said.read().splitlines()[-1]) | memory


def rows_of(images, where, stage, o):
    "A row of the table for each part of a stage"
    memory = {f'{name}_mib': round(o[name]/2**20) for name in ('before', 'own', 'all')} | dict(pages_taken_away=o['taken'])
    parts = [(stage, o.get('images', 0), o.get('seconds'))]
    if 'judged' in o: parts += [('judge', o['judged_images'], o['judged'])]
    if where == 'disk' and 'opened' in o: parts.insert(0, ('open', images, o['opened']))
    for part, count, seconds in parts:
        clock, processor = seconds or (None, None)
        rates = dict(seconds=clock, processor_seconds=processor, per_second=clock and round(count/clock), per_processor_second=processor and round(count/processor))
        yield dict(pictures=images, where=where, stage=part, images=count) | rates | memory | dict(note=o.get('failed', ''))


def written(out):
    "The rows that an earlier call has measured"
    return pd.read_csv(out).to_dict('records') if out and out.exists() else []


def main(images, beside, limit, folder, out):
    folder.mkdir(parents=True, exist_ok=True)
    need, free = images*(SIDE*SIDE*3 + 5000), shutil.disk_usage(folder).free
    if need > free: sys.exit(f'{folder} has room for {free/2**30:.0f} GiB, and {need/2**30:.0f} are needed: give fewer --images')
    large, small = folder/f'{images}.zip', folder/f'{beside}.zip'
    for file, count in ((large, images), (small, beside)):
        if not file.exists(): make_pictures(file, count)
    cached_bytes(large)  # fails where it cannot be asked
    rows = written(out)
    for file, count, where, stage, name in (
            (small, beside, 'memory', 'read', 'read'), (small, beside, 'memory', 'train', 'learn'),
            (small, beside, 'disk', 'decode', 'read'), (small, beside, 'disk', 'train', 'learn'),
            (large, images, 'disk', 'decode', 'read'), (large, images, 'disk', 'train', 'learn'), (large, images, 'memory', 'read', 'read')):
        if any((o['limit_gib'], o['pictures'], o['where'], o['stage']) == (limit, count, where, stage) for o in rows): continue
        kept = folder/f'kept-{count}' if where == 'disk' else None
        if stage == 'decode': shutil.rmtree(kept, ignore_errors=True)
        if kept: kept.mkdir(exist_ok=True)
        new = [dict(limit_gib=limit) | o for o in rows_of(count, where, stage, measured(name, limit, file, kept))]
        for row in new: print(', '.join(f'{key} {value}' for key, value in row.items() if value not in (None, '')), flush=True)
        rows += new
        if out: pd.DataFrame(rows).to_csv(out, index=False)


if __name__ == '__main__':
    if sys.argv[1:2] == ['--child']: child(*sys.argv[2:])
    else:
        parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
        parser.add_argument('--images', type=int, default=400_000)
        parser.add_argument('--beside', type=int, default=30_000)
        parser.add_argument('--limit', type=float, default=4, help='GiB')
        parser.add_argument('--folder', type=Path, help='where pictures and tables are made; a temporary one by default')
        parser.add_argument('--out', type=Path, help='a CSV of what was measured')
        asked = vars(parser.parse_args())
        if asked['folder']: main(**asked)
        else:
            with tempfile.TemporaryDirectory() as place: main(**asked | dict(folder=Path(place)))
