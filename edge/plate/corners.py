"""The corners of a labelled plate, from however many points an annotator set."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edge.plate.ccpd import sort_vertices

FARTHEST = 32767.0
"""Pixels, either way, beyond which OpenCV's warps cannot reach; no photo is larger, and no corner farther out."""
CORNERS = 4


class CornerError(ValueError):
    """Points that are pairs of numbers but not a plate."""


def plate_corners(points: Any) -> npt.NDArray[np.float64]:
    """Returns a plate's corners, clockwise from the one that is top left when the text is read.

    Args:
        points: At least four x, y pairs; of more than four the rectangle of least area around them is taken.

    Returns:
        float64 [4, 2], pixels.

    Raises:
        CornerError: Too few points (labelme's rectangles have two), or one too far out.
        ValueError: Not pairs of numbers.
    """
    try:
        corners = np.array(points, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("points must be x, y pairs of numbers") from None
    if corners.ndim != 2 or corners.shape[1] != 2 or not np.isfinite(corners).all():
        raise ValueError("points must be x, y pairs of numbers")
    if len(corners) < CORNERS:
        also = ", as labelme's rectangles have: give all four corners" if len(corners) == 2 else ""
        raise CornerError(f"a plate needs at least {CORNERS} points, not {len(corners)}{also}")
    if np.abs(corners).max() > FARTHEST:
        raise CornerError(f"a point lies at {np.abs(corners).max():.3g}, outside any photo")
    if len(corners) > CORNERS:
        import cv2

        corners = cv2.boxPoints(cv2.minAreaRect(corners.astype(np.float32))).astype(np.float64)
    return np.array(sort_vertices([(x, y) for x, y in corners.tolist()]), np.float64)
