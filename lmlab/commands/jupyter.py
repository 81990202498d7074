"""`lmlab lab` and `lmlab present`: JupyterLab on the labs, for one person on one machine."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import lmlab
from lmlab.assets import labs_folder
from lmlab.commands.student_labs import copy_labs

_HERE = Path(__file__).resolve().parent
START = "00_start_here.ipynb"
DEFAULT_FOLDER = "lmlab-labs"


@dataclass(frozen=True)
class Session:
    """One run of JupyterLab: what it shows, and how."""

    root: Path
    notebook: str | None
    present: bool = False
    browser: bool = True
    port: int | None = None
    extra: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        """The arguments for `jupyter lab`; what the caller adds comes last and so wins."""
        view = "doc" if self.present else "lab"
        page = f"/{view}/tree/{quote(self.notebook)}" if self.notebook else "/lab"
        arguments = [
            f"--ServerApp.root_dir={self.root}",
            "--ServerApp.ip=127.0.0.1",  # this machine alone, whatever a configuration file says
            "--ServerApp.jpserver_extensions={'lmlab.server': True}",
            f"--LabApp.default_url={page}",
            "--LabApp.extension_manager=readonly",
            "--LabApp.custom_css=True",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ]
        if hasattr(os, "geteuid") and os.geteuid() == 0:  # in a container everybody is root
            arguments.append("--allow-root")
        if not self.browser:
            arguments.append("--no-browser")
        if self.port is not None:
            arguments.append(f"--ServerApp.port={self.port}")
        return [*arguments, *self.extra]

    def environment(self) -> dict[str, str]:
        """What the server and its kernels find in their environment, beside what is there already."""
        folders = [str(_HERE / "jupyter_settings")]
        if self.present:
            folders.insert(0, str(_HERE / "jupyter_settings_present"))
        before = os.environ.get("JUPYTER_CONFIG_PATH")
        chosen = {"JUPYTER_CONFIG_PATH": os.pathsep.join([*folders, *([before] if before else [])])}
        # The kernel of this environment, not one that a user once installed under the same name.
        chosen["JUPYTER_PREFER_ENV_PATH"] = "1"
        if self.present:
            chosen["LMLAB_PRESENT"] = "1"
        return chosen


def open_lab(
    folder: Path | None,
    *,
    in_place: bool = False,
    browser: bool = True,
    port: int | None = None,
    extra: tuple[str, ...] = (),
) -> int:
    """Open JupyterLab on the tour: in a copy of the labs in `folder`, or in `folder` itself."""
    root = _labs_in_place(folder) if in_place else _copied(folder)
    notebook = START if (root / START).is_file() else None
    return _launch(Session(root.resolve(), notebook, browser=browser, port=port, extra=extra))


def open_presentation(
    notebook: str, *, browser: bool = True, port: int | None = None, extra: tuple[str, ...] = ()
) -> int:
    """Show one notebook alone and large, for a projector.

    `notebook` is a file, or the name or number of a lab, which is then shown from the student's copy.
    """
    path = Path(notebook)
    if path.suffix != ".ipynb" or not path.is_file():
        path = _find(notebook, _copied(None))
    root = path.resolve().parent
    return _launch(Session(root, path.name, present=True, browser=browser, port=port, extra=extra))


def _labs_in_place(folder: Path | None) -> Path:
    root = labs_folder() if folder is None else folder
    if not root.is_dir():
        raise ValueError(f"{root} is not a folder; name the folder that holds the notebooks")
    return root


def _copied(folder: Path | None) -> Path:
    folder = Path(DEFAULT_FOLDER) if folder is None else folder
    shipped = labs_folder()
    if not shipped.is_dir():
        raise ValueError(f"no labs ship with this installation (looked in {shipped}); install lmlab again")
    for sentence in copy_labs(shipped, folder, version=lmlab.__version__).sentences():
        print(f"{folder}: {sentence}", file=sys.stderr)
    return folder


def _find(name: str, folder: Path) -> Path:
    """The one notebook in `folder` whose name begins with `name`."""
    notebooks = sorted(path for path in folder.glob("*.ipynb") if ".lmlab-" not in path.name)
    exact = [path for path in notebooks if path.stem == name or path.name == name]
    found = exact or [path for path in notebooks if path.name.startswith(name)]
    if len(found) != 1:
        there = ", ".join(path.stem for path in notebooks)
        raise ValueError(f"{name!r} names {len(found)} labs; name one of {there}, or a notebook file")
    return found[0]


def _launch(session: Session) -> int:
    os.environ.update(session.environment())
    from jupyterlab.labapp import LabApp

    try:
        LabApp.launch_instance(session.arguments())
    except SystemExit as stop:  # how Jupyter says that it could not start
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0
