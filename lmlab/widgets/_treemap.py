"""A treemap: rectangles whose areas are sizes, as near to squares as they go, in groups that stay together.

Source: Bruls, Huizing and van Wijk 2000, "Squarified treemaps".
"""

from __future__ import annotations

from collections.abc import Sequence

Box = tuple[float, float, float, float]  # left, top, width, height


def squarified(sizes: Sequence[float], box: Box) -> list[Box]:
    """One rectangle a size, in the order given; their areas are in proportion and fill the box. Sizes are positive."""
    order = sorted(range(len(sizes)), key=lambda i: -sizes[i])
    scale = box[2] * box[3] / sum(sizes) if sizes else 0.0
    areas = [sizes[i] * scale for i in order]
    placed: list[Box] = []
    start = 0
    while start < len(areas):
        end = start + 1
        side = min(box[2], box[3])
        while end < len(areas) and _worst(areas[start : end + 1], side) <= _worst(areas[start:end], side):
            end += 1
        row, box = _row(areas[start:end], box)
        placed += row
        start = end
    boxes: list[Box] = [(0.0, 0.0, 0.0, 0.0)] * len(sizes)
    for place, i in zip(placed, order, strict=True):
        boxes[i] = place
    return boxes


def grouped(groups: Sequence[Sequence[float]], box: Box) -> list[list[Box]]:
    """A rectangle for each group, and in it one for each of its sizes."""
    outer = squarified([sum(group) for group in groups], box)
    return [squarified(group, place) for group, place in zip(groups, outer, strict=True)]


def _worst(row: Sequence[float], side: float) -> float:
    """The longest shape in a row of these areas along this side: 1 is a square."""
    thick = sum(row) / side
    return max(max(area / thick**2, thick**2 / area) for area in row)


def _row(row: Sequence[float], box: Box) -> tuple[list[Box], Box]:
    """Lay a row along the shorter side; return it and what is left of the box."""
    x, y, width, height = box
    upright = width >= height
    thick = sum(row) / (height if upright else width)
    at, placed = (y if upright else x), []
    for area in row:
        long = area / thick
        placed.append((x, at, thick, long) if upright else (at, y, long, thick))
        at += long
    left = (x + thick, y, width - thick, height) if upright else (x, y + thick, width, height - thick)
    return placed, left
