"The app in headless Chromium, against a real JupyterLab and Notebook 7, with a camera that shows a drawn face."
import io
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_teach.pictures import crop_faces, face_boxes, face_pixels, open_picture
from fer_teach.app import drawn_video
from fer_teach.core import FaceError
from fer_teach.drawn import drawn_faces

CELL = 'from fer_teach.all import load_emotions\nfrom fer_teach.app import EmotionApp\nEmotionApp(load_emotions("run"))'


def scene(n=1, side=160):
    "A grey picture (320, 160 n + 160, 3) with `n` drawn faces in a row"
    faces = drawn_video(size=side)[:1].repeat(n, 0) if n == 1 else drawn_faces(70, 3, 'easy', size=side).pixels[:n]
    picture = np.full((320, (side + 40)*n + 120, 3), 128, np.uint8)
    for i in range(n): picture[80:80 + side, 60 + (side + 40)*i:60 + (side + 40)*i + side] = faces[i][..., None]
    return Image.fromarray(picture)


def as_file(picture, kind, **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


@cache
def odd_pictures():
    "name -> (bytes, how many faces)"
    face, exif = scene(), Image.Exif()
    exif[0x0112] = 6
    see_through = face.convert('RGBA')
    see_through.putalpha(Image.fromarray(np.where(np.asarray(face)[..., 0] == 128, 0, 255).astype(np.uint8)))
    return {'phone.jpg': (as_file(face.rotate(90, expand=True), 'JPEG', exif=exif), 1),
            'transparent.png': (as_file(see_through, 'PNG'), 1),
            'animated.gif': (as_file(face, 'GIF', save_all=True, append_images=[Image.new('RGB', face.size)]), 1),
            'large.jpg': (as_file(face.resize((4500, 4500), Image.Resampling.BILINEAR), 'JPEG'), 1),
            'nobody.png': (as_file(Image.new('RGB', (400, 300), 'gray'), 'PNG'), 0),
            'ten.png': (as_file(scene(10), 'PNG'), 10),
            'text.png': (b'no picture', None)}


@pytest.mark.parametrize('name', odd_pictures())
def test_odd_pictures(name, tmp_path):
    content, faces = odd_pictures()[name]
    (tmp_path/name).write_bytes(content)
    if faces is None:
        with pytest.raises(FaceError, match='cannot be read'): crop_faces(tmp_path/name)
        return
    boxes, _, crops = crop_faces(tmp_path/name)
    assert abs(len(boxes) - faces) <= (faces > 1) and crops.shape == (len(boxes), 48, 48)
    if faces == 1:  # the same face, upright, whatever the file
        found, expected = (np.array(face_boxes(o)[0][0])/o.width for o in (open_picture(tmp_path/name), open_picture(scene())))
        assert np.abs(found - expected).max() < .06
    if not faces:
        with pytest.raises(FaceError, match='no face in .*nobody.png'): face_pixels(tmp_path/name)


def test_largest_comes_first():
    picture = np.full((400, 600), 128, np.uint8)
    small, large = (drawn_video(size=o)[0] for o in (100, 220))
    picture[40:140, 30:130], picture[100:320, 300:520] = small, large
    boxes = crop_faces(picture).boxes
    assert len(boxes) == 2 and boxes[0][0] > 280 > boxes[1][0]


@pytest.fixture(scope='module')
def place(tmp_path_factory, chromium):
    "A folder with a model, a notebook, and what the camera shows"
    from fer_teach.learn import learn_emotions
    folder = tmp_path_factory.mktemp('app')
    learn_emotions('mini_xception', 4, drawn_faces(350, difficulty='easy'), epochs=1, out=folder/'run')
    cell = dict(cell_type='code', id='app', metadata={}, source=CELL, outputs=[], execution_count=None)
    kernel = dict(kernelspec=dict(name='python3', display_name='Python 3'))
    (folder/'app.ipynb').write_text(json.dumps(dict(cells=[cell], metadata=kernel, nbformat=4, nbformat_minor=5)))
    frames = np.pad(drawn_video(), ((0, 0), (40, 40), (80, 80)), constant_values=128)
    grey = np.full(frames.shape[1]*frames.shape[2]//2, 128, np.uint8).tobytes()
    (folder/'camera.y4m').write_bytes(b'YUV4MPEG2 W320 H240 F10:1 Ip A1:1 C420\n' + b''.join(b'FRAME\n' + o.tobytes() + grey for o in frames))
    return folder


@pytest.fixture(scope='module')
def lab(place):
    "The address of a server of its own, to be completed by 'lab/tree' or 'notebooks'"
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    homes = {o: str(place/o) for o in ('HOME', 'JUPYTER_CONFIG_DIR', 'JUPYTER_DATA_DIR', 'JUPYTER_RUNTIME_DIR', 'IPYTHONDIR')}
    token = secrets.token_hex(8)
    command = [sys.executable, '-m', 'jupyterlab', '--no-browser', '--allow-root', f'--port={port}', '--ServerApp.port_retries=0',
               f'--IdentityProvider.token={token}', '--LabApp.expose_app_in_browser=True', '--JupyterNotebookApp.expose_app_in_browser=True', '--LabApp.news_url=None', '--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate']
    with open(place/'lab.log', 'w') as log: server = subprocess.Popen(command, cwd=place, env=os.environ | homes, stdout=log, stderr=log)
    try:
        for _ in range(120):
            try: urllib.request.urlopen(f'http://127.0.0.1:{port}/api?token={token}', timeout=5).close()
            except OSError: time.sleep(1)
            else: break
        else: pytest.fail((place/'lab.log').read_text()[-2000:])
        yield f'http://127.0.0.1:{port}/{{}}/app.ipynb?token={token}'
    finally:
        server.terminate()
        server.wait(20)


def open_app(lab, place, chromium, *flags, camera=True):
    "(playwright, browser, page with the running app)"
    from playwright.sync_api import sync_playwright
    driver = sync_playwright().start()
    fake = ['--use-fake-device-for-media-stream', f'--use-file-for-fake-video-capture={place/"camera.y4m"}'] if camera else []
    browser = driver.chromium.launch(executable_path=chromium, args=['--no-sandbox', '--disable-gpu', *fake, *flags])
    page = browser.new_page(viewport=dict(width=1200, height=900))
    page.set_default_timeout(120_000)
    page.goto(lab)
    page.wait_for_function('window.jupyterapp && window.jupyterapp.shell.currentWidget && window.jupyterapp.shell.currentWidget.context && window.jupyterapp.shell.currentWidget.context.isReady')
    page.wait_for_function("window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'")
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_selector('.fer-teach[data-answers]')
    page.set_default_timeout(30_000)
    return driver, browser, page


@pytest.fixture(scope='module')
def app(lab, place, chromium, request):
    "The page with the app, one for all tests whose browser has the same flags: opening JupyterLab takes most of the time"
    flags, camera, where = getattr(request, 'param', (['--use-fake-ui-for-media-stream'], True, 'lab/tree'))
    driver, browser, page = open_app(lab.format(where), place, chromium, *flags, camera=camera)
    yield page
    browser.close()
    driver.stop()


def shoot(page, name):
    "Keep a picture of the app in the folder FER_TEACH_SHOTS, for people to look at"
    folder = os.environ.get('FER_TEACH_SHOTS')
    if folder: page.locator('.fer-teach').screenshot(path=Path(folder)/f'{name}.png')


def answers(page, n=3):
    "Wait for `n` more answers; returns how many faces the last one had"
    before = int(page.get_attribute('.fer-teach', 'data-answers'))
    page.wait_for_function(f"Number(document.querySelector('.fer-teach').dataset.answers) >= {before + n}")
    return int(page.get_attribute('.fer-teach', 'data-faces'))


def test_drawn_video_is_the_default(app):
    assert app.get_attribute('.fer-teach', 'data-source') == 'video'
    assert answers(app, 10) == 1
    assert app.locator('.bars span').all_text_contents() == ['angry', 'happy', 'neutral', 'sad']
    print(app.inner_text('.status'))
    shoot(app, 'video')
    saved = app.evaluate("JSON.stringify(window.jupyterapp.shell.currentWidget.context.model.toJSON())")
    assert len(saved) < 20_000  # frames are kept nowhere, the notebook included


def test_camera_after_the_notice(app):
    app.click('.tools [data-do=camera]')
    assert 'AI Act' in app.inner_text('.notice') and app.get_attribute('.fer-teach', 'data-source') == 'camera'
    shoot(app, 'notice')
    app.click('.notice [data-do=open]')
    assert answers(app, 10) == 1
    shoot(app, 'camera')
    print(app.inner_text('.status'))
    app.click('.tools [data-do=video]')
    assert answers(app) == 1


def test_pictures(app):
    for name, (content, faces) in odd_pictures().items():
        app.set_input_files('.fer-teach input[type=file]', dict(name=name, mimeType='image/' + name[-3:].replace('jpg', 'jpeg'), buffer=content))
        words = {None: 'cannot be read', 0: 'No face found', 1: '1 face found', 10: 'faces found'}[faces]
        app.wait_for_function(f"document.querySelector('.fer-teach .status').textContent.includes({words!r})")
        if faces == 10: assert int(app.get_attribute('.fer-teach', 'data-faces')) >= 9
        shoot(app, name)
        app.evaluate("document.querySelector('.fer-teach .status').textContent = ''")


@pytest.mark.parametrize('app, words', [((['--use-fake-ui-for-media-stream'], False, 'lab/tree'), 'There is no camera'),
                                        ((['--deny-permission-prompts'], True, 'lab/tree'), 'may not use the camera')], indirect=['app'], ids=['no camera', 'no permission'])
def test_camera_refused(app, words):
    app.click('.tools [data-do=camera]')
    app.click('.notice [data-do=open]')
    app.wait_for_function(f"document.querySelector('.fer-teach .status').textContent.includes({words!r})")
    shoot(app, words)
    app.click('.tools [data-do=video]')
    assert answers(app) == 1


@pytest.mark.parametrize('app', [(['--use-fake-ui-for-media-stream'], True, 'notebooks')], indirect=True, ids=['notebook 7'])
def test_notebook_7(app):
    assert app.evaluate('window.jupyterapp.name') == 'Jupyter Notebook' and '/notebooks/' in app.url
    assert answers(app) == 1
    shoot(app, 'notebook 7')
