"Learn, and use, facial expression recognition. Public names are looked up on first use, so that importing is free."
__version__ = "0.1.0"


def __getattr__(name):
    from importlib import import_module
    from ._modidx import d
    for module, symbols in d['syms'].items():
        if f'{module}.{name}' in symbols:
            globals()[name] = value = getattr(import_module(module), name)
            return value
        if module == f'{__name__}.{name}': return import_module(module)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__():
    from ._modidx import d
    public = (symbol.removeprefix(f'{module}.') for module, symbols in d['syms'].items() for symbol in symbols)
    return sorted({*globals(), *(name for name in public if name.isidentifier() and not name.startswith('_'))})
