"What a chapter asks of its reader: minutes to read, minutes of exercises, seconds to run. `tools/readme.py` writes them into nbs/teachers.md."
import csv
import re
from pathlib import Path

import nbformat
from fer_teach.course import mark_of, read_exercises

root = Path(__file__).parent.parent
WORDS, LINES = 100, 10  # of prose and of visible code, that a student reads in a minute: assumed, not measured
TABLE = re.compile(r'(<!-- chapters -->).*?(<!-- end of chapters -->)', re.S)


def prose(notebook) -> str:
    "What there is to read, without the exercises, which name minutes of their own"
    return ' '.join(o.source for o in notebook.cells if o.cell_type == 'markdown' and not mark_of(o))


def code(notebook) -> list:
    "The lines of code that are not hidden, without those of exercises"
    shown = (o.source for o in notebook.cells if o.cell_type == 'code' and not mark_of(o) and not re.search(r'^#\|\s*hide', o.source, re.M))
    return [line for text in shown for line in text.splitlines() if line.strip() and not line.startswith('#|')]


def reading_minutes(notebook) -> int:
    "To the nearest five"
    return 5*round((len(prose(notebook).split())/WORDS + len(code(notebook))/LINES)/5)


def table(chapters: list) -> str:  # of notebook files
    "A row per chapter: minutes to read, exercises with the minutes that they name, and what it takes to run, measured"
    with open(root/'nbs/running.csv', encoding='utf-8') as file: measured = {o['chapter']: o for o in csv.DictReader(file)}
    rows, sums = [], [0, 0, 0, 0]
    for chapter in chapters:
        notebook, ran = nbformat.read(chapter, as_version=4), measured.get(chapter.stem, dict(seconds='', megabytes=''))
        minutes = [o.minutes for o in read_exercises(notebook, chapter.stem)]
        title = notebook.cells[0].source.splitlines()[0].strip('# ')
        counts = reading_minutes(notebook), len(minutes), sum(minutes), int(ran['seconds'] or 0)
        sums = [a + b for a, b in zip(sums, counts)]
        rows.append(f'| [{title}]({chapter.name}) | {counts[0]} | {counts[1]} | {counts[2]} | {ran["seconds"]} | {ran["megabytes"]} |')
    head = ['| chapter | to read, min | exercises | to solve, min | to run, s | memory, MB |', '|---|---|---|---|---|---|']
    return '\n'.join([*head, *rows, f'| all | {sums[0]:,} | {sums[1]} | {sums[2]:,} | {sums[3]} | |'])


def with_table(text: str) -> str:
    "The page for teachers, with the table as it should be"
    chapters = sorted((root/'nbs').glob('[0-9][0-9]_*.ipynb'))
    return TABLE.sub(lambda o: f'{o[1]}\n\n{table(chapters)}\n\n{o[2]}', text)
