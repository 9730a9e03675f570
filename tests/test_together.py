"Several processes train as one: the same weights, one checkpoint, one sentence when one of them is killed, and any number may go on."
import io
import json
import multiprocessing
import os
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn as nn
from PIL import Image

from fer_teach import callbacks, scale
from fer_teach.cli import main
from fer_teach.core import FaceError, read_tensors
from fer_teach.drawn import drawn_faces
from fer_teach.recipes import Recipe
from fer_teach.runs import load_emotions

pytest.importorskip('accelerate')



def network(channels, classes):
    "Batch norm, with its momentum and its scale, and no bias before it, which nothing would pull anywhere"
    return nn.Sequential(nn.Conv2d(channels, 8, 5, 2, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(8*5*5, classes))


def train_share(out, epochs, **recipe):
    "What each process does: train, note who writes checkpoints, and keep weights and history"
    usual = callbacks.write_tensors

    def noting(file, *args):
        with open(f'{out}.log', 'a') as log: log.write(os.environ.get('RANK', '0'))
        usual(file, *args)
    callbacks.write_tensors = noting
    recipe = Recipe(epochs=epochs, batch_size=32, augment={}, tta={}, precision='float32', **recipe)
    teach = scale.learn_together if scale.among_many() else scale.learn_emotions
    learn = teach(network, 7, drawn_faces(350), recipe, out=out, device='cpu')
    if learn is None: return
    weights = {name: o.numpy().tolist() for name, o in learn.model.state_dict().items()}
    Path(f'{out}.json').write_text(json.dumps(dict(weights=weights, history=[list(o) for o in learn.history], accuracy=learn.result.accuracy)))


FORK = multiprocessing.get_context('forkserver')  # processes that start within milliseconds: all that is heavy is imported once
FORK.set_forkserver_preload(['accelerate', 'fer_teach.cli', 'fer_teach.scale'])


def in_place(place, function, asked):
    os.environ |= {name: str(o) for name, o in place.items()}
    torch.set_num_threads(1)
    with redirect_stdout(io.StringIO()): function(**asked)


def run_together(count, out, function=train_share, **asked):
    place = dict(WORLD_SIZE=count, LOCAL_WORLD_SIZE=count, MASTER_ADDR='127.0.0.1', MASTER_PORT=scale._free_port())
    processes = [FORK.Process(target=in_place, args=(place | dict(RANK=o, LOCAL_RANK=o), function, dict(out=str(out), **asked))) for o in range(count)]
    for o in processes: o.start()
    for o in processes: o.join()
    assert [o.exitcode for o in processes] == [0]*count
    return json.loads(Path(f'{out}.json').read_text())


def distance(first, second): return max(np.abs(np.array(first[name]) - np.array(second[name])).max() for name in first)


@pytest.fixture(scope='module')
def alone(tmp_path_factory): return run_together(1, tmp_path_factory.mktemp('alone')/'run', epochs=1, class_weights=True)


@pytest.mark.parametrize('count', [2, 3])
def test_same_weights(tmp_path, alone, count):
    "32 images are shared as 16 and 16, or 11, 11 and 10; classes have weights, so that equal shares do not weigh the same"
    found = run_together(count, tmp_path/'run', epochs=1, class_weights=True)
    print(f'{count} processes: weights differ by {distance(found["weights"], alone["weights"]):.1e} at most')
    assert distance(found['weights'], alone['weights']) < 1e-4
    assert np.allclose(found['history'], alone['history'], atol=1e-4)


def train_weighted(out): train_share(out, 1, class_weights=True)


def in_notebook(out):
    from accelerate import notebook_launcher
    notebook_launcher(train_weighted, (str(out),), num_processes=2, use_port=str(scale._free_port()))


def test_from_a_notebook(tmp_path, alone):
    "`notebook_launcher` starts two processes, which find the weights of one"
    out = tmp_path/'run'
    started = FORK.Process(target=in_place, args=({}, in_notebook, dict(out=out)))
    started.start()
    started.join()
    found = json.loads(Path(f'{out}.json').read_text())
    assert started.exitcode == 0 and distance(found['weights'], alone['weights']) < 1e-4
    assert set(Path(f'{out}.log').read_text()) == {'0'}  # who wrote


def train_real(out):
    "A recipe of the library, with augmentation and dropout; keeps the interval of its accuracy"
    teach = scale.learn_together if scale.among_many() else scale.learn_emotions
    learn = teach('sequential', 4, drawn_faces(1400, difficulty='easy'), epochs=6, device='cpu')
    if learn: Path(f'{out}.json').write_text(json.dumps(learn.result.interval))


def test_accuracy_of_a_real_recipe(tmp_path):
    "The intervals of one process and of two overlap, and both are far above chance"
    (low, high), (other_low, other_high) = (run_together(o, tmp_path/str(o), function=train_real) for o in (1, 2))
    print(f'one process {low:.3f} to {high:.3f}, two {other_low:.3f} to {other_high:.3f}')
    assert low < other_high and other_low < high and min(low, other_low) > .35


def test_one_writes_and_all_stop_early(tmp_path):
    "Averaged weights and a rate that shrinks follow the first process's validation; it alone writes"
    asked = dict(epochs=12, ema=.9, patience=1, plateau=(1, .1), schedule='constant', lr=.05)
    both, one = run_together(2, tmp_path/'both', **asked), run_together(1, tmp_path/'one', **asked)
    assert len(both['history']) == len(one['history']) < 12 and np.allclose(both['history'], one['history'], atol=1e-3)
    assert (tmp_path/'both.log').read_text() == (tmp_path/'one.log').read_text() and (tmp_path/'both'/'model.json').exists()


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    folder, faces = tmp_path_factory.mktemp('faces'), drawn_faces(350)
    for i, (pixels, name) in enumerate(zip(faces.pixels, faces.names)):
        (folder/name).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder/name/f'{i}.png')
    return folder


def command(folder, said, line):
    "The command in `folder`; what it says goes into the file `said`"
    os.chdir(folder)
    with open(said, 'w') as file, redirect_stdout(file):
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        sys.exit(main(line.split()))


def test_killed_and_resumed_by_another_number(tmp_path, pictures):
    "The second process is killed after an epoch: all end with one sentence within 30 s, and one process goes on"
    kept, said = tmp_path/'here'/'run.training.safetensors', tmp_path/'said'
    kept.parent.mkdir()
    first = FORK.Process(target=command, args=(kept.parent, said, f'learn sequential --data {pictures} --epochs 12 --out run --processes 2'))
    first.start()
    while not kept.exists():
        assert first.exitcode is None, said.read_text()
        time.sleep(.01)
    children = Path(f'/proc/{first.pid}/task/{first.pid}/children').read_text().split()
    os.kill(int(children[1]), 9)
    start = time.monotonic()
    first.join(60)
    assert time.monotonic() - start < 30 and first.exitcode == 2
    sentence, = (o for o in said.read_text().splitlines() if not o.startswith('epoch '))
    assert sentence == ('fer_teach: process 2 of 2 was ended by signal 9, and the others with it; '
                        'the last complete epoch is kept: go on with fer_teach learn --resume run')
    assert not any(Path(f'/proc/{o}').exists() for o in children) and list(kept.parent.iterdir()) == [kept]
    done = read_tensors(kept)[1]['epoch']
    again = FORK.Process(target=command, args=(kept.parent, said, 'learn --resume run'))
    again.start()
    again.join()
    assert again.exitcode == 0 and said.read_text().count('epoch ') == 12 - done
    assert load_emotions(kept.with_name('run')).this_run.recipe.epochs == 12


def by_torchrun(count, line):
    from torch.distributed.run import main
    main(['--nproc-per-node', str(count), '--master-port', str(scale._free_port()), *line])


def by_accelerate(count, line):
    from accelerate.commands.launch import launch_command, launch_command_parser
    how = ['--multi_gpu', '--num_processes', str(count), '--main_process_port', str(scale._free_port())]
    launch_command(launch_command_parser().parse_args([*how, *line]))


def launch(folder, said, launcher, count, line):
    os.chdir(folder)
    with open(said, 'w') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        launcher(count, ['-m', 'fer_teach', *line.split()])


def ranks(pid):
    "{RANK: process} of those that the launcher `pid` has started"
    found = {}
    for task in Path(f'/proc/{pid}/task').iterdir():
        for child in (task/'children').read_text().split():
            told = dict(o.partition('=')[::2] for o in Path(f'/proc/{child}/environ').read_text().split('\0'))
            if 'RANK' in told: found[int(told['RANK'])] = int(child)
    return found


def test_torchrun_killed_and_resumed_by_accelerate(tmp_path, pictures):
    "One of torchrun's two is killed: the other ends within 30 s, with a sentence unless it is ended before; three of Accelerate's go on"
    kept, said = tmp_path/'here'/'run.training.safetensors', tmp_path/'said'
    kept.parent.mkdir()
    line = f'learn sequential --data {pictures} --epochs 12 --out run --device cpu'
    first = FORK.Process(target=launch, args=(kept.parent, said, by_torchrun, 2, line))
    first.start()
    while not kept.exists():
        assert first.exitcode is None, said.read_text()
        time.sleep(.01)
    started = ranks(first.pid)
    os.kill(started[1], 9)
    start = time.monotonic()
    first.join(60)
    assert time.monotonic() - start < 30 and first.exitcode and list(kept.parent.iterdir()) == [kept]
    assert sorted(started) == [0, 1] and not any(Path(f'/proc/{o}').exists() for o in started.values())
    complaints = [o for o in said.read_text().splitlines() if o.startswith('fer_teach: ')]
    assert complaints in ([], ['fer_teach: another process of this training has ended, so this one ends too; '
                               'the last complete epoch is kept: go on with fer_teach learn --resume run'])
    done = read_tensors(kept)[1]['epoch']
    again = FORK.Process(target=launch, args=(kept.parent, said, by_accelerate, 3, 'learn --resume run --device cpu'))
    again.start()
    again.join()
    text = said.read_text()
    assert again.exitcode == 0, text
    assert text.count('epoch ') == 12 - done and text.count('saved in run') == 1 and list(kept.parent.iterdir()) == [kept.with_name('run')]
    assert load_emotions(kept.with_name('run')).this_run.recipe.epochs == 12


def test_what_one_complains_of(tmp_path):
    "An error of any process is one sentence, without its process"
    with pytest.raises(FaceError, match='^no/such/data does not exist: check the path$'):
        scale.start_processes(2, ['learn', '--data', 'no/such/data', '--out', str(tmp_path/'run')])


def test_too_many_processes(tmp_path):
    with pytest.raises(FaceError, match='0 processes cannot train'): scale.start_processes(0, [])


def test_norm_of_one_process(monkeypatch):
    "Without others, the shared batch norm is PyTorch's, in value, gradient and running statistics"
    monkeypatch.setattr('torch.distributed.all_reduce', lambda o: o)
    for shape in ((6, 4), (6, 4, 5, 5)):
        x = torch.randn(shape)
        usual, shared = (dict(x=x.clone().requires_grad_(), m=torch.zeros(4), v=torch.ones(4), w=torch.rand(4), b=torch.rand(4)) for _ in range(2))
        shared['w'], shared['b'] = usual['w'], usual['b']
        found = [f(o['x'], o['m'], o['v'], o['w'], o['b'], True, .3, 1e-3) for f, o in ((torch.nn.functional.batch_norm, usual), (scale.shared_norm, shared))]
        for y in found: (y*torch.arange(4.).view(1, -1, *[1]*(len(shape) - 2))).square().sum().backward()
        assert torch.allclose(*found, atol=1e-5) and torch.allclose(usual['x'].grad, shared['x'].grad, atol=1e-3)
        assert torch.allclose(usual['m'], shared['m'], atol=1e-6) and torch.allclose(usual['v'], shared['v'], atol=1e-5)
