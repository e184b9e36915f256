"""Areas and overlaps of polygons, in float64 and without a geometry library.

Polygons are replaced by their convex hulls first, as PaddleOCR's end-to-end tool does: plates are convex, and a label
whose vertices are in a wrong order (CCPD has some) still means the plate. Training, conversion and bench all compare
boxes with these.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Polygon = npt.NDArray[np.floating[Any]] | Sequence[Sequence[float]]
Points = list[tuple[float, float]]


def convex_hull(polygon: Polygon) -> Points:
    """Returns the convex hull, counter-clockwise in (x right, y up); fewer than 3 points when it has no area."""
    points = sorted({(float(x), float(y)) for x, y in polygon})
    if len(points) < 3:
        return points
    return _chain(points) + _chain(points[::-1])


def _chain(points: Points) -> Points:
    chain: Points = []
    for point in points:
        while len(chain) >= 2 and _cross(chain[-2], chain[-1], point) <= 0:
            chain.pop()
        chain.append(point)
    return chain[:-1]


def area(points: Points) -> float:
    """Returns the area of a simple polygon by the shoelace formula, relative to its first point against rounding."""
    if len(points) < 3:
        return 0.0
    return abs(sum(_cross(points[0], a, b) for a, b in pairwise(points[1:]))) / 2


def intersection_areas(first: Polygon, second: Polygon) -> tuple[float, float, float]:
    """Returns the areas of the intersection, the first and the second polygon (of their convex hulls)."""
    a, b = convex_hull(first), convex_hull(second)
    area_a, area_b = area(a), area(b)
    if area_a == 0 or area_b == 0 or _apart(a, b):
        return 0.0, area_a, area_b
    return area(_clip(a, b)), area_a, area_b


def overlap(first: Polygon, second: Polygon) -> float:
    """Returns intersection over union, 0..1; for two polygons without area 1 when they are the same, else 0."""
    common, area_a, area_b = intersection_areas(first, second)
    union = area_a + area_b - common
    return common / union if union > 0 else float(len(first) > 0 and convex_hull(first) == convex_hull(second))


def _clip(subject: Points, window: Points) -> Points:
    """Sutherland and Hodgman: cuts a convex polygon by every edge of another, both counter-clockwise."""
    for start, end in zip(window, window[1:] + window[:1], strict=True):
        kept: Points = []
        sides = [_cross(start, end, point) for point in subject]
        for i, point in enumerate(subject):
            before, side_before = subject[i - 1], sides[i - 1]
            if (sides[i] < 0 < side_before) or (side_before < 0 < sides[i]):
                t = side_before / (side_before - sides[i])
                kept.append((before[0] + t * (point[0] - before[0]), before[1] + t * (point[1] - before[1])))
            if sides[i] >= 0:
                kept.append(point)
        subject = kept
    return subject


def _cross(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _apart(a: Points, b: Points) -> bool:
    for axis in (0, 1):
        if max(p[axis] for p in a) <= min(p[axis] for p in b) or max(p[axis] for p in b) <= min(p[axis] for p in a):
            return True
    return False
