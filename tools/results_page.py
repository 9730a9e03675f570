"""The page of results, from nbs/leaderboard.csv and nbs/people.csv as they are when the site is built: charts first, then the table.

A row of the page is one method as one recipe trained it; its seeds are one row with mean and range. Charts are SVG written here,
whose widths are percentages: letters stay as large on a phone. Colours and shapes are in tools/results/results.css.
"""
import csv
import html
import math
import re
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from pathlib import Path
from statistics import fmean

from fer_teach.archs import ALL_BASELINES, ARCHS
from fer_teach.baselines import MLP
from fer_teach.data import SCHEMES
from fer_teach.fast import WINK
from fer_teach.scratch import SCRATCH
from fer_teach.systems import SYSTEMS, System

here = Path(__file__).parent/'results'
FAMILIES = dict(ours='Wink, ours', small='small networks', body='standard bodies', svm='support vector machines',
                guess='always the same class', other='others')
HUMAN = (.65, .05)  # Goodfellow et al. (2013), for the seven classes of FER2013; mean and the spread that they give
MADE_BY = ('method', 'recipe', 'classes', 'trained_on', 'data', 'fingerprint', 'train_images', 'epochs', 'views', 'note')  # all but the seed


def escape(o): return html.escape(str(o))
def percent(o): return f'{100*o:.1f}\N{NO-BREAK SPACE}%'
def breakable(name): return escape(name).replace('_', '_<wbr>')
def number(o): return float(o) if o else None
def mean(numbers): return fmean(found) if (found := [o for o in numbers if o is not None]) else None
def plural(n, what): return f'{n:,.0f} {what}{"s" if n != 1 else ""}'


def family_of(method: str) -> str:
    if method == 'majority': return 'guess'
    if method == WINK.name: return 'ours'
    if method in ALL_BASELINES: return 'svm'
    if method in SCRATCH or method == MLP.name: return 'small'
    return 'body' if method in ARCHS else 'other'


def published_figure(text: str):
    "The accuracy that `text` begins with; None where it begins otherwise"
    found = re.match(r'(?:test |val )?(\d*\.?\d+) ?%?', text)
    return float(found[1])/(1 if found[1].startswith('.') else 100) if found else None  # .43 or 43 %


def unlike(text: str) -> str:
    "Why the published figure in `text` must not be compared with ours of the same question; empty if nothing in it says so"
    reasons = {r'\(8 classes': '8 classes', 'other data': 'other data', '^val ': 'validation pictures', 'not said': 'other classes, perhaps',
               'not clear': 'how it began is not clear'}
    return ', '.join(o for pattern, o in reasons.items() if re.search(pattern, text))


def question_name(classes: str) -> str:
    "`7`, `4` or `2` where a scheme has just these classes, else their names"
    names = classes.split()
    return str(len(names)) if SCHEMES.get(str(len(names))) == tuple(names) else '-'.join(names)


@dataclass
class Group:
    "The seeds of one method as one recipe trained it"
    rows: list

    def __getattr__(self, name):  # what all seeds share, as the file has it
        if name.startswith('_') or name not in self.rows[0]: raise AttributeError(name)
        return self.rows[0][name] or ''

    def mean(self, column): return mean([number(o.get(column)) for o in self.rows])
    def each(self, column): return [number(o[column]) for o in self.rows]
    @cached_property
    def score(self): return self.mean('accuracy')
    @cached_property
    def interval(self): return self.mean('low'), self.mean('high')
    @cached_property
    def clean(self): return self.mean('clean_accuracy')
    @cached_property
    def family(self): return family_of(self.method)
    @cached_property
    def question(self): return question_name(self.classes)
    @cached_property
    def said_elsewhere(self): return published_figure(self.published)
    @cached_property
    def unlike(self): return unlike(self.published)
    @property
    def minutes(self): return (found := self.mean('seconds')) and found/60
    @property
    def range(self): return min(self.each('accuracy')), max(self.each('accuracy'))
    @property
    def size(self): return number(self.parameters)

    def facts(self, others=()):
        "What tells this group from `others` of the same method and recipe; everything without them"
        words = dict(trained_on=self.trained_on and f'trained on {len(self.trained_on.split())} classes', epochs=self.epochs and f'{self.epochs} epochs',
                     views=self.views and plural(int(self.views), 'view'))
        if not self.epochs: words |= dict(train_images=self.train_images and f'{int(self.train_images):,} images')
        return [o for name, o in words.items() if o and any(getattr(other, name) != getattr(self, name) for other in others)]

    def id(self):
        words = [self.method, self.recipe, 'on', self.question]
        if self.trained_on: words += ['from', question_name(self.trained_on)]
        if self.epochs: words += [self.epochs, 'epochs']
        if self.views not in ('', '1'): words += [self.views, 'views']
        return re.sub(r'[^\w]+', '-', '-'.join(words)).lower()


def read_groups(file: Path) -> list:
    "The rows of `file`, the seeds of a recipe together; questions by their classes, the best first"
    rows = list(csv.DictReader(file.open(encoding='utf-8', newline=''))) if file.exists() else []
    def made_by(row): return [row.get(o) or '' for o in MADE_BY]
    groups = [Group(sorted(o, key=lambda row: row['seed'])) for _, o in groupby(sorted(rows, key=made_by), made_by)]
    return sorted(groups, key=lambda o: (-len(o.classes.split()), o.classes, -o.score))


def with_ids(groups: list) -> dict:
    "{id: group}; of two that nothing but a note tells apart, the second has a number"
    found = {}
    for group in groups:
        name, n = group.id(), 2
        while name in found: name, n = f'{group.id()}-{n}', n + 1
        found[name] = group
    return found


@dataclass
class Elsewhere:
    "A published system without a row here"
    name: str
    system: System

    @property
    def published(self): return self.system.recipe.published
    @property
    def figure(self): return published_figure(self.published)
    @property
    def family(self): return family_of(self.system.arch)
    @property
    def question(self):
        named, counted = re.search(r'\((\w+) v\. (\w+)', self.published), re.search(r'\((\d) classes', self.published)
        if named: return question_name(' '.join(named.groups()))
        return counted[1] if counted else str(getattr(self.system.recipe, 'classes', None) or 7)
    @property
    def unlike(self):  # of fewer than all classes the table gives the number; which they were it seldom says
        return ', '.join(o for o in (unlike(self.published), f'which {self.question} is not said' if self.question in ('2', '4') else '') if o)


def elsewhere(groups) -> list:
    "The published systems that `groups` have no row of, the best first"
    run = {o.recipe for o in groups}
    return sorted((Elsewhere(*o) for o in SYSTEMS.items() if o[0] not in run), key=lambda o: (-(o.figure or 0), o.name))


def annotator(file: Path):
    "How often one annotator of FER+ has the label of FER2013; None if nobody has counted"
    rows = list(csv.DictReader(file.open(encoding='utf-8', newline=''))) if file.exists() else []
    return next((float(o['value']) for o in rows if o['what'] == 'one annotator, label of FER2013' and o['group'] == 'all'), None)


# --- elements and marks

def element(tag, /, *inside, **attributes) -> str:
    "An element of HTML or SVG; `kind` is its class, and attributes whose value is None are left out"
    if 'kind' in attributes: attributes['class'] = attributes.pop('kind')
    told = ''.join(f' {k.replace("_", "-")}="{escape(o)}"' for k, o in attributes.items() if o is not None)
    return f'<{tag}{told}>{"".join(inside)}</{tag}>'


def line(kind, x1, x2, y1, y2): return element('line', kind=kind, x1=x1, x2=x2, y1=y1, y2=y2)
def upright(kind, x, bottom='100%'): return line(kind, x, x, 0, bottom)



MARKS = dict(ours='<circle r="5.5"/>', small='<rect x="-5" y="-5" width="10" height="10"/>', body='<path d="M0-6.5 6 5H-6Z"/>',
             svm='<path d="M0 6.5 6-5H-6Z"/>', guess='<path class="stroke" d="M-4.5-4.5 4.5 4.5M-4.5 4.5 4.5-4.5"/>',
             other='<path d="M0-6 6 0 0 6-6 0Z"/>', published='<path d="M0-6 6 0 0 6-6 0Z"/>')


def mark(family, x='7', y=7, more=''):
    return element('svg', MARKS[family], x=x, y=y, overflow='visible', kind=f'mark fam-{family} {more}')


def key(family, said, more=''):
    return element('li', element('svg', mark(family, more=more), width=14, height=14, aria_hidden='true'), f' {said}')


class Scale:
    "Places on an axis of accuracies, in percent of its length"
    def __init__(self, values):
        self.low, self.high = math.floor(10*min(values) - .2)/10, min(1, math.ceil(10*max(values) + .2)/10)
        self.ticks = [o/10 for o in range(round(10*self.low), round(10*self.high) + 1)]

    def share(self, low, high): return 100*(high - low)/(self.high - self.low)
    def at(self, o): return f'{self.share(self.low, o):.2f}%'


# --- one question: a dot plot

ROW = 38


def lines_of(scale, majority, people):
    "What lies behind every row of a dot plot: grid, people, majority"
    marks = [upright('grid', scale.at(o)) for o in scale.ticks]
    for low, high in people['band']:
        marks.append(element('rect', kind='people', x=scale.at(low), width=f'{scale.share(low, high):.2f}%', height='100%'))
    marks += [upright('people', scale.at(o)) for o in people['lines']]
    return element('svg', *marks, upright('majority', scale.at(majority)), kind='dots-back', aria_hidden='true')


def axis(scale, majority, people):
    "The row above a dot plot: what the lines are, and the ticks"
    texts = [element('text', 'majority', x=scale.at(majority), dx=4, y=11)]
    texts += [element('text', 'people', x=scale.at(o), y=11, text_anchor='middle') for o in people['lines'][:1]]
    first, last = scale.ticks[0], scale.ticks[-1]
    for o in scale.ticks:
        if round(10*(last - o)) % 2: continue
        place = 'end' if o == last else 'start' if o == first else 'middle'
        texts.append(element('text', f'{100*o:.0f}{" %" if o == last else ""}', x=scale.at(o), y=26, text_anchor=place))
    return element('svg', *texts, kind='dots-plot', height=32, aria_hidden='true')


def said(group):
    "One row of a dot plot in words"
    low, high = group.interval
    found = [percent(group.score) if len(group.rows) == 1 else
             f'mean of {len(group.rows)} seeds {percent(group.score)} (seeds {percent(group.range[0])} to {percent(group.range[1])})',
             f'interval {percent(low)} to {percent(high)}']
    if group.clean: found.append(f'without pictures of Training {percent(group.clean)}')
    if group.published: found.append(f'published: {group.published}')
    return '; '.join(found)


def dots(group, scale):
    "The marks of one row"
    (low, high), at, y = group.interval, scale.at, 14
    marks = [line(f'interval fam-{group.family}', at(low), at(high), y, y)]
    if group.said_elsewhere:
        there = at(group.said_elsewhere)
        marks += [line('tie', at(group.score), there, y, y), mark('published', there, y, 'unlike' if group.unlike else '')]
    if len(group.rows) > 1: marks.append(line(f'range fam-{group.family}', *map(at, group.range), y, y))
    marks.append(mark(group.family, at(group.score), y))
    if group.clean: marks.append(mark(group.family, at(group.clean), y + 14, 'clean'))
    words = said(group)
    return element('svg', element('title', escape(words)), *marks, kind='dots-plot', height=ROW, role='img', aria_label=words)


def small_print(group, alike):
    words = [group.recipe] if group.recipe != 'default' else []
    seeds = [plural(len(group.rows), 'seed')] if len(group.rows) > 1 else []
    return ', '.join(words + group.facts(alike) + seeds)


def alike(group, groups):
    "The others of the same method, recipe and question"
    def shared(o): return o.method, o.recipe, o.classes
    return [o for o in groups if shared(o) == shared(group) and o is not group]


def tags(group):
    "What the filters ask of a row"
    return dict(data_question=group.question, data_family=group.family, data_published='yes' if group.published else 'no')


def dot_row(name, group, every, scale):
    label = element('a', breakable(group.method), href=f'#{name}')
    label += element('small', escape(small_print(group, alike(group, every))))
    if group.published: label += element('small', f'published: {escape(group.published)}')
    value = element('span', f'{100*group.score:.1f}', kind='dots-value')
    return element('li', element('span', label, kind='dots-name'), dots(group, scale), value, kind='dots-row', **tags(group))


def elsewhere_row(other, scale):
    "One row of a published system that has none of ours: a hollow diamond"
    words = f'published: {other.published}' + (f'; not comparable: {other.unlike}' if other.unlike else '')
    label = element('span', element('strong', breakable(other.system.arch)), element('small', breakable(other.name)), element('small', escape(words)), kind='dots-name')
    at = mark('published', scale.at(other.figure), 14, 'unlike' if other.unlike else '')
    said = f'{other.name}, not run here; {words}'
    plot = element('svg', element('title', escape(said)), at, kind='dots-plot', height=ROW, role='img', aria_label=said)
    shown = element('span', f'{100*other.figure:.4g}', kind='dots-value')
    return element('li', label, plot, shown, kind='dots-row elsewhere', data_question=other.question, data_family=other.family, data_published='yes')


def dot_plot(groups: dict, people: dict, others=()) -> str:  # {id: group} of one question, and who else published a figure for it
    "Every method of one question, the best first; below them the published systems that were not run here"
    every = list(groups.values())
    majority = every[0].mean('majority')
    values = [majority, *people['lines'], *(o for band in people['band'] for o in band)]
    values += [o for g in every for o in (*g.interval, g.clean, g.said_elsewhere) if o] + [o.figure for o in others]
    scale = Scale(values)
    top = element('li', '<span></span>', axis(scale, majority, people), '<span></span>', lines_of(scale, majority, people), kind='dots-row dots-axis')
    below = [element('li', 'Published, not run here', kind='dots-head'), *(elsewhere_row(o, scale) for o in others)] if others else []
    return element('ol', top, *(dot_row(name, o, every, scale) for name, o in groups.items()), *below, kind='dots')


# --- accuracy by size and by time

WIDE, HIGH, LETTER, NEAR = 310, 320, 7, 45  # labels are placed for a phone's width; elsewhere there is more room


BESIDE = ((-8, -8, 'end'), (8, -8, 'start'), (10, 4, 'start'), (-10, 4, 'end'), (0, -12, 'middle'), (8, 17, 'start'), (-8, 17, 'end'), (0, 21, 'middle'))


def _overlap(a, b): return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def place_labels(points, plot=(WIDE, HIGH)) -> dict:  # [(x, y, text)], the most important first
    "{index: (dx, dy, anchor)} of the labels that fit beside their points without touching a point or another label, or saying it twice"
    taken, placed = [(x - 7, y - 7, x + 7, y + 7) for x, y, _ in points], {}
    for i, (x, y, text) in enumerate(points):
        if any(points[j][2] == text and math.dist(points[j][:2], (x, y)) < NEAR for j in placed): continue
        wide = LETTER*len(text)
        for dx, dy, anchor in BESIDE:
            left = x + dx - dict(start=0, middle=wide/2, end=wide)[anchor]
            box = (left, y + dy - 10, left + wide, y + dy + 3)
            if left < 0 or box[2] > plot[0] or box[1] < 0 or box[3] > plot[1]: continue
            if any(_overlap(box, o) for j, o in enumerate(taken) if j != i): continue
            placed[i] = dx, dy, anchor
            taken.append(box)
            break
    return placed


def log_ticks(low, high, steps):
    "Round numbers between `low` and `high`, a log axis"
    return [m*10**e for e in range(-2, 10) for m in steps if low <= m*10**e <= high]


def frontier(groups, x):
    "Those that nothing beats which is as small"
    best, found = 0, []
    for group in sorted(groups, key=lambda o: (x(o), -o.score)):
        if group.score > best: best, _ = group.score, found.append(group)
    return found


def scatter(groups: dict, x, name: str, shown, steps, people) -> str:
    "Accuracy over the logarithm of `x`, a function of a group, with the best of each size joined by a line"
    known = [o for o in groups.values() if x(o) and o.family != 'guess']
    low, high = .8*min(map(x, known)), 1.25*max(map(x, known))
    scale = Scale([o for g in known for o in g.interval] + people['lines'])
    def share(o): return math.log(o/low)/math.log(high/low)
    def across(o): return f'{100*share(o):.2f}%'
    def down(o): return HIGH*(scale.high - o)/(scale.high - scale.low)
    front = frontier(known, x)
    order = front + sorted((o for o in known if o not in front), key=lambda o: -o.score)
    marks = [element('rect', kind='people', width='100%', y=f'{down(b):.1f}', height=f'{down(a) - down(b):.1f}') for a, b in people['band']]
    for o in scale.ticks:
        marks += [line('grid', 0, '100%', f'{down(o):.1f}', f'{down(o):.1f}'), element('text', f'{100*o:.0f}', x=-6, y=f'{down(o) + 4:.1f}', text_anchor='end')]
    for o in log_ticks(low, high, steps):
        marks += [upright('grid', across(o), HIGH), element('text', shown(o), x=across(o), y=HIGH + 18, text_anchor='middle')]
    for a, b in pairwise(front):
        left, right, level = across(x(a)), across(x(b)), f'{down(a.score):.1f}'
        marks += [line('front', left, right, level, level), line('front', right, right, level, f'{down(b.score):.1f}')]
    labels = place_labels([(share(x(o))*WIDE, down(o.score), o.method) for o in order])
    for i, group in reversed(list(enumerate(order))):
        (a, b), place, level = group.interval, across(x(group)), f'{down(group.score):.1f}'
        note = f'{group.method} {small_print(group, ())}: {percent(group.score)}, {shown(x(group))} {name}'
        parts = [element('title', escape(note)), line(f'interval fam-{group.family}', place, place, f'{down(a):.1f}', f'{down(b):.1f}'), mark(group.family, place, level)]
        if i in labels:
            dx, dy, side = labels[i]
            parts.append(element('text', escape(group.method), x=place, y=level, dx=dx, dy=dy, text_anchor=side))
        marks.append(element('g', *parts, **tags(group)))
    told = '; '.join(f'{o.method} {percent(o.score)} with {shown(x(o))}' for o in front)
    below = element('text', name, x='50%', y=HIGH + 40, text_anchor='middle')
    words = f'Accuracy in percent over {name}, the best of each size: {told}'
    return element('div', element('svg', *marks, below, height=HIGH + 44, role='img', aria_label=words), kind='scatter')


def short(o): return f'{o/1e6:.3g} M' if o >= 1e6 else f'{o/1e3:.3g} k' if o >= 1e3 else f'{o:.3g}'


# --- the table

COLUMNS = {'method': '', 'recipe': 'wide', 'classes': 'wide', 'accuracy': 'number', 'interval': 'number', 'clean': 'number wide',
           'macro-F1': 'number wide', 'parameters': 'number wide', 'minutes': 'number wide', 'seeds': 'number wide'}


def recall_bars(group):
    "The recall of each class, the mean of the seeds, as bars"
    found = [dict(o.rsplit(' ', 1) for o in row['recall'].split('; ')) for row in group.rows if row.get('recall')]
    def bar(name, share):
        back, front = (element('rect', kind=kind, width=f'{o:.1f}%', height=10) for kind, o in (('back', 100), (f'fam-{group.family}', 100*share)))
        return element('li', f'<span>{escape(name)}</span>', element('svg', back, front, kind='bar', height=10, aria_hidden='true'), f'<span>{100*share:.0f} %</span>')
    return element('ul', *(bar(name, fmean(float(o[name]) for o in found)) for name in found[0]), kind='recall') if found else ''


def one_seed(row): return f'{row["seed"]}: {percent(float(row["accuracy"]))} ({100*float(row["low"]):.1f} to {100*float(row["high"]):.1f})'


def unfolded(name, group):
    "What a row of the table unfolds to"
    rows, valid, epochs = group.rows, group.mean('valid_accuracy'), group.epochs
    if epochs and group.epochs_published not in ('', epochs): epochs += f', where {group.epochs_published} were published'
    facts = {'classes': group.classes, 'trained on': group.trained_on or 'the same classes', 'published': group.published,
             'each seed': '; '.join(map(one_seed, rows)) if len(rows) > 1 else '', 'validation accuracy': valid and percent(valid),
             'always the same class': percent(group.mean('majority')), 'epochs': epochs, 'views at test time': group.views,
             'training images': group.train_images and f'{int(group.train_images):,}', 'parameters': group.size and f'{group.size:,.0f}',
             'data': f'{group.data}, fingerprint {group.fingerprint}', 'machine': group.machine, 'version': group.version, 'note': group.note}
    listed = (element('div', element('dt', k), element('dd', escape(o))) for k, o in facts.items() if o)
    recall = element('div', '<p>Recall of each class</p>', recall_bars(group), f'<p><a href="#{name}">Link to this row</a></p>')
    return element('dl', *listed) + recall


def cells_of(group, every) -> dict:
    "{column: (what it is sorted by, what it shows)} of a row, without the method"
    low, high = group.interval
    asked, minutes, clean, f1 = group.question.replace('-', ', '), group.minutes, group.clean, group.mean('macro_f1')
    spread = element('small', '{:.1f} to {:.1f}'.format(*(100*o for o in group.range))) if len(group.rows) > 1 else ''
    return {'recipe': (group.recipe, escape(group.recipe) + element('small', escape(', '.join(group.facts(alike(group, every)))))),
            'classes': (f'{len(group.classes.split())} {group.classes}', asked), 'accuracy': (group.score, f'<strong>{100*group.score:.1f}</strong>'),
            'interval': (low, f'{100*low:.1f} to {100*high:.1f}'), 'clean': (clean or '', f'{100*clean:.1f}' if clean else ''),
            'macro-F1': (f1 or '', f'{f1:.3f}' if f1 else ''), 'parameters': (group.size or '', short(group.size) if group.size else ''),
            'minutes': (minutes or '', '' if not minutes else f'{minutes:.0f}' if minutes >= 1 else '&lt; 1'),
            'seeds': (len(group.rows), f'{len(group.rows)}{spread}')}


def table_row(name, group, every):
    cells = cells_of(group, every)
    asked = f'{group.question} classes' if group.question.isdigit() else cells['classes'][1]
    fold = element('details', element('summary', breakable(group.method), kind='results-name'))
    narrow = element('small', escape(', '.join([group.recipe, asked, *group.facts(alike(group, every))])), kind='narrow')
    method = element('th', fold, narrow, scope='row', data_value=group.method)
    body = (element('td', shown, kind=COLUMNS[column], data_value=value) for column, (value, shown) in cells.items())
    more = element('tr', element('td', element('div', unfolded(name, group)), colspan=len(COLUMNS)), kind='more')
    return element('tbody', element('tr', method, *body), more, id=name, **tags(group))


def table(groups: dict) -> str:
    every = list(groups.values())
    head = (element('th', element('button', name, type='button'), scope='col', kind=kind) for name, kind in COLUMNS.items())
    about = '<caption>Accuracies in percent. Press a heading to sort, a method to unfold its row.</caption>'
    body = (table_row(name, o, every) for name, o in groups.items())
    return element('div', element('table', about, element('thead', element('tr', *head)), *body, kind='table table-sm results'), kind='results-scroll')


# --- the page

def heading(question, classes):
    n = len(classes.split())
    return f'{n} classes' if question == '7' else f'{n} classes: {", ".join(classes.split())}'


def legend(families):
    keys = [key(o, FAMILIES[o]) for o in FAMILIES if o in families]
    keys += [key('ours', 'hollow: without the pictures that are in Training too', 'clean plain'), key('published', 'published'),
             key('published', 'published, not comparable: other data, classes or pictures', 'unlike')]
    return f'<ul class="results-legend">{"".join(keys)}</ul>'


def filters(questions, families):
    def choice(name, options):
        listed = (element('option', escape(o), value=k) for k, o in {'': 'all', **options}.items())
        return element('label', f'{name} ', element('select', *listed, name=name))
    published = '<label><input type="checkbox" name="published" value="yes"> with a published figure</label>'
    return element('form', choice('question', questions), choice('family', {o: FAMILIES[o] for o in FAMILIES if o in families}), published,
                   '<output aria-live="polite"></output>', kind='results-filters', aria_label='Filters')


def raw(text): return f'```{{=html}}\n{text}\n```\n'


EMPTY = ('There are no rows yet: nothing has been measured for publication. A row appears here only when a run of `fer_teach benchmark` '
         'has written it, so there is no figure to compare with what others published.')


INTRODUCTION = """What each method reaches on test pictures of FER2013 that it never saw, and what others published. Every figure of ours was
written by a run of `fer_teach benchmark`. A line is the 95\N{NO-BREAK SPACE}% interval: where two lines overlap much, call it a tie.
Seeds of one recipe are one row, with their mean; the thick line is their range.
Each project split its pictures in its own way, so even a solid diamond is no figure for our test pictures.
"""
BY_SIZE = """## Accuracy by size and by time {#by-size}

The seven classes. The stepped line joins the best of each size: what lies below it is beaten by something as small.
Methods without a fixed number of parameters are in the second chart only. Minutes are those of the machine that the row names,
which other work may have shared.
"""


def about_people(one):
    "What the band and the lines of the seven classes are"
    told = 'Grey band: people, 65 ± 5\N{NO-BREAK SPACE}% ([Goodfellow et al., 2013](https://arxiv.org/abs/1307.0414)).'
    if one: told += (f' Grey line at {100*one:.0f}\N{NO-BREAK SPACE}%: one annotator of FER+ against the same labels '
                     '([chapter 74](74_failures.ipynb) says how it was counted).')
    return told + '\n'


def uncharted(others) -> str:
    "What was published and stands in no chart, and why"
    told = '; '.join(f'{o.name} {o.published}' for o in others if re.match(r'(under )?\.?\d', o.published))
    return f'Published and in no chart, for it is no accuracy on the classes of one: {told}.\n' if told else ''


def scatters(groups, people):
    by_size = scatter(groups, lambda o: o.size, 'parameters', short, (1,), people)
    by_time = scatter(groups, lambda o: o.minutes, 'minutes of training', lambda o: f'{o:.2g}', (1, 3), people)
    return element('div', by_size, by_time, kind='scatters')


def page(file: Path, people_file: Path) -> str:
    "Markdown of the page"
    groups = with_ids(read_groups(file))
    top = '---\ntitle: Results\ntoc: false\npage-layout: full\n---\n'
    if not groups: return f'{top}\n{EMPTY}\n'
    questions = {o.question: heading(o.question, o.classes) for o in groups.values()}
    families = {o.family for o in groups.values()}
    one = annotator(people_file)
    people = dict(band=[(HUMAN[0] - HUMAN[1], HUMAN[0] + HUMAN[1])], lines=[HUMAN[0], *([one] if one else [])])
    nobody = dict(band=[], lines=[])
    parts = [top, INTRODUCTION, raw(filters(questions, families) + legend(families))]
    others = elsewhere(groups.values())
    charted = [o for o in others if o.figure and o.question in questions]
    for question, name in questions.items():
        own = {k: o for k, o in groups.items() if o.question == question}
        plot = dot_plot(own, people if question == '7' else nobody, [o for o in charted if o.question == question])
        parts += [f'## {name} {{#q-{question}}}\n', raw(element('div', plot, data_plot=question))]
        if question == '7': parts += [about_people(one), BY_SIZE, raw(scatters(own, people))]
    parts.append(uncharted([o for o in others if o not in charted]))
    script = (here/'results.js').read_text(encoding='utf-8')
    parts += ['## Every row {#every-row}\n', raw(f'{table(groups)}<script>{script}</script>')]
    return '\n'.join(parts)
