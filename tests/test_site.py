"The docs site, built by its one command and read in headless Chromium as a stranger would."
import html
import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urldefrag

import nbformat
import pytest
from conftest import lines_of
from tests.pages import ROOT, chromium_with, load_site_tool, new_page, served

SEEN = """async () => {
  for (const o of document.images) o.loading = 'eager'  // a lazy one far below is asked for too
  await Promise.allSettled([...document.images].map(o => o.decode()))
  return {
  links: [...document.querySelectorAll('a[href]')].map(o => [o.href, o.innerText.trim()]),
  ids: [...document.querySelectorAll('[id]')].map(o => o.id),
  images: [...document.images].filter(o => !o.complete || !o.naturalWidth || !o.alt).map(o => o.src),
  width: document.documentElement.scrollWidth,
  overflow: [...document.querySelectorAll('body *')].filter(o => {
  if (o.getBoundingClientRect().right <= innerWidth + 1 || !o.checkVisibility() || o.closest('.visually-hidden, #quarto-sidebar')) return false
  for (let p = o.parentElement; p; p = p.parentElement) if (['auto', 'scroll'].includes(getComputedStyle(p).overflowX)) return false
  return true
}).map(o => o.outerHTML.slice(0, 120)).slice(0, 5)}}"""
PHONE = (390, 844)


@pytest.fixture(scope='module')
def site_tool(): return load_site_tool()


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    "The folder of the site, built once; FER_TEACH_SITE names one that was built already"
    if given := os.environ.get('FER_TEACH_SITE'): return Path(given)
    out = tmp_path_factory.mktemp('docs')/'site'
    done = subprocess.run([sys.executable, ROOT/'tools'/'site.py', out], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope='module')
def url(built):
    "The site below a subpath of its server"
    with served(built.parent) as address: yield f'{address}{built.name}/'


@pytest.fixture(scope='module')
def browser(chromium):
    with chromium_with(chromium) as opened: yield opened


@contextmanager
def watched(browser, *size):
    "A page in which nothing may go wrong, and which asks for nothing from elsewhere"
    with new_page(browser, *size) as page:
        page.on('requestfailed', lambda o: 'ERR_ABORTED' in o.failure or page.wrong.append(f'{o.url}: {o.failure}'))  # aborted: left the page
        page.on('response', lambda o: o.status >= 400 and page.wrong.append(f'{o.url} {o.status}'))
        page.on('request', lambda o: o.url.startswith(('http://127.0.0.1', 'file:', 'data:')) or page.wrong.append(f'{o.url} is not here'))
        yield page
        assert page.wrong == []


@pytest.fixture
def tab(browser):
    with watched(browser, 1360, 900) as page: yield page


@pytest.fixture(scope='module')
def seen(built, url, browser):
    "What is in every page, each visited once, on a phone"
    found = {}
    with watched(browser, *PHONE) as page:
        for name in names(built):
            page.goto(url + name)
            found[name] = page.evaluate(SEEN) | dict(wrong=page.wrong[:])
            page.wrong.clear()
    return found


def names(built): return sorted(str(o.relative_to(built)) for o in built.rglob('*.html'))


def test_every_notebook_has_its_page_and_place(built, site_tool):
    home = (built/'index.html').read_text()
    for notebook in site_tool.notebooks:
        page = f'{site_tool.page_of(notebook)}.html'
        assert (built/page).is_file()
        assert home.count(f'href="{page}" class="sidebar-item-text') == 1, f'{page} must stand in the sidebar once'
    for section in ('Start', 'Course', 'Results', 'Library', 'Reference'): assert f'<span class="menu-text">{section}</span>' in home


def test_new_notebook_finds_its_place(site_tool, monkeypatch, tmp_path):
    "A notebook that nobody named goes into the course in file order; a name without notebook and a lost notebook are errors"
    monkeypatch.setattr(site_tool, 'root', tmp_path)
    monkeypatch.setattr(site_tool, 'notebooks', [tmp_path/'nbs'/o for o in ('01_a.ipynb', '01b_new.ipynb', '02_c.ipynb', 'index.ipynb')])
    monkeypatch.setattr(site_tool, 'title', lambda o: f'{o.stem}: more')
    def sections(*contents): return dict(project={}, website=dict(sidebar=dict(contents=[dict(contents=list(o)) for o in contents])))
    start, course = site_tool.with_all_notebooks(sections(['index.ipynb'], ['*.ipynb']))['website']['sidebar']['contents']
    assert [o['href'] for o in course['contents']] == ['a.ipynb', 'new.ipynb', 'c.ipynb'] and course['contents'][1]['text'] == '01b_new'
    with pytest.raises(SystemExit, match='99_no.ipynb'): site_tool.with_all_notebooks(sections(['99_no.ipynb'], ['*.ipynb']))
    with pytest.raises(SystemExit, match='leaves out 01_a.ipynb'): site_tool.with_all_notebooks(sections(['index.ipynb', '02_c.ipynb', '01b_new.ipynb']))


def test_every_page_opens_and_every_link_arrives(built, url, seen):
    assert sorted(seen) == names(built) and {name: o['wrong'] for name, o in seen.items() if o['wrong']} == {}
    for name, page in seen.items():
        ids = page['ids']
        assert page['images'] == [], name
        assert len(ids) == len(set(ids)), f'{name}: {[o for o in ids if ids.count(o) > 1]}'
    broken = []
    for name, page in seen.items():
        for href, text in page['links']:
            if not href.startswith(url): continue
            target, anchor = urldefrag(href.removeprefix(url))
            file = built/unquote(target)
            file = file/'index.html' if file.is_dir() else file
            key = str(file.relative_to(built))
            if not file.is_file() or (anchor and anchor != 'top' and unquote(anchor) not in seen[key]['ids']): broken.append((name, text, href))
    assert broken == []


def test_pages_tell_no_answer(built, secrets):
    "No line of a solution, in any page or in the index of the search"
    def lines(file):
        text = re.sub(r'<(?!/?span)[^>]*>', '\n', file.read_text(encoding='utf-8').replace('\\n', '\n'))
        return lines_of(html.unescape(re.sub(r'<[^>]*>', '', text)))
    shown = {line for file in (*built.rglob('*.html'), built/'search.js') for line in lines(file)}
    assert {name: found for name, own in secrets.items() if (found := own & shown)} == {}
    assert {'def' + o for o in ('bootstrap_interval(right,draws,rng):', 'shift_map(a,b,margin):')} <= shown  # the stubs are there


def test_cross_links_reach_what_they_name(url, tab):
    tab.goto(url + 'index.html')
    tab.get_by_role('link', name='learn_emotions').first.click()
    assert tab.url == url + 'learn.html#learn_emotions'
    tab.locator('#learn_emotions').click()
    assert tab.url == url + 'api/learn.html#learn_emotions'
    entry = tab.locator('section#learn_emotions')
    for words in ('classes', 'instead of the recipe', 'FaceError'): assert words in entry.inner_text()
    entry.get_by_role('link', name='source').click()
    line = tab.evaluate('document.getElementById(location.hash.slice(1)).innerText')
    assert 'source/learn.html#line-' in tab.url and line.startswith('def learn_emotions(')


@pytest.mark.parametrize('opened', ['served', 'from disk'])
def test_search_finds(url, built, tab, opened):
    tab.goto((url if opened == 'served' else built.as_uri() + '/') + 'data.html')
    tab.get_by_role('searchbox').fill('learn_emotions')
    result = tab.locator('.search-result').first
    result.wait_for()
    assert 'learn_emotions' in result.inner_text()
    assert any('api/learn.html#learn_emotions' in o.get_attribute('href') for o in tab.locator('.search-result').all())
    assert tab.wrong == []


def test_dark_mode_switches_and_stays(url, tab):
    def brightness(): return tab.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0)/3")
    tab.goto(url + 'index.html')
    assert brightness() > 200
    tab.locator('.quarto-color-scheme-toggle').click()
    tab.wait_for_timeout(200)
    assert brightness() < 60
    tab.goto(url + 'data.html')
    assert brightness() < 60


def test_nothing_overflows_on_a_phone(seen):
    assert {name: o['overflow'] for name, o in seen.items() if o['overflow'] or o['width'] > PHONE[0]} == {}


def test_sidebar_opens_on_a_phone(url, tab):
    tab.set_viewport_size(dict(zip(('width', 'height'), PHONE)))
    tab.goto(url + 'index.html')
    tab.get_by_role('button', name='Toggle sidebar navigation').click()
    tab.locator('#quarto-sidebar').get_by_role('link', name='One table of faces').click()
    assert tab.url == url + 'data.html'


def serious(tab, address, **options):
    "What axe-core finds serious or moderate in a page: rule, first element, number of elements"
    import axe_playwright_python
    tab.goto(address)
    tab.evaluate((Path(axe_playwright_python.__file__).parent/'axe.min.js').read_text(encoding='utf-8'))
    found = tab.evaluate('options => axe.run(document, options)', dict(resultTypes=['violations'], **options))['violations']
    return [(o['id'], o['nodes'][0]['failureSummary'], o['nodes'][0]['html'][:150], len(o['nodes'])) for o in found if o['impact'] in ('moderate', 'serious', 'critical')]


KINDS = ('index', 'learning', 'explainability', 'api/learner', 'leaderboard', 'source/scratch')  # a page of each kind


def test_pages_are_accessible(url, tab):
    "Everything in a page of each kind; in others all but colours, which take long"
    rules = {'color-contrast': dict(enabled=False)}
    pages = dict.fromkeys(('try', 'use', 'cli', 'glossary', 'teachers', 'command', 'CHANGELOG'), rules) | dict.fromkeys(KINDS, {})
    assert {name: o for name, rules in pages.items() if (o := serious(tab, f'{url}{name}.html', rules=rules))} == {}


def test_sidebar_folds_by_keyboard(url, tab):
    tab.goto(url + 'use.html')
    fold, page = tab.locator('#quarto-sidebar a[role=button]').first, tab.locator('#quarto-sidebar').get_by_role('link', name='Try it')
    assert page.is_visible()
    fold.press('Enter')
    page.wait_for(state='hidden')
    fold.press(' ')
    page.wait_for(state='visible')


def test_colours_have_contrast_in_the_dark(url, tab):
    tab.emulate_media(color_scheme='dark')
    for name in KINDS:
        assert serious(tab, f'{url}{name}.html', runOnly=['color-contrast']) == [], name


# --- results

def row(**more):
    facts = dict(method='wink', recipe='long', classes='angry happy', trained_on='', data='own', accuracy=.8, low=.7, high=.9, clean_accuracy='', macro_f1=.8, majority=.5,
                 recall='angry 0.7; happy 0.9', valid_accuracy='', published='', seed=0, views=1, parameters=1000, train_images=10, epochs=3, epochs_published='',
                 seconds=120, machine='m', fingerprint='f', version='1', note='')
    return {k: str(o) for k, o in (facts | more).items()}


def test_seeds_are_one_row_and_published_figures_are_read(site_tool):
    results = site_tool.results_page
    one = results.Group([row(), row(seed=1, accuracy=.9)])
    assert (round(one.score, 6), one.family, one.question, one.minutes) == (.85, 'ours', '2', 2)
    assert 'mean of 2 seeds' in results.said(one) and 'seeds 80.0' in results.said(one)
    figures = {'89.04 %': .8904, 'test 26.5 %; its report says 23.3 %': .265, 'val 33 %': .33, 'under 30 %': None, '50.7 (8 classes, other data)': .507, '.43 (weighted F1 .40)': .43, 'named, never run': None, '': None}
    assert {o: results.published_figure(o) for o in figures} == pytest.approx(figures)
    assert [results.family_of(o) for o in ('majority', 'svm_hog', 'mlp', 'vgg16', 'else')] == ['guess', 'svm', 'small', 'body', 'other']


def test_results_of_a_table(site_tool, tmp_path):
    results, file = site_tool.results_page, tmp_path/'board.csv'
    assert 'There are no rows yet' in results.page(file, tmp_path/'none.csv')
    rows = [row(note='<b>', published='90 %'), row(seed=1), row(seed=2), row(epochs=9), row(method='mlp', classes='happy sad')]
    file.write_text('\n'.join(','.join(o) for o in ([*rows[0]], *(o.values() for o in rows))))
    groups = results.with_ids(results.read_groups(file))
    assert sorted(len(o.rows) for o in groups.values()) == [1, 1, 1, 2]
    page = results.page(file, tmp_path/'none.csv')
    assert '<b>' not in page and page.count('<tbody id=') == 4 and page.count('class="dots-row"') == 4 and 'data-plot="happy-sad"' in page


def test_published_systems_without_a_row_are_charted(site_tool, tmp_path):
    "Each once, marked where nothing allows a comparison, and never where another number of classes was published"
    results, file = site_tool.results_page, tmp_path/'board.csv'
    rows = [row(classes=classes, recipe=name) for classes, name in ((' '.join(results.SCHEMES['7']), 'S1-vgg16-frozen'), ('angry happy', 'long'))]
    file.write_text('\n'.join(','.join(o) for o in ([*rows[0]], *(o.values() for o in rows))))
    page = results.page(file, tmp_path/'none.csv')
    charted = dict(re.findall(r'aria-label="(S\d[^,"]*), not run here; ([^"]*)"', page))
    told = re.search(r'no chart.*: (S\d.*)\.', page)[1]
    assert 'not comparable' not in charted['S2-resnet50v2'] and charted['S3-vgg16'].endswith('not comparable: validation pictures')
    assert charted['S2-resnet50-reduced'].endswith('not comparable: which 2 is not said')
    assert not {o for o in charted if o.startswith(('S1-vgg16-frozen', 'S5'))} and 'S5-convnet 62.9 % (8 classes, other data)' in told
    assert 'S4-cnn' in charted and 'S4-cnn' not in told
    assert page.count('class="dots-row elsewhere"') == len(charted) == 15


def test_results_filter_sort_and_unfold(url, tab):
    "By mouse, by keyboard and by address"
    tab.goto(url + 'leaderboard.html')
    bodies, said = tab.locator('table.results > tbody:visible'), tab.locator('.results-filters output')
    every = bodies.count()
    assert every > 5 and said.inner_text() == f'{every} rows'
    plots = tab.locator('[role=img][aria-label*="interval"]')
    assert plots.count() == every, 'each row of a chart says its figures'
    tab.get_by_label('question').select_option('7')
    tab.get_by_label('family').select_option('svm')
    assert tab.get_by_text('not run here').filter(visible=True).count() == 0, 'no support vector machine was published for seven classes without a row'
    assert 0 < bodies.count() < every and 'question=7' in tab.url and 'family=svm' in tab.url
    assert tab.locator('[data-plot]:visible').count() == 1 and said.inner_text() == f'{bodies.count()} of {every} rows'
    left = bodies.count()
    tab.reload()
    assert bodies.count() == left, 'the address keeps what was chosen'
    scores = tab.locator('table.results > tbody:visible > tr:first-child > td:nth-child(4)')
    tab.get_by_role('button', name='accuracy').press('Enter')
    tab.get_by_role('button', name='accuracy').press('Enter')
    assert scores.all_inner_texts() == sorted(scores.all_inner_texts(), key=float)
    first, details = bodies.first, bodies.first.locator('tr.more')
    assert not details.is_visible()
    first.locator('summary').press('Enter')
    assert details.is_visible() and 'fingerprint' in details.inner_text()
    link = details.get_by_role('link', name='Link to this row').get_attribute('href')
    tab.goto('about:blank')
    tab.goto(f'{url}leaderboard.html{link}')
    assert tab.locator(f'{link} tr.more').is_visible() and tab.wrong == []


# --- chapters

def test_chapter_can_be_taken_along(built, url, tab):
    tab.set_viewport_size(dict(width=1280, height=900))
    tab.goto(url + 'learning.html')
    bar = tab.locator('.chapter-bar')
    assert re.search(r'Chapter \d+ of \d+\s+\d+ minutes to read\s+\d+ exercises', bar.inner_text())
    with tab.expect_download() as kept: bar.get_by_role('link', name='Download').click()
    cells = json.loads(Path(kept.value.path()).read_text(encoding='utf-8'))['cells']
    assert kept.value.suggested_filename == '20_learning.ipynb' and any(o['id'] == 'copy-environment' for o in cells)
    assert bar.get_by_role('link', name='Colab').get_attribute('href').endswith('/copies/20_learning.ipynb')
    assert bar.get_by_role('link', name='source').get_attribute('href').endswith('/nbs/20_learning.ipynb')
    assert tab.locator('details[open]').count() == 0 and tab.locator('summary', has_text='Answer').count() > 10
    wide = "() => [...document.querySelectorAll('pre')].filter(o => o.checkVisibility() && o.innerText.split('\\n').every(o => o.length <= 96) && o.scrollWidth > o.clientWidth).length"
    assert tab.evaluate(wide) == 0, 'lines of 96 characters fit the column'
    tab.locator('.nav-page-next a').click()
    assert tab.url == url + 'learner.html'


def test_every_chapter_has_its_buttons(built, site_tool):
    "Well-formed addresses of its source and of Colab, and a student copy that the site serves and that is a notebook"
    for chapter in site_tool.chapters():
        bar = re.search(r'<div class="chapter-bar">.*?</div></div>', (built/f'{site_tool.page_of(chapter)}.html').read_text(encoding='utf-8'), re.S)[0]
        source, copy, colab = re.findall(r'href="([^"]+)"', bar)
        assert re.fullmatch(rf'https://github\.com/[\w-]+/[\w-]+/blob/main/nbs/{chapter.name}', source) and copy == f'copies/{chapter.name}'
        assert re.fullmatch(rf'https://colab\.research\.google\.com/github/[\w-]+/[\w-]+/blob/gh-pages/{copy}', colab)
        assert source.split('/')[3:5] == colab.split('/')[4:6], 'of one repository'
        nbformat.validate(nbformat.read(built/copy, as_version=4))


def test_chapter_on_paper_is_the_chapter_alone(url, tab):
    tab.emulate_media(media='print', color_scheme='dark')
    tab.set_viewport_size(dict(width=700, height=900))
    tab.goto(url + 'learning.html')
    for part in ('#quarto-sidebar', '.navbar', '.page-navigation', '.chapter-bar > div'): assert not tab.locator(part).first.is_visible(), part
    assert tab.locator('summary', has_text='Answer').first.is_hidden(), 'what is folded stays off the paper'
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == 'rgb(255, 255, 255)'
    assert tab.evaluate("[...document.querySelectorAll('pre')].filter(o => o.scrollWidth > o.clientWidth + 1).length") == 0


def test_glossary_has_the_sentence_that_defines(site_tool):
    text = 'First. *Easy.* A **split**<!-- term --> is a part. **Not this** one.\n\nA **scheme**<!-- term -->\nmerges: so.'
    assert site_tool.terms(text) == dict(split='A *split* is a part.', scheme='A *scheme* merges: so.')
    assert site_tool.terms('*Dots. The distance is the* **noise floor**<!-- term -->*: `2*x` says nothing.*') == {'noise floor': 'The distance is the *noise floor*: `2*x` says nothing.'}
    assert '<dfn id="term-split">split</dfn> is' in site_tool.with_terms(text)


def test_search_knows_the_words_of_the_glossary(built, url, tab):
    "The word itself comes first, by its abbreviation too, and its link arrives where it is defined"
    tab.goto(url + 'data.html')
    for asked, page, word in (('EMA', 'fast', 'exponential moving average'), ('softmax', 'learning', 'Softmax'), ('Receptive Field', 'convolution', 'receptive field'), ('precision', 'evaluation', 'precision')):
        tab.get_by_role('searchbox').fill(asked)
        place = f'{page}.html#term-{word.lower().replace(" ", "-")}'
        tab.locator('.search-result').first.and_(tab.locator(f'[href$="{place}"]')).wait_for()
        assert f'<dfn id="{place.partition("#")[2]}">{word}</dfn>' in (built/f'{page}.html').read_text(encoding='utf-8')
    tab.locator('.search-result').first.click()
    assert tab.url == url + 'evaluation.html#term-precision' and tab.locator('dfn:target').inner_text() == 'precision'


def test_teachers_page_counts_the_chapters(built):
    page = (built/'teachers.html').read_text()
    assert re.search(r'href="evaluation.html"[^\n]*16 Is it any good', page)


def test_every_chapter_was_measured(site_tool):
    "`python benchmarks/running.py` does it"
    rows = [o.split(',') for o in (ROOT/'nbs/running.csv').read_text().splitlines()[1:]]
    assert [o[0] for o in rows] == [o.stem for o in site_tool.chapters()]
    assert all(int(o) > 0 for row in rows for o in row[1:3])


def test_reading_is_counted_without_exercises_and_hidden_code(site_tool):
    def cell(kind, source): return dict(cell_type=kind, id='a', metadata={}, source=source) | (dict(outputs=[], execution_count=None) if kind == 'code' else {})
    def minutes(*cells): return site_tool.minutes.reading_minutes(nbformat.from_dict(dict(cells=cells)))
    told = cell('markdown', 'word '*1000), cell('code', '#| export\n' + 'x = 1\n\n'*100)
    beside = cell('code', '#| hide\n' + 'x = 1\n'*900), cell('markdown', '<!-- hints a -->\n' + 'word '*900), cell('code', '#| exercise stub a\n' + 'x = 1\n'*900)
    assert minutes(*told) == minutes(*told, *beside) == 20


def test_equations_need_no_network(site_tool):
    from smalldocs.markdown import render
    page = site_tool.with_mathml('<script src="https://x/npm/katex@0/k.js" defer></script>' + render('A $x_i < 2$ and\n\n$$\\frac{1}{n}$$\n', {}))
    assert page.count('<math') == 2 and '<mfrac>' in page and 'display="block"' in page and 'katex' not in page and '\\(' not in page
