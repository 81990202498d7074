"""Quillbury: a small market town, and a language whose every probability is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmlab.data.town.build import alt, bind, fn, forget, lit, maybe, pick, pick_other, ref, seq
from lmlab.data.town.grammar import Grammar, Live
from lmlab.data.town.nodes import END, GrammarError
from lmlab.data.town.town import FAMILIES, Family, Town

if TYPE_CHECKING:
    from lmlab.data.town.truth import TownTruth

__all__ = [
    "END", "FAMILIES", "Family", "Grammar", "GrammarError", "Live", "Town", "TownTruth", "alt", "bind", "fn", "forget",
    "lit", "maybe", "pick", "pick_other", "ref", "seq",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """TownTruth is fetched when first asked for: it alone needs torch."""
    if name == "TownTruth":
        from lmlab.data.town.truth import TownTruth

        return TownTruth
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
