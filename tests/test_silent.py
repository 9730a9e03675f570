"Answers that were once wrong without a word"
import json
import warnings

import numpy as np
import pandas as pd
import pytest
import torch.nn as nn
from dataclasses import replace
from PIL import Image

from fer_teach.all import (FaceError, Recipe, as_faces, audit, class_groups, drawn_faces, evaluate, judge_on,
                           learn_emotions, load_emotions, read_faces, three_arms, train)
from fer_teach.archs import find_arch
from fer_teach.transfer import begin_with
from fer_teach.benchmarking import _scheme_name


@pytest.fixture(scope='module')
def noise():
    "Noise in two classes, which nobody can tell apart but by heart, without splits of its own"
    rng = np.random.default_rng(0)
    n = 120
    return rng.integers(0, 256, (n, 16, 16), np.uint8), np.arange(n) % 2


def dense(channels, classes): return nn.Sequential(nn.Flatten(), nn.Linear(48*48*channels, classes))


def folder_of(noise, root, names=('happy', 'sad')):
    for i, (pixels, label) in enumerate(zip(*noise)):
        place = root/names[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place/f'{i:03}.png')
    return root


def test_training_images_are_known_again(noise, tmp_path):
    data = folder_of(noise, tmp_path/'data')
    recipe = Recipe(epochs=20, lr=1e-3, batch_size=16, augment={}, tta={})
    learn = learn_emotions(dense, classes='happy,sad', data=read_faces(data, seed=1), recipe=recipe, seed=1, out=tmp_path/'run')
    assert learn.result.clean.all()
    loaded = load_emotions(tmp_path/'run', dense)
    with pytest.warns(UserWarning, match='are among those that the network was trained on') as told:
        result = evaluate(loaded, read_faces(data, seed=2))
    assert len(told) == 1
    seen = ~result.clean
    assert seen.sum() >= 5 and result.right[seen].mean() > .9  # known by heart
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert evaluate(loaded, read_faces(data, seed=1)).accuracy == learn.result.accuracy


def test_damaged_hashes(noise, tmp_path):
    learn_emotions(dense, classes='happy,sad', data=read_faces(folder_of(noise, tmp_path/'data')), epochs=1, out=tmp_path/'run')
    for content in (b'', b'\x93NUMPY\x01\x00', b'x'*200):
        (tmp_path/'run'/'seen.npy').write_bytes(content)
        with pytest.raises(FaceError, match='seen.npy is damaged'): load_emotions(tmp_path/'run', dense)


def test_pictures_without_labels_are_not_judged():
    faces = drawn_faces(70, seed=0)
    pictures = as_faces(faces.pixels, faces.vocab)
    assert (pictures.labels == -1).all() and (pictures.names == '').all() and pictures.counts().to_numpy().sum() == 0
    assert len(pictures.reduce('happy,sad')) == 0
    with pytest.raises(FaceError, match='70 of these pictures have no label'): evaluate(np.zeros(70, int), pictures)
    with pytest.raises(FaceError, match='or -1 for none'): replace(faces, labels=faces.labels - 2)


def test_own_classes(noise, tmp_path, monkeypatch):
    "Bored and awake are read, trained, judged, saved, loaded, explained"
    data = folder_of(noise, tmp_path/'data', ('bored', 'awake'))
    faces = read_faces(data)
    assert faces.vocab == ('awake', 'bored')
    learn = learn_emotions('convnet', data=data, epochs=2, out=tmp_path/'run')  # classes=7, the default, means all of them
    assert learn.vocab == ('awake', 'bored') and learn.result.vocab == learn.vocab
    assert not (tmp_path/'run'/'why.png').exists()  # such faces cannot be drawn
    loaded = load_emotions(tmp_path/'run')
    name, chances = loaded.predict_emotion(faces.pixels[0])
    assert name in faces.vocab and abs(sum(chances.values()) - 1) < 1e-5
    assert loaded.explain(faces[:2]).maps.shape[0] == 2
    assert class_groups('bored,awake', faces.vocab) == dict(bored=('bored',), awake=('awake',))
    assert json.loads((tmp_path/'run'/'model.json').read_text())['classes'] == dict(awake=['awake'], bored=['bored'])


def test_typing_errors_of_emotions_are_caught(noise, tmp_path):
    with pytest.raises(FaceError, match='did you mean happy'): read_faces(folder_of(noise, tmp_path, ('hapy', 'sad')))


def test_relabelled_counts_the_same_images_after_reduce():
    faces = drawn_faces(70, seed=0)
    old = np.array(faces.names)
    old[:5] = np.where(old[:5] == 'happy', 'sad', 'happy')
    faces = replace(faces, attributes=pd.DataFrame(dict(label=old)))
    assert audit(faces).table.loc['relabelled', 'count'] == 5
    groups = dict(good=['happy', 'surprise'], rest=['angry', 'disgust', 'fear', 'neutral', 'sad'])
    crossed = sum((a in groups['good']) != (b in groups['good']) for a, b in zip(faces.names, old))
    assert audit(faces.reduce(groups)).table.loc['relabelled', 'count'] == crossed


def test_one_majority_for_one_scheme():
    "judge_on and three_arms guess what is most frequent in Training"
    faces = drawn_faces(400, seed=0, emotions=('angry', 'happy', 'sad'))
    rare = np.flatnonzero((faces.usage == 'test') & (faces.labels == 1))[3:]
    often = np.flatnonzero((faces.usage == 'train') & (faces.labels == 0))[40:]
    faces = faces[np.setdiff1d(np.arange(len(faces)), np.concatenate([rare, often]))]  # happy leads Training, angry the test split
    fine = evaluate(np.eye(3)[faces.split('test').labels]*.9 + .03, faces)
    pair = faces.reduce('angry,happy')
    coarse = evaluate(np.eye(2)[pair.split('test').labels], pair)
    assert judge_on(fine, 'angry,happy').guess == coarse.guess == 1
    assert judge_on(fine, 'angry,happy').majority == three_arms(fine, coarse).accuracy['always happy'] < .5


def test_kept_runs_have_names_of_their_own():
    names = {_scheme_name(tuple(class_groups(o))) for o in (7, 4, 2, 'happy_sad', 'angry,sad,fear,disgust', 'valence')}
    assert len(names) == 6 and {'7', '4', '2'} <= names


def test_begin_with_begins_with_it():
    faces = drawn_faces(60, seed=0, emotions=('happy', 'sad'))
    first = train(faces, find_arch('convnet'), epochs=1)
    arch = begin_with(find_arch('convnet'), first)
    assert all(o.pretrained for o in arch.recipes.values())
    arch = replace(arch, recipes=dict(default=replace(arch.recipes['default'], lr=1e-9, weight_decay=0)))
    again = train(faces, arch, epochs=1)
    before, after = (next(o.model.parameters()) for o in (first, again))
    assert (before - after).abs().max() < 1e-5


@pytest.fixture(scope='module')
def pair(tmp_path_factory):
    "(trained, loaded): one network, as fastai's own methods meet it"
    faces = drawn_faces(210, seed=0, emotions=('happy', 'sad'))
    folder = tmp_path_factory.mktemp('fastai')
    learn = learn_emotions(dense, 'happy,sad', faces, Recipe(epochs=2, lr=1e-3), out=folder/'run')
    return learn, load_emotions(folder/'run', dense)


def test_fastai_shows_names_and_pictures(pair, tmp_path, capsys):
    import matplotlib.pyplot as plt
    from fastai.interpret import ClassificationInterpretation
    learn, _ = pair
    learn.dls.show_batch(max_n=4)
    assert {o.get_title() for o in plt.gcf().axes} <= {'happy', 'sad'}
    learn.show_results(max_n=4)
    found = ClassificationInterpretation.from_learner(learn)
    assert np.array_equal(found.confusion_matrix(), evaluate(learn, drawn_faces(210, seed=0, emotions=('happy', 'sad')), 'valid').confusion) or learn.recipe.views > 1
    found.plot_top_losses(3)
    assert all(o.get_title().split('/')[1].strip() in ('happy', 'sad') for o in plt.gcf().axes)
    found.plot_confusion_matrix()
    assert [o.get_text() for o in plt.gca().get_xticklabels()] == ['happy', 'sad']
    found.print_classification_report()
    assert 'happy' in capsys.readouterr().out
    assert 'Total params: 4,610' in str(learn.summary())
    plt.close('all')


def test_fastai_predicts_and_trains(pair, tmp_path):
    from copy import deepcopy
    from fastai.learner import load_learner
    import torch
    learn, loaded = map(deepcopy, pair)
    face = drawn_faces(70, seed=3).pixels[0]
    name, place, chances = learn.predict(face)
    assert (name, place) == (loaded.predict(face)[0], chances.argmax()) and name in ('happy', 'sad')
    assert torch.allclose(learn.get_preds(dl=learn.dls.test_dl([face]))[0][0], chances, atol=1e-6)
    assert learn.lr_find(num_it=40, show_plot=False).valley > 0
    learn.fit_one_cycle(1)
    learn.fine_tune(1)
    assert learn.tta(n=2)[0].shape == (21, 2)
    assert learn.model(torch.zeros(2, 1, 48, 48)).shape == (2, 2)
    for o, file in ((learn, 'learn.pkl'), (loaded, 'loaded.pkl')):
        o.export(tmp_path/file)
        with pytest.warns(UserWarning, match='insecure pickle'): assert load_learner(tmp_path/file).predict(face)[0] == o.predict(face)[0]


@pytest.mark.parametrize('ask', ['summary', 'lr_find', 'get_preds', 'show_results', 'validate', 'tta'])
def test_loaded_models_say_what_they_lack(pair, ask):
    with pytest.raises(FaceError, match=r'set learn.dls = face_loaders\(faces, learn.arch\)'): getattr(pair[1], ask)()


def test_loaded_models_are_trained_further(pair):
    from copy import deepcopy
    from fer_teach.all import face_loaders
    learn = deepcopy(pair[1])
    for train_more in (learn.fit, learn.fit_one_cycle, learn.fine_tune):
        with pytest.raises(FaceError, match='set learn.dls'): train_more(1)
    learn.dls = face_loaders(drawn_faces(210, seed=0, emotions=('happy', 'sad')), learn.arch)
    learn.fit_one_cycle(1, 1e-3)
    assert len(learn.recorder.values) == 1


def test_other_classes_elsewhere():
    "Data without neutral and with contempt: what the model cannot name is counted, and two figures are given"
    faces = drawn_faces(400, seed=0, emotions=('angry', 'contempt', 'happy', 'sad'))
    part = faces.split('test')
    rng = np.random.default_rng(0)
    answers = pd.DataFrame(rng.dirichlet(np.ones(4), len(part)), columns=['sad', 'neutral', 'happy', 'angry'])
    result = evaluate(answers, faces)
    kept = part.names != 'contempt'
    assert result.left_out == dict(contempt=int((~kept).sum())) and len(result) == kept.sum()
    best = answers.to_numpy()[kept].argmax(1)
    assert result.accuracy == (answers.columns.to_numpy()[best] == part.names[kept]).mean()
    among = answers[['sad', 'happy', 'angry']].to_numpy()[kept].argmax(1)
    assert result.shared.accuracy == (np.array(['sad', 'happy', 'angry'])[among] == part.names[kept]).mean() >= result.accuracy
    for words in ('not judged', f'{(~kept).sum()} contempt', 'neutral, which is always wrong here', 'choosing among sad, happy, angry only'):
        assert words in repr(result), words
    assert result.summary()['left_out'] and result.summary()['shared']['accuracy'] == result.shared.accuracy
    with pytest.raises(FaceError, match='they share no class; give faces of its classes'): evaluate(answers.set_axis(list('abcd'), axis=1), faces)


def test_order_and_groups_do_not_matter():
    faces = drawn_faces(400, seed=0, emotions=('angry', 'happy', 'sad'))
    truth = np.eye(3)[faces.split('test').labels]
    assert evaluate(pd.DataFrame(truth[:, ::-1], columns=['sad', 'happy', 'angry']), faces).accuracy == 1
    everything = evaluate(pd.DataFrame(np.eye(3)[faces.labels], columns=faces.vocab), faces, 'all')
    assert len(everything) == len(faces) and everything.accuracy == 1 and everything.clean is None

    class Coarse:
        vocab, groups = ('bad', 'good'), dict(bad=('angry', 'sad', 'fear'), good=('happy',))
        def probabilities(self, faces): return np.eye(2)[(faces.names == 'happy').astype(int)]*.8 + .1
    assert evaluate(Coarse(), faces).accuracy == 1 and evaluate(Coarse(), faces).shared is None
