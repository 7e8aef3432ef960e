"""One JupyterLab and one Chromium for all tests here. Nothing may be asked of another machine, and nothing may fail."""

from pathlib import Path

import pytest

from tests.browser.jupyterlab import FLAGS, Browser, chromium, serving


# Not for the session: while Playwright's own event loop runs, no test in this thread can start another one.
@pytest.fixture(scope="package")
def jupyterlab(tmp_path_factory):
    if (path := chromium()) is None:
        pytest.skip("there is no Chromium: install the package chromium, or name its program in TTTLAB_CHROMIUM")
    playwright = pytest.importorskip("playwright.sync_api")
    with serving(tmp_path_factory.mktemp("jupyterlab")) as server, playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=path, args=FLAGS)
        page = launched.new_page(viewport={"width": 1280, "height": 1400})
        server.wait()
        browser = Browser(page, server)
        browser.start()
        yield browser
        launched.close()


@pytest.fixture
def browser(jupyterlab):
    jupyterlab.strayed.clear()
    jupyterlab.errors.clear()
    yield jupyterlab
    jupyterlab.close_notebooks()
    assert jupyterlab.strayed == [], "something was asked of another machine"
    assert jupyterlab.errors == [], "the page had errors"


@pytest.fixture
def tests_importable():
    """The line with which a cell can import from the tests."""
    return f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})"
