"""Shipped files are found in a checkout and in a wheel, and nothing else is."""

from __future__ import annotations

import pytest

from lmlab import assets


def test_an_asset_of_the_checkout_is_found():
    assert assets.asset("models").is_dir()
    assert assets.asset("models").parent == assets.assets_folder()
    assert assets.labs_folder().name == "labs"


def test_windows_separators_are_understood():
    assert assets.asset("models\\town") == assets.asset("models/town")


OUTSIDE = ["../pyproject.toml", "/etc/passwd", "", ".", "models/../../README.md", "C:\\x", "..\\x"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_that_leaves_the_assets_is_refused(name):
    with pytest.raises(ValueError, match="from inside the assets folder"):
        assets.asset(name)


def test_what_is_not_shipped_is_refused_with_what_is():
    with pytest.raises(FileNotFoundError, match=r"no asset 'models/twon' ships.*models holds .*town"):
        assets.asset("models/twon")


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """The package as if it were installed in a folder of its own."""
    package = tmp_path / "lmlab"
    (package / "_assets" / "models").mkdir(parents=True)
    (package / "_labs").mkdir()
    monkeypatch.setattr(assets, "_PACKAGE", package)
    return tmp_path


def test_in_a_wheel_they_lie_inside_the_package(elsewhere):
    assert assets.asset("models") == elsewhere / "lmlab" / "_assets" / "models"
    assert assets.labs_folder() == elsewhere / "lmlab" / "_labs"


def test_a_folder_named_assets_beside_an_installed_package_is_not_ours(elsewhere):
    (elsewhere / "assets" / "models").mkdir(parents=True)
    assert assets.assets_folder() == elsewhere / "lmlab" / "_assets"
