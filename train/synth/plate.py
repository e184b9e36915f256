"""Plates as flat pictures, one pixel a millimetre, as their country lays them out."""

from __future__ import annotations

import cv2
import numpy as np

from edge.base.errors import UsageError
from edge.ocr.image import Image
from edge.plate.country import Country
from edge.plate.kind import Colour, PlateKind
from train.synth.glyphs import GLYPH_HEIGHT, GLYPH_WIDTH, STROKES, glyph


def render_plate(rng: np.random.Generator, text: str, kind: PlateKind, country: Country) -> Image:
    """Draws a plate face on.

    Args:
        rng: Source of chance: shades, stroke width, font of the characters without strokes, screws, wear.
        text: As many characters as the kind has boxes.
        kind: One of the country's.
        country: Of the plate; gives the fonts.

    Returns:
        uint8 BGR picture of the kind's size, one pixel a mm.

    Raises:
        UsageError: The text's length does not fit the kind.
        HostError: A character needs a font, and none is installed.
    """
    if len(text) != len(kind.layout.boxes):
        raise UsageError(f"{text!r} has {len(text)} characters; a {kind.name} plate has {len(kind.layout.boxes)}.")
    plate = _background(rng, kind, country, text)
    ink = np.zeros(plate.shape[:2], np.uint8)
    red = np.zeros_like(ink)
    stroke = float(rng.choice((8.5, 9.0, 9.5, 10.0, 10.5)))
    face = int(rng.choice(4, p=(0.5, 0.3, 0.12, 0.08)))
    rise = int(rng.integers(-1, 2))
    for mark, box in zip(text, kind.layout.boxes, strict=True):
        layer = red if mark in kind.red else ink
        width, height = int(box.width), int(box.height)
        mask = glyph(mark, country, stroke, face)
        if (width, height) != (GLYPH_WIDTH, GLYPH_HEIGHT):
            mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
        x, y = int(box.x) + int(rng.integers(0, 2)), int(box.y) + rise
        if mark not in STROKES and rng.random() < 0.6:
            # Characters from a font are pressed a little smaller than their box.
            small = (width - int(rng.integers(1, 5)), height - int(rng.integers(0, 7)))
            x, y = x + (width - small[0]) // 2, y + (height - small[1]) // 2
            mask = cv2.resize(mask, small, interpolation=cv2.INTER_AREA)
        layer[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
    _ornaments(rng, ink, kind)
    if rng.random() < 0.5:
        # Embossed characters throw a thin shadow.
        shadow = cv2.warpAffine(ink, np.array([[1, 0, rng.uniform(-2, 2)], [0, 1, 2]], np.float32), ink.shape[::-1])
        plate = _blend(plate, (plate * 0.6).astype(np.uint8), np.asarray(shadow // 2, np.uint8))
    plate = _blend(plate, _shade(rng, kind.ink, 10), ink)
    if red.any():
        plate = _blend(plate, kind.red_ink, red)
    _screws(rng, plate, kind.layout.screws_mm)
    return plate


def _background(rng: np.random.Generator, kind: PlateKind, country: Country, text: str) -> Image:
    width, height = kind.layout.size_mm
    top, bottom = (_shade(rng, colour, 14) for colour in kind.ground)
    slope, offset = kind.ramp
    ramp = np.clip(np.linspace(0, 1, height, dtype=np.float32)[:, None, None] * slope + offset, 0, 1)
    column = np.array(top, np.float32) * (1 - ramp) + np.array(bottom, np.float32) * ramp
    plate = np.repeat(column, width, axis=1)
    form = next((form for form in kind.forms if country.grammar.follows(text, form.template)), None)
    if form and form.head:
        for part, colour in zip(np.split(plate, [form.head.width_mm], axis=1), form.head.colours, strict=True):
            part[:] = _shade(rng, colour, 12)
    return plate.astype(np.uint8)


def _ornaments(rng: np.random.Generator, ink: Image, kind: PlateKind) -> None:
    height, width = ink.shape
    for ornament in kind.ornaments:
        x, y = ornament.x, ornament.y
        if ornament.shape == "dot":
            cv2.circle(ink, (x, y), int(rng.integers(5, 7)), 255, -1, cv2.LINE_AA)
        elif ornament.shape == "emblem":
            x += int(rng.integers(-1, 2))
            if rng.random() < 0.7:
                cv2.circle(ink, (x, y), 9, 200, 2, cv2.LINE_AA)
                cv2.line(ink, (x - 4, y), (x + 5, y), 200, 2, cv2.LINE_AA)
        else:
            inset, line = int(rng.integers(3, 7)), int(rng.integers(2, 4))
            _rounded(ink, inset, width - 1 - inset, height - 1 - inset, 8, line)


def _rounded(ink: Image, start: int, right: int, bottom: int, radius: int, line: int) -> None:
    r = radius
    for a, b in (
        ((start + r, start), (right - r, start)),
        ((start + r, bottom), (right - r, bottom)),
        ((start, start + r), (start, bottom - r)),
        ((right, start + r), (right, bottom - r)),
    ):
        cv2.line(ink, a, b, 255, line)
    for centre, angle in (
        ((start + r, start + r), 180),
        ((right - r, start + r), 270),
        ((right - r, bottom - r), 0),
        ((start + r, bottom - r), 90),
    ):
        cv2.ellipse(ink, centre, (r, r), angle, 0, 90, 255, line)


def _screws(rng: np.random.Generator, plate: Image, place: tuple[int, int]) -> None:
    if rng.random() < 0.2:
        return
    height, width = plate.shape[:2]
    grey = int(rng.integers(40, 230))
    streaked = rng.random() < 0.3
    for y in (place[1], height - place[1]):
        if rng.random() < 0.25:
            continue
        for x in (place[0], width - place[0]):
            at = (x + int(rng.integers(-5, 6)), y + int(rng.integers(-4, 5)))
            radius = int(rng.integers(4, 10))
            if streaked and rng.random() < 0.8:
                _streak(rng, plate, at, radius)
            cv2.circle(plate, at, radius, (grey, grey, grey), -1, cv2.LINE_AA)
            cv2.circle(plate, (at[0] + 1, at[1] + 1), max(1, radius // 3), (grey // 2,) * 3, -1, cv2.LINE_AA)


def _streak(rng: np.random.Generator, plate: Image, at: tuple[int, int], radius: int) -> None:
    """What water washes down from a screw."""
    half = max(1, radius // 2)
    left, right = at[0] - half, at[0] + half + 1
    area = plate[at[1] : at[1] + int(rng.integers(15, 80)), left:right]
    fade = np.linspace(rng.uniform(0.3, 0.6), 0, area.shape[0], dtype=np.float32)[:, None, None]
    rust = np.array((40, 60, 80), np.float32)
    area[:] = (area + (rust - area) * fade).astype(np.uint8)


def _blend(under: Image, over: Image | Colour, mask: Image) -> Image:
    weight = cv2.merge((mask, mask, mask))
    if isinstance(over, tuple):
        over = np.full_like(under, over)
    kept = cv2.multiply(under, cv2.bitwise_not(weight), scale=1 / 255)
    return cv2.add(kept, cv2.multiply(over, weight, scale=1 / 255))


def _shade(rng: np.random.Generator, colour: Colour, spread: int) -> Colour:
    offsets = rng.integers(-spread, spread + 1, 3) + rng.integers(-spread, spread + 1)
    b, g, r = (int(np.clip(channel + offset, 0, 255)) for channel, offset in zip(colour, offsets, strict=True))
    return b, g, r
