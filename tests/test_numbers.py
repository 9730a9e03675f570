"""Numbers in prose that come from a table are marked, and must be what the table says.

`68.9 %<!-- =leaderboard.csv accuracy method=wink recipe=long -->` is the mean of that column over the rows with these values; spaces
within a value are written as underscores.
"""
import json
import re
from pathlib import Path

import pandas as pd
import pytest

NBS = Path(__file__).parent.parent/'nbs'
MARK = re.compile(r'([\d.,]*\d)( %)?<!-- =(\S+) (\S+)((?: \S+=\S*)*) -->')


def marks():
    "(chapter, number as written, is it a percentage?, file, column, {column: value})"
    for file in sorted(NBS.glob('*.ipynb')):
        for cell in json.loads(file.read_text(encoding='utf-8'))['cells']:
            text = ''.join(cell['source'])
            if cell['cell_type'] != 'markdown': continue
            assert text.count('<!-- =') == len(MARK.findall(text)), f'a mark that nobody can read in {file.stem}: {text}'
            for number, percent, table, column, where in MARK.findall(text):
                yield file.stem, number, bool(percent), table, column, dict(o.split('=', 1) for o in where.split())


def in_table(table, column, where):
    rows = pd.read_csv(NBS/table, dtype=str, keep_default_na=False)
    for name, value in where.items(): rows = rows[rows[name] == value.replace('_', ' ')]
    assert len(rows), f'{table} has no row with {where}'
    return rows[column].astype(float).mean()


def wrong(number, percent, value):
    "Is `number`, as it is written, not the rounded `value`?"
    plain = number.replace(',', '')
    places = len(plain.partition('.')[2])
    return abs(float(plain) - value*(100 if percent else 1)) > .5*10**-places + 1e-9


@pytest.mark.parametrize('chapter, number, percent, table, column, where', list(marks()))
def test_prose_says_what_the_table_says(chapter, number, percent, table, column, where):
    value = in_table(table, column, where)
    assert not wrong(number, percent, value), f'{chapter} says {number}{" %"*percent}, {table} says {value:.4f} for {column} where {where}'


def test_what_is_wrong():
    assert wrong('.7', False, .76) and not wrong('.8', False, .76) and not wrong('69.7', True, .6971) and wrong('69.8', True, .6971)
    assert not wrong('990,183', False, 990183)
