"What the tests of the site share: the site's tool, a server for a folder, headless Chromium, and pages that remember what went wrong in them"
import importlib.util
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parent.parent
FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking']


def load_site_tool():
    spec = importlib.util.spec_from_file_location('site_tool', ROOT/'tools'/'site.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def served(folder):
    "The address at which `folder` is served"
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args): pass
    with ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}/'
        server.shutdown()


@contextmanager
def chromium_with(executable, *flags):
    from playwright.sync_api import sync_playwright
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=executable, args=[*FLAGS, *flags])
        yield opened
        opened.close()


@contextmanager
def new_page(browser, width, height):
    "A page that remembers what went `wrong` in it, and what it `asked` for"
    context = browser.new_context(viewport=dict(width=width, height=height), color_scheme='light')
    context.set_default_timeout(60_000)  # the machine may be busy
    page = context.new_page()
    page.wrong, page.asked = [], []
    page.on('console', lambda o: o.type == 'error' and page.wrong.append(o.text))
    page.on('pageerror', lambda o: page.wrong.append(str(o)))
    page.on('request', lambda o: page.asked.append(o.url))
    yield page
    context.close()
