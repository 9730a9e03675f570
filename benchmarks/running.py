"""How long each chapter runs, and in how much memory: its teacher's copy, in which every exercise is solved; writes nbs/running.csv.

`python benchmarks/running.py [--chapter 20 24] [--keep DIR]`. Each copy runs from top to bottom in a kernel of its own on one
thread, and its figures are drawn. Seconds are of processor time with the start of Python and Jupyter, so what else the machine does
hardly counts. A chapter that fails ends the run with its error. `--keep` keeps the executed copies, to look at. `python tools/readme.py`
then writes the teachers' table.
"""
import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

FILE = Path(__file__).parents[1]/'nbs/running.csv'


def processor() -> str:
    about = Path('/proc/cpuinfo')
    named = re.search(r'model name\s*:\s*(.+)', about.read_text()) if about.exists() else None
    return named[1] if named else platform.processor() or platform.machine()


def run(file: Path, out: Path) -> dict:
    "Execute one copy into `out`; seconds of processor time and the most memory of one process, in MB"
    command = [sys.executable, '-m', 'nbconvert', '--log-level=ERROR', '--execute', '--to', 'notebook', '--output-dir', str(out), str(file)]
    student = {name: o for name, o in os.environ.items() if name not in ('FER_TEACH_DATA', 'MPLBACKEND')}  # who has drawn faces, and sees figures
    running = subprocess.Popen(command, env=student | dict(OMP_NUM_THREADS='1'))
    _, status, used = os.wait4(running.pid, 0)
    if status: sys.exit(f'{file.stem} failed: its error stands above')
    return dict(seconds=round(used.ru_utime + used.ru_stime), megabytes=round(used.ru_maxrss/1024, -1))


def main(chapter, keep):
    from fer_teach.copies import write_course
    rows = {o['chapter']: o for o in pd.read_csv(FILE).to_dict('records')} if FILE.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        written = sorted(Path(folder)/o for o in write_course(folder, chapter, 'solutions') if o != 'index.ipynb')
        for file in written:
            measured = run(file, Path(keep or folder).resolve())
            rows[file.stem] = dict(chapter=file.stem, **measured, processor=processor())
            print(f'{file.stem:24}{measured["seconds"]:6} s{measured["megabytes"]:8.0f} MB', flush=True)
            pd.DataFrame(rows.values()).astype(dict(megabytes=int)).sort_values('chapter').to_csv(FILE, index=False)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--chapter', nargs='+', default=[])
    parser.add_argument('--keep', metavar='DIR', help='keep the executed copies here')
    main(**vars(parser.parse_args()))
