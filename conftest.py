"Every code cell of every notebook is a test of its own: `pytest -k 10_data` runs one notebook, `-k read-faces` one cell."
import os
import re
from contextlib import chdir
from itertools import takewhile

import pytest

os.environ.setdefault('OMP_NUM_THREADS', '1')  # one worker per core, one thread per worker; read when torch is imported


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

    def runtest(self):
        if self.parent.shell is None: self.parent.start()
        for item in takewhile(lambda o: o is not self, self.parent.items):
            if item.state == 'failed': pytest.skip(f'{item.name} failed before')
            if item.state == 'new': item.execute()
        self.execute()

    def execute(self):
        shell, before = self.parent.shell, os.environ.get('IN_TEST')
        os.environ['IN_TEST'] = '1'
        try:
            with chdir(self.path.parent): shell.run(self.source)
        finally: os.environ.pop('IN_TEST') if before is None else os.environ.update(IN_TEST=before)
        self.state = 'failed' if shell.exc else 'passed'
        if shell.exc: raise CellFailed(f'{self.path.name}: {self.name}\n\n{self.source}\n\n{shell.prettytb(self.path.name)}')

    def repr_failure(self, excinfo): return str(excinfo.value) if excinfo.errisinstance(CellFailed) else super().repr_failure(excinfo)
    def reportinfo(self): return self.path, 0, f'{self.path.stem}::{self.name}'


class CellFailed(Exception):
    "A cell raised an exception"
