"""What a notebook stores of a widget whose digits differ from machine to machine."""

from __future__ import annotations

from typing import Any

from lmlab.widgets._base import LabWidget
from lmlab.widgets._style import Spans, plain, safe_html


class StoresFacts(LabWidget):
    """A widget with `facts`, which hold on every machine: its repr, and its text where there is no kernel."""

    @property
    def facts(self) -> Spans:
        """What is true on every machine; a subclass says it in words of its own."""
        return self.shown.readout if self.shown else ()

    def __repr__(self) -> str:
        return f"{self._name}: {plain(self.facts)}"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        data["text/html"] = safe_html(self.facts)
        return data, metadata
