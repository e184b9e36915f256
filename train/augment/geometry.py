"""Geometric augmentation: the boxes that a detector would have found, and photos seen from elsewhere."""

from __future__ import annotations

import cv2
import numpy as np

from edge.ocr.geometry import Points, order_corners
from edge.ocr.image import Image
from train.augment.photometric import Random

MOST = 2048
"""Sides in pixels of the largest crop that is cut; a plate labelled larger than its photo is cut coarser."""


def jittered_box(quad: Points, rng: Random, strength: float = 1.0) -> Points:
    """Returns a box as a detector might give it for a plate.

    A quarter of the time the plate's own corners, else the minimum-area rectangle (what DB gives) or, now and then,
    the upright bounding box; then grown or cut by a few per cent a side, turned a little, each corner moved a little.

    Args:
        quad: float64 [4, 2], the plate's corners clockwise from top left.
        rng: The only source of chance.
        strength: Scales all that is random but the choice of the form.
    """
    box = quad.astype(np.float64)
    form = rng.random()
    if form > 0.9:
        (left, top), (right, bottom) = box.min(axis=0), box.max(axis=0)
        box = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    elif form > 0.25:
        box = order_corners(cv2.boxPoints(cv2.minAreaRect(box.astype(np.float32))).astype(np.float64), False)
    return moved_corners(box, rng, strength, grow=(-0.02, 0.07))


def moved_corners(box: Points, rng: Random, strength: float, grow: tuple[float, float]) -> Points:
    """Grows each side of a box by a random part of its length, turns it, and moves each corner.

    Args:
        box: float64 [4, 2], clockwise from top left.
        rng: The only source of chance.
        strength: Scales everything.
        grow: Least and most growth of a side, as part of the box's width (left, right) or height (top, bottom);
            left and right are cut half as much, or characters at the ends would go.
    """
    right = (box[1] - box[0] + box[2] - box[3]) / 2
    down = (box[3] - box[0] + box[2] - box[1]) / 2
    sides = rng.uniform(*grow, 4) * strength
    sides[2:] = np.where(sides[2:] < 0, sides[2:] / 2, sides[2:])
    top, bottom, left, far = sides
    moved = box + np.array(
        [
            -top * down - left * right,
            -top * down + far * right,
            bottom * down + far * right,
            bottom * down - left * right,
        ]
    )
    angle = np.deg2rad(rng.normal(0, 2.0) * strength)
    centre = moved.mean(axis=0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (moved - centre) @ turn.T + centre
    along = rng.normal(0, 0.012 * strength, (4, 1)) * right
    across = rng.normal(0, 0.03 * strength, (4, 1)) * down
    return np.asarray(moved + along + across)


def cut_box(image: Image, box: Points, size: tuple[int, int]) -> Image:
    """Warps a box of an image to `size`.

    Args:
        image: uint8 [height, width, 3].
        box: float64 [4, 2], clockwise from top left.
        size: Width and height in pixels of the result.

    Returns:
        uint8 [size[1], size[0], 3]; where the box leaves the image its border is repeated.
    """
    width, height = size
    # As the pipeline does it: first at the plate's own resolution, then stretched; else small plates look too good.
    own = np.hypot(*(box[1] - box[0])), np.hypot(*(box[3] - box[0]))
    inner = (min(max(8, int(own[0])), MOST), min(max(8, int(own[1])), MOST))
    target = np.array([[0, 0], [inner[0], 0], [inner[0], inner[1]], [0, inner[1]]], np.float32)
    matrix = cv2.getPerspectiveTransform(box.astype(np.float32), target)
    crop = cv2.warpPerspective(image, matrix, inner, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(crop, (width, height), interpolation=cv2.INTER_LINEAR))


def whole(image: Image) -> Points:
    """Returns the corners of an image, clockwise from top left, float64 [4, 2]."""
    height, width = image.shape[:2]
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
