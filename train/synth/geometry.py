"""From a flat plate to four corners in a photo: the pose of a plate before a camera."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]
    Quad = NDArray[np.float32]


def project(size: tuple[float, float], angles: tuple[float, float, float], distance: float) -> Matrix:
    """Returns the homography of a flat rectangle turned before a pinhole camera.

    Args:
        size: Width and height of the rectangle, any unit (mm).
        angles: Yaw (about the upright axis), pitch (about the level axis), roll (about the view axis), radians.
        distance: From the camera to the centre in the same unit; the smaller, the stronger the perspective.

    Returns:
        3x3: rectangle coordinates (x right, y down, origin at its left top) to the camera's plane, with the centre
        at (0, 0) and a scale of 1 there.
    """
    yaw, pitch, roll = angles
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (math.cos, math.sin))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    turn = about_z @ about_x @ about_y
    centred = np.array([[1, 0, -size[0] / 2], [0, 1, -size[1] / 2], [0, 0, 1]])
    # A point (x, y, 0) goes to R(x, y, 0) + (0, 0, distance), seen with focal length = distance.
    plane = np.column_stack((turn[:, 0], turn[:, 1], (0, 0, distance)))
    return np.asarray(np.diag((distance, distance, 1.0)) @ plane @ centred)


def place(matrix: Matrix, scale: float, centre: tuple[float, float]) -> Matrix:
    """Scales a homography's target about its origin and moves the origin to `centre`."""
    move = np.array([[scale, 0, centre[0]], [0, scale, centre[1]], [0, 0, 1]])
    return move @ matrix


def corners(matrix: Matrix, size: tuple[float, float]) -> Quad:
    """Returns where a homography puts a rectangle's corners: float32 4x2, clockwise from top left."""
    width, height = size
    flat = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float64)
    return np.asarray(cv2.perspectiveTransform(flat, matrix)[0], np.float32)


def random_pose(rng: np.random.Generator, strength: float = 1.0) -> tuple[float, float, float]:
    """Returns yaw, pitch and roll in radians, most of them small, as people photograph parked cars."""
    wide = rng.random() < 0.25
    yaw = rng.normal(0, 0.5 if wide else 0.2) * strength
    pitch = rng.normal(0.15, 0.25 if wide else 0.12) * strength
    roll = rng.normal(0, 0.16 if wide else 0.05) * strength
    return float(np.clip(yaw, -1.0, 1.0)), float(np.clip(pitch, -0.7, 0.9)), float(np.clip(roll, -0.5, 0.5))


def edge_lengths(quad: Quad) -> tuple[float, float]:
    """Returns the longer of top and bottom edge, and the longer of left and right edge."""
    tl, tr, br, bl = quad.astype(np.float64)
    width = max(math.dist(tl, tr), math.dist(bl, br))
    height = max(math.dist(tl, bl), math.dist(tr, br))
    return width, height
