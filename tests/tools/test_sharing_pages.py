"""Two browsers share the tests by page: what shares one is never opened twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.conftest import page_of

TESTS = """
import json, os, pathlib, pytest
@pytest.fixture(params=["Attention", "TokenView", "Sampling"])
def kind(request):
    return request.param
def test_it(kind):
    name = pathlib.Path(__file__).name
    with pathlib.Path("ran").open("a", encoding="utf-8") as file:
        file.write(json.dumps([f"{name}::test_it[{kind}]", os.environ["PYTEST_XDIST_WORKER"]]) + "\\n")
test_them = test_it
test_again = test_it
"""


@pytest.mark.parametrize(
    ("test", "page"),
    [
        ("test_common.py::test_on_a_projector[TokenView]", "test_common TokenView"),
        ("test_common.py::test_every_widget_has_a_sample", "test_common"),
        ("test_labs.py::test_prose_is_read_in_short_lines[02_next_word]", "test_labs 02_next_word"),
        ("test_harness.py::test_photographs_at_the_sizes_of_the_design[size0]", "test_harness"),
    ],
)
def test_a_page_is_a_parameters_or_a_modules(test: str, page: str) -> None:
    assert page_of(f"tests/browser/{test}") == page


@pytest.mark.slow
def test_two_processes_never_share_a_page(tmp_path: Path) -> None:
    take = "from tests.browser.conftest import pytest_xdist_make_scheduler\n"
    (tmp_path / "conftest.py").write_text(take, encoding="utf-8")
    for name in ("test_common", "test_other"):
        (tmp_path / f"{name}.py").write_text(TESTS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadscope", "--no-loadscope-reorder"]
    root = Path(__file__).parents[2]
    command += ["--import-mode=importlib", "-p", "no:cacheprovider", "-o", f"pythonpath={root}", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert "18 passed" in done.stdout, done.stdout + done.stderr
    where: dict[str, set[str]] = {}
    for line in (tmp_path / "ran").read_text(encoding="utf-8").splitlines():
        test, worker = json.loads(line)
        where.setdefault(page_of(test), set()).add(worker)
    assert len(where) == 4
    assert all(len(workers) == 1 for workers in where.values()), where
    kinds = [workers for page, workers in where.items() if page.startswith("test_common ")]
    assert len(set.union(*kinds)) == 2, "the kinds of widgets are shared out too"
