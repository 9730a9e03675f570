"Random archives, tables, YOLO labels and pictures for the readers: python benchmarks/fuzz.py --cases 5000"
import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from fer_teach.core import FaceError, shown
from fer_teach.readers import read_faces

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.test_data import png, table, tarred, written, yolo, zipped

WORDS = [b'\0', b'\xff\xfe', b'"', b'\n', b',', b'[', b'{', b'*a', b'&a ', b'<<: ', b'!!int ', b'1e400', b'inf', b'-1', b'9'*5000, b'../']


def begin(rng):
    "A sound data set as (name, bytes): a table, an archive of pictures or labels, or a folder"
    pictures = {f'{name}/{i}.png': png() for name in ('happy', 'sad') for i in range(3)}
    kind = rng.choice(['csv', 'zip', 'tar', 'tgz', 'yolo', 'folder'])
    if kind == 'csv': return {'f.csv': table(rows=3)}
    if kind == 'yolo': return yolo()
    if kind == 'folder': return pictures
    return {f'a.{kind}': dict(zip=zipped, tar=lambda o: tarred(o, 'w'), tgz=tarred)[kind](pictures)}


def spoil(content, rng):
    "`content` with a piece cut out, doubled, or replaced by something odd"
    content = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at, n = rng.randint(0, len(content)), rng.choice([0, 1, 1, 8, 100])
        content[at:at + n] = rng.choice([b'', bytes([rng.randint(0, 255)]), rng.choice(WORDS), bytes(content[at:at + n])*2])
    return bytes(content)


def case(seed):
    "What reading the data set of `seed` ends in: 'read' or 'refused'; anything else is raised"
    rng = random.Random(seed)
    files = begin(rng)
    name = rng.choice([*files, *(o for o in files if not o.endswith('.png'))])
    files[name] = spoil(files[name], rng)
    with tempfile.TemporaryDirectory() as folder:
        written(Path(folder), files)
        try: faces = read_faces(Path(folder))
        except FaceError as problem:
            assert str(problem) == shown(problem)
            return 'refused'
    assert all(o == shown(o) for o in faces.source)
    return 'read'


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--cases', type=int, default=5000)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    start, ends = time.time(), dict(read=0, refused=0, failed=0)
    for seed in range(args.seed, args.seed + args.cases):
        try: ends[case(seed)] += 1
        except Exception as problem:
            ends['failed'] += 1
            print(f'seed {seed}: {type(problem).__name__}: {shown(problem)[:200]}')
    print(ends, f'in {time.time() - start:.0f} s')
    sys.exit(ends['failed'] > 0)
