"""What `pip install` gives a student: the package with assets and labs inside, and nothing of the workshop."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_all_of_the_package(names):
    kinds = ("*.py", "*.js", "*.css", "*.json")
    files = {p.relative_to(ROOT).as_posix() for kind in kinds for p in (ROOT / "lmlab").rglob(kind)}
    assert files <= names, files - names


def test_the_wheel_holds_models_and_labs(names):
    for file in ("config.json", "tokenizer.json", "model.safetensors", "manifest.json", "recipe.toml"):
        assert f"lmlab/_assets/models/town/{file}" in names
    texts = {p.name for p in (ROOT / "assets" / "texts").iterdir()}
    assert {f"lmlab/_assets/texts/{name}" for name in texts} <= names
    labs = {p.name for p in (ROOT / "labs").glob("*.ipynb")}
    assert labs
    assert {f"lmlab/_labs/{name}" for name in labs} <= names


def test_the_wheel_holds_nothing_of_the_workshop(names):
    allowed = re.compile(r"lmlab/|lmlab-[\d.]+\.dist-info/")
    assert [name for name in names if not allowed.match(name)] == []
    workshop = re.compile(r"gallery|solutions|__pycache__|\.ipynb_checkpoints|/runs/|\.venv|lmlab-tmp")
    assert [name for name in names if workshop.search(name)] == []


def test_the_wheel_is_small(wheel):
    assert wheel.stat().st_size <= 25_000_000


def test_the_wheel_carries_its_license(names, wheel):
    (license,) = [name for name in names if name.endswith("/LICENSE")]
    with zipfile.ZipFile(wheel) as archive:
        assert b"Apache License" in archive.read(license)


def test_installed_alone_it_finds_its_model_and_copies_its_labs(wheel, tmp_path):
    """In a folder that is no checkout, with the wheel as the only lmlab."""
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run(pip, check=True, timeout=120)
    work = tmp_path / "work"
    work.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(site), "LMLAB_HOME": str(tmp_path / "home")}
    code = (
        "import lmlab, sys\n"
        "from pathlib import Path\n"
        "from lmlab.assets import labs_folder\n"
        "from lmlab.commands.student_labs import copy_labs\n"
        f"assert Path(lmlab.__file__).is_relative_to({str(site)!r}), lmlab.__file__\n"
        "print(lmlab.asset('models/town'))\n"
        "print(copy_labs(labs_folder(), Path('mine'), version=lmlab.__version__).copied)\n"
        "print(lmlab.load('town').next('the stock market crashed and investors')[0].text)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=work, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert str(site / "lmlab" / "_assets") in done.stdout
    assert "00_start_here.ipynb" in {p.name for p in (work / "mine").iterdir()}


def test_extras_are_the_three():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(extras) == {"dev", "bench", "hub"}
