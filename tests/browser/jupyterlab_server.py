"""One JupyterLab server for a test run, started as ``lmlab lab`` starts it, in temporary folders of its own."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.request import Request, urlopen

import nbformat

from lmlab.commands.jupyter import Session

ROOT = Path(__file__).resolve().parents[2]

# The language server is not there; without the two parts of others that ask for it, its absence is silent.
DISABLED = (
    "@jupyterlab/lsp-extension",
    "@jupyterlab/notebook-extension:language-server",
    "@jupyterlab/fileeditor-extension:language-server",
)


class JupyterLabServer:
    """A running JupyterLab. ``notebooks`` is the folder that it shows; ``home`` its empty LMLAB_HOME."""

    def __init__(
        self, folder: Path, *, notebook: str | None = None, present: bool = False, extension: bool = True
    ) -> None:
        """``present`` shows ``notebook`` alone and large, as ``lmlab present`` does; without ``extension`` the
        server is a stock one."""
        self.folder = folder
        self.notebooks = folder / "notebooks"
        self.home = folder / "lmlab_home"
        self.token = secrets.token_hex(16)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.notebooks.mkdir(parents=True)
        self.home.mkdir()
        self._disable_language_server()
        session = Session(self.notebooks, notebook, present=present, browser=False, port=self.port)
        arguments = [a for a in session.arguments() if extension or "jpserver_extensions" not in a]
        self._log = (folder / "server.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *arguments, *self._options()],
            env=self._environment() | session.environment(),
            cwd=self.notebooks,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._wait_until_it_answers()

    def _options(self) -> list[str]:
        return [
            "--allow-root",
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={self.token}",
            "--LabApp.expose_app_in_browser=True",  # tests use its commands, as menus do
        ]

    def _environment(self) -> dict[str, str]:
        """This process's own, with every folder of Jupyter's and lmlab's in the temporary one, one thread, no GPU."""
        folders = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "IPYTHONDIR": "ipython",
            "LMLAB_HOME": "lmlab_home",
        }
        threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
        return {
            **os.environ,
            **{name: str(self.folder / folder) for name, folder in folders.items()},
            **dict.fromkeys(threads, "1"),
            "CUDA_VISIBLE_DEVICES": "",
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        }

    def _disable_language_server(self) -> None:
        page_config = self.folder / "config" / "labconfig" / "page_config.json"
        page_config.parent.mkdir(parents=True)
        disabled = {"disabledExtensions": dict.fromkeys(DISABLED, True)}
        page_config.write_text(json.dumps(disabled), encoding="utf-8")

    def _wait_until_it_answers(self, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise RuntimeError(f"JupyterLab ended at once. Its last words:\n{self.log_tail()}")
            try:
                self.api("api/status")
                return
            except OSError:
                time.sleep(0.1)
        self.stop()
        raise TimeoutError(f"JupyterLab did not answer within {seconds:g} s. Its last words:\n{self.log_tail()}")

    def api(self, path: str, method: str = "GET") -> bytes:
        """One request to the server's REST interface."""
        request = Request(f"{self.url}/{path}", method=method, headers={"Authorization": f"token {self.token}"})
        with urlopen(request, timeout=10) as response:
            return bytes(response.read())

    def write(self, name: str, cells: list[str]) -> Path:
        """A notebook of these code cells; one that begins with ``%md`` becomes prose."""
        notebook = nbformat.v4.new_notebook()
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        for i, source in enumerate(cells):
            prose = source.startswith("%md")
            make = nbformat.v4.new_markdown_cell if prose else nbformat.v4.new_code_cell
            notebook.cells.append(make(source.removeprefix("%md").strip("\n"), id=f"cell-{i}"))
        path = self.notebooks / name
        nbformat.write(notebook, path)
        return path

    def end_kernels(self, notebook: str = "") -> None:
        """Ends the kernel of one notebook, or of all."""
        for session in json.loads(self.api("api/sessions")):
            if notebook in ("", session["path"]):
                self.api(f"api/sessions/{session['id']}", method="DELETE")

    def log_tail(self, characters: int = 3000) -> str:
        """What the server wrote last."""
        return (self.folder / "server.log").read_text(encoding="utf-8", errors="replace")[-characters:]

    def stop(self) -> None:
        """Ends kernels and server."""
        if self._process.poll() is None:
            with suppress(OSError):  # where it does not answer, ending it is what matters
                self.end_kernels()
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._log.close()


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
