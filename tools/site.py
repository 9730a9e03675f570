"The docs site from the notebooks and their stored outputs: `python tools/site.py [OUT]`, by default into _docs."
import argparse
import ast
import base64
import html
import json
import os
import re
import sys
import tempfile
import tomllib
from functools import cache
from pathlib import Path

import yaml
from fastcore.foundation import L
from fastcore.nbio import mk_cell, read_nb, write_nb
from latex2mathml.converter import convert as mathml
from nbdev.doclinks import NbdevLookup, nbpath2html, patch_name
from nbdev.process import Processor
from nbdev.processors import FilterDefaults, add_fold, add_show_docs, clean_show_doc, exec_show_docs, insert_warning, mv_exports
from PIL import Image
from smalldocs.config import load
from smalldocs.site import Site

root = Path(__file__).parent.parent
sys.path[:0] = [str(root), str(root/'tools')]  # this checkout is documented, not an installed copy
import minutes  # noqa: E402
import reference  # noqa: E402
import results_page  # noqa: E402
import try_page  # noqa: E402
from reference import anchor, modules, source_of, symbols  # noqa: E402

from fer_teach.copies import make_copy  # noqa: E402
from fer_teach.course import mark_of, read_exercises  # noqa: E402

package = 'fer_teach'
notebooks = sorted((root/'nbs').glob('*.ipynb')) + sorted((root/'nbs/library').glob('*.ipynb'))


def page_of(notebook): return nbpath2html(Path(notebook)).stem
def raw(text): return f'```{{=html}}\n{text}\n```\n'


# --- the reference

def api_page(module: str) -> str:
    "Its page of the reference, with examples from its own notebook first, then from the chapters"
    own = [o for o in notebooks if exported(o) == module]
    told = ''.join(f'Explained, with examples, in [{title(o)}](/{page_of(o)}.ipynb).' for o in own)
    return reference.api_page(module, told, own + [o for o in chapters() if o not in own] + [o for o in notebooks if o not in own])


def source_page(module: str) -> str:
    text = (root/package/f'{module}.py').read_text(encoding='utf-8')
    return (f'---\ntitle: Source of {package}.{module}\ntoc: false\nsearch: false\n---\n\nDescribed in [{package}.{module}](../api/{module}.md).\n\n'
            f'````{{#line .python code-line-numbers="true"}}\n{text}\n````\n')


# --- notebooks

@cache
def exported(notebook: Path) -> str:
    "The module that `notebook` exports, or nothing"
    return next((o[1] for cell in read_nb(notebook).cells if (o := re.search(r'^#\|\s*default_exp\s+(\w+)', cell.source, re.M))), '')


@cache
def title(notebook: Path) -> str:
    heading = re.match(r'# (.+)', read_nb(notebook).cells[0].source)
    return heading[1] if heading else sys.exit(f'{notebook.name}: the first cell must hold its title, as "# Title"')


class NameExports(Processor):
    "Before an exported cell, a bar with its public names, where links to them arrive; what is exported unseen is folded"
    def begin(self):
        module, cells = exported(Path(self.nb.path_)), []
        for cell in self.nb.cells:
            if 'echo' in cell.directives_: cell.directives_.pop('exporti', None)  # not public, and to be read
            if {'export', 'exports', 'echo'} & set(cell.directives_):
                nodes = [node for node in ast.parse(cell.source).body if not isinstance(node, (ast.Import, ast.ImportFrom))]
                names = [name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef)) for name in L(patch_name(node))]
                public = [name for name in names if name in symbols(module)]
                if public: cells.append(mk_cell(self.bar(module, public), 'markdown'))
                if nodes and cell.directives_.pop('export', None) is not None:
                    cell.source = f'#| code-fold: true\n#| code-summary: "{", ".join(o for o in names if o not in public) or "Code"}"\n{cell.source}'
            cells.append(cell)
        self.nb.cells = cells

    def bar(self, module, names):
        links = ''.join(f'<a id="{anchor(o)}" href="api/{module}.html#{anchor(o)}"><code>{o}</code></a> ' for o in names)
        return raw(f'<div class="api-bar">{links}<a class="api-source" href="{source_of(module, names[0])}">source</a></div>')


class PageOf(FilterDefaults):
    "nbdev's processors for a page of docs, which run no code: signatures come from the exported modules"
    def base_procs(self):
        ours = {add_show_docs: NameExports}
        dropped = {insert_warning, exec_show_docs, clean_show_doc, mv_exports, add_fold}
        return [ours.get(o, o) for o in super().base_procs() if o not in dropped]


def inches(file: Path) -> str:
    "The width attribute that shows a picture as large as its resolution says; an SVG says so itself"
    if file.suffix == '.svg': return ''
    with Image.open(file) as picture: return f' width="{picture.width*96/picture.info.get("dpi", (96,))[0]:.0f}"'


PICTURE = re.compile(r'^(<(?:img|picture)[ >].+\n\n)(\*[^*\n].*\*)$', re.M)  # and what is said of it


def caption_of(cell) -> str:
    "The first paragraph of the cell after a figure, if all of it is in italics: what to see there"
    first = cell.source.strip().partition('\n\n')[0] if cell is not None and cell.cell_type == 'markdown' else ''
    return first if re.fullmatch(r'\*(?!\*)[^\n]+(?<!\*)\*', first) else ''


def in_words(caption, cell) -> str:
    "The alternative text of a figure: the first sentence of its caption, else which code drew it"
    plain = re.sub(r'\]\([^)]*\)|[*`\[]|\]', '', caption)
    return f'Figure. {re.split(r"(?<=[.:?]) ", plain)[0]}' if plain else f'Figure drawn by {cell.source.strip().splitlines()[-1].strip()}'


def figure(cell, number: int, output, page: str, stage: Path, caption='') -> str:
    "The figure of an output as a file beside the page"
    kind = next(o for o in ('image/svg+xml', 'image/png', 'image/jpeg') if o in output.data)
    data = ''.join(output.data[kind])
    name = f'figures/{page}-{cell.id}-{number}.{kind[6:9].replace("jpe", "jpg")}'
    if kind == 'image/svg+xml': (stage/name).write_text(data[data.find('<svg'):], encoding='utf-8')
    else: (stage/name).write_bytes(base64.b64decode(data))
    return f'<a class="figure" href="{name}"><img src="{name}" alt="{html.escape(in_words(caption, cell))}"{inches(stage/name)}></a>'


def without_answers(notebook):
    "A chapter without solutions, checks, wrong answers and samples of its exercises"
    notebook.cells = [o for o in notebook.cells if (mark_of(o) or ['told'])[0] in ('told', 'exercise', 'stub', 'hints')]
    return notebook


def store_figures(notebook, page: str, stage: Path):
    "Figures become files, what is said of them their captions, and tables lose pandas' own style"
    for cell, after in zip(notebook.cells, [*notebook.cells[1:], None]):
        drawn = any(o.startswith('image/') for output in cell.get('outputs', []) for o in output.get('data', {}))
        caption = caption_of(after) if drawn else ''
        if caption: after.source = after.source.replace(caption, f'::: {{.figure-said}}\n{caption}\n:::', 1)
        for number, output in enumerate(cell.get('outputs', [])):
            data = output.get('data', {})
            if any(o.startswith('image/') for o in data): output['data'] = {'text/html': figure(cell, number, output, page, stage, caption)}
            elif 'text/html' in data:
                table = re.sub(r'<style scoped>.*?</style>', '', ''.join(data['text/html']), flags=re.S)
                output['data'] = {'text/html': re.sub(r'<table[^>]*dataframe[^>]*>', '<table class="table table-sm dataframe">', table)}


def relink(text: str, reached: set = frozenset()) -> str:
    "`text` with links between notebooks leading to their pages, and links to names to where they are in `reached`, else to the reference"
    def link(match):
        shown, page, name = match.groups()
        module = next((exported(o) for o in notebooks if page_of(o) == page), '')
        if f'{page}#{name}' in reached: return f'[{shown}](/{page}.html#{name})'
        return f'[{shown}](/api/{module}.md#{name})' if module and name in map(anchor, symbols(module)) else shown
    text = re.sub(r'\]\((?:\.\./|nbs/)?(?:library/)?([\w.-]+\.ipynb)', lambda m: f']({page_of(m[1])}.ipynb', text)
    return re.sub(r'\[(`[^`]+`)\]\(/(?:library/)?(\w+)\.html#([^)]+)\)', link, text)


# --- what stands on top of a chapter

REPOSITORY = tomllib.loads((root/'pyproject.toml').read_text(encoding='utf-8'))['project']['urls']['Repository']
SITE_BRANCH = 'gh-pages'  # where the site lies on GitHub: Colab opens the student copies from there


def is_chapter(notebook: Path): return bool(re.match(r'\d\d_', notebook.name)) and notebook.parent.name == 'nbs'
def chapters() -> list: return [o for o in notebooks if is_chapter(o)]


def time_of(notebook: Path) -> list:
    "What a chapter asks of its reader: minutes to read as it says or as its length says; exercises with the minutes that they name"
    cells, exercises = read_nb(notebook), read_exercises(read_nb(notebook), notebook.stem)
    said = re.search(r'(\w+ (?:minutes|hours)) to read', ' '.join(o.source for o in cells.cells[:4]))
    found = [f'{said[1] if said else f"{minutes.reading_minutes(cells)} minutes"} to read']
    return found + ([f'{len(exercises)} exercises, {sum(o.minutes for o in exercises)} minutes'] if exercises else [])


def chapter_bar(notebook: Path) -> str:
    "Where a chapter stands, how long it takes, and what can be done with it"
    copy, place = f'copies/{notebook.name}', chapters().index(notebook) + 1
    colab = f'https://colab.research.google.com/github/{REPOSITORY.removeprefix("https://github.com/")}/blob/{SITE_BRANCH}/{copy}'
    facts = ''.join(f'<li>{o}</li>' for o in (f'Chapter {place} of {len(chapters())}', *time_of(notebook)))
    links = {'View source': f'href="{REPOSITORY}/blob/main/nbs/{notebook.name}"', 'Download the student copy': f'href="{copy}" download', 'Open in Colab': f'href="{colab}"'}
    buttons = ''.join(f'<a class="button" {o}>{name}</a>' for name, o in links.items())
    return raw(f'<div class="chapter-bar"><ul>{facts}</ul><div>{buttons}</div></div>')


# --- the glossary

TERM = re.compile(r'\*\*([^*]+)\*\*<!-- term -->')


def term_id(term): return 'term-' + re.sub(r'\W+', '-', term.lower()).strip('-')


def with_terms(text: str) -> str:
    "Markdown in which links arrive at the words that it defines"
    return TERM.sub(lambda o: f'<dfn id="{term_id(o[1])}">{o[1]}</dfn>', text)


def without_italics(sentence: str) -> str:
    "A sentence without the italics of the caption of which it is a part"
    rest = re.sub(r'`[^`]*`', '', TERM.sub('', sentence))
    if rest.count('*') % 2 == 0 and not re.fullmatch(r'\*[^*]+\*', rest): return sentence
    return re.sub(r'(`[^`]*`)|(?<!\*)\*(?!\*)', lambda o: o[1] or '', sentence)


def terms(text: str) -> dict:
    "{word: the sentence that defines it} of a cell"
    sentences = map(without_italics, re.split(r'(?<=[.!?])[*"]?\s+|\n\n', text))
    return {word: TERM.sub(r'*\1*', sentence).replace('\n', ' ') for sentence in sentences for word in TERM.findall(sentence)}


def glossary(pages: dict) -> list:  # of {page: notebook}
    "Every word that a chapter marks where it defines it, with its sentence and page, by the alphabet"
    return sorted(((word, sentence, page) for page, notebook in pages.items() for cell in notebook.cells if cell.cell_type == 'markdown'
                   for word, sentence in terms(cell.source).items()), key=lambda o: o[0].lower())


def glossary_page(words: list) -> str:
    entries = (f'- [**{word}**](/{page}.html#{term_id(word)}): {sentence}' for word, sentence, page in words)
    return '\n'.join(['---\ntitle: Glossary\ntoc: false\n---\n', 'Each word with the sentence of the chapter that defines it.\n', *entries]) + '\n'


def to_be_found(word: str, sentence: str, page: str) -> dict:
    "What the search knows of a word: where it is defined, and its abbreviation, (ABC) behind it"
    short, place = re.search(rf'\*{re.escape(word)}\* \(([A-Z]\w*[A-Z])\b', sentence), f'{page}.html#{term_id(word)}'
    said = re.sub(r'\]\([^)]*\)|[*`\[\]]', '', sentence)
    return dict(objectID=place, href=place, title='Glossary', section=f'{word} ({short[1]})' if short else word, text=said,
                words=[word.lower(), *([short[1].lower()] if short else [])])


def told_page(file: Path) -> str: return relink(NbdevLookup().linkify(file.read_text(encoding='utf-8')))


# --- the site

# what scrolls can be reached by keyboard, and the sections of the sidebar be folded by it
SCROLL = """<script>
const reachable = () => document.querySelectorAll('pre, .cell-output-display, .sd-table').forEach(o => { if (o.scrollWidth > o.clientWidth) o.tabIndex = 0 })
for (const event of ['load', 'resize', 'toggle']) addEventListener(event, reachable, true)
addEventListener('keydown', event => {
  if (event.target.matches('a[role=button]') && (event.key === 'Enter' || event.key === ' ')) { event.preventDefault(); event.target.click() }
})
</script>"""


def with_all_notebooks(config: dict) -> dict:
    "The configuration with page names for notebooks, and patterns filled in, so that no notebook is ever left out"
    sections = config['website']['sidebar']['contents']
    named = {o for section in sections for o in section['contents']}
    known = {o.relative_to(root/'nbs').as_posix(): o for o in notebooks}
    unknown = {o for o in named if o.endswith('.ipynb') and '*' not in o} - set(known)
    if unknown: sys.exit(f'nbs/_quarto.yml names {", ".join(sorted(unknown))}, which is not in nbs/')
    rest = {pattern: [o for o in known if o not in named and o.rpartition('/')[0] == pattern.rpartition('/')[0]] for pattern in ('*.ipynb', 'library/*.ipynb')}
    def link(name): return dict(text=title(known[name]).partition(':')[0], href=f'{page_of(known[name])}.ipynb') if name in known else name
    for section in sections:
        section['contents'] = [link(o) for pattern in section['contents'] for o in rest.get(pattern, [pattern])]
    for pattern, names in rest.items():
        if names and pattern not in named: sys.exit(f"nbs/_quarto.yml leaves out {', '.join(names)}: name them, or {pattern!r} in one section")
    return config


def first_heading(notebook): return next(i for i, o in enumerate(notebook.cells) if o.source.startswith('## '))


def stage_pages(stage: Path) -> list:  # the words of the glossary
    "Everything that smalldocs needs, in one folder"
    for name in ('api', 'source', 'figures', 'try'): (stage/name).mkdir()
    config = with_all_notebooks(yaml.safe_load((root/'nbs/_quarto.yml').read_text(encoding='utf-8')))
    config['project']['resources'] = ['figures', 'try', 'images']
    config['format']['html']['include-after-body'] = dict(text=SCROLL)
    files = {'_quarto.yml': yaml.safe_dump(config),
             'site.css': ''.join((root/'tools'/name).read_text(encoding='utf-8') for name in ('site.css', 'results/results.css')),
             'favicon.svg': (root/'tools/favicon.svg').read_text(encoding='utf-8'),
             'leaderboard.md': relink(results_page.page(root/'nbs/leaderboard.csv', root/'nbs/people.csv')), 'try.md': try_page.page(), 'command.md': reference.command_page(),
             **{o.name: told_page(o) for o in (root/'nbs').glob('*.md')},
             **{name: (root/name).read_text(encoding='utf-8') for name in ('CONTRIBUTING.md', 'CHANGELOG.md')}}
    for module in modules(): files |= {f'api/{module}.md': relink(api_page(module)), f'source/{module}.md': source_page(module)}
    for name, text in files.items(): (stage/name).write_text(text, encoding='utf-8')
    for name, content in try_page.made().items(): (stage/'try'/name).write_bytes(content)
    for file in (o for o in (root/'nbs').rglob('*') if o.suffix in ('.png', '.svg', '.jpg', '.gif', '.webp')):  # published where a page shows them
        copy = stage/file.relative_to(root/'nbs')
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())

    pages, reached = {page_of(o): without_answers(read_nb(o)) for o in notebooks}, set()
    words = glossary(pages)
    (stage/'glossary.md').write_text(glossary_page(words), encoding='utf-8')
    for page, notebook in pages.items():
        PageOf()(notebook)
        store_figures(notebook, page, stage)
        reached |= {f'{page}#{name}' for cell in notebook.cells for name in re.findall(r'<a id="([^"]+)"', cell.source)}
    bars = {page_of(o): chapter_bar(o) for o in chapters()}
    for page, notebook in pages.items():
        for cell in notebook.cells:
            if cell.cell_type == 'markdown': cell.source = relink(with_terms(PICTURE.sub(r'\1::: {.figure-said .of-picture}\n\2\n:::', cell.source)), reached)
            elif cell.cell_type == 'raw': cell.source = re.sub(r'^output-file:.*\n', '', cell.source, flags=re.M)  # not for smalldocs
        if page == 'index': notebook.cells.insert(first_heading(notebook), mk_cell(raw(try_page.home()), 'markdown'))
        if page in bars: notebook.cells.insert(1, mk_cell(bars[page], 'markdown'))
        write_nb(notebook, stage/f'{page}.ipynb')
    return words


def with_mathml(text: str) -> str:
    "A page with its equations as MathML, which needs no script"
    text = re.sub(r'<(?:link|script)[^>]*/katex@[^>]*>(?:</script>)?', '', text)
    return re.sub(r'<span class="math (inline|display)">\\[(\[](.*?)\\[)\]]</span>',
                  lambda m: _formula(html.unescape(m[2]), m[1]), text, flags=re.S)

def _formula(text, place):
    "A formula as MathML; one with a line of its own can be scrolled where the page is narrow"
    shown = mathml(text, display=place.replace('display', 'block'))
    return f'<span class="formula" tabindex="0">{shown}</span>' if place == 'display' else shown


LANDMARKS = {'class="navbar ': 'Site', 'class="quarto-secondary-nav': 'Section', 'id="quarto-sidebar': 'Pages', 'class="page-navigation': 'Previous and next page'}


def with_landmarks(text: str) -> str:
    "A page whose parts for navigation have names, by which a screen reader tells them apart"
    for start, name in LANDMARKS.items(): text = text.replace(f'<nav {start}', f'<nav aria-label="{name}" {start}')
    text = re.sub(r'(<a class="sidebar-item-text[^>]*) role="navigation" aria-expanded="\w+"', r'\1', text)  # no landmark: it folds its section,
    return re.sub(r'(<a class="sidebar-item-toggle[^>]*) role="navigation"', r'\1 role="button" tabindex="0"', text)  # as does the button beside it


NAMED_FIRST = """const named = index.filter(e => (e.words || []).includes(q.toLowerCase()))  // the word itself before all that mentions it
      hits.splice(0, hits.length, ...named, ...hits.filter(e => !named.includes(e)))
      """


def search_from_disk(out: Path, words=()):
    "The index of the search as a script, which also files opened from disk can load, with the words of the glossary"
    index = json.loads((out/'search.json').read_text(encoding='utf-8')) + [to_be_found(*o) for o in words]
    (out/'search.js').write_text(f'window.searchIndex = {json.dumps(index, ensure_ascii=False)}', encoding='utf-8')
    (out/'search.json').unlink()
    script = out/'site_libs/smalldocs.js'
    fetched = re.compile(r'const r = await fetch\(offset \+ "search.json"\);\s*index = await r.json\(\);')
    loaded = ("await new Promise((onload, onerror) => document.head.append(Object.assign(document.createElement('script'), "
              "{src: offset + 'search.js', onload, onerror}))); index = window.searchIndex;")
    text, changed = fetched.subn(loaded, script.read_text(encoding='utf-8'))
    text, sorted_too = re.subn(r'(?=if \(!hits\.length\))', NAMED_FIRST, text)
    if not changed or not sorted_too: sys.exit('smalldocs reads its search index in another way now: tools/site.py must follow')
    script.write_text(text, encoding='utf-8')


def without_network(out: Path, words=()):
    "Equations as MathML, landmarks with names, no fonts from elsewhere, and a search that also works on files opened from disk"
    for page in out.rglob('*.html'):
        text = with_landmarks(with_mathml(page.read_text(encoding='utf-8')))
        page.write_text(re.sub(r'<a (href="#line-\d+")></a>', r'<a \1 tabindex="-1" aria-hidden="true"></a>', text), encoding='utf-8')
    for theme in out.glob('site_libs/themes/*.css'):
        theme.write_text(re.sub(r'@import url\([^)]*\);', '', theme.read_text(encoding='utf-8')), encoding='utf-8')
    search_from_disk(out, words)


def build(out: Path):
    with tempfile.TemporaryDirectory() as folder:
        stage = Path(folder)/'site'
        stage.mkdir()
        words = stage_pages(stage)
        site = Site(load(stage), quiet=True)
        site.out = out
        number = site.build()
    if site.warnings: sys.exit('\n'.join(site.warnings))
    without_network(out, words)
    (out/'copies').mkdir()
    for chapter in chapters(): (out/'copies'/chapter.name).write_text(json.dumps(make_copy(chapter.stem)), encoding='utf-8')
    print(f'{number} pages in {out}')


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='Build the docs site from the notebooks.')
    parser.add_argument('out', nargs='?', default=root/'_docs', type=Path, help='folder to write; _docs by default')
    out = parser.parse_args().out.resolve()
    os.chdir(root)
    if NbdevLookup()['learn_emotions'] is None: sys.exit("nbdev cannot see the package: pip install -e '.[dev]' first")
    build(out)
