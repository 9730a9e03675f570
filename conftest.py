"""Every code cell of every notebook is a test of its own: `pytest -k 10_data` runs one notebook, `-k read-faces` one cell.

`pytest --shake K` runs the tests as they would run elsewhere: by other seeds, with one thread or two, in float32 or bfloat16.
"""
import os
import random
import re
import shutil
from contextlib import chdir
from itertools import takewhile

import pytest

os.environ.setdefault('OMP_NUM_THREADS', '1')  # one worker per core, one thread per worker; read when torch is imported
PINNED = re.compile(r'^#\s*\|\s*pinned\s*$', re.M)
BROWSER_MISSING = 'chromium is not installed'


def pytest_addoption(parser):
    parser.addoption('--shake', type=int, default=0, metavar='K', help='run by other seeds, threads and precision; 0 is the plain suite')


def pytest_configure(config):
    config.addinivalue_line('markers', 'pinned: holds for seed 0 only, so it is left out when the suite is shaken')
    if shake := config.getoption('shake'): shake_all(shake)


def pytest_collection_modifyitems(config, items):
    if not config.getoption('shake'): return
    for item in items:
        if item.get_closest_marker('pinned') and not isinstance(item, CellItem): item.add_marker(pytest.mark.skip('pinned to seed 0'))


def pytest_terminal_summary(terminalreporter):
    reasons = [str(o.longrepr) for o in terminalreporter.stats.get('skipped', [])]
    if any(BROWSER_MISSING in o for o in reasons): terminalreporter.write_line(f'browser tests were skipped: {BROWSER_MISSING}')


@pytest.fixture(scope='session')
def chromium():
    "The browser's program; without it the tests that need one are skipped, and the last line says so"
    names = (os.environ.get('CHROMIUM'), 'chromium', 'chromium-browser', 'google-chrome')
    found = next(filter(None, (shutil.which(o) for o in names if o)), None)
    if found is None and os.environ.get('CI') == 'true': pytest.fail('CI must have Chromium: apt-get install chromium')
    if found is None: pytest.skip(BROWSER_MISSING)
    return found


# --- elsewhere: other seeds, threads and precision

def shake_all(k):
    "Shift every seed where it enters, so that equal seeds stay equal; set threads and precision"
    os.environ['OMP_NUM_THREADS'] = '1' if k % 2 else '2'  # for the processes that tests start; before torch is imported
    shift_seeds(1000*k)
    import torch

    from fer_teach import callbacks
    torch.set_num_threads(1 if k % 2 else 2)
    callbacks.fast_bfloat16 = lambda device: k % 3 == 0  # before the learner imports it; only `precision='auto'` asks


def shift_seeds(by):
    "numpy's, torch's and Python's generators of a given seed become those of another"
    import numpy as np
    import torch

    def other(seed):
        if isinstance(seed, (list, tuple)): return [other(seed[0]), *seed[1:]]
        return int(seed) + by if isinstance(seed, (int, np.integer)) else seed

    def shifted(function): return lambda seed=None, *args, **kwargs: function(other(seed), *args, **kwargs)

    legacy = np.random.RandomState

    class AlsoLegacy(type):
        def __instancecheck__(cls, instance): return isinstance(instance, legacy)

    class RandomState(legacy, metaclass=AlsoLegacy):  # scikit-learn makes one of each `random_state`
        def __init__(self, seed=None): super().__init__(other(seed))

    class Generator(torch.Generator):
        def manual_seed(self, seed): return super().manual_seed(other(seed))

    np.random.default_rng, np.random.seed = shifted(np.random.default_rng), shifted(np.random.seed)
    np.random.RandomState, torch.Generator = RandomState, Generator
    torch.manual_seed = torch.random.manual_seed = shifted(torch.manual_seed)
    random.seed = shifted(random.seed)


# --- notebooks

def pytest_collect_file(file_path, parent):
    hidden = any(part.startswith(('.', '_')) for part in file_path.relative_to(parent.config.rootpath).parts)
    if file_path.suffix == '.ipynb' and not hidden: return NotebookFile.from_parent(parent, path=file_path)


class NotebookFile(pytest.File):
    "One notebook: its cells share one shell, in the notebook's folder"
    shell = None

    def collect(self):
        from fastcore.nbio import read_nb
        from nbdev.test import nb_test_cells
        runnable = {cell.id for cell in nb_test_cells(self.path)}
        heading, self.items = 'top', []
        for cell in read_nb(self.path).cells:
            if cell.cell_type == 'markdown':
                title = re.match(r'#+ (.+)', cell.source)
                if title: heading = re.sub(r'\W+', '-', title[1].lower()).strip('-')
            elif cell.id in runnable:
                self.items.append(CellItem.from_parent(self, name=f'{heading}/{cell.id}', source=cell.source))
        return self.items

    def start(self):
        from execnb.shell import CaptureShell
        self.shell = CaptureShell(self.path, mpl_format='svg')

    def teardown(self):
        if self.shell is not None: self.shell.close()
        self.shell = None


class CellItem(pytest.Item):
    "One cell; the cells before it that have not run yet run first"
    def __init__(self, *, source, **kwargs):
        super().__init__(**kwargs)
        self.source, self.state = source, 'new'
        if PINNED.search(source): self.add_marker('pinned')

    def runtest(self):
        if self.parent.shell is None: self.parent.start()
        for item in takewhile(lambda o: o is not self, self.parent.items):
            if item.state == 'failed': pytest.skip(f'{item.name} failed before')
            if item.state == 'new': item.execute()
        self.execute()
        if self.state == 'excused': pytest.skip('pinned to seed 0')

    def execute(self):
        shell, before = self.parent.shell, os.environ.get('IN_TEST')
        os.environ['IN_TEST'] = '1'
        try:
            with chdir(self.path.parent): shell.run(self.source)
        finally: os.environ.pop('IN_TEST') if before is None else os.environ.update(IN_TEST=before)
        self.state = self.judge(shell.exc)
        if self.state == 'failed': raise CellFailed(f'{self.path.name}: {self.name}\n\n{self.source}\n\n{shell.prettytb(self.path.name)}')

    def judge(self, problem):
        "A pinned cell runs under every shake, since later cells may need it; only its assertions, which come last, are excused"
        if not problem: return 'passed'
        shaken = self.config.getoption('shake') and self.get_closest_marker('pinned')
        return 'excused' if shaken and isinstance(problem, AssertionError) else 'failed'

    def repr_failure(self, excinfo): return str(excinfo.value) if excinfo.errisinstance(CellFailed) else super().repr_failure(excinfo)
    def reportinfo(self): return self.path, 0, f'{self.path.stem}::{self.name}'


class CellFailed(Exception):
    "A cell raised an exception"
