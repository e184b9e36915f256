"""Rectangles and their corners: the geometry between the detector's mask and the crop of a plate.

Coordinates are (x, y), y pointing down, pixel centres on integers. Everything is float64. The minimum-area
rectangle is computed from integers and divided once, so that an implementation in C++ gives the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]

INSIDE_TOLERANCE = 0.01
"""Pixels by which a point may lie outside a rectangle and still count as on its border."""


@dataclass(frozen=True)
class Rect:
    """A rectangle of any direction.

    Attributes:
        cx: Centre, pixels.
        cy: Centre, pixels.
        ux: Unit vector along `width`; the one along `height` is (-uy, ux).
        uy: See `ux`.
        width: Extent along (ux, uy), pixels.
        height: Extent along (-uy, ux), pixels.
    """

    cx: float
    cy: float
    ux: float
    uy: float
    width: float
    height: float

    @property
    def short_side(self) -> float:
        """The shorter extent in pixels."""
        return min(self.width, self.height)

    def grown(self, distance: float) -> Rect:
        """Returns the rectangle with every side moved outward by `distance` pixels."""
        return Rect(self.cx, self.cy, self.ux, self.uy, self.width + 2 * distance, self.height + 2 * distance)

    def corners(self) -> Points:
        """Returns float64 [4, 2], going round."""
        ax, ay = self.ux * self.width / 2, self.uy * self.width / 2
        bx, by = -self.uy * self.height / 2, self.ux * self.height / 2
        return np.array(
            [
                [self.cx - ax - bx, self.cy - ay - by],
                [self.cx + ax - bx, self.cy + ay - by],
                [self.cx + ax + bx, self.cy + ay + by],
                [self.cx - ax + bx, self.cy - ay + by],
            ]
        )


def min_area_rect(points: npt.NDArray[np.int32]) -> Rect:
    """Finds the rectangle of least area around integer points.

    One side of it lies on an edge of the convex hull. The hull is walked clockwise as seen on the image, from its
    topmost (of these the leftmost) vertex; for edge (dx, dy) the extents along and across it, times its length, are the
    integers U and V, and the area is U * V / (dx^2 + dy^2). The first least one wins.

    Args:
        points: int [n, 2], n >= 1.

    Returns:
        The rectangle; width or height is 0 for points on a line.
    """
    import cv2

    hull = cv2.convexHull(np.ascontiguousarray(points, dtype=np.int32)).reshape(-1, 2).astype(np.int64)
    if len(hull) == 1:
        return Rect(float(hull[0, 0]), float(hull[0, 1]), 1.0, 0.0, 0.0, 0.0)
    following = np.roll(hull, -1, axis=0)
    if int((hull[:, 0] * following[:, 1] - following[:, 0] * hull[:, 1]).sum()) < 0:
        hull = hull[::-1]
    hull = np.roll(hull, -int(np.lexsort((hull[:, 0], hull[:, 1]))[0]), axis=0)
    edges = np.roll(hull, -1, axis=0) - hull
    along = edges @ hull.T
    across = np.stack([-edges[:, 1], edges[:, 0]], axis=1) @ hull.T
    low_u, high_u = along.min(axis=1), along.max(axis=1)
    low_v, high_v = across.min(axis=1), across.max(axis=1)
    squared = (edges * edges).sum(axis=1)
    areas = ((high_u - low_u) * (high_v - low_v)).astype(np.float64) / squared
    best = int(np.argmin(areas))
    dx, dy, square = float(edges[best, 0]), float(edges[best, 1]), float(squared[best])
    length = float(np.sqrt(square))
    middle_u = float(low_u[best] + high_u[best]) / 2
    middle_v = float(low_v[best] + high_v[best]) / 2
    return Rect(
        (middle_u * dx - middle_v * dy) / square,
        (middle_u * dy + middle_v * dx) / square,
        dx / length,
        dy / length,
        float(high_u[best] - low_u[best]) / length,
        float(high_v[best] - low_v[best]) / length,
    )


def mean_inside(values: npt.NDArray[np.float32], rect: Rect) -> float:
    """Averages a map over the integer points inside or on a rectangle, clipped to the map.

    Args:
        values: float32 [height, width].
        rect: In the map's pixels; a point up to `INSIDE_TOLERANCE` outside is on it.

    Returns:
        The mean in float64; 0 when no point lies inside.
    """
    corners = rect.corners()
    height, width = values.shape
    x0 = max(0, int(np.floor(corners[:, 0].min())))
    y0 = max(0, int(np.floor(corners[:, 1].min())))
    x1 = min(width - 1, int(np.ceil(corners[:, 0].max())))
    y1 = min(height - 1, int(np.ceil(corners[:, 1].max())))
    if x1 < x0 or y1 < y0:
        return 0.0
    dx = np.arange(x0, x1 + 1, dtype=np.float64)[None, :] - rect.cx
    dy = np.arange(y0, y1 + 1, dtype=np.float64)[:, None] - rect.cy
    inside = (np.abs(dx * rect.ux + dy * rect.uy) <= rect.width / 2 + INSIDE_TOLERANCE) & (
        np.abs(dy * rect.ux - dx * rect.uy) <= rect.height / 2 + INSIDE_TOLERANCE
    )
    picked = values[y0 : y1 + 1, x0 : x1 + 1][inside]
    return float(picked.mean(dtype=np.float64)) if picked.size else 0.0


def order_corners(corners: Points, flip: bool) -> Points:
    """Puts the corners of a rectangle (or parallelogram) into the order top left, top right, bottom right, bottom left.

    Args:
        corners: float64 [4, 2], going round in either direction.
        flip: False is the order of the original DB code: of the two leftmost corners the upper is top left, of the two
            rightmost the upper is top right. That is wrong for a plate standing steeper than its diagonal. True is the
            note's improvement C: top left to top right runs along the longer side and points right (straight down when
            it stands upright), so the text is never flipped.

    Returns:
        float64 [4, 2], clockwise as seen on the image.
    """
    if not flip:
        order = sorted(range(4), key=lambda i: (corners[i, 0], corners[i, 1]))
        left = sorted(order[:2], key=lambda i: (corners[i, 1], corners[i, 0]))
        right = sorted(order[2:], key=lambda i: (corners[i, 1], corners[i, 0]))
        return np.array([corners[i] for i in (left[0], right[0], right[1], left[1])])
    first, second = corners[1] - corners[0], corners[2] - corners[1]
    start = 0 if np.hypot(*first) >= np.hypot(*second) else 1
    a, b, c, d = (corners[(start + i) % 4] for i in range(4))
    dx, dy = b - a
    if (dx < 0 if abs(dx) >= 1e-6 else dy < 0):
        a, b, c, d = b, a, d, c
    if (b[0] - a[0]) * (d[1] - a[1]) - (b[1] - a[1]) * (d[0] - a[0]) < 0:
        # a-b points the right way but is the lower side.
        a, b, c, d = d, c, b, a
    return np.array([a, b, c, d])


def grow_box(box: Points, fraction: float) -> Points:
    """Moves each side outward: left and right by `fraction` of the width, top and bottom by `fraction` of the height.

    Args:
        box: float64 [4, 2], top left first, clockwise.
        fraction: Of the box's own sides, 0 leaves it as it is.
    """
    across, down = (box[1] - box[0]) * fraction, (box[3] - box[0]) * fraction
    moved: Points = box + np.array([-across - down, across - down, across + down, down - across])
    return moved


def clip_box(box: Points, width: int, height: int) -> Points:
    """Moves corners outside an image of `width` x `height` pixels onto its border pixels."""
    return np.minimum(np.maximum(box, 0.0), np.array([width - 1.0, height - 1.0]))
