"""One JupyterLab and one Chromium for all browser tests; a page a notebook; a healthy page at the end of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.browser.chromium import launch, new_context
from tests.browser.jupyterlab_server import JupyterLabServer
from tests.browser.lab_page import Lab

OpenNotebook = Callable[..., Lab]
_numbers = count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder drives a browser. What shares a notebook stays together where several processes run."""
    kinds: dict[str, int] = {}
    for item in items:
        if "tests/browser" in item.path.as_posix():
            kind = item.callspec.params.get("kind", "") if hasattr(item, "callspec") else ""
            half = kinds.setdefault(kind, len(kinds)) % 2
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group(f"{item.path.stem} {half}"))


@pytest.fixture(scope="package")
def jupyterlab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterLabServer]:
    server = JupyterLabServer(tmp_path_factory.mktemp("jupyterlab") / "here")
    yield server
    server.stop()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Closed with the last test of this folder: its event loop would be in the way of other tests' own."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = new_context(browser)
    yield context
    context.close()


@pytest.fixture
def notebook(context: BrowserContext, jupyterlab: JupyterLabServer) -> Iterator[OpenNotebook]:
    """``notebook(cells)``: write a notebook, open it, run all, wait until done."""
    with opener(context, jupyterlab) as open_notebook:
        yield open_notebook


@pytest.fixture(scope="module")
def shared_notebook(context: BrowserContext, jupyterlab: JupyterLabServer) -> Iterator[OpenNotebook]:
    """The same for a whole module, where tests only look, or put back what they move."""
    with opener(context, jupyterlab) as open_notebook:
        yield open_notebook


@contextmanager
def opener(context: BrowserContext, jupyterlab: JupyterLabServer) -> Iterator[OpenNotebook]:
    opened: list[Lab] = []

    def open_notebook(cells: list[str], *, route: str = "doc", run: bool = True, name: str = "") -> Lab:
        name = name or f"notebook-{next(_numbers)}.ipynb"
        jupyterlab.write(name, cells)
        lab = Lab(context, jupyterlab, name, route=route)
        opened.append(lab)
        return lab.run_all() if run else lab

    yield open_notebook
    found: list[str] = []
    for lab in opened:
        found += lab.page.evaluate("() => window.__pwned === undefined ? [] : ['text ran as code']")
        if lab.page.evaluate("() => document.body.dataset.jpThemeLight") == "false":
            lab.theme("light")  # the theme belongs to the server, and so to the next notebook
        found += lab.faults.found
        lab.close()
    assert not found, "The page was not healthy:\n" + "\n".join(found)
