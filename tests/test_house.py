"""The rules of the house. Each rule is a function from a source to the sentences that say what breaks it, and
each is shown a tiny offender first: a rule that cannot fail keeps nothing."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import lmlab
from tests.house_rules import (
    INNOCENT,
    RULES,
    Rule,
    imported,
    named,
    notebook_is_public,
    reads_no_pickle,
    says_encoding,
    script_writes_no_html,
    short_file,
)

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "lmlab"
SOURCES = sorted(PACKAGE.rglob("*.py"))
LABS = sorted((ROOT / "labs").glob("*.ipynb"))
WIDGET_SCRIPTS = sorted((PACKAGE / "widgets" / "js").glob("*.js"))

ASSET_BYTES = 20_000_000
DISTRIBUTED = {"lmlab/training/distributed.py", "lmlab/systems/parallel.py"}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_sees_its_offender(rule):
    for offender in RULES[rule]:
        assert rule(offender), f"{rule.__name__} lets this pass: {offender[:80]}"
    assert rule(INNOCENT.get(rule, '"""A module."""\n')) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule):
    assert broken(rule, SOURCES) == []


@pytest.mark.parametrize("rule", [short_file, says_encoding, reads_no_pickle], ids=lambda rule: rule.__name__)
def test_tests_and_tools_keep_the_rule(rule):
    others = [p for folder in ("tests", "tools") for p in (ROOT / folder).rglob("*.py")]
    if rule is reads_no_pickle:  # a test may make a pickle, to see it refused
        others = [p for p in others if relative(p).startswith("tools/")]
    assert broken(rule, others) == []


def test_scripts_write_no_html():
    for offender in ("a.innerHTML = x", "a.insertAdjacentHTML('beforeend', x)", "eval(x)"):
        assert script_writes_no_html(offender)
    assert WIDGET_SCRIPTS
    assert broken(script_writes_no_html, WIDGET_SCRIPTS) == []
    assert broken(short_file, WIDGET_SCRIPTS) == []


def broken(rule: Rule, paths: list[Path]) -> list[str]:
    return [f"{relative(p)}: {said}" for p in paths for said in rule(p.read_text(encoding="utf-8"))]


# ---------------------------------------------------------------- rules about the whole


@pytest.mark.slow
def test_layers_hold():
    """A module imports only from rows below its own; the contracts are in pyproject.toml."""
    script = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", script, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_torch_distributed_is_imported_only_where_it_is_named():
    def distributed(source: str) -> list[str]:
        tree = ast.parse(source)
        found = [line for line, name in imported(tree) if name.startswith("torch.distributed")]
        found += [
            node.lineno
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and named(node) == "torch.distributed"
        ]
        return [f"line {line}: torch.distributed" for line in found]

    assert distributed("from torch import distributed")
    assert distributed("import torch\ntorch.distributed.init_process_group()")
    assert broken(distributed, [p for p in SOURCES if relative(p) not in DISTRIBUTED]) == []


def clashes(exported: dict[str, set[str]], modules: dict[str, set[str]]) -> list[str]:
    return [f"{package}.{name} is a module and a public name" for package in modules
            for name in sorted(exported.get(package, set()) & modules[package])]  # fmt: skip


def test_no_module_carries_a_name_that_its_package_exports():
    assert clashes({"a": {"load"}}, {"a": {"load", "save"}})
    exported: dict[str, set[str]] = {"lmlab": set(lmlab.__all__) - {"widgets"}}
    modules: dict[str, set[str]] = {}
    for init in PACKAGE.rglob("__init__.py"):
        name = ".".join(init.parent.relative_to(ROOT).parts)
        children = {p.stem for p in init.parent.glob("*.py")}
        children |= {p.parent.name for p in init.parent.glob("*/__init__.py")}
        modules[name] = children - {"__init__"}
        if name == "lmlab":
            continue
        tree = ast.parse(init.read_text(encoding="utf-8"))
        imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
        bound = {alias.asname or alias.name for node in imports for alias in node.names}
        bound |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        exported[name] = bound
    assert clashes(exported, modules) == []


def test_assets_are_light():
    """20 MB at most: everything is cloned by everybody. The gallery is not shipped, but it is cloned."""
    sizes = {relative(p): p.stat().st_size for p in (ROOT / "assets").rglob("*") if p.is_file()}
    shipped = sum(size for name, size in sizes.items() if not name.startswith("assets/gallery/"))
    assert 0 < shipped <= ASSET_BYTES
    assert sum(sizes.values()) <= 2 * ASSET_BYTES


def test_each_folder_of_assets_says_what_it_is():
    for folder in (ROOT / "assets").iterdir():
        if folder.is_dir():
            readme = folder / "README.md"
            assert readme.is_file(), f"{relative(folder)} has no README.md (what, how made, licence)"
            text = readme.read_text(encoding="utf-8")
            assert re.search("licen[cs]e|Apache-2.0", text, re.I), f"{relative(readme)}: no license"


# ---------------------------------------------------------------- notebooks


def code_cells(notebook: Path) -> list[tuple[int, str]]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [(i, "".join(cell["source"])) for i, cell in enumerate(cells) if cell["cell_type"] == "code"]


def test_notebooks_use_public_names_alone():
    for offender in ("import numpy as np", "from lmlab import load", "import lmlab", "lab.text_model", "town._model"):
        assert notebook_is_public(offender), offender
    assert notebook_is_public("import lmlab as lab\nfrom torch import nn\nlab.load('town')") == []
    found = [f"{n.name} cell {i}: {s}" for n in LABS for i, cell in code_cells(n) for s in notebook_is_public(cell)]
    assert found == []


def test_notebooks_are_plain():
    for notebook in LABS:
        content = json.loads(notebook.read_text(encoding="utf-8"))
        assert "widgets" not in content["metadata"], f"{notebook.name}: widget state is saved"
        assert notebook.stat().st_size <= 200 * 1024, f"{notebook.name}: over 200 KB"
        code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
        assert [c["execution_count"] for c in code] == list(range(1, len(code) + 1)), f"{notebook.name}: counts"
        for cell in code:
            source = "".join(cell["source"])
            assert len(source.splitlines()) <= 12, f"{notebook.name}: a cell of over 12 lines: {source[:60]}"
            ignored = "nbval-ignore-output" in cell["metadata"].get("tags", [])
            assert not ignored or "doctor" in source, f"{notebook.name}: only the doctor's table is not compared"


# ---------------------------------------------------------------- widgets


def widget_names() -> list[str]:
    from lmlab import widgets

    return [name for name in widgets.__all__ if isinstance(getattr(widgets, name), type)]


@pytest.mark.slow
def test_every_widget_class_is_exported_tested_and_used():
    from lmlab import widgets
    from lmlab.widgets._base import LabWidget

    names = widget_names()
    defined = {
        node.name
        for path in (PACKAGE / "widgets").glob("[!_]*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and any(named(base) == "LabWidget" for base in node.bases)
        if not node.name.startswith("_")
    }
    assert defined <= set(names), "every widget is exported by lmlab.widgets"
    tests = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "tests" / "widgets").rglob("test_*.py"))
    browser = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "tests" / "browser").rglob("*.py"))
    labs = "\n".join(cell for notebook in LABS for _, cell in code_cells(notebook))
    for name in names:
        assert issubclass(getattr(widgets, name), LabWidget), name
        assert f"{name}(" in tests, f"{name} has no test in tests/widgets"
        assert f"{name}(" in browser, f"{name} has no test in tests/browser"
        assert f"lab.widgets.{name}(" in labs, f"{name} is used in no lab"


@pytest.mark.slow
def test_scripts_of_widgets_are_small():
    """A widget sends base, parts and its own file, 32 KB at most; what is its own alone is small."""
    from lmlab import widgets

    for name in widget_names():
        size = len(getattr(widgets, name)._esm.encode("utf-8"))
        assert size <= 32 * 1024, f"{name}: its script has {size:,} bytes"
    for path in WIDGET_SCRIPTS:
        assert path.stat().st_size <= 15 * 1024, f"{path.name} has {path.stat().st_size:,} bytes"


# ---------------------------------------------------------------- settings


def test_python_has_a_floor_and_no_cap():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11"
    for line in project["dependencies"]:
        assert re.fullmatch(r"[A-Za-z0-9_.-]+>=[\d.]+", line), f"{line}: a floor and no cap"


def test_constraints_name_the_tested_versions_of_every_dependency():
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [Requirement(line) for line in project["dependencies"] + project["optional-dependencies"]["dev"]]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    tested = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert tested["torch"] == "2.13.0"
    for requirement in asked:
        assert requirement.specifier.contains(tested[requirement.name]), f"{requirement} in constraints.txt"
