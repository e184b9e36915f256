"""Puts a rendered plate in the place of a photographed one: real scenes, real light, any kind and any text.

Photos rarely show some kinds and some provinces; the scenes around them are worth more than rendered ones.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edge.ocr.geometry import Points
from edge.ocr.image import Image
from edge.plate.country import Country
from train.augment.photometric import Random
from train.synth.plate import render_plate
from train.synth.text import random_text, swapped_kind

LEAST_WIDTH = 8
"""Pixels; nothing can be rendered into less."""


def swap_plate(image: Image, quad: Points, rng: Random, country: Country) -> tuple[Image, str | None]:
    """Replaces the plate at `quad` by a rendered one of about the same brightness and sharpness.

    Args:
        image: uint8 [height, width, 3]; it is not changed.
        quad: float64 [4, 2], the plate's corners clockwise from top left.
        rng: The only source of chance.
        country: Of both plates.

    Returns:
        A new image, and the text of the new plate; None when the old one lies outside the image, or is too small to
        hold one, and was left there.
    """
    kind = swapped_kind(rng, country)
    text = random_text(rng, country, kind, plain=True)
    plate = render_plate(rng, text, kind, country)
    result = image.copy()
    low = np.maximum(np.floor(quad.min(axis=0)).astype(int) - 4, 0)
    high = np.minimum(np.ceil(quad.max(axis=0)).astype(int) + 5, (image.shape[1], image.shape[0]))
    wide = float(np.hypot(*(quad[1] - quad[0])))
    if (high - low).min() < 8 or wide < LEAST_WIDTH:
        return result, None
    part = result[low[1] : high[1], low[0] : high[0]]
    size = (part.shape[1], part.shape[0])
    factor = min(1.0, 1.5 * wide / plate.shape[1])
    if factor < 1:
        plate = cv2.resize(plate, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    height, width = plate.shape[:2]
    flat = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(flat, (quad - low).astype(np.float32))
    seen = cv2.warpPerspective(plate, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpPerspective(np.full((height, width), 255, np.uint8), matrix, size)
    warped = _lit_as(part, seen, mask, rng)
    blur = rng.uniform(0.3, 0.012 * wide + 0.4)
    warped, mask = cv2.GaussianBlur(warped, (0, 0), blur), cv2.GaussianBlur(mask, (0, 0), 0.7)
    alpha = (mask.astype(np.float32) / 255)[..., None]
    part[:] = (part * (1 - alpha) + warped * alpha).astype(np.uint8)
    return result, text


def _lit_as(old: Image, new: Image, mask: Image, rng: Random) -> npt.NDArray[np.float32]:
    """Scales the new plate to the old one's brightness, half way or all of it, with its coarse shadows and its grain."""
    inside = mask > 127
    if not inside.any():
        return new.astype(np.float32)
    luminance = cv2.cvtColor(old, cv2.COLOR_BGR2GRAY).astype(np.float32)
    # The brightest tenth is the characters of a dark plate and the ground of a light one: white, in this light.
    white = np.percentile(luminance[inside], 90)
    fresh = np.percentile(cv2.cvtColor(new, cv2.COLOR_BGR2GRAY)[inside], 90)
    gain = (max(white, 12.0) / max(fresh, 12.0)) ** rng.uniform(0.5, 1.0)
    coarse = cv2.GaussianBlur(luminance, (0, 0), max(2.0, old.shape[0] / 3))
    shade = np.clip(coarse / max(float(coarse[inside].mean()), 1.0), 0.5, 1.6)[..., None]
    grain = rng.normal(0, rng.uniform(1, 7), new.shape).astype(np.float32)
    return np.asarray(np.clip(new * gain * shade + grain, 0, 255), np.float32)
