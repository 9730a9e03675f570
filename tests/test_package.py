"The built wheel, installed where a stranger would install it, and README's first line run there."
import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from conftest import lines_of

ROOT = Path(__file__).parent.parent


def run(*command, cwd, **env):
    clean = {name: value for name, value in os.environ.items() if name not in ('PYTHONPATH', 'IN_TEST')}
    return subprocess.run([str(o) for o in command], cwd=cwd, env=clean | env, capture_output=True, text=True, check=False)


@pytest.fixture(scope='session')
def wheel(tmp_path_factory):
    "A wheel built from a clean copy of the tracked and new files"
    source, dist = tmp_path_factory.mktemp('source'), tmp_path_factory.mktemp('dist')
    files = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split('\n')
    for name in filter(None, files):
        if (ROOT/name).is_file():
            (source/name).parent.mkdir(parents=True, exist_ok=True)
            (source/name).write_bytes((ROOT/name).read_bytes())
    built = run(sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--wheel-dir', dist, source, cwd=dist)
    assert built.returncode == 0, built.stderr
    return next(dist.glob('*.whl'))


@pytest.fixture(scope='session')
def stranger(wheel, tmp_path_factory):
    "The bin folder of a new environment with the wheel in it, which borrows the heavy packages of this one"
    home = tmp_path_factory.mktemp('stranger')
    venv.create(home, with_pip=False)
    python = home/'bin'/'python'
    site = run(python, '-c', "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).stdout.strip()
    installed = run(sys.executable, '-m', 'pip', '--python', python, 'install', '--no-deps', wheel, cwd=home)
    assert installed.returncode == 0, installed.stderr
    (Path(site)/'borrowed.pth').write_text(sysconfig.get_path('purelib') + '\n')
    return home/'bin'


def test_wheel_holds_package_and_metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(o for o in names if o.endswith('METADATA'))).decode()
        entries = archive.read(next(o for o in names if o.endswith('entry_points.txt'))).decode()
    assert 'fer_teach/leaderboard.csv' in names
    exported = {f'fer_teach/{o.name}' for o in (ROOT/'fer_teach').glob('*.py')}
    assert exported <= set(names)
    assert not [o for o in names if o.lower().endswith(('.jpg', '.jpeg', '.ipynb'))]
    for line in ('Requires-Python: >=3.11', 'Requires-Dist: fastai', 'Provides-Extra: dev', 'License: Apache-2.0', '# fer_teach'):
        assert line in metadata
    assert 'fer_teach = fer_teach.cli:main' in entries and 'fer_teach = fer_teach._modidx:d' in entries


def test_citation_names_this_version():
    import fer_teach
    import yaml
    about = yaml.safe_load((ROOT/'CITATION.cff').read_text())
    assert about['version'] == fer_teach.__version__ and about['cff-version'] == '1.2.0'


def test_wheel_holds_the_course_and_no_readable_answer(wheel, secrets):
    with zipfile.ZipFile(wheel) as archive:
        texts = {name: archive.read(name).decode(errors='ignore') for name in archive.namelist()}
    assert 'fer_teach/course.pack' in texts
    for name, text in texts.items():
        lines = lines_of(text)
        assert not [o for o, own in secrets.items() if own & lines], name


def test_course_comes_from_the_wheel(stranger, tmp_path):
    "The copies are those of the checkout; the first cell finds everything; a check finds its answer"
    from fer_teach.copies import make_copy
    from fer_teach.course import stored_course
    done = run(stranger/'fer_teach', 'course', 'lessons', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    chapters = tuple(stored_course()['chapters'])
    for name in chapters: assert json.loads((tmp_path/'lessons'/f'{name}.ipynb').read_text())['cells'] == make_copy(name, beside=chapters)['cells'], name
    cells = json.loads((tmp_path/'lessons/14_audit.ipynb').read_text())['cells']
    first = next(''.join(o['source']) for o in cells if o['id'] == 'copy-environment')
    answer = 'def search_scores(found, planted): return 0, 0'
    done = run(stranger/'python', '-c', f'{first}\nimport numpy as np\n{answer}\ncheck("search-scores")', cwd=tmp_path)
    assert re.fullmatch(r'Ready: Python [\d.]+, fer_teach [\d.]+\.\nWrong: `search_scores` is \(0\.0, 0\.0\).+\n', done.stdout), done.stdout + done.stderr


def test_importing_is_free(stranger, tmp_path):
    code = 'import sys, fer_teach, fer_teach.cli; fer_teach.cli._parser(); print({"torch", "fastai", "numpy", "matplotlib"} & set(sys.modules))'
    assert run(stranger/'python', '-c', code, cwd=tmp_path).stdout.strip() == 'set()'


def test_lazy_names(stranger, tmp_path):
    code = ('import fer_teach; print(fer_teach.__file__); assert "learn_emotions" in dir(fer_teach); '
            'from fer_teach import learn_emotions; from fer_teach import data; assert callable(learn_emotions); assert data.EMOTIONS')
    done = run(stranger/'python', '-c', code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert str(stranger.parent) in done.stdout


def test_first_line_of_readme(stranger, tmp_path):
    "Trains on drawn faces with no network, no data and no files, and ends above 90 %"
    command = re.search(r'pip install \. && (fer_teach learn .+)', (ROOT/'README.md').read_text())[1].split()
    done = run(stranger/command[0], *command[1:], cwd=tmp_path, HOME=str(tmp_path), FER_TEACH_DATA='')
    assert done.returncode == 0, done.stderr
    for words in ('95 % interval', 'always guessing', 'macro-F1', 'epoch 1/'): assert words in done.stdout
    folder = tmp_path/'runs'/'mini_xception-7-0'
    assert sorted(o.name for o in folder.iterdir()) == ['README.md', 'confusion.png', 'curves.png', 'model.json', 'model.safetensors', 'result.json', 'seen.npy', 'why.png']
    result = json.loads((folder/'result.json').read_text())
    assert result['accuracy'] > .9 and result['interval'][0] < result['accuracy'] < result['interval'][1]
    assert {'clean_accuracy', 'macro_f1', 'valid_accuracy', 'majority'} <= set(result)


def test_comes_with_a_network(stranger, tmp_path):
    "A picture is answered right after the install, with no run folder"
    from PIL import Image
    from fer_teach.data import EMOTIONS
    from fer_teach.drawn import drawn_faces
    here = tmp_path/'here'
    here.mkdir()
    Image.fromarray(drawn_faces(70, difficulty='easy', size=160).pixels[0]).save(here/'face.png')
    done = run(stranger/'fer_teach', 'predict', '--no-crop', 'face.png', cwd=here, HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert re.match(rf"face\.png: ({'|'.join(EMOTIONS)})  \(", done.stdout)
    assert [o.name for o in here.iterdir()] == ['face.png']


def test_only_own_files_are_written(stranger, tmp_path):
    assert [o.name for o in tmp_path.iterdir()] == []
    assert run(stranger/'fer_teach', '--help', cwd=tmp_path).returncode == 0
    assert [o.name for o in tmp_path.iterdir()] == []
