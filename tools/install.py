"""Make .venv and install lmlab into it; quick where that has been done. Run by `make lab` and `make test`.

    python3 tools/install.py [--extras dev,bench]

Plain venv and pip, with the versions of constraints.txt. Runs on the system's Python, before anything is
installed, so it imports the standard library alone.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
PIP_SOURCES = ("index-url", "extra-index-url", "find-links", "no-index")
NVIDIA = ("/dev/nvidia0", "/proc/driver/nvidia/version", "/usr/lib/wsl/lib/nvidia-smi")


def main() -> int:
    parser = argparse.ArgumentParser(description="Make .venv and install lmlab into it.")
    parser.add_argument("--extras", default="", help="comma-separated, such as dev")
    extras = sorted(filter(None, parser.parse_args().extras.split(",")))
    if sys.version_info < (3, 11):
        print(f"lmlab needs Python 3.11 or newer, and this is {sys.version.split()[0]}; "
              "name another one with make PYTHON=python3.12", file=sys.stderr)  # fmt: skip
        return 1
    if _installed(extras):
        return 0
    if not _make_venv():
        return 1
    return _install(extras)


def venv_python() -> Path:
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _fingerprint(extras: Iterable[str]) -> str:
    """Of all that decides what is installed; the place too, since an editable install points to it."""
    parts = [(ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")]
    parts.append(str(ROOT).encode())
    parts.append(",".join(extras).encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _stamp(extras: list[str]) -> Path:
    return VENV / f".lmlab-installed-{'-'.join(extras) or 'lab'}"


def _installed(extras: list[str]) -> bool:
    if not venv_python().is_file():
        return False
    # Whoever has the development tools has what the labs need.
    for have in (extras, sorted({*extras, "dev"})):
        stamp = _stamp(have)
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == _fingerprint(have):
            return True
    return False


def _make_venv() -> bool:
    if venv_python().is_file() and _quiet([str(venv_python()), "-m", "pip", "--version"]) is not None:
        return True
    print(f"making {VENV}", flush=True)
    done = subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=False)
    if done.returncode:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        print(f"no virtual environment could be made; on Debian and Ubuntu: apt-get install python{version}-venv",
              file=sys.stderr)  # fmt: skip
    return done.returncode == 0


def _install(extras: list[str]) -> int:
    what = f".[{','.join(extras)}]" if extras else "."
    sources: list[str] = []
    if wants_cpu_index(sys.platform, os.environ, pip_config()):
        print("no NVIDIA card here: taking PyTorch's CPU build (200 MB instead of several GB)", flush=True)
        sources = ["--extra-index-url", CPU_INDEX]
    pip = [str(venv_python()), "-m", "pip", "--disable-pip-version-check", "install"]
    if os.environ.get("CI"):  # of 17,000 files a test run imports a few thousand: those are compiled then
        pip.append("--no-compile")
    command = [*pip, "--progress-bar", "off", "-q", *sources, "-c", "constraints.txt", "-e", what]
    print(f"installing lmlab {what} (minutes the first time)", flush=True)
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode:
        print("the installation failed; pip's last lines above say why. Run the same command to go on.",
              file=sys.stderr)  # fmt: skip
        return 1
    _stamp(extras).write_text(_fingerprint(extras), encoding="utf-8")
    return 0


def wants_cpu_index(platform: str, environment: Mapping[str, str], config: str, nvidia: bool | None = None) -> bool:
    """Whether to add PyTorch's CPU index: on Linux without an NVIDIA card, where nobody has decided otherwise.

    `config` is what `pip config list` prints. CI, or a source of packages of one's own, is such a decision.
    """
    if not platform.startswith("linux") or environment.get("CI"):
        return False
    if any(environment.get("PIP_" + name.upper().replace("-", "_")) for name in PIP_SOURCES):
        return False
    keys = (line.partition("=")[0].strip() for line in config.splitlines())
    if any(key.rpartition(".")[2] in PIP_SOURCES for key in keys):
        return False
    return not (has_nvidia() if nvidia is None else nvidia)


def has_nvidia() -> bool:
    return shutil.which("nvidia-smi") is not None or any(Path(path).exists() for path in NVIDIA)


def pip_config() -> str:
    return _quiet([str(venv_python()), "-m", "pip", "config", "list"]) or ""


def _quiet(command: list[str]) -> str | None:
    """What a command prints, or None where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


if __name__ == "__main__":
    sys.exit(main())
