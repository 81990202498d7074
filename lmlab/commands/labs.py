"""`lmlab labs run | clean | check`: the notebooks as their authors keep them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from lmlab.assets import labs_folder


def labs_command(action: str, names: Sequence[Path]) -> int:
    """Run, clean or check the named notebooks, or all the labs; a check that finds something fails."""
    from lmlab import notebooks

    paths = find_notebooks(names)
    said = {"run": notebooks.run, "clean": notebooks.clean, "check": notebooks.check}[action](paths)
    amiss = action == "check" and bool(said)
    for sentence in said:
        print(sentence, file=sys.stderr if amiss else sys.stdout)
    if action == "check" and not said:
        print(f"{len(paths)} notebooks are as they should be")
    return int(amiss)


def find_notebooks(names: Sequence[Path]) -> list[Path]:
    """A name is a notebook file, or the beginning of the name of a lab, such as 02.

    Raises ValueError for a name that is neither.
    """
    labs = sorted(labs_folder().glob("*.ipynb"))
    if not names:
        if not labs:
            raise ValueError(f"there is no notebook in {labs_folder()}; name one")
        return labs
    found = []
    for name in names:
        here = [name] if name.is_file() else [path for path in labs if path.name.startswith(name.name)]
        if len(here) != 1:
            known = ", ".join(path.stem for path in labs)
            raise ValueError(f"'{name}' names {len(here)} notebooks; the labs are {known or 'none'}")
        found += here
    return found
