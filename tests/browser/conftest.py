"""One JupyterLab and one Chromium a process. A desk, one page with one kernel, goes from module to module; a test that
needs a page of its own opens one. Every page is healthy at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.browser.chromium import launch, new_context
from tests.browser.jupyterlab_server import JupyterLabServer
from tests.browser.lab_page import Lab

OpenNotebook = Callable[..., Lab]
_numbers = count(1)


# In these two a page belongs to a parameter, a lab or a kind of widget; in any other module, to the module.
LONGEST = ("test_common", "test_labs")


@pytest.hookimpl(tryfirst=True)  # pytest's own -m reads the marks here too
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder drives a browser, and comes last; what takes longest begins."""
    ours = [item for item in items if "tests/browser" in item.path.as_posix()]
    for item in ours:
        item.add_marker(pytest.mark.browser)
    ours.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))
    items[:] = [item for item in items if item not in set(ours)] + ours


@pytest.hookimpl(optionalhook=True)  # pytest-xdist may not be there
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where several processes run, what shares a page stays together.

    Told from a test's name, since marks are lost: pytest 9.2 no longer reads what pytest-xdist 3.8 writes for them."""
    from xdist.scheduler import LoadScopeScheduling

    class ByPage(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return page_of(nodeid)

    return ByPage(config, log) if config.getoption("dist") == "loadscope" else None


def page_of(nodeid: str) -> str:
    """The name of what shares a page with this test: "test_labs 02_next_word", "test_attention"."""
    file, _, test = nodeid.partition("::")
    module = Path(file).stem
    return f"{module} {test.partition('[')[2].rstrip(']')}".strip() if module in LONGEST else module


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
    """``notebook(cells)``: write a notebook, open it in a page of its own, run all, wait until done."""
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
        lab.put_back()
        found += lab.take_faults()
        lab.close()
    assert not found, "The page was not healthy:\n" + "\n".join(found)


class Desk:
    """One page with one kernel for many modules: opening them takes longer than all that most modules ask.

    What a module leaves is cleared away before its faults are read, so that taking a widget down counts too."""

    def __init__(self, open_notebook: Callable[[], Lab]) -> None:
        self._open = open_notebook
        self._lab: Lab | None = None

    def lay(self, cells: list[str]) -> Lab:
        """Run these cells in a page and a kernel that look unused."""
        self._lab = self._lab or self._open()
        return self._lab.write(cells).run_all()

    def clear(self) -> list[str]:
        """Take everything away; what was not healthy since the last time."""
        if self._lab is None:
            return []
        self._lab.clear()
        return self._lab.take_faults()

    def close(self) -> None:
        """The next cells get a new page and a new kernel."""
        if self._lab is not None:
            self._lab.close()
            self._lab = None


@pytest.fixture(scope="package")
def desk(context: BrowserContext, jupyterlab: JupyterLabServer) -> Iterator[Desk]:
    def open_notebook() -> Lab:
        name = f"desk-{next(_numbers)}.ipynb"
        jupyterlab.write(name, [""])
        return Lab(context, jupyterlab, name)

    desk = Desk(open_notebook)
    yield desk
    desk.close()


@pytest.fixture(scope="module")
def shared_notebook(desk: Desk, request: pytest.FixtureRequest) -> Iterator[OpenNotebook]:
    """``shared_notebook(cells)``: cells for a whole module, where tests only look, or put back what they move.

    After a failure the next module begins with a new page, so that no failure has a second."""
    failed = request.session.testsfailed
    yield desk.lay
    found = ["the desk could not be cleared"]
    try:
        found = desk.clear()
    finally:
        if found or request.session.testsfailed > failed:
            desk.close()
    assert not found, f"{request.path.name}: the page was not healthy:\n" + "\n".join(found)
