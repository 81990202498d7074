"""What a widget owes on a projector of 1024 × 768, where type keeps its size and columns give way."""

from __future__ import annotations

from tests.browser.widget import Widget

# headings, controls, charts and the sentence: each inside the frame, none over another
FAULTS = """(root) => {
  const frame = root.getBoundingClientRect(), found = [];
  const parts = [...root.querySelectorAll("h4, svg, table, .lm-c, .lm-read")].filter((e) =>
    e.getClientRects().length && !e.closest(".lm-q, .lm-read svg, h4 svg, b > svg, .lm-keys"));
  const box = (e) => e.getBoundingClientRect(), name = (e) => `${e.tagName} ${(e.textContent || "").slice(0, 30)}`;
  for (const e of [...parts, ...root.querySelectorAll("svg text")]) {
    const b = box(e);
    if (b.width && (b.left < frame.left - 1 || b.right > frame.right + 1)) found.push(`outside: ${name(e)}`);
  }
  for (const e of root.querySelectorAll("h4")) {
    const narrow = e.getClientRects().length && box(e).width < frame.width / 4;
    if (e.scrollWidth > e.clientWidth + 1 || narrow) found.push(`squeezed: ${name(e)}`);
  }
  parts.forEach((a, i) => parts.slice(i + 1).forEach((b) => {
    if (a.contains(b) || b.contains(a)) return;
    const p = box(a), q = box(b);
    if (Math.min(p.right, q.right) - Math.max(p.left, q.left) > 2
        && Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 2) found.push(`${name(a)} over ${name(b)}`);
  }));
  return found;
}"""


def nothing_collides(widget: Widget) -> list[str]:
    """What lies outside the frame or over something else there; the page is left as it was."""
    widget.lab.resize(1024, 768)
    widget.present()
    found = list(widget.root.evaluate(FAULTS))
    widget.present(False)
    widget.lab.resize(1280, 800)
    return found


CHROME = 110  # JupyterLab's own rows above and below a notebook
TALL = """(root) => ["", ".lm-read"].map((part) =>
  (part ? root.querySelector(part) : root).getBoundingClientRect().bottom - root.getBoundingClientRect().top)"""


def too_tall(widget: Widget) -> dict[str, float]:
    """By how many pixels a screen is too low: for question, picture and sentence while one reads, for all of it on a
    projector, where nobody scrolls. Empty where it all fits; the page is left as it was."""
    found = {}
    for width, height, present in ((1024, 768, False), (1024, 768, True), (1920, 1080, True)):
        widget.lab.resize(width, height)
        widget.present(present)
        whole, sentence = widget.root.evaluate(TALL)
        over = (whole if present else sentence) + CHROME - height
        if over > 0:
            found[f"{width} × {height}{', presenter' if present else ''}"] = over
    widget.present(False)
    widget.lab.resize(1280, 800)
    return found
