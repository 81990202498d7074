"""``lmlab present``: the address that it opens shows one notebook alone, and its widgets in projector size."""

import pytest

from tests.browser.jupyterlab_server import JupyterLabServer
from tests.browser.lab_page import Lab


@pytest.fixture
def presentation(context, tmp_path):
    server = JupyterLabServer(tmp_path / "here", notebook="talk.ipynb", present=True)
    server.write("talk.ipynb", ["import os\nprint(os.environ['LMLAB_PRESENT'])"])
    lab = Lab(context, server, "talk.ipynb", route="home")
    yield lab
    assert lab.faults.found == []
    lab.close()
    server.stop()


def test_one_notebook_alone_large_and_runnable(presentation):
    assert "/doc/tree/talk.ipynb" in presentation.page.url
    assert presentation.page.evaluate("() => window.jupyterapp.shell.mode") == "single-document"
    assert presentation.run_all().text(0) == "1"
    size = "() => getComputedStyle(document.body).getPropertyValue('--jp-content-font-size1').trim()"
    assert presentation.page.evaluate(size) == "26px"
