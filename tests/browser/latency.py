"""From an act of the person to the frame that shows its result, in milliseconds, measured inside the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.browser.widget import Widget

# The clock starts with the event's own time stamp and stops in the first task after the frame that paints
# the first change of the watched part: nodes, texts, attributes, or strokes on its canvases.
WATCH = """(root, selector) => {
  const watched = root.querySelector(selector) ?? root;
  const state = (window.lmlabLatency = { from: null, samples: [] });
  const changed = () => {
    if (state.from === null) return;
    const from = state.from;
    state.from = null;
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => state.samples.push(performance.now() - from);
      port2.postMessage(0);
    });
  };
  new MutationObserver(changed).observe(
    watched, { childList: true, subtree: true, characterData: true, attributes: true });
  const pen = CanvasRenderingContext2D.prototype;
  for (const name of ["putImageData", "drawImage", "fillRect"]) {
    const original = pen[name];
    pen[name] = function (...args) {
      original.apply(this, args);
      if (watched.contains(this.canvas)) changed();
    };
  }
  for (const kind of ["keydown", "pointerdown"]) {
    window.addEventListener(kind, (event) => { state.from = event.timeStamp; }, true);
  }
}"""
ANSWERED = "(n) => window.lmlabLatency.samples.length > n"


@dataclass(frozen=True)
class Latency:
    """Sorted samples, in milliseconds."""

    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        return self.samples[len(self.samples) // 2]

    @property
    def p95(self) -> float:
        return self.samples[min(len(self.samples) - 1, round(0.95 * len(self.samples)))]

    def __str__(self) -> str:
        return f"median {self.median:.0f} ms, p95 {self.p95:.0f} ms of {len(self.samples)}"


def key_to_paint(widget: Widget, keys: Iterable[str], *, part: str = ".lm-picture", warm_up: int = 3) -> Latency:
    """Press ``keys`` one after another, each once the last one's result is painted; the focus is the caller's."""
    return measure(widget, [lambda key=key: widget.press(key) for key in keys], part=part, warm_up=warm_up)


def measure(
    widget: Widget, acts: Iterable[Callable[[], object]], *, part: str = ".lm-picture", warm_up: int = 3
) -> Latency:
    """The same for any acts that begin with a key or the pointer going down."""
    widget.root.evaluate(WATCH, part)
    for i, act in enumerate(acts):
        act()
        widget.page.wait_for_function(ANSWERED, arg=i, timeout=10_000, polling=5)
        widget.page.wait_for_timeout(40)  # a person's fingers, too, rest between two keys
    samples = widget.page.evaluate("() => window.lmlabLatency.samples")[warm_up:]
    return Latency(tuple(sorted(samples)))
