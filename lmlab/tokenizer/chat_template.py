"""A conversation as one text for a model, written by the template that the model was tuned with."""

from __future__ import annotations

from pathlib import Path


class ChatTemplate:
    """A model's own way to write a conversation as one text: a jinja2 template, and its two marks."""

    def __init__(self, source: str, bos: str = "", eos: str = "") -> None:
        self.source, self.bos, self.eos = source, bos, eos

    def save(self, path: Path) -> Path:
        """Write the template's source as it stands."""
        path.write_text(self.source, encoding="utf-8", newline="\n")
        return path
