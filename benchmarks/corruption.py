"""Every network that comes with fer_teach, and runs of others, on FER2013. PublicTest in worse pictures, without test-time views: nbs/corruption.csv. PrivateTest against the people
of FER+: nbs/people.csv. Only numbers are stored, and a row tells by which weights; rows of other weights are measured again.

`FER_TEACH_DATA=... python benchmarks/corruption.py [corruption] [people] --votes ferplus.csv --runs RUN ...`: a run is
a folder as `fer_teach learn` and `fer_teach benchmark --keep` leave it; in the tables it is called by the folder's name."""
import argparse
import hashlib
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from fer_teach.core import FaceError
from fer_teach.evaluation import compare, evaluate, wilson_interval
from fer_teach.failures import CORRUPTIONS, annotator_accuracy, robustness
from fer_teach.grading import mean_interval
from fer_teach.fer2013 import join_ferplus
from fer_teach.readers import find_faces
from fer_teach.runs import SHIPPED, load_emotions

NBS = Path(__file__).parents[1]/'nbs'
AGREED = 8  # votes of ten from which people are said to agree


def write(table, file):
    table.round(4).to_csv(part := file.with_suffix('.part'), index=False)
    os.replace(part, file)


def weights_of(folder): return hashlib.sha256((folder/'model.safetensors').read_bytes()).hexdigest()[:12]


# --- by corruption

def one_view(folder):
    "The network alone: averaging over mirrored and zoomed views would take six times as long"
    learn = load_emotions(folder)
    learn.this_run = replace(learn.this_run, recipe=replace(learn.recipe, tta={}))
    return learn


def corruption(faces, folders, file):
    "Kinds that stand in `file` for the same weights and number of images are not measured again"
    empty = pd.DataFrame(columns=['network', 'weights', 'images', 'kind'])
    old = pd.read_csv(file) if file.exists() else empty
    known = {(o.name, weights_of(o), len(faces.split('valid'))) for o in folders}
    rows = zip(old.network, old.weights, old.images)
    tables = [old.loc[np.array([row in known for row in rows], bool)]]
    for folder in folders:
        facts, learn = dict(network=folder.name, weights=weights_of(folder)), one_view(folder)
        for kind in CORRUPTIONS:
            done = pd.concat(tables)
            if ((done.network == folder.name) & (done.kind == kind)).any(): continue
            start, first = time.perf_counter(), not (done.network == folder.name).any()
            found = robustness(learn, faces, [kind], 'valid')
            tables.append((found if first else found.iloc[1:]).assign(**facts))
            write(pd.concat(tables), file)
            seconds = time.perf_counter() - start
            print(f'{folder.name}, {seconds:.0f} s\n{found.round(3).to_string()}', flush=True)


# --- by people

def share(values):
    mean, low, high = mean_interval(np.asarray(values, float))
    return dict(value=mean, low=low, high=high, images=len(values))


def by_agreement(name, right, votes):
    "The share of `right`, in all and by the number of votes for the most frequent answer"
    most = votes.max(1)
    groups = {'all': most > 0, 'up to 4': most <= 4} | {str(o): most == o for o in range(5, 11)}
    return [dict(what=name, group=group, **share(right[own])) for group, own in groups.items() if own.any()]


def confused(name, first, second, rows, k=6):
    "The most frequent pairs of different names among the images `rows`, as shares of these"
    pairs = pd.Series([f'{a}, {b}' for a, b in zip(first[rows], second[rows]) if a != b], dtype=object)
    found, n = [], int(rows.sum())
    for pair, count in pairs.value_counts().head(k).items():
        low, high = wilson_interval(count, n)
        found.append(dict(what=name, group=pair, value=count/n, low=low, high=high, images=n))
    return found


def people(faces, folders, votes_file, file):
    "FER+'s annotators and the networks on PrivateTest; contempt, ties and pictures of no emotion are left out"
    test = faces.split('test')
    voted = join_ferplus(test, votes_file)
    voted = voted[voted.labels < len(faces.vocab)]
    named = np.array(voted.vocab)
    votes = np.column_stack([voted.votes, voted.attributes[['unknown', 'not_a_face']]])
    majority, label = named[voted.labels], voted.attributes.label.to_numpy()
    own = votes[np.arange(len(votes)), [named.tolist().index(o) for o in label]]/votes.sum(1)
    rows = [dict(what='images with a majority', group='all', **share(np.isin(test.source, voted.source)))]
    rows += by_agreement('one annotator, the others', annotator_accuracy(votes), votes)
    rows += by_agreement('one annotator, label of FER2013', own, votes)
    rows += by_agreement('majority, label of FER2013', majority == label, votes)
    agreed, table = votes.max(1) >= AGREED, [pd.DataFrame(rows).assign(network='', weights='')]
    place = {o: i for i, o in enumerate(test.source)}
    rows = [place[o] for o in voted.source]
    for folder in folders:
        result = evaluate(load_emotions(folder), faces)
        judged = {'people': judged_by(result, rows, majority), 'the label': judged_by(result, rows, label)}
        said = np.array(result.vocab)[result.predictions[rows]]
        found = by_agreement('network, the majority', said == majority, votes)
        found += by_agreement('network, label of FER2013', said == label, votes)
        found += by_agreement('confidence of the network', result.probabilities[rows].max(1), votes)
        found += followed(judged, majority == label)
        if folder == folders[0]: first = judged
        else: found += [dict(what=f'p against {folders[0].name}', group=who, value=compare(first[who], o).p_value, images=len(o))
                        for who, o in judged.items()]
        found += [dict(what='network errs', group='people agree', **share((said != majority)[agreed]))]
        wrong = agreed & (said != majority)
        found += confused('network errs where people agree (people, network)', majority, said, wrong)
        found += pairs(result)
        table.append(pd.DataFrame(found).assign(network=folder.name, weights=weights_of(folder)))
    write(pd.concat(table), file)
    print(pd.concat(table).round(3).to_string())


def judged_by(result, rows, names):
    "`result` on some of its images, with `names` for labels"
    labels = np.array([result.vocab.index(o) for o in names])
    return replace(result, labels=labels, predictions=result.predictions[rows], probabilities=result.probabilities[rows],
                   source=result.source[rows], clean=result.clean[rows])


def followed(judged, same):
    "How often the network answers as people and as FER2013's label do: where these two are the same, where not, and without copies of Training"
    found = [dict(what='label and people agree', group='says the same', **share(judged['people'].right[same]))]
    found += [dict(what='label and people differ', group=f'as {who}', **share(o.right[~same])) for who, o in judged.items()]
    return found + [dict(what='not in Training', group=who, **share(o.right[o.clean])) for who, o in judged.items()]


def pairs(result):
    "How often each pair of classes is confused, either way, as a share of the images of the two"
    rows, counts = [], result.confusion
    for i, a in enumerate(result.vocab):
        for j, b in list(enumerate(result.vocab))[i + 1:]:
            total, mixed = counts[[i, j]].sum(), counts[i, j] + counts[j, i]
            low, high = wilson_interval(mixed, total)
            rows.append(dict(what='confused pair', group=f'{a}, {b}', value=mixed/total,
                             low=low, high=high, images=int(total)))
    return rows


def some_of(faces, images):
    "Only the split 'valid', or `images` of it"
    valid = faces.split('valid')
    if images is None: return valid
    return valid[np.sort(np.random.default_rng(0).permutation(len(valid))[:images])]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('what', nargs='*', default=['people', 'corruption'])
    parser.add_argument('--data', default='fer2013')
    parser.add_argument('--votes', default='ferplus.csv', type=Path, help="FER+'s table")
    parser.add_argument('--runs', nargs='*', default=[], type=Path, help='runs of other networks')
    parser.add_argument('--images', type=int, help='corrupt so many of PublicTest, chosen at random; all by default')
    parser.add_argument('--out', default=NBS, type=Path)
    args = parser.parse_args()
    faces = find_faces(args.data).reduce(7)
    folders = sorted(o for o in SHIPPED.iterdir() if o.is_dir())
    if faces.votes is not None:
        raise FaceError('these labels are those of FER+: give FER2013 alone as --data, and FER+ as --votes')
    if 'people' in args.what: people(faces, folders + args.runs, args.votes, args.out/'people.csv')
    if 'corruption' in args.what:
        corruption(some_of(faces, args.images), folders + args.runs, args.out/'corruption.csv')


if __name__ == '__main__': main()
