"Write fer_teach/__init__.pyi: the public names, which the package itself looks up on first use, for editors and type checkers"
import ast
from pathlib import Path

package = Path(__file__).parent.parent/'fer_teach'


def public_names(file):
    "The names in `__all__` of a module that nbdev has exported"
    for node in ast.parse(file.read_text(encoding='utf-8')).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == '__all__': return ast.literal_eval(node.value)
    return []


lines = ['__version__: str']
for file in sorted(package.glob('*.py')):
    if file.stem.startswith('_') or file.stem in ('all', 'cli'): continue
    lines += [f'from .{file.stem} import {name} as {name}' for name in public_names(file)]
(package/'__init__.pyi').write_text('\n'.join(lines) + '\n', encoding='utf-8')
