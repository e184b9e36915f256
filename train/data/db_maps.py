"""DB's training targets: the shrink map, the threshold map, and their masks.

Liao et al. 2020 (arXiv 1911.08947), section 3.4, with the conventions of PaddleOCR's `MakeShrinkMap` and
`MakeBorderMap` (a test compares with both).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from edge.ocr.geometry import Points

Map = npt.NDArray[np.float32]

LEAST_SIDE = 8
"""Plates lower or narrower than this many pixels are not learned, only masked out."""
LOW, HIGH = 0.3, 0.7
"""Of the threshold map, far from and on the border."""


def target_maps(
    size: tuple[int, int], quads: Sequence[Points], ignored: Sequence[bool], shrink_ratio: float = 0.4
) -> Map:
    """Draws the targets of one image.

    Args:
        size: Height and width in pixels.
        quads: float64 [n, 2] each, pixels, in either direction.
        ignored: For each, whether it is neither text nor background (illegible, cut off).
        shrink_ratio: See the DB paper; the distance is area * (1 - ratio^2) / perimeter.

    Returns:
        float32 [4, height, width]: shrink map, its mask, threshold map, its mask.
    """
    shrink, mask = np.zeros(size, np.float32), np.ones(size, np.float32)
    border, border_mask = np.zeros(size, np.float32), np.zeros(size, np.float32)
    for quad, skip in zip(quads, ignored, strict=True):
        box = np.clip(quad, 0, (size[1] - 1, size[0] - 1))
        sides = box.max(axis=0) - box.min(axis=0)
        inner = None if skip or sides.min() < LEAST_SIDE else shrunk(box, shrink_ratio)
        if inner is None:
            cv2.fillPoly(mask, [box.astype(np.int32)], 0)
        else:
            cv2.fillPoly(shrink, [inner.astype(np.int32)], 1)
        if not skip:
            _draw_border(border, border_mask, quad, shrink_ratio)
    return np.stack([shrink, mask, border * np.float32(HIGH - LOW) + np.float32(LOW), border_mask])


def offset_distance(quad: Points, ratio: float) -> float:
    """Returns DB's offset in pixels: area * (1 - ratio^2) / perimeter; 0 for a polygon without area or perimeter.

    (The paper's section 3.4.) What undoes it at inference, the unclipping of `edge.ocr.detect`, goes by another formula:
    area * unclip ratio / perimeter.

    Args:
        quad: float64 [n, 2], pixels.
        ratio: 0 to 1; DB's shrink ratio is 0.4.
    """
    perimeter = float(np.hypot(*(quad - np.roll(quad, 1, axis=0)).T).sum())
    return polygon_area(quad) * (1 - ratio**2) / perimeter if perimeter > 0 else 0.0


def polygon_area(quad: Points) -> float:
    """Returns the area in square pixels of a simple polygon [n, 2], whichever way it runs (the shoelace formula)."""
    x, y = quad.T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def shrunk(quad: Points, ratio: float) -> Points | None:
    """Shrinks a polygon for the shrink map.

    Where it falls apart or vanishes, larger ratios (less shrinking) are tried in steps of `ratio`, below 1.

    Args:
        quad: float64 [n, 2], pixels.
        ratio: As for `offset_distance`.

    Returns:
        int64-valued [n, 2], or None when no ratio leaves exactly one polygon.
    """
    if polygon_area(quad) < 1:
        return None
    for attempt in np.arange(ratio, 1, ratio):
        pieces = _offset(quad, -offset_distance(quad, float(attempt)))
        if len(pieces) == 1:
            return pieces[0]
    return None


def _offset(quad: Points, distance: float) -> list[Points]:
    # libpaddle's zlib breaks Python's when pyclipper loads it later (`train.arch`).
    import zlib  # noqa: F401

    import pyclipper

    clipper = pyclipper.PyclipperOffset()
    try:
        clipper.AddPath([tuple(point) for point in quad], pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    except pyclipper.ClipperException:
        return []
    return [np.array(path, np.float64) for path in clipper.Execute(distance)]


def _draw_border(border: Map, border_mask: Map, quad: Points, ratio: float) -> None:
    distance = offset_distance(quad, ratio)
    grown = _offset(quad, distance) if distance > 0 else []
    if not grown:
        return
    outer = grown[0].astype(np.int32)
    cv2.fillPoly(border_mask, [outer], 1.0)
    height, width = border.shape
    low, high = outer.min(axis=0), outer.max(axis=0)
    left, top = max(0, low[0]), max(0, low[1])
    right, bottom = min(width - 1, high[0]), min(height - 1, high[1])
    if left > right or top > bottom:
        return
    x, y = np.meshgrid(np.arange(left, right + 1, dtype=np.float64), np.arange(top, bottom + 1, dtype=np.float64))
    sides = [_side_distance(x, y, quad[index], quad[(index + 1) % len(quad)]) for index in range(len(quad))]
    near = np.clip(np.min(sides, axis=0) / distance, 0, 1)
    part = border[top : bottom + 1, left : right + 1]
    np.maximum(part, (1 - near).astype(np.float32), out=part)


def _side_distance(x: Points, y: Points, a: Points, b: Points) -> Points:
    """Distance to the line through a side where it is seen at more than a right angle, else to its nearer end."""
    to_a, to_b = (x - a[0]) ** 2 + (y - a[1]) ** 2, (x - b[0]) ** 2 + (y - b[1]) ** 2
    length = float(((a - b) ** 2).sum())
    if length == 0:
        return np.asarray(np.sqrt(to_a))
    across = np.abs((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) / np.sqrt(length)
    return np.asarray(np.where(to_a + to_b > length, np.sqrt(np.minimum(to_a, to_b)), across))
