"""What a fetch leaves on the disk and on the screen."""

from __future__ import annotations

from pathlib import Path


def cache(tmp_path: Path) -> list[str]:
    """What lies in the cache, the insides of a `download` that waits for the next attempt left out."""
    place = tmp_path / "home" / "cache"
    found = (path.relative_to(place).as_posix() for path in place.rglob("*"))
    return sorted(name for name in found if ".fetching" not in name)


def without_progress(said: str) -> list[str]:
    return [line for line in said.splitlines() if not line.startswith("  ")]
