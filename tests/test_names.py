"What editors, help() and --help show"
import subprocess
import sys
from pathlib import Path

import fer_teach
import jedi
import pytest

ROOT = Path(__file__).parent.parent


def test_stub_names_what_the_package_finds():
    lines = (ROOT/'fer_teach/__init__.pyi').read_text().splitlines()[1:]
    names = {line.rsplit(' ', 1)[1] for line in lines}
    assert names and all(hasattr(fer_teach, o) for o in names)
    assert {'learn_emotions', 'read_faces', 'evaluate', 'Faces'} <= names <= set(dir(fer_teach))


def test_editors_complete_and_know_signatures():
    script = jedi.Script('import fer_teach\nfer_teach.learn_em', project=jedi.Project(ROOT))
    assert [o.name for o in script.complete(2, 18)] == ['learn_emotions']
    called = jedi.Script('from fer_teach import learn_emotions\nlearn_emotions(', project=jedi.Project(ROOT))
    signature, = called.get_signatures(2, 15)
    assert [o.name for o in signature.params][:3] == ['arch', 'classes', 'data']


def test_help_of_a_lazy_name():
    shown = subprocess.run([sys.executable, '-c', 'import fer_teach; help(fer_teach.learn_emotions)'], capture_output=True, text=True, cwd=ROOT)
    for words in ("learn_emotions(arch='mini_xception'", 'Train a network to tell expressions apart'): assert words in shown.stdout


def test_every_command_has_an_example(capsys):
    from fer_teach.cli import _COMMANDS, main
    for function in _COMMANDS:
        with pytest.raises(SystemExit): main([function.__name__[1:], '--help'])
        assert 'example: fer_teach' in capsys.readouterr().out


def test_constants_are_found_too():
    code = "import fer_teach; print(fer_teach.EMOTIONS[0], fer_teach.SPLITS[0], fer_teach.data.__name__); fer_teach.nothing"
    shown = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert shown.stdout == 'angry train fer_teach.data\n' and "has no attribute 'nothing'" in shown.stderr
