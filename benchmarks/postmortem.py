"""The suspects of chapter 80 as experiments, each mistake on and off: nbs/postmortem.csv. On small drawn faces, or
with `--photographs` on FER2013 made as small. What stands in the file for a kind of faces, a suspect and a seed is not measured again.
`nice python benchmarks/postmortem.py [SUSPECT ...] --seeds 0 1 2 [--photographs]`"""
import argparse
import os
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from fer_teach.drawn import paint_faces, sample_attributes
from fer_teach.readers import find_faces
from torch import nn

FILE = Path(__file__).parents[1]/'nbs/postmortem.csv'
NAMES = ('angry', 'disgust', 'fear', 'happy', 'neutral', 'sad', 'surprise')
SHARES = (.139, .015, .143, .251, .173, .168, .111)  # of the classes in FER2013's Training


# --- faces, loop, judge: the same for all

def draw(n, seed, difficulty='easy', size=48):
    "Pixels (n, 1, size, size) in 0..1 and labels (n,) of drawn faces in the proportions of FER2013"
    x, labels = drawn(n, seed, difficulty)
    return F.interpolate(x, (size, size), mode='area'), labels


@lru_cache
def drawn(n, seed, difficulty):
    rng, shares = np.random.default_rng([seed, n]), np.array(SHARES)
    labels = rng.choice(7, n, p=shares/shares.sum())
    attributes = sample_attributes([NAMES[o] for o in labels], rng, difficulty)
    pixels, _ = paint_faces(attributes, 48, seed)
    return torch.tensor(pixels[:, None]/255, dtype=torch.float32), torch.tensor(labels)


@dataclass(frozen=True)
class Drawn:
    "Drawn faces: 1,500 to train on, 500 for valid, 2,000 for test; and a harder kind, 1,500 to train on and 1,500 for test"
    seed: int
    name = 'drawn faces'
    def train(self, size): return draw(1500, self.seed, size=size)
    def valid(self, size): return draw(500, 200 + self.seed, size=size)
    def test(self, size): return draw(2000, 100 + self.seed, size=size)
    def new(self, size): return draw(1500, 300 + self.seed, 'normal', size=size), draw(1500, 400 + self.seed, 'normal', size=size)


@dataclass(frozen=True)
class Photographs:
    """FER2013 in random order: 20,000 faces of Training to train on, PublicTest for valid, 3,000 of PrivateTest for test; and, as the other
    kind, the rest of Training to train on and the same test"""
    seed: int
    name = 'photographs'

    def part(self, split, size, rows=slice(None)):
        pixels, labels = pictures(split)
        order = np.random.default_rng(0).permutation(len(labels))[rows]  # the same for all seeds: trained and unseen stay apart
        return F.interpolate(pixels[order], (size, size), mode='area'), labels[order]

    def train(self, size): return self.part('train', size, slice(20_000))
    def valid(self, size): return self.part('valid', size)
    def test(self, size): return self.part('test', size, slice(3000))
    def new(self, size): return self.part('train', size, slice(20_000, None)), self.test(size)


@lru_cache
def pictures(split):
    faces = find_faces('fer2013').reduce(7)
    rows = faces.usage == split
    return torch.tensor(faces.pixels[rows][:, None]/255, dtype=torch.float32), torch.tensor(faces.labels[rows])


def glorot(net):
    "Keras's initial weights: Glorot-uniform, biases 0"
    for layer in net.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None: nn.init.zeros_(layer.bias)
    return net


def he(net):
    "Initial weights that keep the size of the signal behind a ReLU (He and others, 2015)"
    for layer in glorot(net).modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)): nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')
    return net


def fit(net, x, y, epochs, lr=1e-3, batch=32, change=None, single_step=False, after=None):
    "Train with Adam; `change` the batches; every second epoch a `single_step`; call `after` each epoch"
    optimizer = torch.optim.Adam([o for o in net.parameters() if o.requires_grad], lr, eps=1e-7)
    for epoch in range(epochs):
        net.train()
        batches = torch.randperm(len(x)).split(batch)
        if single_step and epoch % 2: batches = batches[:1]
        for rows in batches:
            if len(rows) < 2: continue  # batch norm needs two
            loss = F.cross_entropy(net(change(x[rows]) if change else x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if after: after(net)
    return net


def logits(net, x):
    net.eval()
    with torch.no_grad(): return torch.cat([net(o) for o in x.split(250)])


def accuracy(net, x, y): return (logits(net, x).argmax(1) == y).float().mean().item()


def told(net, x, y):
    "Accuracy, loss, and how many classes are ever predicted"
    found = logits(net, x)
    answers = found.argmax(1)
    loss = F.cross_entropy(found, y).item()
    return dict(accuracy=(answers == y).float().mean().item(), loss=loss, predicted=len(answers.unique()))


# --- networks: those of the five projects, narrower where they would take too long

def mlp(relu_end=False):
    "S4's MLP, for faces of 24x24"
    layers, widths = [nn.Flatten()], (24*24, 512, 256, 128, 64, 16)
    for i, (n, m) in enumerate(zip(widths, widths[1:])):
        layers += [nn.Linear(n, m), nn.ReLU(), *([nn.Dropout(.2)] if i < 2 else [])]
    return glorot(nn.Sequential(*layers, nn.Linear(16, 7), *([nn.ReLU()] if relu_end else [])))


def s4_cnn(active=True, relu_end=False, norm=False):
    "The order of layers of S4's CNN, for faces of 24x24; far narrower, and without its dropout"
    def conv(i, o, k): return [nn.Conv2d(i, o, k), *([nn.BatchNorm2d(o)] if norm else []), *([nn.ReLU()] if active else [])]
    body = [*conv(1, 8, 3), nn.MaxPool2d(2), *conv(8, 16, 2), nn.AvgPool2d(2), *conv(16, 32, 3), nn.AvgPool2d(3), nn.Flatten()]
    head = [nn.Linear(32, 128), nn.ReLU(), nn.BatchNorm1d(128), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 16), nn.ReLU(),
            nn.Linear(16, 7), *([nn.ReLU()] if relu_end else [])]
    return glorot(nn.Sequential(*body, *head))


def small(classes=7):
    "The network of chapter 52, for faces of 24x24"
    return glorot(nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.Flatten(),
                                nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, classes)))


def sequential(classes):
    "S2's two convolutions and a dense layer, a quarter as wide"
    return glorot(nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(2),
                                nn.Flatten(), nn.Linear(1600, 128), nn.ReLU(), nn.Dropout(.5), nn.Linear(128, classes)))


def vgg(norm=False):
    "VGG16's thirteen convolutions, a sixteenth as wide, for faces of 32x32; S1's head"
    layers, i = [], 1
    for width, count in ((4, 2), (8, 2), (16, 3), (32, 3), (32, 3)):
        for _ in range(count):
            layers += [nn.Conv2d(i, width, 3, padding=1), *([nn.BatchNorm2d(width)] if norm else []), nn.ReLU()]
            i = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32, 128), nn.ReLU(), nn.Dropout(.5), nn.Linear(128, 7))


def body(norm):
    "Three convolutions with stride and an average"
    layers = []
    for i, o in ((1, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(i, o, 3, 2, 1), *([nn.BatchNorm2d(o)] if norm else []), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class AcrossBatch(nn.Module):
    "Scaled dot-product attention of a batch (n, d) over itself: every face is mixed with those of the batch that are like it"
    def forward(self, x): return (x @ x.T/x.shape[1]**.5).softmax(1) @ x


# --- the suspects: each yields (arm, measures)

def follow(net, faces, epochs, **kwargs):
    "Train on small faces: per epoch the answers on valid and on test"
    (x, y), parts, answers = faces.train(24), (faces.valid(24), faces.test(24)), []
    fit(net, x, y, epochs, after=lambda o: answers.append([logits(o, part[0]).argmax(1) for part in parts]), **kwargs)
    return answers


def kept(answers, faces):
    "What the epoch that is best on valid reaches on test, and how many classes it ever predicts"
    valid, test = faces.valid(24)[1], faces.test(24)[1]
    said = max(answers, key=lambda o: (o[0] == valid).sum())[1]
    return dict(accuracy=(said == test).float().mean(), predicted=len(said.unique()))


@lru_cache
def watch(faces, active, relu_end, norm, single_step):
    "S4's CNN: per epoch its answers on valid and on test"
    torch.manual_seed(faces.seed)
    return follow(s4_cnn(active, relu_end, norm), faces, 25, single_step=single_step)


def relu_end(faces):
    for mistake in (True, False):
        torch.manual_seed(faces.seed)
        yield f'MLP, {"with" if mistake else "without"} ReLU at the end', kept(follow(mlp(mistake), faces, 20), faces)
    for mistake in (True, False):
        yield f'CNN, {"with" if mistake else "without"} ReLU at the end', kept(watch(faces, True, mistake, False, False), faces)


def linear_convolutions(faces):
    for active in (False, True):
        yield f'{"ReLU" if active else "nothing"} after the convolutions', kept(watch(faces, active, False, False, False), faces)


def shuffled_test(faces):
    (x, y), (test_x, test_y) = faces.train(24), faces.test(24)
    torch.manual_seed(faces.seed)
    answers = logits(fit(small(), x, y, 15), test_x).argmax(1)
    for arm, labels in {'labels in step': test_y, 'labels of another order': test_y[torch.randperm(len(test_y))]}.items():
        yield arm, dict(accuracy=(answers == labels).float().mean().item())
    shares = [torch.bincount(o, minlength=7)/len(o) for o in (answers, test_y)]
    yield 'expected from the shares of the classes', dict(accuracy=(shares[0]*shares[1]).sum().item())


def single_steps(faces):
    (x, y), test = faces.train(24), faces.test(24)
    for arm, epochs, mistake in (('10 whole epochs', 10, False), ('10 epochs, every second a single step', 10, True), ('5 whole epochs', 5, False)):
        torch.manual_seed(faces.seed)
        yield arm, told(fit(small(), x, y, epochs, single_step=mistake), *test)


def moved(x):
    "S1's augmentation at a third of its strength (at its own, so small a network does not learn): rotation to 5 degrees, shift and zoom to .03, mirror"
    def upto(limit): return limit*(2*torch.rand(len(x)) - 1)
    angle, zoom = upto(np.pi/36), 1 + upto(.03)
    flip = torch.where(torch.rand(len(x)) < .5, -1., 1.)
    rows = [flip*zoom*angle.cos(), -zoom*angle.sin(), upto(.06)], [flip*zoom*angle.sin(), zoom*angle.cos(), upto(.06)]
    grid = F.affine_grid(torch.stack([torch.stack(o, 1) for o in rows], 1), x.shape, align_corners=False)
    return F.grid_sample(x, grid, padding_mode='border', align_corners=False)


@lru_cache
def watched(faces, epochs=40):
    "Per epoch: accuracy on validation as it is and augmented, and for each test face whether it is right"
    (x, y), (valid_x, valid_y), (test_x, test_y) = faces.train(24), faces.valid(24), faces.test(24)
    rows, right = [], []

    def look(net):
        rows.append((accuracy(net, valid_x, valid_y), accuracy(net, moved(valid_x), valid_y)))
        right.append((logits(net, test_x).argmax(1) == test_y).numpy())
    torch.manual_seed(faces.seed)
    fit(small(), x, y, epochs, change=moved, after=look)
    return np.array(rows), np.array(right)


def augmented_validation(faces):
    rows, right = watched(faces)
    for i, arm in enumerate(('validation as it is', 'validation augmented')):
        best = rows[:, i].argmax()
        yield arm, dict(shown=rows[best, i], accuracy=right[best].mean(), epoch=best)
    yield 'at the best epoch', dict(accuracy=right.mean(1).max())


def chosen_on_test(faces):
    "The accuracy reported on n faces on which the epoch was chosen, less that of this epoch on the other faces; the mean over all parts of n"
    rows, right = watched(faces)
    yield 'chosen on valid', dict(accuracy=right[rows[:, 0].argmax()].mean())
    everyone = np.arange(right.shape[1])
    for n in (100, 250, 500, 1000):
        both = []
        for part in everyone.reshape(-1, n):
            rest = np.setdiff1d(everyone, part)
            best = right[:, part].mean(1).argmax()
            both.append((right[best, part].mean(), right[best][rest].mean()))
        reported, true = np.mean(both, 0)
        yield f'chosen on {n} test faces', dict(reported=reported, true=true, flattery=reported - true)


def frozen_bodies(faces):
    """A body trained on other faces, frozen, and a new head. The body expects 0..255 less a mean, or -1..1, and gets 0..1 where the input is
    mistaken. Its batch norm keeps its statistics, or takes those of the new faces."""
    x, y = faces.train(32)
    (new_x, new_y), (test_x, test_y) = faces.new(32)
    mean, std = x.mean(), x.std()
    inputs = {'as it expects': lambda o: (o - mean)/std, '0..1 for -1..1': lambda o: ((o + 1)/2 - mean)/std,
              '0..1 for 0..255': lambda o: o/255/std}
    for norm in (False, True):
        torch.manual_seed(faces.seed)
        source = nn.Sequential(body(norm), nn.Linear(64, 7))
        fit(source, (x - mean)/std, y, 10, 2e-3)
        start = {k: v.clone() for k, v in source[0].state_dict().items()}
        for size in (32, 16):
            def sized(o): return F.interpolate(o, (size, size), mode='area') if size < 32 else o
            for how, prepare in inputs.items():
                for update in (False, True)[:1 + norm]:
                    source[0].load_state_dict(start)
                    torch.manual_seed(faces.seed)
                    arm = f'{"no batch norm" if not norm else "batch norm " + ("updated" if update else "kept")}; {how}; {size} pixels'
                    yield arm, told(*with_head(source[0], prepare(sized(new_x)), new_y, prepare(sized(test_x)), update), test_y)


def with_head(frozen, x, y, test_x, update):
    "A new linear head on what the frozen body gives, and the test faces as the body gives them"
    if update:  # the statistics of the new faces, as training with batch norm in train mode leaves them behind
        frozen.train()
        with torch.no_grad():
            for _ in range(2):
                for rows in torch.randperm(len(x)).split(32): frozen(x[rows])
    found, test = logits(frozen, x), logits(frozen, test_x)
    head = glorot(nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(.5), nn.Linear(64, 7)))
    return fit(head, found, y, 15), test


def deep_vgg(faces):
    (x, y), test = faces.train(32), faces.test(32)
    for name, start, norm in (('Glorot', glorot, False), ('He', he, False), ('Glorot, batch norm', glorot, True)):
        for lr in (1e-3, 1e-4):
            torch.manual_seed(faces.seed)
            yield f'{name}; rate {lr:g}', told(fit(start(vgg(norm)), x, y, 12, lr), *test)


def copies(faces):
    "Test faces that also stand in Training, under their own label or under another one; as many other faces instead"
    (x, y), (test_x, test_y) = faces.new(24)
    other_x, other_y = faces.train(24)
    for share in (.018, .2):
        k = round(share*len(test_y))
        arms = {'copies': (test_x[:k], test_y[:k]), 'copies under another label': (test_x[:k], (test_y[:k] + 1 + torch.arange(k) % 6) % 7),
                'other faces': (other_x[:k], other_y[:k])}
        for arm, (more_x, more_y) in arms.items():
            torch.manual_seed(faces.seed)
            net = fit(small(), torch.cat([x, more_x]), torch.cat([y, more_y]), 25)
            yield f'{share:.1%} of the test faces; {arm}', told(net, test_x, test_y)


def training_in_test(faces):
    "S2's network on two and on four classes: accuracy on unseen faces and on those of its training"
    for names in (('angry', 'happy'), ('angry', 'happy', 'neutral', 'sad')):
        wanted, parts = torch.tensor([NAMES.index(o) for o in names]), []
        for x, y in faces.new(48):
            rows = torch.isin(y, wanted)
            parts.append((x[rows], torch.searchsorted(wanted, y[rows])))
        (x, y), test = parts
        torch.manual_seed(faces.seed)
        net = fit(sequential(len(names)), x, y, 20)
        for arm, part in {'unseen faces': test, 'faces of its training': (x, y)}.items():
            yield f'{len(names)} classes; {arm}', told(net, *part)


def across_batch(faces):
    "Attention over the batch: judged in batches of mixed faces, of one class each, and one face at a time"
    (x, y), (test_x, test_y) = faces.new(24)
    for leak in (True, False):
        torch.manual_seed(faces.seed)
        net = nn.Sequential(*list(small())[:-1], nn.BatchNorm1d(64, affine=False), *([AcrossBatch()] if leak else []), nn.Linear(64, 7))
        fit(net, x, y, 20)
        orders = {'mixed batches of 32': torch.randperm(len(test_y)).split(32), 'batches sorted by class': test_y.argsort(stable=True).split(32),
                  'one face at a time': torch.arange(len(test_y)).split(1)}
        net.eval()
        for arm, batches in orders.items():
            with torch.no_grad(): right = [(net(test_x[o]).argmax(1) == test_y[o]).float() for o in batches]
            yield f'{"attention over the batch" if leak else "no attention"}; {arm}', dict(accuracy=torch.cat(right).mean().item())


WAY = (  # what is repaired, one after the other
    ('as found', {}), ('labels in step', dict(shuffled=False)), ('no ReLU at the end', dict(relu_end=False)),
    ('whole epochs', dict(single_step=False)), ('ReLU after convolutions', dict(active=True)), ('batch norm', dict(norm=True)),
    ('epoch chosen on valid', dict(on_test=False)))
FOUND = dict(shuffled=True, relu_end=True, single_step=True, active=False, norm=False, on_test=True)


def way_back(faces):
    "A program with the mistakes of several projects, repaired one by one: what it reports on 500 faces, and its accuracy on the others"
    valid, test, state = faces.valid(24)[1], faces.test(24)[1], dict(FOUND)
    for arm, repair in WAY:
        state |= repair
        answers = watch(faces, *(state[o] for o in ('active', 'relu_end', 'norm', 'single_step')))
        chooser = [(o[1][:500] == test[:500] if state['on_test'] else o[0] == valid).float().mean().item() for o in answers]
        said = answers[int(np.argmax(chooser))][1]
        labels = test[:500][torch.randperm(500)] if state['shuffled'] else test[:500]
        yield arm, dict(reported=(said[:500] == labels).float().mean(), accuracy=(said[500:] == test[500:]).float().mean())


SUSPECTS = (relu_end, linear_convolutions, shuffled_test, single_steps, augmented_validation, chosen_on_test, copies, across_batch, way_back,
            training_in_test, frozen_bodies, deep_vgg)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('suspects', nargs='*', help=f'some of {", ".join(o.__name__ for o in SUSPECTS)}; all by default')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--photographs', action='store_true', help='FER2013 instead of drawn faces')
    parser.add_argument('--out', default=FILE, type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = pd.read_csv(args.out).to_dict('records') if args.out.exists() else []
    for suspect in SUSPECTS:
        if args.suspects and suspect.__name__ not in args.suspects: continue
        for seed in args.seeds:
            faces = (Photographs if args.photographs else Drawn)(seed)
            run = dict(data=faces.name, suspect=suspect.__name__, seed=seed)
            if any(run.items() <= row.items() for row in rows): continue
            start, new = time.process_time(), []
            for arm, measures in suspect(faces):
                new += [dict(run, arm=arm, measure=key, value=round(float(value), 4)) for key, value in measures.items()]
            rows += new
            table = pd.DataFrame(rows)
            table.to_csv(part := args.out.with_suffix('.part'), index=False)
            os.replace(part, args.out)
            print(f'{suspect.__name__}, seed {seed}: {time.process_time() - start:.0f} s of CPU')
            print(table.tail(len(new))[['arm', 'measure', 'value']].to_string(index=False), flush=True)


if __name__ == '__main__': main()
