"The house: one notebook, one module; the number of a notebook is its floor; no module bears the name of a public function."
import json
import re
from pathlib import Path

import fer_teach
from fer_teach._modidx import d

ROOT = Path(__file__).parent.parent


def cells(notebook): return (''.join(o['source']) for o in json.loads(notebook.read_text(encoding='utf-8'))['cells'])


def module_of(notebook): return next((o[1] for cell in cells(notebook) if (o := re.search(r'^#\| default_exp (\w+)', cell, re.M))), None)


def rooms():
    "(floor, notebook, module) of every notebook that exports one"
    return [(o.name.partition('_')[0], o, module_of(o)) for o in sorted((ROOT/'nbs').rglob('[0-9]*.ipynb')) if module_of(o)]


def test_one_notebook_one_module():
    modules = [module for *_, module in rooms()]
    assert len(modules) == len(set(modules)) > 20
    written = {o.stem for o in (ROOT/'fer_teach').glob('*.py')} - {'all'}
    assert {o for o in written if not o.startswith('_')} == set(modules)


def test_imports_run_down_the_floors():
    floors, wrong = {module: floor for floor, _, module in rooms()}, []
    for floor, notebook, module in rooms():
        for cell in filter(lambda o: re.search(r'^#\| ?export[is]?$', o, re.M), cells(notebook)):
            wrong += [(notebook.name, o) for o in re.findall(r'^from fer_teach\.(\w+) import', cell, re.M) if floors[o] >= floor]
    assert wrong == []


def test_no_module_bears_the_name_of_a_public_name():
    public = {name for module, symbols in d['syms'].items() for name in (o.removeprefix(f'{module}.') for o in symbols) if '.' not in name}
    assert public & {module for *_, module in rooms()} == set()
    assert callable(fer_teach.audit) and callable(fer_teach.load_emotions)
