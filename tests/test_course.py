"""The exercises of all chapters, and the copies that students, teachers and nbgrader get.

That a solution is right, a stub not attempted and a wrong answer wrong is tested where each exercise stands: see ExerciseItem in conftest.py.
"""
import inspect
import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from conftest import lines_of
from fer_teach import __version__
from fer_teach.copies import make_copy, write_course
from fer_teach.course import Wrong, exercises, mark_of, ready, source_of, stored_check, stored_course
from fer_teach.progress import course_status

ROOT = Path(__file__).parent.parent
CHAPTERS = list(stored_course()['chapters'])
CHECKED = [o for o in exercises().values() if o.level != 'open']
BUSY = [name for name in CHAPTERS if any(o.chapter == name for o in CHECKED)]
each_exercise = pytest.mark.parametrize('exercise', CHECKED, ids=lambda o: o.name)


def cells_of(chapter): return stored_course()['chapters'][chapter]['cells']


def squeezed(text): return re.sub(r'\s+', '', text)


# --- the chapters

def test_names_are_unique_and_numbers_run():
    found = [(name, mark_of(cell)[1], source_of(cell)) for name in CHAPTERS for cell in cells_of(name) if (mark_of(cell) or ('',))[0] == 'exercise']
    assert len({o for _, o, _ in found}) == len(found) == len(exercises())
    for chapter in BUSY:
        numbers = [int(re.match(r'### Exercise (\d+): ', text)[1]) for name, _, text in found if name == chapter]
        assert numbers == list(range(1, len(numbers) + 1)), chapter


@each_exercise
def test_exercise_is_written_as_agreed(exercise):
    parts = exercise.sources
    assert all(re.search(r'^#\| eval: false$', o, re.M) for o in parts['wrong']), 'a wrong answer needs the line `#| eval: false`, or nbdev runs it'
    assert not any(re.search(r'^#\|\s*exports?\b', o, re.M) for texts in parts.values() for o in texts), 'nothing of an exercise is exported'
    assert parts['check'][0].rstrip().endswith(f'\ncheck({exercise.function})')
    names = inspect.signature(stored_check(exercise, dict(Wrong=Wrong))).parameters
    for name in names:
        for text in (parts['exercise'][0], parts['stub'][0]): assert re.search(rf'\b{name}\b', text), f'{name} must stand in statement and stub'
    assert '<details>' in parts['hints'][0]


def test_solutions_have_lines_of_their_own(secrets):
    "Or the tests below could not fail"
    assert sum(map(len, secrets.values())) > len(CHECKED)


# --- nothing is told

@pytest.mark.parametrize('chapter', CHAPTERS)
def test_student_copy_tells_no_answer(chapter, secrets):
    notebook = make_copy(chapter, beside=tuple(CHAPTERS))
    text = '\n'.join(map(source_of, notebook['cells']))
    quoted = '\n'.join(re.findall('`([^`]+)`', text))  # a hint's `code` is a line of its own on the page
    for exercise in (o for o in CHECKED if o.chapter == chapter):
        assert not secrets[exercise.name] & lines_of(f'{text}\n{quoted}'), exercise.name
        assert f"check('{exercise.name}')" in text and exercise.function not in text
        for source in exercise.sources['wrong']: assert squeezed(source) not in squeezed(text)
    for exercise in (o for o in exercises().values() if o.chapter == chapter and o.level == 'open'):
        assert squeezed(exercise.sources['sample'][0]) not in squeezed(text)
    assert not any(cell.get('outputs') for cell in notebook['cells'])


def test_modules_tell_no_answer(secrets):
    lines = {line for file in (ROOT/'fer_teach').glob('*.py') for line in lines_of(file.read_text(encoding='utf-8'))}
    assert {name: found for name, own in secrets.items() if (found := own & lines)} == {}


# --- copies

@pytest.mark.parametrize('chapter', CHAPTERS)
def test_student_copy_has_the_chapter(chapter):
    "Every cell of code up to the first stub is that of the chapter, after a first cell that looks for what they import"
    def code(cells): return [re.sub(r'^(#\||# Run this too).*\n?', '', source_of(o), flags=re.M).strip() for o in cells if o['cell_type'] == 'code' and (mark_of(o) or ('',))[0] != 'wrong']
    source, copy = cells_of(chapter), make_copy(chapter, beside=tuple(CHAPTERS))['cells']
    first = next((i for i, o in enumerate(source) if (mark_of(o) or ('',))[0] == 'stub'), len(source))
    told = [o for o in code(source[:first]) if o]
    assert code(copy)[1:1 + len(told)] == told
    assert [o['id'] for o in copy[:3]] == [source[0]['id'], 'copy-way', 'copy-environment']
    compile(source_of(copy[2]), chapter, 'exec')
    for kind in ('student', 'solutions', 'nbgrader'):
        ids = [o['id'] for o in make_copy(chapter, kind, beside=tuple(CHAPTERS))['cells']]
        assert len(set(ids)) == len(ids), kind


@pytest.mark.parametrize('chapter', CHAPTERS)
def test_links_of_copies_arrive(chapter, tmp_path):
    beside = ('10_data', chapter) if chapter > '10_data' else (chapter,)
    text = '\n'.join(source_of(o) for o in make_copy(chapter, beside=beside)['cells'] if o['cell_type'] == 'markdown')
    assert set(re.findall(r'\]\(([\w./-]+\.ipynb)', text)) <= {f'{o}.ipynb' for o in (*beside, 'index')}


def test_teachers_copy_has_everything_and_runs_no_wrong_answer():
    cells = make_copy('16_evaluation', 'solutions')['cells']
    code = '\n'.join(source_of(o) for o in cells if o['cell_type'] == 'code')
    for exercise in (o for o in CHECKED if o.chapter == '16_evaluation'):
        assert f'check({exercise.function})' in code
        assert lines_of(exercise.sources['solution'][0]) <= lines_of(code)
        for words in exercise.words: assert any(words in source_of(o) and o['cell_type'] == 'markdown' for o in cells)


@pytest.mark.parametrize('place', ['Colab', 'elsewhere'])
def test_first_cell_installs_on_colab_and_says_how_elsewhere(place, monkeypatch):
    first, ran = source_of(next(o for o in make_copy('10_data')['cells'] if o['id'] == 'copy-environment')), []
    monkeypatch.setattr('importlib.util.find_spec', lambda name: ran or None)
    monkeypatch.setattr('subprocess.run', lambda command, check: ran.append(command))
    if place == 'Colab': monkeypatch.setitem(sys.modules, 'google.colab', object())
    else: monkeypatch.delitem(sys.modules, 'google.colab', raising=False)
    before, looks = first.split('from fer_teach.course import')
    if place == 'Colab': exec(before, {})
    else:
        with pytest.raises(ModuleNotFoundError, match='pip install "fer_teach @ git'): exec(before, {})
    assert [o[1:4] for o in ran] == [['-m', 'pip', 'install']]*(place == 'Colab') and 'ready(' in looks


def test_first_cell_silences_only_what_a_student_cannot_mend():
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter('always')
        ready(__version__, [])
        for told in ('`torch.jit.script` is deprecated. Please switch', 'your own'): warnings.warn(told, FutureWarning, stacklevel=1)
    assert [str(o.message) for o in heard] == ['your own']


# --- a student at work

def answered(notebook, answers):
    "The copy with stubs replaced by `answers` {exercise: source}"
    for cell in notebook['cells']:
        name = cell['id'].removesuffix('-stub')
        if cell['id'] == f'{name}-stub' and name in answers: cell['source'] = [answers[name]]
    return notebook


@pytest.fixture
def half_done(tmp_path):
    "A folder in which of chapter 14 the first exercise is solved, the second wrong, the rest untouched; and what must be found"
    write_course(tmp_path, ['14'])
    file = tmp_path/'14_audit.ipynb'
    first, second, *rest = (o for o in CHECKED if o.chapter == '14_audit')
    answers = {first.name: first.sources['solution'][0], second.name: second.sources['wrong'][0]}
    file.write_text(json.dumps(answered(json.loads(file.read_text()), answers)))
    return file, {first.name: 'right', second.name: 'wrong'} | {o.name: 'not attempted' for o in rest}


def fer_teach(*arguments):
    done = subprocess.run([sys.executable, '-m', 'fer_teach', *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_running_finds_what_was_solved(half_done):
    file, expected = half_done
    before = file.read_text()
    row, = json.loads(fer_teach('course', file.parent, '--run', '--json'))['chapters']
    assert row['exercises'] == expected and row['opened']
    assert file.read_text() == before


def test_stored_outputs_tell_the_same(half_done):
    "Executed as JupyterLab does it, then read"
    import nbformat
    from nbclient import NotebookClient
    file, expected = half_done
    notebook = nbformat.read(file, 4)
    NotebookClient(notebook, allow_errors=True, timeout=120, resources=dict(metadata=dict(path=file.parent))).execute()
    nbformat.write(notebook, file)
    row, = course_status(file.parent)
    assert row['exercises'] == expected
    boxes = [o['data']['text/html'] for cell in notebook.cells for o in cell.get('outputs', []) if 'role="status"' in str(o)]
    assert len(boxes) == len(expected)
    assert fer_teach('course', file.parent, '--status').splitlines()[1].split() == ['14_audit', 'yes', '1', '1', str(len(expected) - 2)]


def test_command_says_what_to_type_next(tmp_path):
    said = fer_teach('course', tmp_path/'my lessons', '--chapter', 14).splitlines()
    assert said[-1].startswith('Begin with the map: ') and said[-1].endswith(f"jupyter lab '{tmp_path}/my lessons/index.ipynb'")
    assert 'Begin' not in fer_teach('course', tmp_path/'graded', '--nbgrader', '--chapter', 14)


def test_hidden_cells_show_neither_source_nor_output():
    "Or a student sees tables of epochs that belong to nothing"
    cells = {o['id']: o for o in make_copy('24_learner')['cells']}
    hidden = [o['id'] for o in cells_of('24_learner') if re.search(r'^#\| hide$', source_of(o), re.M) and o['id'] in cells]
    assert hidden and all(cells[o]['metadata']['jupyter'] == dict(source_hidden=True, outputs_hidden=True) for o in hidden)
    assert all(cells[o]['source'][0].startswith('# Run this too') for o in hidden)  # the line that an editor shows


def test_work_is_kept(half_done):
    file, _ = half_done
    mine = file.read_text()
    assert 'kept, since it was changed' in fer_teach('course', file.parent, '--chapter', 14)
    assert file.read_text() == mine
    fer_teach('course', file.parent, '--chapter', 14, '--force')
    assert file.read_text() != mine


def test_tables_come_along(tmp_path):
    write_course(tmp_path)
    for name in ('transfer.csv', 'speed.csv'): assert (tmp_path/name).read_bytes() == (ROOT/'nbs'/name).read_bytes()
    links = re.findall(r'\]\(([\w-]+)\.ipynb\)', (tmp_path/'index.ipynb').read_text())
    assert links == CHAPTERS


# --- nbgrader

def test_nbgrader_makes_and_grades_it(tmp_path):
    "Its own generate_assignment and autograde: full points for the right answer, none for the wrong one and the stubs"
    pytest.importorskip('nbgrader')
    fer_teach('course', tmp_path, '--nbgrader', '--chapter', 14)
    env = os.environ | dict(PATH=f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}', MPLBACKEND='agg')

    def nbgrader(command):
        done = subprocess.run([sys.executable, '-m', 'nbgrader', command, '14_audit'], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    nbgrader('generate_assignment')
    released = json.loads((tmp_path/'release/14_audit/14_audit.ipynb').read_text())
    text = '\n'.join(map(source_of, released['cells']))
    first, second, *rest = (o for o in CHECKED if o.chapter == '14_audit')
    assert not any(lines_of(o.sources['solution'][0]) - lines_of(o.sources['stub'][0]) & lines_of(text) for o in rest)
    answers = {first.name: first.sources['solution'][0], second.name: second.sources['wrong'][0]}
    handed_in = tmp_path/'submitted/ann/14_audit/14_audit.ipynb'
    handed_in.parent.mkdir(parents=True)
    handed_in.write_text(json.dumps(answered(released, answers)))
    nbgrader('autograde')
    assert points(tmp_path) == {first.name: (1, 1), second.name: (0, 2)} | {o.name: (0, dict(medium=2, hard=3)[o.level]) for o in rest}


def points(folder):
    "{exercise: (points, of how many)} of what nbgrader graded by itself"
    from nbgrader.api import Gradebook
    with Gradebook(f'sqlite:///{folder}/gradebook.db') as book:
        grades = book.find_submission_notebook('14_audit', '14_audit', 'ann').grades
        return {o.name.removesuffix('-check'): (o.auto_score, o.max_score) for o in grades if o.name.endswith('-check')}


# --- the proof itself



def test_a_lax_check_is_found_out(tmp_path):
    "A check that takes everything for right fails on each wrong answer, and only there"
    def cell(kind, id, source): return dict(cell_type=kind, id=id, metadata={}, source=source) | (dict(outputs=[], execution_count=None) if kind == 'code' else {})
    check = 'def check_double(double):\n    return "Right."\n\ncheck(check_double)'
    cells = [cell('markdown', 'a', '### Exercise 1: Twice\n<!-- exercise double · easy · 2 minutes · practises doubling -->\n\nWrite `double`.'),
             cell('code', 'b', '#| exercise stub double\ndef double(x): ...'),
             cell('markdown', 'c', '<!-- hints double -->\n\n<details><summary>Hint 1</summary>\n\nTwice.\n\n</details>'),
             cell('code', 'd', '#| exercise solution double\ndef double(x): return 2*x'),
             cell('code', 'e', f'#| exercise check double\nfrom fer_teach.course import Wrong, check\n{check}'),
             *(cell('code', o, '#| exercise wrong double: off\n#| eval: false\ndef double(x): return x + 2') for o in 'fg')]
    (tmp_path/'10_tiny.ipynb').write_text(json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5)))
    command = [sys.executable, '-m', 'pytest', '-p', 'conftest', '-p', 'no:cacheprovider', '--rootdir', tmp_path, '-rA', tmp_path]
    env = os.environ | dict(PYTHONPATH=str(ROOT), PYTEST_ADDOPTS='')
    done = subprocess.run(list(map(str, command)), cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    verdicts = dict(reversed(o.split()[:2]) for o in done.stdout.splitlines() if re.match(r'(PASSED|FAILED) ', o))
    assert {name.partition('::')[2]: said for name, said in verdicts.items()} == {
        'double/stub': 'PASSED', 'double/wrong-1': 'FAILED', 'double/wrong-2': 'FAILED',
        'exercise-1-twice/b': 'PASSED', 'exercise-1-twice/d': 'PASSED', 'exercise-1-twice/e': 'PASSED'}, done.stdout
