"""Fonts: a photograph of text proves nothing while its characters are empty boxes."""

from __future__ import annotations

from functools import cache

from playwright.sync_api import Page

SAMPLE = "🦜🍜股票市場é→∅·↵"

# Each character is painted alone and compared with one that no font has (U+0378 is unassigned).
PAINTED_LIKE_NOTHING = """
([text, family]) => {
  const paint = (character) => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 48;
    const pen = canvas.getContext("2d");
    pen.font = `32px ${family}`;
    pen.textBaseline = "top";
    pen.fillText(character, 4, 4);
    return pen.getImageData(0, 0, 48, 48).data.join();
  };
  const box = paint("\\u0378"), blank = paint("");
  return [...text].filter((c) => [box, blank].includes(paint(c)));
}
"""


def missing_glyphs(page: Page, text: str = SAMPLE, family: str = "sans-serif") -> list[str]:
    """The characters of ``text`` that this browser would show as an empty box, or not at all."""
    return list(page.evaluate(PAINTED_LIKE_NOTHING, [text, family]))


@cache
def require_glyphs(page: Page) -> None:
    """Fails before a photograph of boxes is taken for a photograph of text. Fonts do not change under a page."""
    missing = missing_glyphs(page)
    assert not missing, (
        f"This machine has no glyph for {' '.join(missing)}: the photographs would show boxes. "
        "Install them: `apt-get install fonts-noto-color-emoji fonts-noto-cjk`."
    )
