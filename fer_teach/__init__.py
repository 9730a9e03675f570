"Learn, and use, facial expression recognition. Public names are looked up on first use, so that importing is free."
__version__ = "0.1.0"


def _homes():
    "{public name: its module}, from the stub that editors read"
    from pathlib import Path
    lines = Path(__file__).with_name('__init__.pyi').read_text(encoding='utf-8').splitlines()
    return {line.split()[-1]: line.split()[1] for line in lines if line.startswith('from ')}


def __getattr__(name):
    from importlib import import_module
    if name.startswith('__'): raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    homes = _homes()
    if name in homes:
        globals()[name] = value = getattr(import_module(homes[name], __name__), name)
        return value
    if f'.{name}' in homes.values(): return import_module(f'.{name}', __name__)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__(): return sorted({*globals(), *_homes()})
