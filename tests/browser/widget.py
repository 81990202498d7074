"""A widget on a page, used as a person does: with a keyboard, a mouse and eyes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import Locator, expect

from tests.browser.glyphs import require_glyphs

if TYPE_CHECKING:
    from tests.browser.lab_page import Lab

# Nobody looks at the pictures of continuous integration; what every widget owes at any width and in both themes is
# asserted in test_common.py.
PICTURES = not os.environ.get("LMLAB_NO_PICTURES")

# Of a group of radio buttons Tab reaches one: the chosen one, or the first where none is.
FOCUSABLE = """(root) => [...root.querySelectorAll("input, button, select, textarea, a[href], [tabindex]")]
  .filter((e) => e.tabIndex >= 0 && !e.disabled && e.getClientRects().length
    && getComputedStyle(e).visibility !== "hidden")
  .filter((e, i, all) => {
    if (e.type !== "radio") return true;
    const group = all.filter((other) => other.type === "radio" && other.name === e.name);
    return e === (group.find((other) => other.checked) ?? group[0]);
  })"""
NAME_OF = """(e) => (e.getAttribute("aria-label")
  || [...(e.labels ?? [])].map((label) => label.textContent).join(" ")
  || (e.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => document.getElementById(id)?.textContent ?? "")
       .join(" ")
  || e.textContent || e.title || "").trim()"""


class Widget:
    """One instance: the element that carries ``data-lmlab``."""

    def __init__(self, lab: Lab, root: Locator) -> None:
        self.lab = lab
        self.root = root
        self.page = lab.page

    # ------------------------------------------------------------ reading

    @property
    def status(self) -> Locator:
        """The readout: the one live region of the widget."""
        return self.root.get_by_role("status")

    def readout(self) -> str:
        """The sentence of the readout."""
        return (self.status.text_content() or "").strip()

    def text(self) -> str:
        """Everything that it shows as text."""
        return self.root.inner_text()

    def expect_readout(self, text: object) -> str:
        """Wait until the readout contains ``text`` (or matches the pattern), and return all of it."""
        expect(self.status).to_contain_text(text)  # type: ignore[arg-type]
        return self.readout()

    def readout_after(self, act: Callable[[], object]) -> str:
        """Do something that must change the readout; return the new sentence."""
        before = self.readout()
        act()
        expect(self.status, f"the readout still says “{before}”").not_to_have_text(before)
        expect(self.status).not_to_be_empty()
        return self.readout()

    def error(self) -> str:
        """The sentence of the red strip, empty where all is well."""
        strip = self.root.get_by_role("alert")
        return (strip.text_content() or "").strip() if strip.count() and strip.is_visible() else ""

    def control(self, name: str) -> Locator:
        """The control with this accessible name: "prompt", "bits", …"""
        return self.root.get_by_label(name, exact=True).first

    # ------------------------------------------------------------ acting

    def enter_prompt(self, text: str, *, name: str = "prompt") -> None:
        """Replace the prompt and press Enter."""
        box = self.control(name)
        box.fill(text)
        box.press("Enter")

    def type_prompt(self, text: str, *, name: str = "prompt") -> None:
        """The same key by key, as fingers do."""
        box = self.control(name)
        box.click()
        box.press("ControlOrMeta+a")
        box.press_sequentially(text)
        box.press("Enter")

    def press(self, *keys: str) -> None:
        """Keys to whatever has the focus."""
        for key in keys:
            self.page.keyboard.press(key)

    def drag_slider(self, name: str, value: float) -> float:
        """Take the handle of a range slider with the mouse and let it go at ``value``; returns where it stands."""
        slider = self.control(name)
        slider.scroll_into_view_if_needed()
        low, high, now = slider.evaluate("(e) => [Number(e.min || 0), Number(e.max || 100), Number(e.value)]")
        box = slider.bounding_box()
        assert box, f"the slider {name} is not drawn"
        handle = 16  # the width of Chromium's own; a custom one differs by a few pixels, less than a step

        def place(v: float) -> float:
            return box["x"] + handle / 2 + (v - low) / (high - low) * (box["width"] - handle)

        y = box["y"] + box["height"] / 2
        self._drag((place(now), y), (place(value), y))
        return float(slider.input_value())

    def drag_handle(self, handle: Locator, dx: float = 0, dy: float = 0) -> None:
        """Take any drawn handle by its middle and move it."""
        handle.scroll_into_view_if_needed()
        box = handle.bounding_box()
        assert box, "the handle is not drawn"
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self._drag((x, y), (x + dx, y + dy))

    def _drag(self, start: tuple[float, float], end: tuple[float, float], steps: int = 8) -> None:
        self.page.mouse.move(*start)
        self.page.mouse.down()
        self.page.mouse.move(*end, steps=steps)
        self.page.mouse.up()

    # ------------------------------------------------------------ keyboard

    def focusable(self) -> list[str]:
        """Accessible names of everything that Tab should reach, in the order of the page."""
        return list(self.root.evaluate(f"(root) => ({FOCUSABLE})(root).map({NAME_OF})"))

    def tab_through(self, limit: int = 60) -> list[str]:
        """Press Tab from the first control until the focus leaves; the names of what was focused on the way.

        Stops also where the focus no longer moves: a trap, which the caller sees as a name repeated.
        """
        self.root.evaluate(f"(root) => ({FOCUSABLE})(root)[0].focus()")
        names: list[str] = []
        for _ in range(limit):
            here = self.root.evaluate(
                f"""(root) => {{
                  const e = document.activeElement;
                  return root.contains(e) ? ({NAME_OF})(e) : null;
                }}"""
            )
            if here is None:
                break
            names.append(here)
            self.page.keyboard.press("Tab")
        return names

    # ------------------------------------------------------------ looking

    def present(self, on: bool = True) -> None:
        """Projector size, by the key that a lecturer presses: ``p``, with the focus in the picture."""
        if on != self.root.evaluate("(root) => root.classList.contains('present')"):
            self.root.locator(".lm-picture [tabindex='0']").first.focus()
            self.page.keyboard.press("p")
        self.page.wait_for_function(
            "([root, on]) => root.classList.contains('present') === on", arg=[self.root.element_handle(), on]
        )
        self.lab.rest()

    def photograph(self, name: str) -> float:
        """Three widths, the dark theme, then the projector, whose height in pixels is returned; then as before."""
        if PICTURES:
            for width, height in ((1920, 1080), (600, 800), (1280, 800)):
                self.lab.resize(width, height)
                self.screenshot(f"{name}_light_{width}")
            self.lab.theme("dark")
            self.screenshot(f"{name}_dark_1280")
            self.lab.theme("light")
        self.lab.resize(1920, 1080)
        self.present()
        box = self.root.bounding_box()
        assert box, "the widget is not drawn"
        self.screenshot(f"{name}_presenter")
        self.present(False)
        self.lab.resize(1280, 800)
        return float(box["height"])

    def screenshot(self, name: str) -> Path:
        """A photograph of this widget alone, in artifacts/, where pictures are wanted."""
        from tests.browser.lab_page import ARTIFACTS

        path = ARTIFACTS / f"{name}.png"
        if not PICTURES:
            return path
        require_glyphs(self.page)
        self.lab.rest()
        ARTIFACTS.mkdir(exist_ok=True)
        size, box = self.page.viewport_size, self.root.bounding_box()
        assert size, "the page has no size"
        assert box, "the widget is not drawn"
        tall = int(box["height"]) + 250  # JupyterLab scrolls a part of the page: what is outside would be cut off
        if tall > size["height"]:
            self.lab.resize(size["width"], tall)
        self.root.screenshot(path=path)
        if tall > size["height"]:
            self.lab.resize(size["width"], size["height"])
        return path
