"""A squarified treemap: rectangles whose areas are values and whose sides are as equal as can be.

After Bruls, Huizing and van Wijk, "Squarified Treemaps" (2000).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Tile:
    """One rectangle: index of its value, left, top, width, height in the unit of the whole."""

    index: int
    x: float
    y: float
    width: float
    height: float


def squarify(values: Sequence[float], width: float, height: float) -> list[Tile]:
    """Lays values out in a `width` x `height` rectangle.

    Args:
        values: Not negative; zeros get no cell.
        width: Of the whole.
        height: Of the whole.

    Returns:
        A cell for each positive value, the largest first; their areas are in proportion to the values.
    """
    order = sorted((index for index, value in enumerate(values) if value > 0), key=lambda i: -values[i])
    total = sum(values[index] for index in order)
    cells: list[Tile] = []
    x = y = 0.0
    scale = width * height / total if total else 0.0
    position = 0
    while position < len(order):
        short = min(width - x, height - y)
        row: list[float] = []
        for index in order[position:]:
            area = values[index] * scale
            if row and _worst([*row, area], short) > _worst(row, short):
                break
            row.append(area)
        thickness = sum(row) / short if short > 0 else 0.0
        along = 0.0
        wide = width - x >= height - y
        for offset, area in enumerate(row):
            length = area / thickness if thickness else 0.0
            index = order[position + offset]
            cells.append(
                Tile(index, x, y + along, thickness, length) if wide else Tile(index, x + along, y, length, thickness)
            )
            along += length
        if wide:
            x += thickness
        else:
            y += thickness
        position += len(row)
    return cells


def _worst(row: Sequence[float], side: float) -> float:
    total = sum(row)
    if total <= 0 or side <= 0:
        return float("inf")
    return max(side * side * max(row) / (total * total), total * total / (side * side * min(row)))
