"""Run the labs as they are committed, and compare what they print with what they stored (nbval, strict).

    python -m tools.nbval_labs [00 02 …]

A notebook that differs from the committed one (someone is working in it) is named, and tested as committed.
Outside a git checkout the labs are tested as they lie there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LABS = ROOT / "labs"
SANITIZE = ROOT / "tests" / "labs" / "sanitize.cfg"
CELL_SECONDS = 120
AT_ONCE = 2  # a lab is one kernel that computes and one process that compares: two labs fill two cores


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = list(sys.argv[1:] if arguments is None else arguments)
    with tempfile.TemporaryDirectory(prefix="lmlab-labs-") as folder:
        labs = Path(folder) / "labs"
        for sentence in committed_labs(labs):
            print(sentence, flush=True)
        notebooks = choose(labs, chosen)
        if not notebooks:
            print(f"no notebook to test in {LABS} for {' '.join(chosen) or 'all'}", file=sys.stderr)
            return 1
        return run_nbval(notebooks, home=Path(folder) / "home")


def committed_labs(into: Path) -> list[str]:
    """Write the labs as committed to `into`; returns a sentence for each that differs from what lies there."""
    into.mkdir(parents=True)
    listed = _git("ls-tree", "-r", "-z", "--name-only", "HEAD", "--", "labs/")
    if listed is None:
        shutil.copytree(LABS, into, dirs_exist_ok=True, ignore=shutil.ignore_patterns("runs", ".*"))
        return []
    said = []
    names = [name for name in listed.decode("utf-8").split("\0") if name]
    for name in names:
        content = _git("show", f"HEAD:{name}") or b""
        target = into / Path(name).relative_to("labs")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        here = ROOT / name
        if not here.is_file():
            said.append(f"{name} is not there: tested as committed")
        elif here.read_bytes().replace(b"\r\n", b"\n") != content.replace(b"\r\n", b"\n"):
            said.append(f"{name} differs from the committed one: tested as committed")
    known = {ROOT / name for name in names}
    new = [path for path in sorted(LABS.glob("*.ipynb")) if path not in known]
    return said + [f"{path.relative_to(ROOT)} is not committed: not tested" for path in new]


def choose(labs: Path, names: Sequence[str]) -> list[Path]:
    """The notebooks in `labs` whose names begin with one of `names`; all of them where there is none."""
    notebooks = sorted(labs.glob("*.ipynb"))
    if not names:
        return notebooks
    stems = [Path(name).stem for name in names]
    return [path for path in notebooks if any(path.stem.startswith(stem) for stem in stems)]


def run_nbval(notebooks: Sequence[Path], *, home: Path) -> int:
    """pytest's exit code for these notebooks."""
    command, environment = nbval(notebooks, home=home)
    if len(notebooks) > 1:
        command += ["-n", str(AT_ONCE), "--dist", "loadfile"]
    return subprocess.run(command, env=environment, check=False).returncode


def nbval(notebooks: Sequence[Path], *, home: Path, package: Path = ROOT) -> tuple[list[str], dict[str, str]]:
    """The command and its environment: an empty LMLAB_HOME, the CPU, one thread, lmlab from `package`."""
    home.mkdir(parents=True, exist_ok=True)
    ours = {
        "LMLAB_HOME": str(home),
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "JUPYTER_PREFER_ENV_PATH": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH")])),
    }
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-p", "no:cacheprovider"]
    command += [f"--nbval-cell-timeout={CELL_SECONDS}", "--rootdir", str(notebooks[0].parent)]
    command += ["-c", str(ROOT / "pyproject.toml"), "--durations=3"]
    if SANITIZE.is_file():
        command.append(f"--nbval-sanitize-with={SANITIZE}")
    command += map(str, notebooks)
    return command, {**os.environ, **ours}


def _git(*arguments: str) -> bytes | None:
    """What git prints, or None where this is no checkout with a commit."""
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


if __name__ == "__main__":
    sys.exit(main())
