"""A notebook open in JupyterLab: run it, look at it, and ask its kernel what it holds."""

from __future__ import annotations

import ast
import base64
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.browser.chromium import VIEWPORT
from tests.browser.faults import Faults
from tests.browser.glyphs import require_glyphs
from tests.browser.jupyterlab_server import JupyterLabServer
from tests.browser.widget import Widget

ARTIFACTS = Path(__file__).parent / "artifacts"

CONNECTED = """() => {
  const panel = window.jupyterapp?.shell.currentWidget;
  const kernel = panel?.sessionContext?.session?.kernel;
  return Boolean(panel?.content?.model && kernel?.connectionStatus === "connected" && kernel.status === "idle");
}"""
NO_SPLASH = "() => !document.getElementById('jupyterlab-splash')"
CELLS = """() => {
  const cells = window.jupyterapp.shell.currentWidget.content.widgets;
  return cells.filter((cell) => cell.model.type === "code").map((cell) => ({
    count: cell.model.executionCount, state: cell.model.executionState, source: cell.model.sharedModel.source,
    outputs: cell.model.outputs.toJSON(),
  }));
}"""
# All have run, or one failed (then JupyterLab cancels the rest); in both cases the kernel rests.
FINISHED = f"""() => {{
  const cells = ({CELLS})();
  const failed = cells.some((cell) => cell.outputs.some((output) => output.output_type === "error"));
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const done = cells.every((c) => !c.source.trim() || (c.count !== null && c.state !== "running"));
  return kernel.status === "idle" && (failed || done);
}}"""
EXECUTE = """async ([code, expressions]) => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const future = kernel.requestExecute({code, store_history: false, user_expressions: expressions});
  let text = "";
  future.onIOPub = (message) => { if (message.header.msg_type === "stream") text += message.content.text; };
  const reply = await future.done;
  return {...reply.content, text};
}"""


# New cells in the place of all that stand there, in one change: a notebook is never without a cell.
REPLACE = """(sources) => {
  const shared = window.jupyterapp.shell.currentWidget.content.model.sharedModel;
  shared.transact(() => {
    shared.deleteCellRange(0, shared.cells.length);
    shared.insertCells(0, sources.map((source) => ({cell_type: "code", source})));
  });
}"""
# What a new kernel would not know: names and widgets. Modules stay, and with them the hidden holder of plotly.js.
FORGET = """
for thread in __import__("threading").enumerate():
    if thread.name.startswith("lmlab"):
        thread.join(10)
for widget in list(__import__("ipywidgets").widgets.widget._instances.values()):
    if not type(widget).__name__.startswith("_"):
        widget.close()
get_ipython().reset(new_session=False)
__import__("gc").collect()
"""


class Lab:
    """One page, one notebook, one kernel."""

    def __init__(self, context: BrowserContext, server: JupyterLabServer, name: str, *, route: str = "doc") -> None:
        self.server = server
        self.name = name
        self.page: Page = context.new_page()
        self.faults = Faults(self.page, host=f"127.0.0.1:{server.port}")
        self._bytes = 0
        self._count_bytes(context)
        # a workspace each: JupyterLab sends a second page with the same one elsewhere, by loading it twice
        path = "" if route == "home" else f"{route}/workspaces/{Path(name).stem}/tree/{name}"
        try:
            self.page.goto(f"{server.url}/{path}?token={server.token}")
            self._wait(CONNECTED, "a connected kernel")
            self._wait(NO_SPLASH, "the end of JupyterLab's greeting")
        except BaseException:
            self.close()  # nobody else knows of it
            raise

    # ------------------------------------------------------------ running

    def run_all(self, timeout: float = 90) -> Lab:
        """Run All, as from the menu. An error in a cell fails the test with its traceback."""
        self.command("notebook:run-all-cells")
        self._wait(FINISHED, "the end of Run All", timeout)
        for cell in self.cells():
            for output in cell["outputs"]:
                if output["output_type"] == "error":
                    trace = "\n".join(output["traceback"])
                    raise AssertionError(f"{self.name}: a cell failed.\n{cell['source']}\n{trace}")
        return self

    def write(self, cells: list[str]) -> Lab:
        """These code cells, not yet run, in the place of all that stand there."""
        self.page.evaluate("() => document.activeElement?.blur()")
        self.page.evaluate(REPLACE, cells)
        return self

    def clear(self) -> None:
        """One empty cell, on a page and in a kernel that look unused."""
        self.write([""])
        self.execute(FORGET)
        self.put_back()

    def put_back(self) -> None:
        """The light theme, which belongs to the server and so to the next notebook, and the usual window."""
        self.theme("light")
        if self.page.viewport_size != VIEWPORT:
            self.page.set_viewport_size(VIEWPORT)
        self.page.emulate_media(media="screen", reduced_motion="reduce", forced_colors="none")
        self.page.mouse.move(0, 0)
        self.rest()

    def take_faults(self) -> list[str]:
        """What was not healthy since this was last asked."""
        if self.page.evaluate("() => { const ran = '__pwned' in window; delete window.__pwned; return ran; }"):
            self.faults.found.append("text ran as code")
        found, self.faults.found = self.faults.found, []
        return found

    def add_cell(self, source: str, timeout: float = 30) -> str:
        """Write a new last cell, run it, and return the text that it gives."""
        self.page.evaluate(
            """(source) => {
              const notebook = window.jupyterapp.shell.currentWidget.content;
              const shared = notebook.model.sharedModel;
              shared.insertCell(shared.cells.length, {cell_type: "code", source});
              notebook.activeCellIndex = shared.cells.length - 1;
              notebook.deselectAll();
            }""",
            source,
        )
        self.command("notebook:run-cell")
        self._wait(FINISHED, "the end of the new cell", timeout)
        return self.text(-1)

    def delete_last_cell(self) -> None:
        """Take back what ``add_cell`` added."""
        self.page.evaluate(
            """() => {
              const shared = window.jupyterapp.shell.currentWidget.content.model.sharedModel;
              shared.deleteCell(shared.cells.length - 1);
            }"""
        )

    def command(self, name: str, **arguments: Any) -> None:
        """One of JupyterLab's own commands; returns when it began, not when it is done."""
        self.page.evaluate(
            "([name, args]) => { void window.jupyterapp.commands.execute(name, args); }", [name, arguments]
        )

    def cells(self) -> list[dict[str, Any]]:
        """The code cells: count, state, source, outputs (as in the file)."""
        return list(self.page.evaluate(CELLS))

    def text(self, index: int) -> str:
        """What code cell ``index`` shows as text: printed lines, then the text form of its results."""
        parts: list[str] = []
        for output in self.cells()[index]["outputs"]:
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            parts.append(text if isinstance(text, str) else "".join(text))
        return "".join(parts).rstrip("\n")

    # ------------------------------------------------------------ asking the kernel

    def ask(self, expression: str) -> Any:
        """The value of a Python expression in the kernel now (numbers, texts, lists and dictionaries of them).

        It does not touch the page, so a test can compare what a widget shows with what its Python side holds.
        """
        wrapped = f"__import__('json').dumps({expression})"
        reply = self.page.evaluate(EXECUTE, ["", {"value": wrapped}])
        value = reply["user_expressions"]["value"]
        assert value["status"] == "ok", f"the kernel cannot say `{expression}`: {value.get('evalue')}"
        return json.loads(ast.literal_eval(value["data"]["text/plain"]))

    def expect(self, expression: str, value: Any, seconds: float = 15) -> None:
        """Wait until ``expression`` has this value in the kernel: what a hand did is on its way for a moment."""
        end = time.monotonic() + seconds
        while (now := self.ask(expression)) != value and time.monotonic() < end:
            self.page.wait_for_timeout(50)
        assert now == value, f"`{expression}` is {now!r} in the kernel and not {value!r}"

    def agree(self, *widgets: Widget, names: Sequence[str] = ("w",), seconds: float = 15) -> str:
        """Wait until page and kernel, where the widgets have these names, say the same sentences, white space aside;
        the first one."""
        end = time.monotonic() + seconds
        sentences = ", ".join(f"{name}.wait().sentence" for name in names)
        while True:
            kernel = [" ".join(sentence.split()) for sentence in self.ask(f"[{sentences}]")]
            shown = [" ".join(widget.readout().split()) for widget in widgets]
            if kernel == shown or time.monotonic() > end:
                assert shown == kernel
                self.rest()  # what is drawn with a sentence is on the page by then
                return shown[0]
            self.page.wait_for_timeout(50)

    def execute(self, code: str) -> str:
        """Run code in the kernel outside any cell (``w.bits = 4``), and return what it printed."""
        reply = self.page.evaluate(EXECUTE, [code, {}])
        assert reply["status"] == "ok", f"`{code}` failed in the kernel: {reply.get('evalue')}"
        return str(reply["text"])

    # ------------------------------------------------------------ looking

    def widget(self, kind: str, index: int = 0) -> Widget:
        """The ``index``-th widget of class ``kind`` on the page, drawn and visible."""
        root = self.page.locator(f'[data-lmlab="{kind}"]').nth(index)
        try:
            root.wait_for(state="visible")
        except PlaywrightTimeout:
            raise AssertionError(f"No widget {kind} (number {index}) appeared. {self.describe()}") from None
        return Widget(self, root)

    def theme(self, theme: str) -> None:
        """``"light"`` or ``"dark"``, as from the settings menu."""
        light = "true" if theme == "light" else "false"
        if self.page.evaluate("() => document.body.dataset.jpThemeLight") == light:
            return
        self.command("apputils:change-theme", theme=f"JupyterLab {theme.capitalize()}")
        self._wait(f"() => document.body.dataset.jpThemeLight === '{light}'", f"the {theme} theme")
        self._wait(NO_SPLASH, "the end of the change of theme")  # a second change within it breaks JupyterLab
        self.rest()

    def resize(self, width: int, height: int = 800) -> None:
        """Another window: 1280×800, 1920×1080, or 600 wide."""
        self.page.set_viewport_size({"width": width, "height": height})
        self.rest()

    def rest(self) -> None:
        """Two frames, so that what was asked for is painted."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def screenshot(self, name: str, *, full: bool = False) -> Path:
        """A photograph of the page in artifacts/, only if this machine has the glyphs."""
        require_glyphs(self.page)
        self.rest()
        ARTIFACTS.mkdir(exist_ok=True)
        path = ARTIFACTS / f"{name}.png"
        self.page.screenshot(path=path, full_page=full)
        return path

    # ------------------------------------------------------------ the wire

    def _count_bytes(self, context: BrowserContext) -> None:
        def received(event: dict[str, Any]) -> None:
            payload, binary = event["response"]["payloadData"], event["response"]["opcode"] == 2
            self._bytes += len(base64.b64decode(payload)) if binary else len(payload.encode())

        wire = context.new_cdp_session(self.page)
        wire.on("Network.webSocketFrameReceived", received)
        wire.send("Network.enable")

    def bytes_received(self) -> int:
        """Bytes that came over the page's websockets so far."""
        self.page.evaluate("() => 0")  # a turn of the loop delivers what is under way
        return self._bytes

    def bytes_during(self, act: Callable[[], object]) -> int:
        """Bytes that came over the websockets while ``act`` ran."""
        before = self.bytes_received()
        act()
        return self.bytes_received() - before

    # ------------------------------------------------------------ waiting, with sentences

    def _wait(self, condition: str, what: str, timeout: float = 60) -> None:
        try:
            self.page.wait_for_function(condition, timeout=timeout * 1000, polling=50)
        except PlaywrightTimeout:
            raise AssertionError(f"{self.name}: waited {timeout:g} s for {what}. {self.describe()}") from None

    def describe(self) -> str:
        """What a person would see: for messages of failed tests."""
        body = self.page.evaluate("() => document.body.innerText")
        faults = "\n".join(self.faults.found) or "none"
        return f"On the page:\n{body[-3000:]}\nFaults: {faults}\nServer:\n{self.server.log_tail(1500)}"

    def close(self) -> None:
        """Close the page and end its kernel."""
        self.faults.stop()
        self.page.close()
        self.server.end_kernels(self.name)
