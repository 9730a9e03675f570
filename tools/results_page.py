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

here = Path(__file__).parent/'results'
FAMILIES = dict(ours='Wink, ours', small='small networks', body='standard bodies', svm='support vector machines', guess='always the same class', other='others')
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
    "The accuracy that `text` names first; None where it names another measure or none"
    found = re.match(r'(\d+(?:\.\d+)?) ?%?', text)
    return float(found[1])/100 if found and 'F1' not in text else None


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
    @property
    def minutes(self): return (found := self.mean('seconds')) and found/60
    @property
    def size(self): return number(self.parameters)

    def facts(self, others=()):
        "What tells this group from `others` of the same method and recipe; everything without them"
        words = dict(trained_on=f'trained on {len(self.trained_on.split())} classes' if self.trained_on else '', epochs=f'{self.epochs} epochs' if self.epochs else '',
                     views=plural(int(self.views), 'view') if self.views else '', train_images=f'{int(self.train_images):,} images' if self.train_images and not self.epochs else '')
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


def annotator(file: Path):
    "How often one annotator of FER+ has the label of FER2013; None if nobody has counted"
    rows = list(csv.DictReader(file.open(encoding='utf-8', newline=''))) if file.exists() else []
    return next((float(o['value']) for o in rows if o['what'] == 'one annotator, label of FER2013' and o['group'] == 'all'), None)


# --- marks

MARKS = dict(ours='<circle r="5.5"/>', small='<rect x="-5" y="-5" width="10" height="10"/>', body='<path d="M0-6.5 6 5H-6Z"/>', svm='<path d="M0 6.5 6-5H-6Z"/>',
             guess='<path class="stroke" d="M-4.5-4.5 4.5 4.5M-4.5 4.5 4.5-4.5"/>', other='<path d="M0-6 6 0 0 6-6 0Z"/>', published='<path class="hollow" d="M0-6 6 0 0 6-6 0Z"/>')


def mark(family, x='7', y=7, more=''): return f'<svg x="{x}" y="{y}" overflow="visible" class="mark fam-{family} {more}">{MARKS[family]}</svg>'
def key(family, said, more=''): return f'<li><svg width="14" height="14" aria-hidden="true">{mark(family, more=more)}</svg> {said}</li>'


class Scale:
    "Places on an axis of accuracies, in percent of its length"
    def __init__(self, values):
        self.low, self.high = math.floor(10*min(values) - .2)/10, min(1, math.ceil(10*max(values) + .2)/10)
        self.ticks = [o/10 for o in range(round(10*self.low), round(10*self.high) + 1)]

    def at(self, o): return f'{100*(o - self.low)/(self.high - self.low):.2f}%'


# --- one question: a dot plot

ROW = 38


def lines_of(scale, majority, people):
    "What lies behind every row of a dot plot: grid, people, majority"
    marks = [f'<line class="grid" x1="{scale.at(o)}" x2="{scale.at(o)}" y1="0" y2="100%"/>' for o in scale.ticks]
    for low, high in people['band']: marks.append(f'<rect class="people" x="{scale.at(low)}" width="{100*(high - low)/(scale.high - scale.low):.2f}%" height="100%"/>')
    marks += [f'<line class="people" x1="{scale.at(o)}" x2="{scale.at(o)}" y1="0" y2="100%"/>' for o in people['lines']]
    marks.append(f'<line class="majority" x1="{scale.at(majority)}" x2="{scale.at(majority)}" y1="0" y2="100%"/>')
    return f'<svg class="dots-back" aria-hidden="true">{"".join(marks)}</svg>'


def axis(scale, majority, people):
    "The row above a dot plot: what the lines are, and the ticks"
    texts = [f'<text x="{scale.at(majority)}" dx="4" y="11">majority</text>']
    texts += [f'<text x="{scale.at(o)}" y="11" text-anchor="middle">people</text>' for o in people['lines'][:1]]
    for o in scale.ticks:
        if round(10*(scale.high - o)) % 2: continue
        place = 'end' if o == scale.ticks[-1] else 'start' if o == scale.ticks[0] else 'middle'
        texts.append(f'<text x="{scale.at(o)}" y="26" text-anchor="{place}">{100*o:.0f}{" %" if o == scale.ticks[-1] else ""}</text>')
    return f'<svg class="dots-plot" height="32" aria-hidden="true">{"".join(texts)}</svg>'


def said(group):
    "One row of a dot plot in words"
    low, high = group.interval
    found = [f'{percent(group.score)}, interval {percent(low)} to {percent(high)}']
    if len(group.rows) > 1: found[0] = f'mean of {len(group.rows)} seeds {percent(group.score)} (seeds {percent(min(group.each("accuracy")))} to {percent(max(group.each("accuracy")))}), interval {percent(low)} to {percent(high)}'
    if group.clean: found.append(f'without pictures of Training {percent(group.clean)}')
    if group.published: found.append(f'published: {group.published}')
    return '; '.join(found)


def dots(group, scale):
    "The marks of one row"
    at, y = scale.at, 14
    low, high = group.interval
    marks = [f'<line class="interval fam-{group.family}" x1="{at(low)}" x2="{at(high)}" y1="{y}" y2="{y}"/>']
    if group.said_elsewhere:
        marks += [f'<line class="tie" x1="{at(group.score)}" x2="{at(group.said_elsewhere)}" y1="{y}" y2="{y}"/>', mark('published', at(group.said_elsewhere), y)]
    if len(group.rows) > 1: marks.append(f'<line class="range fam-{group.family}" x1="{at(min(group.each("accuracy")))}" x2="{at(max(group.each("accuracy")))}" y1="{y}" y2="{y}"/>')
    marks.append(mark(group.family, at(group.score), y))
    if group.clean: marks.append(mark(group.family, at(group.clean), y + 14, 'clean'))
    return f'<svg class="dots-plot" height="{ROW}" role="img" aria-label="{escape(said(group))}"><title>{escape(said(group))}</title>{"".join(marks)}</svg>'


def small_print(group, alike):
    words = ([group.recipe] if group.recipe != 'default' else []) + group.facts(alike) + ([plural(len(group.rows), 'seed')] if len(group.rows) > 1 else [])
    return ', '.join(words)


def alike(group, groups): return [o for o in groups if (o.method, o.recipe, o.classes) == (group.method, group.recipe, group.classes) and o is not group]


def dot_plot(groups: dict, people: dict) -> str:  # {id: group} of one question
    "Every method of one question, the best first"
    every = list(groups.values())
    majority = every[0].mean('majority')
    values = [majority, *(o for g in every for o in (*g.interval, g.clean, g.said_elsewhere) if o), *people['lines'], *(o for band in people['band'] for o in band)]
    scale = Scale(values)
    rows = [f'<li class="dots-row dots-axis"><span></span>{axis(scale, majority, people)}<span></span>{lines_of(scale, majority, people)}</li>']
    for name, group in groups.items():
        label = f'<a href="#{name}">{breakable(group.method)}</a><small>{escape(small_print(group, alike(group, every)))}</small>'
        if group.published: label += f'<small>published: {escape(group.published)}</small>'
        rows.append(f'<li class="dots-row" {tags(group)}><span class="dots-name">{label}</span>{dots(group, scale)}<span class="dots-value">{100*group.score:.1f}</span></li>')
    return f'<ol class="dots">{"".join(rows)}</ol>'


def tags(group): return f'data-question="{group.question}" data-family="{group.family}" data-published="{"yes" if group.published else "no"}"'


# --- accuracy by size and by time

WIDE, HIGH, LETTER = 330, 320, 6.2  # labels are placed for a phone's width; elsewhere there is more room


def _overlap(a, b): return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def place_labels(points, plot=(WIDE, HIGH)) -> dict:  # [(x, y, text)], the most important first
    "{index: (dx, dy, anchor)} of the labels that fit beside their points without touching a point or another label"
    taken, placed = [(x - 7, y - 7, x + 7, y + 7) for x, y, _ in points], {}
    for i, (x, y, text) in enumerate(points):
        wide = LETTER*len(text)
        for dx, dy, anchor in ((-8, -8, 'end'), (8, -8, 'start'), (10, 4, 'start'), (-10, 4, 'end'), (0, -12, 'middle'), (8, 17, 'start'), (-8, 17, 'end'), (0, 21, 'middle')):
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
    marks = []
    for a, b in people['band']: marks.append(f'<rect class="people" width="100%" y="{down(b):.1f}" height="{down(a) - down(b):.1f}"/>')
    for o in scale.ticks: marks.append(f'<line class="grid" x1="0" x2="100%" y1="{down(o):.1f}" y2="{down(o):.1f}"/><text x="-6" y="{down(o) + 4:.1f}" text-anchor="end">{100*o:.0f}</text>')
    for o in log_ticks(low, high, steps): marks.append(f'<line class="grid" x1="{across(o)}" x2="{across(o)}" y1="0" y2="{HIGH}"/><text x="{across(o)}" y="{HIGH + 18}" text-anchor="middle">{shown(o)}</text>')
    for a, b in pairwise(front):
        marks.append(f'<line class="front" x1="{across(x(a))}" x2="{across(x(b))}" y1="{down(a.score):.1f}" y2="{down(a.score):.1f}"/>'
                     f'<line class="front" x1="{across(x(b))}" x2="{across(x(b))}" y1="{down(a.score):.1f}" y2="{down(b.score):.1f}"/>')
    labels = place_labels([(share(x(o))*WIDE, down(o.score), o.method) for o in order])
    for i, group in reversed(list(enumerate(order))):
        a, b = group.interval
        note = f'{group.method} {small_print(group, ())}: {percent(group.score)}, {shown(x(group))} {name}'
        marks.append(f'<g {tags(group)}><title>{escape(note)}</title><line class="interval fam-{group.family}" x1="{across(x(group))}" x2="{across(x(group))}" y1="{down(a):.1f}" y2="{down(b):.1f}"/>'
                     + mark(group.family, across(x(group)), f'{down(group.score):.1f}'))
        if i in labels: marks.append('<text x="{}" y="{:.1f}" dx="{}" dy="{}" text-anchor="{}">{}</text>'.format(across(x(group)), down(group.score), *labels[i], escape(group.method)))
        marks.append('</g>')
    told = '; '.join(f'{o.method} {percent(o.score)} with {shown(x(o))}' for o in front)
    return (f'<div class="scatter"><svg height="{HIGH + 44}" role="img" aria-label="Accuracy in percent over {name}, the best of each size: {escape(told)}">'
            f'{"".join(marks)}<text x="50%" y="{HIGH + 40}" text-anchor="middle">{name}</text></svg></div>')


def short(o): return f'{o/1e6:.3g} M' if o >= 1e6 else f'{o/1e3:.3g} k' if o >= 1e3 else f'{o:.3g}'


# --- the table

COLUMNS = {'method': '', 'recipe': 'wide', 'classes': 'wide', 'accuracy': 'number', 'interval': 'number', 'clean': 'number wide', 'macro-F1': 'number wide', 'parameters': 'number wide', 'minutes': 'number wide', 'seeds': 'number wide'}


def recall_bars(group):
    "The recall of each class, the mean of the seeds, as bars"
    found = [dict(o.rsplit(' ', 1) for o in row['recall'].split('; ')) for row in group.rows if row.get('recall')]
    def bar(name, share): return (f'<li><span>{escape(name)}</span><svg class="bar" height="10" aria-hidden="true"><rect class="back" width="100%" height="10"/>'
                                  f'<rect class="fam-{group.family}" width="{100*share:.1f}%" height="10"/></svg><span>{100*share:.0f} %</span></li>')
    return '<ul class="recall">' + ''.join(bar(name, fmean(float(o[name]) for o in found)) for name in found[0]) + '</ul>' if found else ''


def unfolded(name, group):
    "What a row of the table unfolds to"
    rows = group.rows
    seeds = '; '.join(f'{o["seed"]}: {percent(float(o["accuracy"]))} ({100*float(o["low"]):.1f} to {100*float(o["high"]):.1f})' for o in rows)
    epochs = group.epochs and group.epochs + (f', where {group.epochs_published} were published' if group.epochs_published and group.epochs_published != group.epochs else '')
    facts = {'classes': group.classes, 'trained on': group.trained_on or 'the same classes', 'published': group.published, 'each seed': seeds if len(rows) > 1 else '',
             'validation accuracy': (o := group.mean('valid_accuracy')) and percent(o), 'always the same class': percent(group.mean('majority')),
             'epochs': epochs, 'views at test time': group.views, 'training images': group.train_images and f'{int(group.train_images):,}',
             'parameters': group.size and f'{group.size:,.0f}', 'data': f'{group.data}, fingerprint {group.fingerprint}', 'machine': group.machine,
             'version': group.version, 'note': group.note}
    listed = ''.join(f'<div><dt>{k}</dt><dd>{escape(o)}</dd></div>' for k, o in facts.items() if o)
    return f'<dl>{listed}</dl><div><p>Recall of each class</p>{recall_bars(group)}<p><a href="#{name}">Link to this row</a></p></div>'


def table_row(name, group, every):
    low, high = group.interval
    scores = group.each('accuracy')
    spread = f'{len(scores)}<small>{100*min(scores):.1f} to {100*max(scores):.1f}</small>' if len(scores) > 1 else '1'
    minutes, asked = group.minutes, group.question.replace('-', ', ')
    cells = [('wide', group.recipe, f'{escape(group.recipe)}<small>{escape(", ".join(group.facts(alike(group, every))))}</small>'),
             ('wide', f'{len(group.classes.split())} {group.classes}', asked),
             ('number', group.score, f'<strong>{100*group.score:.1f}</strong>'), ('number', low, f'{100*low:.1f} to {100*high:.1f}'),
             ('number wide', group.clean or '', f'{100*group.clean:.1f}' if group.clean else ''), ('number wide', group.mean('macro_f1') or '', f'{group.mean("macro_f1"):.3f}'),
             ('number wide', group.size or '', short(group.size) if group.size else ''), ('number wide', minutes or '', f'{minutes:.0f}' if minutes and minutes >= 1 else '&lt; 1' if minutes else ''),
             ('number wide', len(scores), spread)]
    method = (f'<th scope="row" data-value="{escape(group.method)}"><details><summary class="results-name">{breakable(group.method)}</summary></details>'
              f'<small class="narrow">{escape(", ".join([group.recipe, f"{asked} classes" if asked.isdigit() else asked, *group.facts(alike(group, every))]))}</small></th>')
    body = ''.join(f'<td class="{kind}" data-value="{escape(value)}">{shown}</td>' for kind, value, shown in cells)
    return f'<tbody id="{name}" {tags(group)}><tr>{method}{body}</tr><tr class="more"><td colspan="{len(COLUMNS)}"><div>{unfolded(name, group)}</div></td></tr></tbody>'


def table(groups: dict) -> str:
    every = list(groups.values())
    head = ''.join(f'<th scope="col" class="{kind}"><button type="button">{name}</button></th>' for name, kind in COLUMNS.items())
    return (f'<div class="results-scroll"><table class="table table-sm results"><caption>Accuracies in percent. Press a heading to sort, a method to unfold its row.</caption>'
            f'<thead><tr>{head}</tr></thead>{"".join(table_row(name, o, every) for name, o in groups.items())}</table></div>')


# --- the page

def heading(question, classes):
    n = len(classes.split())
    return f'{n} classes' if question == '7' else f'{n} classes: {", ".join(classes.split())}'


def legend(families):
    keys = [key(o, FAMILIES[o]) for o in FAMILIES if o in families]
    keys += [key('ours', 'hollow: without the pictures that are in Training too', 'clean plain'), key('published', 'published')]
    return f'<ul class="results-legend">{"".join(keys)}</ul>'


def filters(questions, families):
    def options(o): return ''.join(f'<option value="{k}">{escape(v)}</option>' for k, v in o.items())
    return (f'<form class="results-filters" aria-label="Filters"><label>question <select name="question"><option value="">all</option>{options(questions)}</select></label>'
            f'<label>family <select name="family"><option value="">all</option>{options({o: FAMILIES[o] for o in FAMILIES if o in families})}</select></label>'
            '<label><input type="checkbox" name="published" value="yes"> with a published figure</label> <output aria-live="polite"></output></form>')


def raw(text): return f'```{{=html}}\n{text}\n```\n'


EMPTY = ('There are no rows yet: nothing has been measured for publication. A row appears here only when a run of `fer_teach benchmark` '
         'has written it, so there is no figure to compare with what others published.')


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
    parts = [top, 'What each method reaches on test pictures of FER2013 that it never saw, and what others published. Every figure of ours was written by a run of '
             '`fer_teach benchmark`. A line is the 95\N{NO-BREAK SPACE}% interval: where two lines overlap much, call it a tie. Seeds of one recipe are one row, '
             'with their mean; the thick line is their range.\n', raw(filters(questions, families) + legend(families))]
    for question, name in questions.items():
        own = {k: o for k, o in groups.items() if o.question == question}
        parts += [f'## {name} {{#q-{question}}}\n', raw(f'<div data-plot="{question}">{dot_plot(own, people if question == "7" else nobody)}</div>')]
        if question == '7':
            told = 'Grey band: people, 65 ± 5\N{NO-BREAK SPACE}% ([Goodfellow et al., 2013](https://arxiv.org/abs/1307.0414)).'
            if one: told += f' Grey line at {100*one:.0f} %: one annotator of FER+ against the same labels ([chapter 74](74_failures.ipynb) says how it was counted).'
            parts += [told + '\n', '## Accuracy by size and by time {#by-size}\n',
                      'The seven classes. The stepped line joins the best of each size: what lies below it is beaten by something as small. Methods without a fixed number of '
                      'parameters are in the second chart only. Minutes are those of the machine that the row names, which other work may have shared.\n',
                      raw('<div class="scatters">' + scatter(own, lambda o: o.size, 'parameters', short, (1, ), people)
                          + scatter(own, lambda o: o.minutes, 'minutes of training', lambda o: f'{o:.2g}', (1, 3), people) + '</div>')]
    parts += ['## Every row {#every-row}\n', raw(table(groups) + f'<script>{(here/"results.js").read_text(encoding="utf-8")}</script>')]
    return '\n'.join(parts)
