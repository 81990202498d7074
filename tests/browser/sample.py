"""What test_common asks of a widget: three of its kind, and how one of them is moved."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """``make`` are three expressions, each another instance. Setting the control with the accessible ``name``,
    which holds the trait ``trait``, to ``value`` changes a readout: a text for a prompt, a number for a slider;
    ``button`` is pressed afterwards. ``text`` is the accessible name of the box that takes any text, if one does."""

    make: tuple[str, str, str]
    name: str
    trait: str
    value: str | float
    button: str = ""
    text: str = ""

    def cells(self) -> list[str]:
        """One cell an instance, after that of ``SETUP``, which names it w0, w1, w2 and shows it."""
        return [f"w{i} = {code}\nw{i}" for i, code in enumerate(self.make)]
