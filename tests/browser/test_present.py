"""``lmlab present``: the address that it opens shows one notebook alone, and its widgets in projector size."""

import pytest

from tests.browser.jupyterlab_server import JupyterLabServer
from tests.browser.lab_page import Lab


@pytest.fixture
def presentation(context, tmp_path):
    server = JupyterLabServer(tmp_path / "here", notebook="talk.ipynb", present=True)
    server.write("talk.ipynb", ["%md\nProse.", "import os\nprint(os.environ['LMLAB_PRESENT'])"])
    lab = Lab(context, server, "talk.ipynb", route="home")
    yield lab
    assert lab.faults.found == []
    lab.close()
    server.stop()


def test_one_notebook_alone_large_and_runnable(presentation):
    assert "/doc/tree/talk.ipynb" in presentation.page.url
    assert presentation.page.evaluate("() => window.jupyterapp.shell.mode") == "single-document"
    assert presentation.run_all().text(0) == "1"
    assert presentation.page.locator(".jp-OutputArea-output pre").first.evaluate(font_size) == "22px"
    prose = presentation.page.locator(".jp-MarkdownOutput p").first
    assert prose.evaluate(font_size) == "26px"
    assert prose.evaluate("(p) => getComputedStyle(p).maxWidth") == f"{44 * 26}px"  # the labs' own style holds too


font_size = "(element) => getComputedStyle(element).fontSize"
