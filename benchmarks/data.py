"""Times and peak memory of chapters 10 to 14, each measured in a process of its own: `python benchmarks/data.py [fer2013.zip]`.

Peak memory is what the process needed beyond what it held after its imports; this one stays small, because a child
inherits its parent's peak. Without FER2013 only drawing is measured.
"""
import json
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np


def measure_write(source, folder):
    "fer2013.csv, and its tar.gz in a zip, made from the pictures in the zip `source`"
    from fer_teach.fer2013 import CSV_EMOTIONS
    from fer_teach.readers import read_faces
    folder, faces, usage = Path(folder), read_faces(source), dict(train='Training', valid='PublicTest', test='PrivateTest')
    lines = (f'{CSV_EMOTIONS.index(faces.vocab[label])},{" ".join(map(str, pixels.ravel().tolist()))},{usage[split]}\n'
             for pixels, label, split in zip(faces.pixels, faces.labels, faces.usage))
    with open(folder/'fer2013.csv', 'w') as file:
        file.write('emotion,pixels,Usage\n')
        file.writelines(lines)
    with tarfile.open(folder/'fer2013.tar.gz', 'w:gz', compresslevel=3) as archive: archive.add(folder/'fer2013.csv', 'fer2013/fer2013.csv')
    with zipfile.ZipFile(folder/'challenge.zip', 'w') as archive: archive.write(folder/'fer2013.tar.gz', 'fer2013.tar.gz')
    return dict(images=len(faces), table=faces.pixels.nbytes)


def measure_read(path):
    from fer_teach.readers import read_faces
    faces = read_faces(path)
    return dict(images=len(faces), table=faces.pixels.nbytes)


def measure_audit(path):
    from fer_teach.readers import read_faces
    from fer_teach.auditing import audit
    faces = read_faces(path)
    start = time.perf_counter()
    found = audit(faces)
    return dict(images=len(faces), table=faces.pixels.nbytes, seconds=time.perf_counter() - start) | found.table['count'].to_dict()


def measure_planted(path):
    "600 altered copies among all different images: those found, and how many finds per planted one are of other pairs"
    from fer_teach.data import pixel_ids
    from fer_teach.readers import read_faces
    from fer_teach.auditing import near_copies, pixel_std, plant_copies
    pixels = read_faces(path).pixels
    pixels = pixels[np.unique(pixel_ids(pixels), return_index=True)[1]]
    pixels, rng = pixels[pixel_std(pixels) >= 1], np.random.default_rng(0)
    chosen = rng.choice(len(pixels), 600, replace=False)
    found = near_copies(np.concatenate([pixels, plant_copies(pixels[chosen], rng)]))
    hits = {(a, b) for a, b in zip(found['first'], found.second)} & {(a, len(pixels) + i) for i, a in enumerate(chosen)}
    return dict(images=len(pixels) + 600, table=pixels.nbytes, recall=len(hits)/600, pairs_already_there=int((found.second < len(pixels)).sum()))


def measure_draw(count):
    from fer_teach.drawn import drawn_faces
    faces = drawn_faces(int(count))
    return dict(images=len(faces), table=faces.pixels.nbytes)


def child(name, *arguments):
    "Run one measurement in this process and print it"
    import fer_teach.data
    import fer_teach.drawn  # noqa: F401
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    result = globals()[f'measure_{name}'](*arguments)
    result = dict(seconds=time.perf_counter() - start) | result
    print(json.dumps(result | dict(peak=(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)*1024)))


def report(title, name, *arguments):
    done = subprocess.run([sys.executable, __file__, '--child', name, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode: sys.exit(f'{title}: {done.stderr}')
    o = json.loads(done.stdout.splitlines()[-1])
    print(f'{title:38} {o.pop("images"):7,} images {o.pop("seconds"):6.1f} s   peak {o["peak"]/2**20:5.0f} MiB = {o.pop("peak")/o.pop("table"):.1f} x the pixels', flush=True)
    for key, value in o.items(): print(f'    {key}: {value:,}')


def main(source):
    report('draw 10,000 faces', 'draw', 10000)
    if not source: return print('name fer2013.zip, or set FER_TEACH_DATA, to measure reading and the audit')
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        report('write the CSV (not part of fer_teach)', 'write', source, folder)
        report('read the zip of pictures', 'read', source)
        report('read fer2013.csv', 'read', folder/'fer2013.csv')
        report('read the CSV in a tar.gz in a zip', 'read', folder/'challenge.zip')
    report('audit', 'audit', source)
    report('near-copies, 600 planted', 'planted', source)


if __name__ == '__main__':
    if sys.argv[1:2] == ['--child']: child(*sys.argv[2:])
    else: main(sys.argv[1] if len(sys.argv) > 1 else os.environ.get('FER_TEACH_DATA'))
