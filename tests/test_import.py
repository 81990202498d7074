"""`import lmlab` is quick and light, and every public name is where the façade says it is."""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import lmlab as lab

ROOT = Path(__file__).parents[1]
HEAVY = ["torch", "numpy", "ipywidgets", "anywidget", "plotly", "IPython", "traitlets", "platformdirs", "psutil"]


def fresh(code: str) -> str:
    """What `code` prints in a Python that has imported nothing yet."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_loads_nothing_heavy():
    loaded = json.loads(fresh("import sys, json, lmlab; dir(lmlab); print(json.dumps(sorted(sys.modules)))"))
    assert not set(HEAVY) & set(loaded)


def test_import_takes_less_than_150_milliseconds():
    """Of this process's own time: what else the machine does is not in it."""
    code = "import time; t = time.process_time(); import lmlab; print(time.process_time() - t)"
    assert float(fresh(code)) < 0.15


def test_the_core_loads_no_widget_library():
    loaded = json.loads(fresh("import sys, json, lmlab; lmlab.pick_device(); print(json.dumps(sorted(sys.modules)))"))
    assert "torch" in loaded
    assert not {"ipywidgets", "anywidget", "plotly", "IPython"} & set(loaded)


@pytest.mark.parametrize("before", ["", "import torch; "], ids=["torch after", "torch before"])
@pytest.mark.parametrize("asked", [None, "1"])
def test_one_core_is_left_free_whichever_is_imported_first(before, asked):
    from lmlab.devices import n_cores

    code = f"{before}import lmlab; lmlab.asset; import torch; print(torch.get_num_threads())"
    env = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "JUPYTERHUB_USER")}
    env |= {"PYTHONPATH": str(ROOT), **({"OMP_NUM_THREADS": asked} if asked else {})}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert int(done.stdout) == (int(asked) if asked else max(1, n_cores() - 1))


@pytest.mark.parametrize("name", sorted(lab.__all__))
def test_every_public_name_is_there(name):
    value = getattr(lab, name)
    assert value is getattr(lab, name), "it is looked up once"
    if callable(value):
        assert value.__name__ == name
        assert value.__doc__, f"{name} says in its docstring what it is"


def test_dir_lists_the_public_names_and_nothing_private():
    assert set(dir(lab)) == {*lab.__all__, "__version__"}


def test_an_unknown_name_says_where_to_look():
    with pytest.raises(AttributeError, match="no 'Transfomer'"):
        _ = lab.Transfomer


def test_from_import_works():
    namespace: dict[str, object] = {}
    exec("from lmlab import pick_device, asset", namespace)
    assert namespace["asset"] is importlib.import_module("lmlab.assets").asset


def test_the_docstring_holds_the_legend_of_letters():
    from tests.house_rules import LEGEND

    for letter, meaning in LEGEND.items():
        assert f"{letter}  {meaning}" in lab.__doc__


def test_the_version_is_one():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert lab.__version__ == project["version"]


def test_editors_are_told_the_same_as_the_facade():
    """The imports under TYPE_CHECKING are those that __getattr__ does."""
    tree = ast.parse((ROOT / "lmlab" / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    told = {alias.name: node.module for node in block.body for alias in node.names}
    assert told == {**lab._HOME, "widgets": "lmlab"}
