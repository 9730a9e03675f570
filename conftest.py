"""Every code cell of every notebook is a test of its own: `pytest -k 10_data` runs one notebook, `-k read-faces` one cell.
So is every answer to an exercise that is not right, where the exercise stands: `-k confusion-by-hand`.

`pytest --shake K` runs the tests as they would run elsewhere: by other seeds, with one thread or two, in float32 or bfloat16.
"""
import logging
import os
import random
import re
import shutil
import time
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
    own = callbacks.fast_bfloat16
    rough = k % 3 == 0 and 'ONEDNN_MAX_CPU_ISA' not in os.environ  # below AVX-512 bfloat16 is emulated, which no run would choose
    callbacks.fast_bfloat16 = lambda device: rough if device.type == 'cpu' else own(device)  # before the learner imports it


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
        from fer_teach.course import mark_of, read_exercises
        notebook = read_nb(self.path)
        exercises = {o.name: o for o in read_exercises(notebook, self.path.stem)}
        heading, self.items = 'top', []
        for cell in notebook.cells:
            role, name, _ = mark_of(cell) or ('', '', '')
            if role == 'stub': self.items += ExerciseItem.cases(self, exercises[name])
            if cell.cell_type == 'markdown':
                title = re.match(r'#+ (.+)', cell.source)
                if title: heading = re.sub(r'\W+', '-', title[1].lower()).strip('-')
            elif cell.id in runnable and role != 'wrong':
                self.items.append(CellItem.from_parent(self, name=f'{heading}/{cell.id}', source=cell.source))
        return self.items

    def start(self):
        from execnb.shell import CaptureShell
        self.shell = CaptureShell(self.path, mpl_format='svg')

    def run_before(self, last):
        "Run the cells before the item `last` that have not run yet"
        if self.shell is None: self.start()
        for item in takewhile(lambda o: o is not last, self.items):
            if item.state == 'failed': pytest.skip(f'{item.name} failed before')
            if item.state == 'new': item.execute()

    def teardown(self):
        if self.shell is None: return
        self.shell.close()
        logging.getLogger('fer_teach').setLevel(logging.INFO)  # some chapters want no line per epoch
        self.shell = None


class CellItem(pytest.Item):
    "One cell; the cells before it that have not run yet run first"
    def __init__(self, *, source, **kwargs):
        super().__init__(**kwargs)
        self.source, self.state = source, 'new'
        if PINNED.search(source): self.add_marker('pinned')

    def runtest(self):
        self.parent.run_before(self)
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


# --- exercises

def lines_of(source):
    "The lines of code in `source`, without blanks and comments; too short ones say nothing"
    lines = (re.sub(r'\s+', '', line.partition('#')[0]) for line in source.splitlines())
    return {o for o in lines if len(o) >= 12}


def secret_lines(exercise):
    "The lines of its solution that its statement, stub and hints do not show"
    told = '\n'.join(text for role in ('exercise', 'stub', 'hints') for text in exercise.sources[role])
    return {o for text in exercise.sources['solution'] for o in lines_of(text)} - lines_of(told)


@pytest.fixture(scope='session')
def secrets():
    "{exercise: lines that its solution holds, and no cell of the course or the library that everybody may read}"
    import json
    from pathlib import Path

    from fer_teach.course import exercises, mark_of, source_of
    notebooks = (json.loads(o.read_text(encoding='utf-8')) for o in (Path(__file__).parent/'nbs').rglob('*.ipynb'))
    cells = [cell for notebook in notebooks for cell in notebook['cells']]
    taught = [source_of(o) for o in cells if (mark_of(o) or ('stub',))[0] in ('exercise', 'stub', 'hints')]
    return {o.name: secret_lines(o) - lines_of('\n'.join(taught)) for o in exercises().values() if o.level != 'open'}


class ExerciseItem(pytest.Item):
    "An answer that is not right, judged in what the notebook holds before the exercise: the stub, or a typical wrong one"
    state = 'passed'  # runs for itself only, not for the cells after it

    def __init__(self, *, exercise, answer, words, **kwargs):
        super().__init__(**kwargs)
        self.exercise, self.answer, self.words = exercise, answer, words

    @classmethod
    def cases(cls, parent, exercise):
        "The stub and each wrong answer of `exercise`"
        wrong = zip(exercise.sources['wrong'], exercise.words)
        answers = [('stub', exercise.sources['stub'][0], None), *((f'wrong-{i}', *o) for i, o in enumerate(wrong, 1))]
        return [cls.from_parent(parent, name=f'{exercise.name}/{case}', exercise=exercise, answer=answer, words=words)
                for case, answer, words in answers]

    def runtest(self):
        from fer_teach.course import Wrong, judge, stored_check
        self.parent.run_before(self)
        space = self.parent.shell.user_ns | dict(Wrong=Wrong)
        with chdir(self.path.parent):
            exec(compile(self.answer, self.name, 'exec'), space)
            began = time.process_time()
            outcome = judge(stored_check(self.exercise, space), space)
            seconds = time.process_time() - began
        assert seconds < 2, f'a check must take less than two seconds, not {seconds:.1f}'
        self.compare(outcome)

    def compare(self, outcome):
        if self.words is None: assert outcome.said == 'not attempted', outcome
        else:
            assert outcome.said == 'wrong' and self.words in outcome.message, outcome
            message = re.sub(r'\s+', '', outcome.message)
            assert not [o for o in secret_lines(self.exercise) if o in message], f'the answer stands in: {outcome}'

    def repr_failure(self, excinfo): return f'{self.answer}\n\n{excinfo.getrepr(style="short")}'
    def reportinfo(self): return self.path, 0, f'{self.path.stem}::{self.name}'
