"""Chinese plates as flat pictures, one pixel a millimetre, laid out as GA 36-2018 prescribes.

440 x 140 mm: seven characters of 45 x 90 mm, 12 mm apart, a dot in the 34 mm after the second.
480 x 140 mm (new energy): the first character 45 mm wide, the others 43 mm, 9 mm apart, an emblem in the 49 mm after
the second. Both are framed by a line and begin 15.5 mm from the left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge.base.errors import UsageError
from edge.plate.ccpd import LETTERS, PROVINCES
from train.synth.glyphs import GLYPH_HEIGHT, GLYPH_WIDTH, glyph

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

REAL_PROVINCES = PROVINCES[:31]
REAL_LETTERS = LETTERS[:-1]
DIGITS = "0123456789"
LATIN = frozenset(REAL_LETTERS) | frozenset(DIGITS)
PLATE_HEIGHT = 140
TOP = 25  # From the plate's upper edge to the characters.

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Style:
    """One kind of plate.

    Attributes:
        width: Millimetres.
        top: Background at the upper edge, BGR.
        bottom: Background at the lower edge, BGR.
        ink: Characters and frame, BGR.
        endings: Characters that may end a text of this kind in place of a digit; red where the standard says so.
        share: How often the kind is drawn when none is asked for.
    """

    width: int
    top: Colour
    bottom: Colour
    ink: Colour
    endings: str
    share: float


STYLES: Mapping[str, Style] = {
    "blue": Style(440, (192, 93, 15), (184, 86, 13), (246, 246, 246), "", 0.60),
    "green": Style(480, (236, 240, 232), (118, 196, 78), (18, 18, 18), "", 0.25),
    "yellow": Style(440, (26, 186, 240), (22, 178, 236), (16, 16, 16), "学", 0.07),
    "white": Style(440, (240, 240, 240), (234, 234, 234), (20, 20, 20), "警", 0.05),
    "black": Style(440, (30, 26, 24), (26, 22, 20), (240, 240, 240), "港澳领", 0.03),
}
KINDS = tuple(STYLES)
_RED: Colour = (40, 30, 200)


def random_kind(rng: np.random.Generator) -> str:
    """Returns a kind of plate, by the shares of `STYLES`."""
    shares = np.array([STYLES[kind].share for kind in KINDS])
    return KINDS[int(rng.choice(len(KINDS), p=shares / shares.sum()))]


def random_text(rng: np.random.Generator, kind: str, plain: bool = False) -> str:
    """Returns a text as the rules of its kind allow; every province and letter is equally likely.

    Args:
        rng: Source of chance.
        kind: One of `KINDS`.
        plain: Only characters that CCPD's tables hold (no 警, 学, 港 ... at the end).

    Raises:
        UsageError: There is no such kind.
    """
    style = style_of(kind)
    head = _pick(rng, REAL_PROVINCES) + _pick(rng, REAL_LETTERS)
    if kind == "green":
        return head + _green_serial(rng)
    letters = int(rng.choice(3, p=(0.3, 0.4, 0.3)))  # At most two in a serial are letters.
    serial = [_pick(rng, DIGITS) for _ in range(5)]
    for place in rng.permutation(5)[:letters]:
        serial[place] = _pick(rng, REAL_LETTERS)
    if style.endings and not plain and rng.random() < (0.35 if kind == "yellow" else 0.8):
        serial[4] = _pick(rng, style.endings)
        if serial[4] in "港澳":
            head = "粤Z"
    return head + "".join(serial)


def _green_serial(rng: np.random.Generator) -> str:
    mark = _pick(rng, "DDDDFFF" + "ABCEGHJK")
    digits = [_pick(rng, DIGITS) for _ in range(5)]
    if rng.random() < 0.12:
        return "".join(digits) + _pick(rng, "DF")  # Large vehicles carry the letter at the end.
    if rng.random() < 0.3:
        digits[0] = _pick(rng, REAL_LETTERS)
    return mark + "".join(digits)


def style_of(kind: str) -> Style:
    """Returns the style of a kind.

    Raises:
        UsageError: There is no such kind.
    """
    if kind not in STYLES:
        raise UsageError(f"Unknown kind of plate {kind!r}.", f"Kinds: {', '.join(KINDS)}.")
    return STYLES[kind]


def kind_for(text: str) -> str:
    """Returns the kind of plate that carries a text: by its length and ending, else blue."""
    if len(text) == 8:
        return "green"
    return next((kind for kind, style in STYLES.items() if text[-1:] and text[-1] in style.endings), "blue")


def character_boxes(text: str, kind: str) -> list[tuple[float, int]]:
    """Returns (left edge, width) in mm of every character of a plate, by GA 36."""
    if kind == "green":
        lefts, widths = [15.5, 69.5], [45, 43]
        gap, following, width = 49.0, 9.0, 43
    else:
        lefts, widths = [15.5, 72.5], [45, 45]
        gap, following, width = 34.0, 12.0, 45
    left = lefts[1] + widths[1] + gap
    for _ in text[2:]:
        lefts.append(left)
        widths.append(width)
        left += width + following
    return list(zip(lefts, widths, strict=True))


def render_plate(rng: np.random.Generator, text: str, kind: str) -> Image:
    """Draws a plate face on.

    Args:
        rng: Source of chance: shades, stroke width, font of the Chinese characters, screws, wear.
        text: 7 characters, or 8 on a green plate.
        kind: One of `KINDS`.

    Returns:
        uint8 BGR picture of 140 x 440 or 140 x 480.

    Raises:
        UsageError: The kind is unknown, or the text's length does not fit it.
    """
    style = style_of(kind)
    if len(text) != (8 if kind == "green" else 7):
        raise UsageError(f"{text!r} has {len(text)} characters; a {kind} plate has {8 if kind == 'green' else 7}.")
    plate = _background(rng, style, kind, text)
    ink = np.zeros((PLATE_HEIGHT, style.width), np.uint8)
    red = np.zeros_like(ink) if style.endings else None
    stroke = float(rng.choice((8.5, 9.0, 9.5, 10.0, 10.5)))
    face = int(rng.choice(4, p=(0.5, 0.3, 0.12, 0.08)))
    rise = int(rng.integers(-1, 2))
    for position, (mark, (left, width)) in enumerate(zip(text, character_boxes(text, kind), strict=True)):
        layer = red if red is not None and _is_red(mark, position, kind) else ink
        mask = glyph(mark, stroke, face)
        if width != GLYPH_WIDTH:
            mask = cv2.resize(mask, (width, GLYPH_HEIGHT), interpolation=cv2.INTER_AREA)
        x, y = int(left) + int(rng.integers(0, 2)), TOP + rise
        if mark not in LATIN and rng.random() < 0.6:
            # Chinese characters are pressed a little smaller than their box.
            small = (width - int(rng.integers(1, 5)), GLYPH_HEIGHT - int(rng.integers(0, 7)))
            x, y = x + (width - small[0]) // 2, y + (GLYPH_HEIGHT - small[1]) // 2
            mask = cv2.resize(mask, small, interpolation=cv2.INTER_AREA)
        layer[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
    _ornaments(rng, ink, kind)
    if rng.random() < 0.5:
        # Embossed characters throw a thin shadow.
        shadow = cv2.warpAffine(ink, np.array([[1, 0, rng.uniform(-2, 2)], [0, 1, 2]], np.float32), ink.shape[::-1])
        plate = _blend(plate, (plate * 0.6).astype(np.uint8), np.asarray(shadow // 2, np.uint8))
    plate = _blend(plate, _shade(rng, style.ink, 10), ink)
    if red is not None:
        plate = _blend(plate, _RED, red)
    _screws(rng, plate, style.width)
    return plate


def _is_red(mark: str, position: int, kind: str) -> bool:
    return (kind == "white" and (mark == "警" or (position == 0 and mark in "WV"))) or (
        kind == "black" and mark == "领"
    )


def _background(rng: np.random.Generator, style: Style, kind: str, text: str) -> Image:
    top, bottom = _shade(rng, style.top, 14), _shade(rng, style.bottom, 14)
    ramp = np.linspace(0, 1, PLATE_HEIGHT, dtype=np.float32)[:, None, None]
    if kind == "green":
        ramp = np.clip(ramp * 1.25 - 0.05, 0, 1)
    column = np.array(top, np.float32) * (1 - ramp) + np.array(bottom, np.float32) * ramp
    plate = np.repeat(column, style.width, axis=1)
    if kind == "green" and text[-1] in "DF":
        plate[:, :130] = _shade(rng, (30, 190, 235), 12)  # Large new-energy vehicles: yellow head, green body.
        plate[:, 130:] = _shade(rng, (110, 195, 80), 12)
    return plate.astype(np.uint8)


def _ornaments(rng: np.random.Generator, ink: Image, kind: str) -> None:
    height, width = ink.shape
    if kind == "green":
        centre = (134 + int(rng.integers(-1, 2)), 70)
        if rng.random() < 0.7:
            cv2.circle(ink, centre, 9, 200, 2, cv2.LINE_AA)
            cv2.line(ink, (centre[0] - 4, 70), (centre[0] + 5, 70), 200, 2, cv2.LINE_AA)
    else:
        cv2.circle(ink, (134, 70), int(rng.integers(5, 7)), 255, -1, cv2.LINE_AA)
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


def _screws(rng: np.random.Generator, plate: Image, width: int) -> None:
    if rng.random() < 0.2:
        return
    grey = int(rng.integers(40, 230))
    x = 110 if width == 440 else 125
    streaked = rng.random() < 0.3
    for y in (15, PLATE_HEIGHT - 15):
        if rng.random() < 0.25:
            continue
        for centre in (x, width - x):
            at = (centre + int(rng.integers(-5, 6)), y + int(rng.integers(-4, 5)))
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


def _pick(rng: np.random.Generator, choices: str | tuple[str, ...]) -> str:
    return choices[int(rng.integers(len(choices)))]
