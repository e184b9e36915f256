"""Rendered crops for the recogniser, fast enough to be drawn while it trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge.base.errors import UsageError
from edge.ocr.image import Image
from edge.plate.ccpd import sort_vertices
from edge.plate.country import Country
from train.augment import weather as effects
from train.synth import geometry
from train.synth.plate import render_plate
from train.synth.text import random_kind, random_text

if TYPE_CHECKING:

    from train.synth.geometry import Matrix, Quad


_MARGIN = 60  # mm of bodywork drawn around the plate: a loose box shows some of it.


def render_crop(
    rng: np.random.Generator,
    country: Country,
    text: str | None = None,
    kind: str | None = None,
    size: tuple[int, int] | None = None,
) -> tuple[Image, str]:
    """Renders a plate as the detector would have cut it out of a photo.

    The plate is posed before a camera, and the crop is cut as real ones are: from annotated corners with the
    annotator's error, from the minimum-area rectangle that a detector gives, or from an upright box.

    Args:
        rng: Source of chance; the same state gives the same crop.
        country: Of the plate.
        text: The plate; by the rules of its kind when None.
        kind: Name of one of the country's; when None by the text, or by chance.
        size: Width and height in pixels of the result; when None the size it would have in a photo (90 to 330 wide).

    Returns:
        uint8 BGR array, and the text without separator.

    Raises:
        UsageError: The kind is unknown or does not fit the text, or no kind has texts of that length.
    """
    style = country.kind(kind) if kind else random_kind(rng, country) if text is None else country.kind_of(text)
    if style is None:
        raise UsageError(f"{text!r} is not a plate of {country.title}.")
    if text is None:
        text = random_text(rng, country, style)
    plate = render_plate(rng, text, style, country)
    height, width = plate.shape[:2]
    if rng.random() < 0.12:
        plate = effects.dirt(rng, plate, float(rng.uniform(0, 0.6)))
    if rng.random() < 0.6:
        plate = effects.lighting(rng, plate, float(rng.uniform(0.1, 0.5)))
    scene = cv2.copyMakeBorder(plate, *(_MARGIN,) * 4, cv2.BORDER_CONSTANT, value=_bodywork(rng))
    _surroundings(rng, scene, width, height)

    pose = geometry.project((width, height), geometry.random_pose(rng), float(rng.uniform(900, 4000)))
    native = 94.0 if rng.random() < 0.15 else float(np.clip(rng.normal(225, 50), 80, 340))
    in_photo = geometry.corners(pose, (width, height))
    scale = native / geometry.edge_lengths(in_photo)[0]
    matrix = geometry.place(pose, scale, (0.0, 0.0))
    quad = _cut(rng, geometry.corners(matrix, (width, height)))
    crop_width, crop_height = (max(8, int(edge)) for edge in geometry.edge_lengths(quad))
    crop = _warp(scene, matrix, quad, (crop_width, crop_height))
    crop = _camera(rng, crop)
    if size is not None:
        crop = cv2.resize(crop, size, interpolation=cv2.INTER_LINEAR)
    return crop, text


def _warp(scene: Image, matrix: Matrix, quad: Quad, size: tuple[int, int]) -> Image:
    width, height = size
    flat = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    cut = cv2.getPerspectiveTransform(quad, flat)
    shift = np.array([[1, 0, -_MARGIN], [0, 1, -_MARGIN], [0, 0, 1]], np.float64)
    total = cut @ matrix @ shift
    # A plate drawn at 440 pixels aliases when it is warped to 100: shrink it by area first.
    factor = min(1.0, 1.6 * width / scene.shape[1])
    if factor < 0.8:
        scene = cv2.resize(scene, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        total = total @ np.diag((1 / factor, 1 / factor, 1.0))
    return cv2.warpPerspective(scene, total, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _cut(rng: np.random.Generator, plate: Quad) -> Quad:
    """The corners by which a crop is cut, given the plate's corners: both in photo pixels."""
    width, height = geometry.edge_lengths(plate)
    way = rng.random()
    if way < 0.5:
        error = rng.normal(0, 0.02, (4, 2)) * (0.6 * height, height)
        quad = plate + error
    elif way < 0.85:
        box = cv2.boxPoints(cv2.minAreaRect(plate))
        quad = np.array(sort_vertices(box.tolist()))
    else:
        left, top = plate.min(axis=0)
        right, bottom = plate.max(axis=0)
        quad = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    centre = quad.mean(axis=0)
    grow = 1 + rng.uniform(-0.02, 0.09, 2) * (1.0, 1.6)
    drift = rng.normal(0, 0.012, 2) * (width, 2 * height)
    return np.asarray((quad - centre) * grow + centre + drift, np.float32)


def _bodywork(rng: np.random.Generator) -> tuple[int, int, int]:
    level = int(rng.choice((rng.integers(5, 60), rng.integers(60, 180), rng.integers(180, 250))))
    b, g, r = (int(np.clip(level + rng.integers(-18, 19), 0, 255)) for _ in range(3))
    return b, g, r


def _surroundings(rng: np.random.Generator, scene: Image, width: int, height: int) -> None:
    """Draws what borders a plate: a frame, the recess's shadow, edges of the bumper. In place."""
    if rng.random() < 0.45:
        # A holder; it reaches over the plate's edge by a few mm, the characters begin 15 mm from it.
        inset = _MARGIN - int(rng.integers(2, 14))
        corner = (scene.shape[1] - inset, scene.shape[0] - inset)
        cv2.rectangle(scene, (inset, inset), corner, _bodywork(rng), int(rng.integers(3, 14)))
    for _ in range(int(rng.integers(0, 4))):
        y = int(rng.choice((rng.integers(0, _MARGIN - 6), rng.integers(_MARGIN + height + 6, scene.shape[0]))))
        slope = int(rng.integers(-6, 7))
        cv2.line(scene, (0, y), (scene.shape[1], y + slope), _bodywork(rng), int(rng.integers(2, 12)))


def _camera(rng: np.random.Generator, crop: Image) -> Image:
    width = crop.shape[1]
    if rng.random() < 0.06:
        crop = effects.rain(rng, crop, int(rng.integers(5, 40)))
    elif rng.random() < 0.06:
        crop = effects.snow(rng, crop, int(rng.integers(3, 40)))
    if rng.random() < 0.08:
        crop = effects.glare(rng, crop)
    crop = effects.night(rng, crop) if rng.random() < 0.07 else effects.exposure(rng, crop)
    # No lens is perfect: some blur always, more now and then.
    crop = effects.defocus(crop, (0.35 + float(rng.gamma(1.6, 0.32))) * width / 220)
    if rng.random() < 0.2:
        crop = effects.motion(rng, crop, int(rng.integers(2, 9) * width / 220))
    if rng.random() < 0.2:
        crop = effects.coarse(crop, float(rng.uniform(1.2, 2.5)))
    if rng.random() < 0.7:
        crop = effects.grain(rng, crop, float(rng.gamma(2.0, 1.3)))
    if rng.random() < 0.8:
        crop = effects.jpeg(crop, int(rng.integers(30, 96)))
    return crop
