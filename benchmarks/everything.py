"""Every row of the leaderboard that this machine allows, measured again, largest first, and one table of what ran, what did not, and why.

`python benchmarks/everything.py [--data fer2013.zip] [--folder everything] [--hours 10] [--list]`. A row is a network or baseline, a recipe,
classes and a seed; it runs in a process of its own, so that one that runs out of memory ends alone. Started again, it leaves out what is
measured, goes on with what was cut off, and tries the rest once more. `--list` only tells what would run. Rows measured stand in
`leaderboard.csv` of the folder, what happened in `everything.csv`. Pretrained bodies run where their weights can be had.
"""
import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

KEY = ['method', 'recipe', 'classes', 'seed']


def jobs_of(rows):
    "One job per training, the longest first; `judge` has the coarser classes that it was judged on as well"
    trained = rows[rows.trained_on == ''].drop_duplicates(KEY, keep='last').copy()
    coarser = rows[rows.trained_on != ''].groupby(['method', 'recipe', 'trained_on', 'seed']).classes.unique()
    trained['judge'] = [list(coarser.get((o.method, o.recipe, o.classes, o.seed), [])) for o in trained.itertuples()]
    return trained.assign(seconds=trained.seconds.fillna(0)).sort_values(['seconds', 'parameters'], ascending=False, na_position='last', ignore_index=True)


def command_of(job, data, folder):
    def names(classes): return ','.join(classes.split())
    line = ['benchmark', job.method, '--classes', names(job.classes), '--data', data, '--recipe', job.recipe, '--seeds', str(job.seed)]
    line += ['--out', folder/'leaderboard.csv', '--keep', folder/'runs']
    return [sys.executable, '-m', 'fer_teach', *line, *(['--judge', *map(names, job.judge)] if job.judge else [])]


def took(job): return f'it took {job.seconds:,} s where it was measured' if job.seconds else 'how long it takes was not noted'


def run(job, data, folder, left):
    "(what happened, why) of one job, which has so many seconds `left`"
    if job.seconds > left: return 'not run', f'{took(job)}, and {left:,.0f} s are left'
    try: done = subprocess.run(list(map(str, command_of(job, data, folder))), capture_output=True, text=True, timeout=left, check=False)
    except subprocess.TimeoutExpired: return 'cut off', 'the time is over: when this is started again a network goes on, a baseline begins anew'
    if done.returncode == 0: return 'measured', ''
    if done.returncode < 0: return 'failed', f'ended by signal {-done.returncode}, which for 9 means that memory was short'
    return 'failed', (done.stderr.strip().splitlines() or ['it said nothing'])[-1].removeprefix('fer_teach: ')


def machine():
    import torch
    cards = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return f'{os.cpu_count()} processors; {", ".join(cards) or "no graphics card"}'


def main(data, folder, hours, only_list):
    from fer_teach.leaderboard import read_leaderboard
    jobs, folder = jobs_of(read_leaderboard()), Path(folder)
    measured = set(read_leaderboard(folder/'leaderboard.csv')[KEY].itertuples(index=False, name=None))
    until, table = time.time() + 3600*hours, []
    print(f'{len(jobs)} trainings; {machine()}', flush=True)
    if not only_list: folder.mkdir(parents=True, exist_ok=True)
    for job in jobs.itertuples():
        key = tuple(getattr(job, o) for o in KEY)
        if key in measured: happened = 'measured', 'before'
        elif only_list: happened = 'would run', took(job)
        else: happened = run(job, data, folder, until - time.time())
        table.append(dict(zip(KEY, key)) | dict(outcome=happened[0], why=happened[1]))
        print(f'{job.method:24} {job.recipe:20} {len(job.classes.split())} classes, seed {job.seed}: {" ".join(happened)}', flush=True)
        if not only_list: pd.DataFrame(table).to_csv(folder/'everything.csv', index=False)
    print('\n' + pd.DataFrame(table).outcome.value_counts().to_string())


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', default='fer2013')
    parser.add_argument('--folder', default='everything')
    parser.add_argument('--hours', type=float, default=10)
    parser.add_argument('--list', action='store_true', dest='only_list')
    main(**vars(parser.parse_args()))
