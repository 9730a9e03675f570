"The reference of the site: every public name with signature, arguments, errors and an example, and the command with its help."
import argparse
import ast
import dataclasses
import inspect
import os
import re
import textwrap
from functools import cache, cached_property
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from types import FunctionType

from fastcore.docments import docments
from fastcore.foundation import L
from fastcore.nbio import read_nb
from nbdev.doclinks import NbdevLookup, nbpath2html, patch_name

from fer_teach.course import mark_of

root, package = Path(__file__).parent.parent, 'fer_teach'


def anchor(name): return name.lower()


@cache
def symbols(module: str) -> dict:
    "{name: line} of what `module` defines: functions, classes, their methods, and methods patched onto other classes"
    found = {}
    for node in ast.parse((root/package/f'{module}.py').read_text(encoding='utf-8')).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)): found |= {name: node.lineno for name in L(patch_name(node))}
        if isinstance(node, ast.ClassDef):
            found |= {f'{node.name}.{o.name}': o.lineno for o in node.body if isinstance(o, ast.FunctionDef)}
    return {name: line for name, line in found.items() if not re.search(r'(^|\.)_', name)}


def modules(): return [o.stem for o in sorted((root/package).glob('*.py')) if not o.stem.startswith('_') and o.stem != 'all']
def source_of(module, name): return f'source/{module}.html#line-{symbols(module)[name]}'


# --- signatures

def type_name(o) -> str:
    "An annotation as it is written"
    if isinstance(o, str): return o
    text = o.__name__ if isinstance(o, type) and not hasattr(o, '__args__') else str(o)
    return re.sub(r'\b(\w+\.)+(?=\w)', '', text).replace('NoneType', 'None')


def default_of(parameter, value) -> str:
    "A default as it is written; of what a dataclass makes anew for each object, what it makes"
    default = parameter.default
    if type(default).__name__ == '_HAS_DEFAULT_FACTORY_CLASS':
        default = next(o for o in dataclasses.fields(value) if o.name == parameter.name).default_factory()
    if isinstance(default, (FunctionType, type)): return default.__name__.strip('<>')
    return re.sub(r'<.*>', '...', repr(default), flags=re.S)


def one_argument(parameter, value) -> str:
    stars = {parameter.VAR_POSITIONAL: '*', parameter.VAR_KEYWORD: '**'}.get(parameter.kind, '')
    typed = f': {type_name(parameter.annotation)}' if parameter.annotation is not parameter.empty else ''
    equals = ' = ' if typed else '='
    return stars + parameter.name + typed + (equals + default_of(parameter, value) if parameter.default is not parameter.empty else '')


def signature_of(name: str, value) -> str:
    "`def name(...)` or `class name(...)`, on one line where it fits, else an argument a line"
    try: found = inspect.signature(value)
    except (TypeError, ValueError): return f'class {name}'
    kind = 'class' if isinstance(value, type) else 'def'
    arguments = [one_argument(o, value) for o in found.parameters.values() if o.name != 'self']
    gives = f' -> {type_name(found.return_annotation)}' if kind == 'def' and found.return_annotation is not found.empty else ''
    line = f'{kind} {name.rpartition(".")[2]}({", ".join(arguments)}){gives}'
    return line if len(line) <= 92 else f'{kind} {name.rpartition(".")[2]}(\n    ' + ',\n    '.join(arguments) + f'\n){gives}'


def arguments_of(value) -> str:
    "What the arguments mean, where it is said"
    told = {k: o for k, o in docments(value, full=True).items() if o.docment and k != 'self'}
    rows = [f'- `{k}`: {" ".join(o.docment.split())}' if k != 'return' else f'- Returns: {" ".join(o.docment.split())}' for k, o in told.items()]
    return '\n'.join(rows)


# --- errors and examples

def _said(node) -> str:
    "The words of a message, with ... for what is filled in"
    if isinstance(node, ast.Constant): return str(node.value)
    if isinstance(node, ast.JoinedStr): return ''.join(o.value if isinstance(o, ast.Constant) else '...' for o in node.values)
    return '...'


def errors_of(value) -> str:
    "The errors that a function raises itself"
    if not isinstance(value, FunctionType): return ''
    found = []
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(value)))):
        if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)): continue
        name, words = node.exc.func.id, _said(node.exc.args[0]) if node.exc.args else ''
        if name == 'unknown': name, words = 'FaceError', f'unknown {words}'
        if words.strip('. '): found.append(f'- `{name}`: {words}')
    return 'Errors:\n\n' + '\n'.join(dict.fromkeys(found)) if found else ''


def without_tests(source: str) -> list:
    return [o for o in source.splitlines() if not re.match(r'#\||from |import |test_|assert |\s*with ExceptionExpected', o)]


@cache
def lesson_cells(notebook: Path) -> tuple:
    "Title, and the code of the short cells that a reader sees and that define nothing for the library, without their tests"
    cells = read_nb(notebook).cells
    code = [o.source for o in cells if o.cell_type == 'code' and not mark_of(o)]
    lessons = [without_tests(o) for o in code if not re.search(r'^#\|\s*(hide|exports?|default_exp)', o, re.M)]
    texts = ['\n'.join(o).strip() for o in lessons if 0 < len(o) <= 10 and max(map(len, o)) <= 110]
    return cells[0].source.splitlines()[0].strip('# '), [o for o in texts if 'class ' not in o]


def example_of(name: str, value, notebooks) -> str:
    "The first short lesson cell that uses `name`, without its tests, and where it stands; nothing if there is none"
    owner, _, own = name.rpartition('.')
    used = re.compile((r'\.' if owner else r'\b') + own + (r'\b' if isinstance(value, (property, cached_property)) else r'\('))
    for notebook in notebooks:
        title, lessons = lesson_cells(notebook)
        for text in lessons:
            if not used.search(text): continue
            try: ast.parse(text)
            except SyntaxError: continue
            return f'Example, from [{title}](/{nbpath2html(notebook).stem}.ipynb):\n\n```python\n{text}\n```'
    return ''


# --- pages

def entry(module: str, name: str, notebooks=()) -> str:
    "Markdown of one API entry"
    value, owner = attrgetter(name)(import_module(f'{package}.{module}')), name.rpartition('.')[0]
    is_property = isinstance(value, (property, cached_property))
    function = (getattr(value, 'fget', None) or getattr(value, 'func', None)) if is_property else value
    text = inspect.getdoc(function) or ''
    if is_property:
        gives = inspect.signature(function).return_annotation
        signature = name + (f' -> {type_name(gives)}' if gives is not inspect.Signature.empty else '')
        if not text: signature += '  # ' + ' '.join(re.findall(r'return (.+)', inspect.getsource(function)))
    else: signature = signature_of(name, value)
    if isinstance(value, type) and text.startswith(f'{value.__name__}('): text = ''  # a dataclass without words of its own
    level = '###' if owner in symbols(module) else '##'
    parts = [f'{level} {name} {{#{anchor(name)} .api-name}}', f'[source](/{source_of(module, name)}){{.api-source}}', '' if signature == name else f'```python\n{signature}\n```',
             NbdevLookup().linkify(text), NbdevLookup().linkify(arguments_of(value) if not is_property else ''), errors_of(value), example_of(name, value, notebooks)]
    return '\n\n'.join(o for o in parts if o) + '\n'


def api_page(module: str, told: str, notebooks: list) -> str:  # the notebooks in which to look for examples, its own first
    "Markdown of a module's page: every public name, methods after their class"
    names = symbols(module)
    def place(name): return names.get(name.rpartition('.')[0], names[name]), names[name]
    summary = (import_module(f'{package}.{module}').__doc__ or '').strip()
    return '\n'.join([f'---\ntitle: {package}.{module}\n---\n', summary, told, '', *(entry(module, o, notebooks) for o in sorted(names, key=place))])


def command_page() -> str:
    "Markdown of the command with its help"
    from fer_teach.cli import _parser
    os.environ['COLUMNS'] = '92'
    parser = _parser()
    commands = next(o for o in parser._actions if isinstance(o, argparse._SubParsersAction)).choices
    helps = {package: parser.format_help(), **{f'{package} {name}': o.format_help() for name, o in commands.items()}}
    return '---\ntitle: The command\n---\n\nWhat `fer_teach -h` and `fer_teach COMMAND -h` say.\n\n' + '\n'.join(f'## {name}\n\n```text\n{text.rstrip()}\n```\n' for name, text in helps.items())
