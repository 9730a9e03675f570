"README.md from nbs/index.ipynb, and the table in nbs/teachers.md. `python tools/readme.py` writes them, `--check` tells whether they are in step."
import re
import sys
from pathlib import Path

import nbformat
from minutes import with_table
from nbconvert import MarkdownExporter

root = Path(__file__).parent.parent


def readme() -> str:
    "The text of README.md: index.ipynb with its outputs, without hidden cells and directives"
    notebook = nbformat.read(root/'nbs/index.ipynb', as_version=4)
    notebook.metadata['language_info'] = {'name': 'python'}
    notebook.cells = [cell for cell in notebook.cells if not re.search(r'^#\|\s*(hide|default_exp)', cell.source, re.M)]
    for cell in notebook.cells: cell.source = re.sub(r'^#\|.*\n?', '', cell.source, flags=re.M)
    text, _ = MarkdownExporter().from_notebook_node(notebook)
    text = re.sub(r'\]\((?!https?:|#)([^)]+\.(?:ipynb|md|webp))\)', r'](nbs/\1)', text)
    text = re.sub(r'(src|srcset)="(?=images/)', r'\1="nbs/', text)
    return re.sub(r'\n{3,}', '\n\n', text).strip() + '\n'


if __name__ == '__main__':
    teachers = root/'nbs/teachers.md'
    for file, text in {root/'README.md': readme(), teachers: with_table(teachers.read_text(encoding='utf-8'))}.items():
        if '--check' not in sys.argv: file.write_text(text, encoding='utf-8')
        elif file.read_text(encoding='utf-8') != text: sys.exit(f'{file.name} is not in step with the notebooks: run python tools/readme.py')
