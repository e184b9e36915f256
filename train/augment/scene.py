"""A detector's training crops: a photo scaled, turned, seen from elsewhere, cut to a square, its plates moved along."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edge.ocr.geometry import Points
from edge.ocr.image import Image
from train.augment.photometric import Random

Matrix = npt.NDArray[np.float64]

LEAST_VISIBLE = 0.6
"""Of a plate's area; one that is cut off further is neither text nor background."""


def square_crop(
    image: Image, quads: list[Points], rng: Random, size: int, scale: tuple[int, int], strength: float
) -> tuple[Image, list[Points], list[bool]]:
    """Cuts a random square out of a photo that is randomly scaled, turned and warped.

    Args:
        image: uint8 [height, width, 3].
        quads: Plates, float64 [4, 2] each, pixels.
        rng: The only source of chance.
        size: Side of the square in pixels.
        scale: Least and most pixels of the photo's long side after scaling.
        strength: Scales turning and warping.

    Returns:
        uint8 [size, size, 3], the plates' corners on it, and for each whether it is cut off too far to be learned.
    """
    height, width = image.shape[:2]
    side = float(np.exp(rng.uniform(np.log(scale[0]), np.log(scale[1]))))
    ratio = side / max(height, width)
    stretch = np.exp(rng.normal(0, 0.06 * strength, 2)) * ratio
    angle = np.deg2rad(rng.normal(0, 5) * strength)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.array([[1, rng.normal(0, 0.05) * strength], [0, 1]]) @ np.diag(stretch)
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    # At most 4 % of perspective from one end of the photo to the other.
    matrix[2, :2] = rng.normal(0, 0.04 * strength, 2) / np.array([width, height])
    corners = moved(np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64), matrix)
    centre = _centre(corners, [moved(quad, matrix) for quad in quads], rng, size)
    shift = np.eye(3)
    shift[:2, 2] = size / 2 - centre
    total = shift @ matrix
    source = image
    if ratio < 0.6:
        # Warping to much less than half the size skips pixels; the detector's own resize at inference does too, but
        # the mean of both is what a model must live with.
        factor = 0.5 if rng.random() < 0.5 else 1.0
        source = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) if factor < 1 else image
        total = total @ np.diag([width / source.shape[1], height / source.shape[0], 1.0])
    fill = tuple(int(v) for v in rng.integers(0, 256, 3)) if rng.random() < 0.5 else (0, 0, 0)
    warped = cv2.warpPerspective(
        source, total, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=fill
    )
    placed = [moved(quad, shift @ matrix) for quad in quads]
    return np.asarray(warped), placed, [visible(quad, size) < LEAST_VISIBLE for quad in placed]


def moved(points: Points, matrix: Matrix) -> Points:
    """Applies a homography [3, 3] to points [n, 2]."""
    homogeneous = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return np.asarray(homogeneous[:, :2] / homogeneous[:, 2:])


def visible(quad: Points, size: int) -> float:
    """Returns the part of a convex plate's area that lies in the square 0..size."""
    area = cv2.contourArea(quad.astype(np.float32))
    frame = np.array([[0, 0], [size, 0], [size, size], [0, size]], np.float32)
    if area <= 0:
        return 0.0
    return float(cv2.intersectConvexConvex(quad.astype(np.float32), frame)[0] / area)


def _centre(corners: Points, quads: list[Points], rng: Random, size: int) -> Points:
    low, high = corners.min(axis=0), corners.max(axis=0)
    spare = np.maximum(0, (high - low - size) / 2)
    centre = (low + high) / 2 + rng.uniform(-1, 1, 2) * spare
    if quads and rng.random() < 0.85:
        # Put one plate somewhere inside the square, and the square as far inside the photo as that allows.
        plate = quads[int(rng.integers(len(quads)))].mean(axis=0)
        reach = size * 0.4
        centre = np.clip(centre, plate - reach, plate + reach)
    return np.asarray(centre)
