"A run folder is whole or not there, whatever ends the process."
import subprocess
import sys

WRITE_HALF = ("import os, signal, sys; from fer_teach.learn import write_folder\n"
              "def half(folder): (folder/'model.json').write_text('new'); os.kill(os.getpid(), signal.SIGKILL)\n"
              "write_folder('run', half, force=True)")


def test_killed_while_saving(tmp_path):
    subprocess.run([sys.executable, '-c', WRITE_HALF], cwd=tmp_path, check=False)
    assert not (tmp_path/'run').exists()


def test_killed_while_replacing(tmp_path):
    (tmp_path/'run').mkdir()
    (tmp_path/'run'/'model.json').write_text('old')
    killed = subprocess.run([sys.executable, '-c', WRITE_HALF], cwd=tmp_path, check=False)
    assert killed.returncode == -9
    assert [(o.name, o.read_text()) for o in (tmp_path/'run').iterdir()] == [('model.json', 'old')]
