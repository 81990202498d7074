"""Where the files that ship with the lab are: its models, and the notebooks."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

_PACKAGE = Path(__file__).resolve().parent


def asset(name: str) -> Path:
    """The shipped file or folder `name`, such as `asset("models/town")`.

    In a checkout this is `assets/` beside the package, in an installed wheel
    `lmlab/_assets`. The path exists.

    Raises ValueError for a name that leaves the assets, FileNotFoundError for one that is not shipped.
    """
    pure = PurePosixPath(str(name).replace("\\", "/"))
    if not pure.parts or pure.is_absolute() or ".." in pure.parts or ":" in pure.parts[0]:
        raise ValueError(f"an asset is named from inside the assets folder, like 'models/town', not {name!r}")
    root = assets_folder()
    path = root.joinpath(*pure.parts)
    if not path.exists():
        parent = path.parent
        there = sorted(p.name for p in parent.iterdir()) if parent.is_dir() else []
        beside = f"; {pure.parent} holds {', '.join(there)}" if there else ""
        raise FileNotFoundError(f"no asset {str(pure)!r} ships with this version{beside} (looked in {root})")
    return path


def assets_folder() -> Path:
    """The folder of everything the labs need offline."""
    return _beside_package_or_inside("assets", "_assets")


def labs_folder() -> Path:
    """The folder of the notebooks as they were shipped."""
    return _beside_package_or_inside("labs", "_labs")


def _beside_package_or_inside(checkout_name: str, wheel_name: str) -> Path:
    """A wheel carries them inside, and a checkout never does: whatever lies beside a wheel's package is not ours."""
    inside = _PACKAGE / wheel_name
    return inside if inside.is_dir() else _PACKAGE.parent / checkout_name
