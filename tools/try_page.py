"""The page on which the network that comes along runs in the reader's browser: its text, and the files it loads when asked to.

The runtime is onnxruntime-web from npm, fetched once into a cache (FER_TEACH_DOWNLOADS, by default ~/.cache/fer_teach). Without
network and cache the page is built all the same, and says what is missing.
"""
import base64
import gzip
import hashlib
import html
import io
import json
import os
import sys
import tarfile
import urllib.request
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np
from fastcore.nbio import read_nb
from PIL import Image

root = Path(__file__).parent.parent
here = Path(__file__).parent/'try'
PACKAGE, VERSION = 'onnxruntime-web', '1.30.0'  # the one place where the version stands
INTEGRITY = 'sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=='
NETWORK = 'wink'
SCRIPT, WASM = 'package/dist/ort.wasm.bundle.min.mjs', 'package/dist/ort-wasm-simd-threaded.wasm'


def cached(name):
    folder = Path(os.environ.get('FER_TEACH_DOWNLOADS') or Path.home()/'.cache/fer_teach')
    folder.mkdir(parents=True, exist_ok=True)
    return folder/name


# --- the runtime and the model, as scripts: a page opened from disk may load nothing else

def package():
    "The npm package as bytes, from the cache or the network; None if neither has it"
    file = cached(f'{PACKAGE}-{VERSION}.tgz')
    if not file.exists():
        address = f'https://registry.npmjs.org/{PACKAGE}/-/{file.name}'
        try:
            with urllib.request.urlopen(address, timeout=60) as answer: content = answer.read()
        except OSError as problem:
            print(f'{PACKAGE} {VERSION} cannot be fetched ({problem}): the page Try it will say that it is missing')
            return None
        part = file.with_suffix(f'.{os.getpid()}')
        part.write_bytes(content)
        os.replace(part, file)
    content = file.read_bytes()
    if 'sha512-' + base64.b64encode(hashlib.sha512(content).digest()).decode() != INTEGRITY:
        sys.exit(f'{file} is not {PACKAGE} {VERSION} as it was published: remove it')
    return content


def runtime():
    "The script that holds onnxruntime-web; None if it cannot be had"
    content = package()
    if content is None: return None
    with tarfile.open(fileobj=io.BytesIO(content), mode='r|gz') as archive:  # one pass: it is large
        found = {o.name: archive.extractfile(o).read() for o in archive if o.name in (SCRIPT, WASM)}
    script = found[SCRIPT].decode().partition('//# sourceMappingURL')[0]
    packed = base64.b64encode(gzip.compress(found[WASM], 6, mtime=0)).decode()
    return f'window.tryFiles = {{...window.tryFiles, script: {json.dumps(script)}, wasm: "{packed}"}}\n'


@cache
def model():
    "The ONNX file of the network, made anew when its weights or the code that exports them change"
    sources = [*sorted((root/'fer_teach/shipped'/NETWORK).iterdir()), *sorted((root/'fer_teach').glob('*.py'))]
    state = b''.join(o.read_bytes() for o in sources) + metadata.version('torch').encode() + metadata.version('onnx').encode()
    file = cached(f'{NETWORK}-{hashlib.sha256(state).hexdigest()[:16]}.onnx')
    if not file.exists():
        from fer_teach.export import export_onnx
        export_onnx(NETWORK, file, force=True)
    return file.read_bytes()


@cache
def about():
    "What the ONNX file tells of itself"
    import onnx
    told = {o.key: o.value for o in onnx.load_from_string(model()).metadata_props}
    plain = ('name', 'licence', 'trained_on', 'fer_teach', 'input', 'evidence', 'split')
    return {name: value if name in plain else json.loads(value) for name, value in told.items()}


def files():
    "{name: content} of everything beside the page"
    own = {name: (here/name).read_bytes() for name in ('try.js', 'try.css')}
    packed = f'window.tryFiles = {{...window.tryFiles, model: "{base64.b64encode(model()).decode()}"}}\n'
    script = runtime()
    return own | {'model.onnx': model(), 'model.js': packed.encode()} | ({'runtime.js': script.encode()} if script else {})


# --- the page

@cache
def drawn(n=20, seed=7):
    "(expression, pixels (size, size) for the network, pixels (192, 192) for the eye) of `n` drawn faces, the expressions in turn"
    from fer_teach.drawn import drawn_faces, paint_faces
    faces = drawn_faces(140, seed, 'easy', size=about()['size'])
    emotions, k = faces.attributes.emotion, len(faces.vocab)
    rows = [np.flatnonzero(emotions == faces.vocab[i % k])[i // k] for i in range(n)]
    smooth = faces.attributes.drop(columns='emotion').iloc[rows].assign(noise=0)
    large, _ = paint_faces(smooth, 192, seed)
    return [(emotions[row], faces.pixels[row], face) for row, face in zip(rows, large)]


def as_url(pixels, kind, **options):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return f'data:image/{kind.lower()};base64,' + base64.b64encode(stream.getvalue()).decode()


def face_button(name, pixels, large):
    "A face to press: what the network gets, exactly, and what the reader sees"
    seen = f'<img src="{as_url(large, "WEBP", quality=80)}" width="56" height="56" alt="Drawn face: {name}">'
    exact = as_url(pixels, 'PNG', optimize=True)
    return f'<button type="button" class="try-face" aria-pressed="false" data-said="{name}" data-pixels="{exact}">{seen}</button>'


def megabytes(name): return f'{len(made()[name])/1e6:.1f}'


@cache
def made(): return files()


def is_whole(): return 'runtime.js' in made()


MISSING = ('<p class="try-missing"><strong>The network does not run in this copy of the site.</strong> When it was built, '
           f'{PACKAGE} {VERSION} was neither in the cache nor to be had from the network. Build the site once with a network: '
           '<code>python tools/site.py</code>. The file of the network is here all the same: '
           '<a href="try/model.onnx">model.onnx</a>.</p>')


def widget(name, faces):
    "The form `name`, page or home, with `faces` to choose from; a sentence instead where there is no runtime"
    if not is_whole(): return f'<link rel="stylesheet" href="try/try.css">{MISSING}'
    told = {o: about()[o] for o in ('labels', 'size', 'channels', 'outputs')} | dict(version=VERSION)
    wait = sum(len(made()[o]) for o in ('runtime.js', 'model.js'))/1e6
    body = (here/f'{name}.html').read_text(encoding='utf-8')
    body = body.replace('{faces}', ''.join(face_button(*o) for o in faces)).replace('{wait}', f'{wait:.0f} MB')
    return (f'<link rel="stylesheet" href="try/try.css"><div class="try-it" data-about="{html.escape(json.dumps(told))}">{body}'
            '<noscript><p>This needs JavaScript, which is switched off.</p></noscript></div><script src="try/try.js"></script>')


def percent(o): return f'{100*o:.1f} %'


def how_good():
    "Accuracy, interval and limits, from the file itself"
    a = about()
    low, high = a['interval']
    weak = ' and '.join(f'{name} ({found:.0%})' for name, found in sorted(a['recall'].items(), key=lambda o: o[1])[:2])
    best = max(a['recall'], key=a['recall'].get)
    marks = ''.join(f'<i class="try-{kind}" style="left:{100*o:.2f}%{more}"></i>' for kind, o, more in (
        ('majority', a['majority'], ''), ('interval', low, f';width:{100*(high - low):.2f}%'), ('accuracy', a['accuracy'], '')))
    said = f"Accuracy {percent(a['accuracy'])}, between {percent(low)} and {percent(high)}; always the same class {percent(a['majority'])}"
    return f'''<div class="try-scale" role="img" aria-label="{said}">{marks}
<span>0 %</span><span style="left:100%">100 %</span>
<span style="left:{100*a['majority']:.2f}%">always the same class</span><span style="left:{100*a['accuracy']:.2f}%">this network</span></div>

| what | figure |
|---|---|
| agrees with the label | {percent(a['accuracy'])} of {a['images']:,} photographs of faces that it was not trained on ({a['trained_on'].upper()}, {a['split']}) |
| 95 % interval | {percent(low)} to {percent(high)} |
| without pictures that are in the training set too | {percent(a['clean_accuracy'])} |
| always guessing the same class | {percent(a['majority'])} |
| finds best, finds worst | {best} ({a['recall'][best]:.0%}); {weak} |
'''


def ten_lines():
    "The lesson's ten lines, as they stand in its notebook"
    notebook = read_nb(root/'nbs/library/95_export.ipynb')
    source = next(o.source for o in notebook.cells if o.id == 'ten-lines')
    return source.replace('folder/', '')


def page():
    "Markdown of the page"
    raw = '```{{=html}}\n{}\n```'.format
    good = how_good().partition('\n\n')
    text = (here/'page.md').read_text(encoding='utf-8')
    parts = dict(widget=raw(widget('page', drawn())), scale=raw(good[0]), table=good[2], ten_lines=ten_lines(), version=f'{PACKAGE} {VERSION}',
                 size=str(about()['size']), megabytes=megabytes('model.onnx'), labels=', '.join(about()['labels']))
    for name, part in parts.items(): text = text.replace(f'{{{{{name}}}}}', part)
    return text


def home():
    "The small form for the home page: a face of each expression"
    return widget('home', drawn()[:7])
