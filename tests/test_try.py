"The page on which the network runs in the reader's browser: the same answers as Python, the camera, and nothing from outside."
import io
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from fer_teach.drawn import drawn_faces
from fer_teach.pictures import as_faces
from fer_teach.runs import load_emotions
from tests.pages import ROOT, chromium_with, load_site_tool, new_page, served

LIMIT = 60_000  # milliseconds for loading and the first answer on a busy machine


@pytest.fixture(scope='module')
def site_tool(): return load_site_tool()


def built(site_tool, folder):
    "A site of three pages: home with the small form, Try it, and the page that it links to"
    stage, out, pages = folder/'stage', folder/'below'/'site', site_tool.try_page
    (stage/'try').mkdir(parents=True)
    config = yaml.safe_load((ROOT/'nbs/_quarto.yml').read_text())
    config['project']['resources'] = ['try']
    config['website']['sidebar']['contents'] = ['index.md', 'try.md', 'export.md']
    texts = {'_quarto.yml': yaml.safe_dump(config), **{name: (ROOT/'tools'/name).read_text() for name in ('site.css', 'favicon.svg')},
             'try.md': pages.page(), 'export.md': '# Export\n',
             'index.md': f'# Home\n\n{site_tool.raw(pages.home())}'}
    for name, text in texts.items(): (stage/name).write_text(text)
    for name, content in pages.made().items(): (stage/'try'/name).write_bytes(content)
    site = site_tool.Site(site_tool.load(stage), quiet=True)
    site.out = out
    site.build()
    assert site.warnings == []
    site_tool.without_network(out)
    return out


@pytest.fixture(scope='module')
def site(site_tool, tmp_path_factory):
    if site_tool.try_page.package() is None: pytest.skip('onnxruntime-web is neither in the cache nor to be had from the network')
    return built(site_tool, tmp_path_factory.mktemp('try'))


@pytest.fixture(scope='module')
def url(site):
    "The site below a subpath of its server"
    with served(site.parent) as address: yield f'{address}site/'


@pytest.fixture(scope='module')
def film(tmp_path_factory):
    "A camera's film of one drawn face, before grey (uncompressed YUV)"
    picture = np.full((480, 640), 128, np.uint8)
    picture[60:420, 140:500] = drawn_faces(70, 3, 'easy', size=360).pixels[0]
    file = tmp_path_factory.mktemp('film')/'face.y4m'
    colour = np.full(480*640//2, 128, np.uint8).tobytes()
    file.write_bytes(b'YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420jpeg\n' + 3*(b'FRAME\n' + picture.tobytes() + colour))
    return file


@pytest.fixture(scope='module')
def browser(chromium, film):
    camera = ['--use-fake-device-for-media-stream', f'--use-file-for-fake-video-capture={film}']
    with chromium_with(chromium, *camera) as opened: yield opened


@pytest.fixture
def tab(browser):
    "A page that remembers what went wrong, and what it asked for"
    with new_page(browser, 1280, 900) as page:
        page.set_default_timeout(LIMIT)
        yield page
    outside = [o for o in page.asked if not o.startswith(('http://127.0.0.1', 'file:', 'data:', 'blob:'))]
    assert outside == [] and page.wrong == []


def answered(tab, number=1):
    "Wait for so many answers in all; {class: probability} of the last"
    tab.wait_for_function('n => Number(document.querySelector(".try-it").dataset.answers) >= n', arg=number)
    return {o.get_attribute('data-label'): float(o.get_attribute('data-probability')) for o in tab.locator('.try-bar').all()}


def close(found, expected, learn): assert np.abs(np.array([found[o] for o in learn.vocab]) - expected).max() < 1e-3


def test_same_answers_as_python(site_tool, url, tab):
    "On twenty drawn faces; and nothing big is loaded before the first is asked for"
    learn, drawn = load_emotions(), site_tool.try_page.drawn()
    expected = learn.probabilities(as_faces(np.stack([pixels for _, pixels, _ in drawn]), learn.vocab))
    tab.goto(url + 'try.html')
    assert not [o for o in tab.asked if o.endswith(('runtime.js', 'model.js'))]
    faces = tab.locator('.try-face')
    assert faces.count() == len(drawn) == 20
    for i, (name, _, _) in enumerate(drawn):
        faces.nth(i).click()
        close(answered(tab, i + 1), expected[i], learn)
        best = learn.vocab[expected[i].argmax()]
        assert tab.locator('.try-said').inner_text().startswith(f'{best}, ') and f'drawn as {name}' in tab.locator('.try-said').inner_text()
    assert len([o for o in tab.asked if o.endswith('runtime.js')]) == 1


def test_a_picture_of_ones_own(site_tool, url, tab):
    "Chosen or dropped; framed, moved and resized; one that is none is refused in a sentence"
    learn, (_, pixels, _) = load_emotions(), site_tool.try_page.drawn()[2]
    size = len(pixels)
    wide = np.full((8*size, 14*size, 3), 255, np.uint8)
    wide[size:7*size, 4*size:10*size] = np.kron(pixels, np.ones((6, 6), np.uint8))[..., None]
    stream = io.BytesIO()
    Image.fromarray(wide).save(stream, 'PNG')
    expected = learn.probabilities(as_faces(pixels, learn.vocab))[0]
    tab.goto(url + 'try.html')
    file = tab.locator('input[type=file]')
    file.set_input_files(dict(name='me.png', mimeType='image/png', buffer=stream.getvalue()))  # the first frame is 3/4 of the height: this face
    close(answered(tab), expected, learn)
    tab.get_by_label('across').fill('0')
    assert max(abs(answered(tab, 2)[o] - p) for o, p in zip(learn.vocab, expected)) > .01
    tab.get_by_label('across').fill('0.5')
    close(answered(tab, 3), expected, learn)
    before = tab.locator('.try-it').get_attribute('data-answers')
    file.set_input_files(dict(name='notes.txt', mimeType='image/png', buffer=b'no picture'))
    tab.get_by_text('notes.txt cannot be read as a picture').wait_for()
    assert tab.locator('.try-it').get_attribute('data-answers') == before


def test_evidence_follows_the_class(url, tab):
    tab.goto(url + 'try.html')
    tab.locator('.try-face').nth(3).click()
    answered(tab)
    def stage(): return tab.evaluate('document.querySelector(".try-it canvas").toDataURL()')
    first = stage()
    assert tab.locator('.try-bar[aria-pressed=true]').count() == 1
    tab.locator('.try-bar[aria-pressed=false]').first.focus()
    tab.keyboard.press('Enter')
    second = stage()
    assert second != first and tab.evaluate('document.activeElement.className').startswith('try-bar')
    tab.get_by_role('checkbox').uncheck()
    assert stage() not in (first, second)


def test_camera(url, tab):
    "Behind the notice; it answers frame by frame, and its light goes out when it is closed"
    tab.context.grant_permissions(['camera'])
    tab.goto(url + 'try.html')
    tab.evaluate('() => { const get = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices); navigator.mediaDevices.getUserMedia = async o => window.stream = await get(o) }')
    camera = tab.get_by_role('button', name='Camera', exact=True)
    camera.click()
    assert tab.get_by_text('Before the camera opens.').is_visible() and tab.evaluate('window.stream') is None
    tab.get_by_role('button', name='Stay with drawn faces').click()
    assert not tab.get_by_text('Before the camera opens.').is_visible() and tab.evaluate('window.stream') is None
    camera.click()
    tab.get_by_role('button', name='Open the camera').click()
    assert sum(answered(tab, 3).values()) == pytest.approx(1, abs=1e-4)
    assert tab.evaluate('window.stream.active')
    camera.click()
    assert not tab.evaluate('window.stream.active')
    assert tab.locator('.try-said').inner_text() == 'The camera is closed.'


def test_camera_refused(url, tab):
    tab.goto(url + 'try.html')
    tab.evaluate('() => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("no", "NotAllowedError") } }')
    tab.get_by_role('button', name='Camera', exact=True).click()
    tab.get_by_role('button', name='Open the camera').click()
    tab.get_by_text('The browser may not use the camera.').wait_for()
    tab.locator('.try-face').first.click()
    assert answered(tab)


def test_works_from_disk(site, tab):
    tab.goto((site/'try.html').as_uri())
    tab.locator('.try-face').first.click()
    assert answered(tab)


def test_small_form_on_the_home_page(url, tab):
    tab.goto(url + 'index.html')
    assert tab.locator('.try-face').count() == 7
    tab.locator('.try-face').nth(6).click()
    found = list(answered(tab).values())
    assert len(found) == 3 and found == sorted(found, reverse=True)


OVERFLOW = """() => [...document.querySelectorAll('main *')].filter(o => {
  if (o.getBoundingClientRect().right <= innerWidth + 1 || !o.checkVisibility()) return false
  for (let p = o.parentElement; p; p = p.parentElement) if (['auto', 'scroll'].includes(getComputedStyle(p).overflowX)) return false
  return true
}).map(o => o.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize('page', ['try.html', 'index.html'])
def test_fits_a_phone(url, tab, page):
    tab.set_viewport_size(dict(width=390, height=844))
    tab.goto(url + page)
    tab.locator('.try-face').first.click()
    answered(tab)
    assert tab.evaluate(OVERFLOW) == [] and tab.evaluate('document.documentElement.scrollWidth') <= 390


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_accessible(url, tab, scheme):
    "axe-core finds nothing serious or moderate, before an answer, after one and beside the notice"
    import axe_playwright_python
    axe = (Path(axe_playwright_python.__file__).parent/'axe.min.js').read_text(encoding='utf-8')
    def faults():
        found = tab.evaluate('() => axe.run(document)')['violations']
        return [(o['id'], o['nodes'][0]['html'][:150], o['nodes'][0]['failureSummary']) for o in found if o['impact'] != 'minor']
    tab.emulate_media(color_scheme=scheme)
    for page in ('try.html', 'index.html'):
        tab.goto(url + page)
        tab.evaluate(axe)
        assert faults() == []
        tab.locator('.try-face').first.click()
        answered(tab)
        if page == 'try.html': tab.get_by_role('button', name='Camera', exact=True).click()
        assert faults() == []


def test_says_so_where_the_runtime_is_missing(site_tool, tmp_path, tab, monkeypatch):
    pages = site_tool.try_page
    monkeypatch.setattr(pages, 'package', lambda: None)
    pages.made.cache_clear()
    try: out = built(site_tool, tmp_path)
    finally: pages.made.cache_clear()
    assert not (out/'try/runtime.js').exists() and (out/'try/model.onnx').is_file()
    tab.goto((out/'try.html').as_uri())
    assert tab.get_by_text('The network does not run in this copy of the site.').is_visible()
    assert tab.get_by_text('How good is it?').is_visible() and tab.locator('.try-face').count() == 0


def test_package_is_fetched_once_and_proven(site_tool, tmp_path, monkeypatch):
    pages = site_tool.try_page
    monkeypatch.setenv('FER_TEACH_DOWNLOADS', str(tmp_path))
    def nowhere(*args, **kwargs): raise OSError('no network')
    monkeypatch.setattr(pages.urllib.request, 'urlopen', nowhere)
    assert pages.package() is None and list(tmp_path.iterdir()) == []
    (tmp_path/f'{pages.PACKAGE}-{pages.VERSION}.tgz').write_bytes(b'another')
    with pytest.raises(SystemExit, match='remove it'): pages.package()


def test_is_small(site): assert sum(o.stat().st_size for o in (site/'try').iterdir()) < 16_000_000
