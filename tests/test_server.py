"""The server extension takes the delay off kernel websockets, and never stands in the server's way."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from lmlab import server
from lmlab.commands.jupyter import Session

pytest.importorskip("jupyter_server")
from jupyter_server.services.kernels.websocket import KernelWebsocketHandler
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application
from tornado.websocket import WebSocketHandler, websocket_connect


class Connection:
    """Stands for the kernel's end of the websocket: answers its first question and hangs up."""

    kernel_ws_protocol = None

    def __init__(self, handler):
        self.handler = handler

    async def connect(self):
        tcp = self.handler.ws_connection.stream.socket
        delay_off = tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await self.handler.write_message(f"nodelay {bool(delay_off)}")

    def disconnect(self):
        pass


def answer_of(handler_class):
    """Open one real websocket to a real Tornado server and return the first message that it sends."""

    class WithoutKernel(handler_class):
        async def get(self, kernel_id):
            self.kernel_id = kernel_id
            self.connection = Connection(self)
            await WebSocketHandler.get(self, kernel_id)

        async def prepare(self):
            pass

        def check_origin(self, origin=None):
            return True

        def get_compression_options(self):
            return None

    async def ask():
        app = Application([(r"/(.*)", WithoutKernel)], log_function=lambda _: None)
        listening, port = bind_unused_port()
        http = HTTPServer(app)
        http.add_sockets([listening])
        try:
            client = await websocket_connect(f"ws://127.0.0.1:{port}/some-kernel")
            message = await asyncio.wait_for(client.read_message(), 10)
            client.close()
            return message
        finally:
            http.stop()

    return in_own_loop(ask)


def in_own_loop(coroutine):
    """Run in a fresh thread: another test's event loop may still be around in this one."""
    results = []
    thread = threading.Thread(target=lambda: results.append(asyncio.run(coroutine())))
    thread.start()
    thread.join(20)
    assert results, "the websocket never answered"
    return results[0]


@pytest.fixture
def handler(monkeypatch):
    """The real handler of Jupyter Server, put back as it was afterwards."""
    monkeypatch.setattr(KernelWebsocketHandler, "open", KernelWebsocketHandler.open)
    return KernelWebsocketHandler


def test_a_stock_kernel_websocket_waits(handler):
    """If this ever fails, Jupyter Server does it by itself and lmlab/server.py can go."""
    assert answer_of(handler) == "nodelay False"


def test_with_the_extension_it_does_not_wait(handler):
    server.send_at_once(handler)
    assert answer_of(handler) == "nodelay True"


def test_wrapping_twice_wraps_once(handler):
    server.send_at_once(handler)
    once = handler.open
    server.send_at_once(handler)
    assert handler.open is once


def test_a_socket_that_refuses_still_opens(handler, monkeypatch):
    def refuse(self, value):
        raise OSError("not today")

    monkeypatch.setattr(handler, "set_nodelay", refuse, raising=False)
    server.send_at_once(handler)
    assert answer_of(handler) == "nodelay False"


def test_other_internals_are_a_warning_never_an_error(monkeypatch):
    warnings = []
    app = SimpleNamespace(log=SimpleNamespace(warning=lambda text, *args: warnings.append(text % args)))
    monkeypatch.setitem(sys.modules, "jupyter_server.services.kernels.websocket", SimpleNamespace())
    server._load_jupyter_server_extension(app)
    assert len(warnings) == 1
    assert "40 ms" in warnings[0]


@pytest.mark.slow
def test_jupyter_server_loads_it_without_torch_or_widgets(tmp_path):
    """In a process of its own, switched on as ``lmlab lab`` does."""
    (switch,) = [a for a in Session(tmp_path, None).arguments() if "jpserver_extensions" in a]
    script = f"""
import sys
from jupyter_server.serverapp import ServerApp
app = ServerApp()
app.initialize([{switch!r}, "--no-browser", "--port=0", "--allow-root"], new_httpserver=False)
from jupyter_server.services.kernels.websocket import KernelWebsocketHandler
print("enabled", app.extension_manager.extensions["lmlab.server"].enabled)
print("wrapped", KernelWebsocketHandler.open.sends_at_once)
print("style", app.web_app.settings["static_custom_path"][-1])
print("heavy", sorted(sys.modules.keys() & {{"torch", "ipywidgets", "anywidget", "numpy"}}))
"""
    folders = {name: str(tmp_path) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    environment = {**os.environ, **folders}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, encoding="utf-8")
    said = done.stdout.split("\n")
    assert [said[0], said[1], said[3]] == ["enabled True", "wrapped True", "heavy []"], done.stderr[-2000:]
    assert "max-width: 44em" in (Path(said[2].removeprefix("style ")) / "prose.css").read_text(encoding="utf-8")
