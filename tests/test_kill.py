"A run folder is whole or not there, and a killed run goes on, whatever ends the process."
import signal
import subprocess
import sys
import time

import pytest

WRITE_HALF = ("import os, signal, sys; from fer_teach.core import write_folder\n"
              "def half(folder): (folder/'model.json').write_text('new'); os.kill(os.getpid(), signal.SIGKILL)\n"
              "write_folder('run', half, force=True)")
LEARN = ("import sys; from fer_teach import drawn_faces, learn_emotions; out, resume = sys.argv[1], sys.argv[2] == 'resume'\n"
         "data = drawn_faces(700, difficulty='easy')\n"
         "learn_emotions('mini_xception', 7, data, epochs=4, out=None if resume else out, resume=out if resume else None)")


def test_killed_while_saving(tmp_path):
    subprocess.run([sys.executable, '-c', WRITE_HALF], cwd=tmp_path, check=False)
    assert not (tmp_path/'run').exists()


def test_killed_while_replacing(tmp_path):
    (tmp_path/'run').mkdir()
    (tmp_path/'run'/'model.json').write_text('old')
    killed = subprocess.run([sys.executable, '-c', WRITE_HALF], cwd=tmp_path, check=False)
    assert killed.returncode == -9
    assert [(o.name, o.read_text()) for o in (tmp_path/'run').iterdir()] == [('model.json', 'old')]


def learn(folder, *args): return [sys.executable, '-c', LEARN, *args], dict(cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_killed_while_training_goes_on(tmp_path):
    "kill -9 after some epoch, then resume: the same weights as an unbroken run"
    command, options = learn(tmp_path, 'killed', 'begin')
    process = subprocess.Popen(command, **options)
    while not (tmp_path/'killed.training.safetensors').exists():
        assert process.poll() is None, process.stdout.read()
        time.sleep(.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path/'killed').exists() and (tmp_path/'killed.training.safetensors').exists()
    again = subprocess.run(command, **options, check=False)
    assert again.returncode and 'was begun and cut off: go on with --resume' in again.stdout
    for name, how in (('killed', 'resume'), ('whole', 'begin')):
        command, options = learn(tmp_path, name, how)
        done = subprocess.run(command, **options, check=False)
        assert done.returncode == 0, done.stdout
    assert (tmp_path/'killed'/'model.safetensors').read_bytes() == (tmp_path/'whole'/'model.safetensors').read_bytes()
    assert sorted(o.name for o in tmp_path.iterdir()) == ['killed', 'whole']


def test_goes_on_under_a_progress_bar(tmp_path, monkeypatch):
    "Where somebody watches, in a terminal or a notebook, the bar of the epochs begins later than at none"
    from fastai.callback.core import Callback
    from fer_teach import drawn_faces
    from fer_teach.callbacks import Checkpoint
    from fer_teach.learner import emotion_learner, fit_recipe, train
    from fer_teach.recipes import Arch, Recipe
    from torch import nn

    class PowerCut(Callback):
        order = Checkpoint.order + 1
        def after_epoch(self): raise KeyboardInterrupt

    monkeypatch.setattr('fer_teach.learner.has_bars', lambda: True)
    faces, kept = drawn_faces(700, difficulty='easy'), tmp_path/'kept.safetensors'
    linear = Arch('linear', lambda channels, classes: nn.Sequential(nn.Flatten(), nn.Linear(48*48, classes)), recipes=dict(default=Recipe(epochs=3)))
    cut = emotion_learner(faces, linear, linear.recipe('default'))
    cut.add_cb(PowerCut())
    with pytest.raises(KeyboardInterrupt): fit_recipe(cut, Checkpoint(kept))
    assert len(train(faces, linear, checkpoint=kept, resume=True).history) == 3  # and the first was kept
