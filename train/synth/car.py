"""The rear or front of a car as a flat picture, one pixel a millimetre, with the place where its plate goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge.ocr.image import Image
from edge.plate.country import Country
from train.augment import weather as effects
from train.synth.glyphs import write_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH = 1900
HEIGHT = 1560

Colour = tuple[int, int, int]

# Invented names in the manner of badges: text near a plate that is not a plate.
BADGES = (
    "2.0T",
    "GT",
    "LX",
    "EV",
    "HYBRID",
    "1.5L",
    "AWD",
    "TURBO",
    "VELORA",
    "CASTEN",
    "MARINO",
    "S350",
    "X7",
    "LUMA",
)
_PAINTS: tuple[Colour, ...] = (
    (238, 238, 236),
    (225, 226, 228),
    (30, 28, 27),
    (18, 16, 16),
    (60, 58, 56),
    (150, 150, 148),
    (190, 190, 188),
    (40, 36, 150),
    (30, 24, 110),
    (110, 62, 28),
    (70, 40, 20),
    (60, 84, 100),
    (40, 90, 60),
)


@dataclass
class Car:
    """A drawn car.

    Attributes:
        image: uint8 BGR, `HEIGHT` x `WIDTH`.
        alpha: uint8, 255 where the car is.
        plate_centre: Where the middle of the plate belongs, pixels.
    """

    image: Image
    alpha: Image
    plate_centre: tuple[float, float]


def render_car(rng: np.random.Generator, country: Country) -> Car:
    """Draws a car from behind (two in three) or from the front, with words of the country, without its plate."""
    paint = _PAINTS[int(rng.integers(len(_PAINTS)))]
    paint = _vary(rng, paint, 14)
    canvas = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    rear = rng.random() < 0.66
    _body(rng, canvas, alpha, paint, country)
    centre = _rear(rng, canvas, paint) if rear else _front(rng, canvas, paint)
    canvas = _sheen(rng, canvas, alpha)
    _badges(rng, canvas, paint, centre if rear else None, country)
    _recess(rng, canvas, paint, centre, country)
    return Car(canvas, alpha, centre)


def _body(rng: np.random.Generator, canvas: Image, alpha: Image, paint: Colour, country: Country) -> None:
    roof = int(rng.integers(20, 120))
    waist = int(rng.integers(520, 640))
    inset = int(rng.integers(250, 430))
    outline = [
        (inset, roof + 40),
        (inset + 90, roof),
        (WIDTH - inset - 90, roof),
        (WIDTH - inset, roof + 40),
        (WIDTH - 120, waist),
        (WIDTH - 40, waist + 140),
        (WIDTH - 30, 1250),
        (WIDTH - 110, 1390),
        (110, 1390),
        (30, 1250),
        (40, waist + 140),
        (120, waist),
    ]
    shape = np.array(outline, np.int32)
    for x in (90, WIDTH - 330):
        cv2.rectangle(canvas, (x, 1180), (x + 240, 1530), (24, 24, 24), -1)
        cv2.rectangle(alpha, (x, 1180), (x + 240, 1530), 255, -1)
    cv2.rectangle(canvas, (200, 1350), (WIDTH - 200, 1450), (14, 14, 14), -1)
    cv2.rectangle(alpha, (200, 1350), (WIDTH - 200, 1450), 255, -1)
    cv2.fillPoly(canvas, [shape], paint)
    _fill_rounded(alpha, shape, float(rng.uniform(14, 40)))
    glass = _vary(rng, (46, 44, 40), 20)
    pane = np.array(
        [
            (inset + 90, roof + 50),
            (WIDTH - inset - 90, roof + 50),
            (WIDTH - 240, waist - 20),
            (240, waist - 20),
        ],
        np.int32,
    )
    window = np.zeros((waist, WIDTH), np.uint8)
    _fill_rounded(window, pane, float(rng.uniform(8, 24)))
    canvas[:waist][window > 0] = glass
    reflections = effects.noise_field(rng, (WIDTH, waist), (5.0, 17.0))
    bright = ((reflections - 0.45).clip(0, 1) * 2 * rng.uniform(30, 190)).clip(0, 255).astype(np.uint8)
    bright = cv2.bitwise_and(bright, window)
    canvas[:waist] = cv2.add(canvas[:waist], cv2.merge((bright, bright, bright)))
    if rng.random() < 0.3:
        write_text(
            canvas,
            str(rng.choice(country.words["stickers"])),
            (WIDTH - 620, waist - 130),
            60,
            (220, 230, 230),
            country,
        )


def _rear(rng: np.random.Generator, canvas: Image, paint: Colour) -> tuple[float, float]:
    lamp_top = int(rng.integers(620, 720))
    lamp_height = int(rng.integers(90, 230))
    lamp_width = int(rng.integers(200, 460))
    red = _vary(rng, (36, 30, 170), 26)
    for side in (1, -1):
        edge = 60 if side == 1 else WIDTH - 60
        quad = [
            (edge, lamp_top),
            (edge + side * lamp_width, lamp_top + 30),
            (edge + side * (lamp_width - 50), lamp_top + lamp_height),
            (edge, lamp_top + lamp_height + 20),
        ]
        cv2.fillPoly(canvas, [np.array(quad, np.int32)], red, cv2.LINE_AA)
        inner = (edge + side * lamp_width // 3, lamp_top + lamp_height // 2)
        cv2.ellipse(canvas, inner, (lamp_width // 5, lamp_height // 5), 0, 0, 360, (200, 210, 235), -1, cv2.LINE_AA)
    dark, light = _scale(paint, 0.6), _scale(paint, 1.25)
    cv2.line(canvas, (150, lamp_top - 20), (WIDTH - 150, lamp_top - 20), dark, 6, cv2.LINE_AA)
    bumper = int(rng.integers(1060, 1130))
    cv2.rectangle(canvas, (70, bumper), (WIDTH - 70, 1290), _vary(rng, paint, 5), -1)
    cv2.line(canvas, (60, bumper), (WIDTH - 60, bumper), dark, 7, cv2.LINE_AA)
    cv2.line(canvas, (60, bumper + 10), (WIDTH - 60, bumper + 10), light, 4, cv2.LINE_AA)
    cv2.rectangle(canvas, (260, 1270), (WIDTH - 260, 1385), (32, 32, 32), -1)
    for x in (190, WIDTH - 420):
        cv2.rectangle(canvas, (x, bumper + 90), (x + 230, bumper + 120), red, -1)
    for x in (320, WIDTH - 420):
        if rng.random() < 0.6:
            cv2.ellipse(canvas, (x + 50, 1370), (60, 32), 0, 0, 360, (150, 150, 150), -1, cv2.LINE_AA)
            cv2.ellipse(canvas, (x + 50, 1370), (46, 22), 0, 0, 360, (15, 15, 15), -1, cv2.LINE_AA)
    chrome = int(rng.integers(120, 230))
    if rng.random() < 0.6:
        y = lamp_top + int(rng.integers(20, 70))
        cv2.rectangle(canvas, (520, y), (WIDTH - 520, y + 26), (chrome, chrome, chrome), -1)
    if rng.random() < 0.3:
        return WIDTH / 2, float(bumper + 95)
    return WIDTH / 2, float(lamp_top + rng.integers(170, 290))


def _front(rng: np.random.Generator, canvas: Image, paint: Colour) -> tuple[float, float]:
    top = int(rng.integers(700, 780))
    dark = _scale(paint, 0.6)
    cv2.line(canvas, (200, 660), (420, top), dark, 6, cv2.LINE_AA)
    cv2.line(canvas, (WIDTH - 200, 660), (WIDTH - 420, top), dark, 6, cv2.LINE_AA)
    for side in (1, -1):
        edge = 70 if side == 1 else WIDTH - 70
        lamp = [
            (edge, top),
            (edge + side * 380, top + 70),
            (edge + side * 340, top + 190),
            (edge + side * 30, top + 130),
        ]
        cv2.fillPoly(canvas, [np.array(lamp, np.int32)], (205, 205, 200), cv2.LINE_AA)
        cv2.circle(canvas, (edge + side * 220, top + 115), 46, (90, 90, 90), -1, cv2.LINE_AA)
        cv2.circle(canvas, (edge + side * 220, top + 115), 30, (240, 240, 240), -1, cv2.LINE_AA)
    left, right, bottom = 520, WIDTH - 520, top + int(rng.integers(190, 260))
    grille = np.array([(left, top + 30), (right, top + 30), (right - 80, bottom), (left + 80, bottom)], np.int32)
    cv2.fillPoly(canvas, [grille], (22, 22, 22), cv2.LINE_AA)
    chrome = int(rng.integers(110, 235))
    step = int(rng.integers(20, 44))
    if rng.random() < 0.5:
        for y in range(top + 45, bottom - 8, step):
            cv2.line(canvas, (left + 40, y), (right - 40, y), (chrome, chrome, chrome), 9, cv2.LINE_AA)
    else:
        for x in range(left + 60, right - 50, step):
            cv2.line(canvas, (x, top + 38), (x, bottom - 6), (chrome, chrome, chrome), 9, cv2.LINE_AA)
    cv2.polylines(canvas, [grille], True, (chrome, chrome, chrome), 12, cv2.LINE_AA)
    cv2.circle(canvas, (WIDTH // 2, (top + 30 + bottom) // 2), 70, (chrome, chrome, chrome), 14, cv2.LINE_AA)
    cv2.rectangle(canvas, (430, 1210), (WIDTH - 430, 1330), (26, 26, 26), -1)
    for x in (140, WIDTH - 380):
        cv2.rectangle(canvas, (x, 1160), (x + 240, 1270), (34, 34, 34), -1)
        cv2.circle(canvas, (x + 120, 1215), 44, (190, 190, 190), -1, cv2.LINE_AA)
    return WIDTH / 2, float(rng.integers(1085, 1150))


def _badges(
    rng: np.random.Generator, canvas: Image, paint: Colour, rear: tuple[float, float] | None, country: Country
) -> None:
    chrome = int(rng.integers(130, 240)) if sum(paint) < 420 else int(rng.integers(40, 150))
    colour = (chrome, chrome, chrome)
    if rear is None:  # Seen from the front, a car has none.
        return
    y = int(rear[1])
    for words, chance, sizes, left, below in (
        (BADGES, 0.8, (40, 72), (1250, 1480), 130),
        (country.words["makers"], 0.6, (38, 64), (200, 380), 120),
    ):
        if rng.random() < chance:
            size, word = int(rng.integers(*sizes)), str(rng.choice(words))
            at = (int(rng.integers(*left)), y + int(rng.integers(-60, below)))
            write_text(canvas, word, at, size, colour, country)
    cv2.circle(canvas, (WIDTH // 2, y - int(rng.integers(170, 210))), 62, colour, 11, cv2.LINE_AA)
    cv2.line(canvas, (WIDTH // 2 - 50, y - 190), (WIDTH // 2 + 50, y - 190), colour, 9, cv2.LINE_AA)


def _recess(
    rng: np.random.Generator, canvas: Image, paint: Colour, centre: tuple[float, float], country: Country
) -> None:
    x, y = int(centre[0]), int(centre[1])
    if rng.random() < 0.55:
        width, height = int(rng.integers(275, 330)), int(rng.integers(88, 118))
        cv2.rectangle(
            canvas, (x - width, y - height), (x + width, y + height), _scale(paint, rng.uniform(0.45, 0.8)), -1
        )
        cv2.rectangle(canvas, (x - width, y - height), (x + width, y + height), _scale(paint, 0.35), 6, cv2.LINE_AA)
    if rng.random() < 0.35:
        # A dealer's frame around the plate, with its own line of text.
        grey = int(rng.choice((20, 40, 170, 210)))
        cv2.rectangle(canvas, (x - 246, y - 78), (x + 246, y + 100), (grey, grey, grey), -1)
        words = str(rng.choice(country.words["dealers"]))
        ink = (230, 230, 230) if grey < 100 else (30, 30, 30)
        write_text(canvas, words, (x - 110, y + 78), 20, ink, country)


def _fill_rounded(mask: Image, shape: NDArray[np.int32], softness: float) -> None:
    """Fills a polygon with corners rounded by about `softness` pixels: blurred, then cut at half; in place."""
    small = np.zeros((mask.shape[0] // 4, mask.shape[1] // 4), np.uint8)
    cv2.fillPoly(small, [shape // 4], 255)
    soft = cv2.resize(cv2.GaussianBlur(small, (0, 0), softness / 4), mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
    mask[soft > 127] = 255


def _sheen(rng: np.random.Generator, canvas: Image, alpha: Image) -> Image:
    """Curved sheet metal: bright at the waist, darker below and towards its edges, with reflections of the street."""
    y = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None]
    band = 1 + 0.22 * np.exp(-(((y - rng.uniform(0.38, 0.5)) / 0.06) ** 2)) - 0.38 * np.clip(y - 0.55, 0, 1)
    x = np.linspace(-1, 1, WIDTH, dtype=np.float32)[None, :]
    sides = 1 - 0.25 * x**4
    small = cv2.copyMakeBorder(cv2.resize(alpha, None, fx=0.25, fy=0.25), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform((small > 127).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1] * 4
    rim = cv2.resize(0.55 + 0.45 * np.clip(depth / rng.uniform(40, 110), 0, 1) ** 0.6, (WIDTH, HEIGHT))
    street = 0.8 + 0.25 * effects.noise_field(rng, (WIDTH, HEIGHT), (4.0, 11.0, 60.0))
    # What stands behind the photographer is drawn out sideways in the paint.
    mirrored = cv2.resize(rng.random((24, 3), dtype=np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return effects.multiply(canvas, (band * sides * rim * (street + 0.25 * (mirrored - 0.4))).astype(np.float32))


def _vary(rng: np.random.Generator, colour: Colour, spread: int) -> Colour:
    common = int(rng.integers(-spread, spread + 1))
    b, g, r = (int(np.clip(channel + common + rng.integers(-4, 5), 0, 255)) for channel in colour)
    return b, g, r


def _scale(colour: Colour, factor: float) -> Colour:
    b, g, r = (int(min(255, channel * factor)) for channel in colour)
    return b, g, r
