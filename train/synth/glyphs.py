"""Characters as masks: plate capitals and digits from the kit's own strokes, all others from the country's fonts.

Letters and digits on plates are a condensed face of one stroke width that no packaged font comes near, so they are
drawn here from centre lines in a box of 45 x 90 mm (GA 36, table of character sizes). Other characters are taken from
an installed font and squeezed into the same box. One pixel is one millimetre.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge.base.errors import HostError
from edge.plate.country import FILE_NAME, FONT_ROOT, Country
from edge.plate.kind import Font

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.uint8]

GLYPH_WIDTH = 45
GLYPH_HEIGHT = 90
_SCALE = 8  # Masks are drawn this much larger and shrunk by area, which is their anti-aliasing.

Line = list[tuple[float, float]]


def _arc(cx: float, cy: float, rx: float, ry: float, start: float, end: float) -> Line:
    steps = max(4, int(abs(end - start) / 8))
    angles = [math.radians(start + (end - start) * step / steps) for step in range(steps + 1)]
    return [(cx + rx * math.cos(angle), cy + ry * math.sin(angle)) for angle in angles]


def _bar(*points: tuple[float, float]) -> Line:
    return list(points)


_LEFT = _bar((5, -4), (5, 94))
_RIGHT = _bar((40, -4), (40, 94))
_RING = [*_arc(22.5, 24, 17.5, 19, -180, 0), *_arc(22.5, 66, 17.5, 19, 0, 180), (5.0, 24.0)]
_BOWL = [(5.0, 5.0), (23.0, 5.0), *_arc(23, 27, 17, 22, -90, 90), (5.0, 49.0)]

# Centre lines in mm, x right, y down; what lies outside the box is cut off, which gives flat ends.
STROKES: dict[str, list[Line]] = {
    "A": [_bar((3, 96), (20.5, -4)), _bar((42, 96), (24.5, -4)), _bar((10, 63), (35, 63))],
    "B": [
        _LEFT,
        [(5, 5), (24, 5), *_arc(24, 24, 14.5, 19, -90, 90), (5, 43)],
        [(5, 43), (24, 43), *_arc(24, 64, 16, 21, -90, 90), (5, 85)],
    ],
    "C": [[*_arc(22.5, 24, 17.5, 19, 15, -180), *_arc(22.5, 66, 17.5, 19, 180, -15)]],
    "D": [_LEFT, [(5, 5), (20, 5), *_arc(20, 25, 20, 20, -90, 0), *_arc(20, 65, 20, 20, 0, 90), (5, 85)]],
    "E": [_LEFT, _bar((5, 5), (49, 5)), _bar((5, 43), (36, 43)), _bar((5, 85), (49, 85))],
    "F": [_LEFT, _bar((5, 5), (49, 5)), _bar((5, 43), (37, 43))],
    "G": [[*_arc(22.5, 24, 17.5, 19, 10, -180), *_arc(22.5, 66, 17.5, 19, 180, 0), (40, 49), (24, 49)]],
    "H": [_LEFT, _RIGHT, _bar((5, 43), (40, 43))],
    "I": [_bar((22.5, -4), (22.5, 94))],
    "J": [[(38, -4), (38, 66), *_arc(22, 66, 16, 19, 0, 170)]],
    "K": [_LEFT, _bar((44, -8), (7, 56)), _bar((18, 36), (44, 98))],
    "L": [_LEFT, _bar((5, 85), (49, 85))],
    "M": [_LEFT, _RIGHT, _bar((5, 0), (22.5, 60), (40, 0))],
    "N": [_LEFT, _RIGHT, _bar((4, -2), (41, 92))],
    "O": [_RING],
    "P": [_LEFT, _BOWL],
    "Q": [_RING, _bar((25, 63), (45, 92))],
    "R": [_LEFT, _BOWL, _bar((21, 49), (43, 98))],
    "S": [
        [
            *_arc(22.5, 24, 17.5, 19, 10, -180),
            (6, 32),
            (12, 39),
            (33, 51),
            (39, 58),
            *_arc(22.5, 66, 17.5, 19, 0, 170),
        ]
    ],
    "T": [_bar((-4, 5), (49, 5)), _bar((22.5, 5), (22.5, 94))],
    "U": [[(5, -4), *_arc(22.5, 65, 17.5, 20, 180, 0), (40, -4)]],
    "V": [_bar((2, -6), (21, 96)), _bar((43, -6), (24, 96))],
    "W": [_bar((1.5, -6), (11, 96)), _bar((13, 96), (22.5, 14), (32, 96)), _bar((43.5, -6), (34, 96))],
    "X": [_bar((1, -6), (44, 96)), _bar((44, -6), (1, 96))],
    "Y": [_bar((1, -6), (22.5, 46), (44, -6)), _bar((22.5, 44), (22.5, 94))],
    "Z": [_bar((-4, 5), (39, 5), (6, 85), (49, 85))],
    "0": [_RING],
    "1": [_bar((22.5, -4), (22.5, 94))],
    "2": [[*_arc(22.5, 23, 17.5, 18, -185, 0), (39, 33), (34, 44), (7, 85), (49, 85)]],
    "3": [
        _arc(22, 24, 16.5, 19, -170, 90),
        _arc(22, 64, 18, 21, -90, 172),
    ],
    "4": [_bar((24, -6), (5, 63), (49, 63)), _bar((32, 36), (32, 94))],
    "5": [[(44, 5), (9, 5), (6.5, 44), *_arc(21.5, 60, 18.5, 25, -130, 155)]],
    "6": [_bar((32, -8), (8, 48)), [*_arc(22.5, 60, 17.5, 25, -180, 180)]],
    "7": [_bar((-4, 5), (39, 5), (15, 98))],
    "8": [_arc(22.5, 24, 15.5, 19, -180, 180), _arc(22.5, 64, 17.5, 21, -180, 180)],
    "9": [_bar((13, 98), (37, 42)), [*_arc(22.5, 30, 17.5, 25, -180, 180)]],
}
_THIN = {"W": 0.82, "M": 0.88}


@lru_cache(maxsize=4096)
def glyph(mark: str, country: Country, stroke: float = 10.0, face: int = 0) -> Mask:
    """Returns the mask of one plate character.

    Args:
        mark: Capital, digit or any character of the country's fonts.
        country: Gives the fonts.
        stroke: Stroke width of capitals and digits in mm.
        face: Which of the country's installed fonts to use, counted round.

    Returns:
        uint8 array of 90 x 45, 255 where there is ink.

    Raises:
        HostError: A character needs a font and none is installed.
    """
    if mark in STROKES:
        mask = _drawn(mark, stroke)
    else:
        mask = cv2.resize(
            text_mask(mark, 160, country, face), (GLYPH_WIDTH, GLYPH_HEIGHT), interpolation=cv2.INTER_AREA
        )
    mask.setflags(write=False)
    return mask


def _drawn(mark: str, stroke: float) -> Mask:
    canvas = np.zeros((GLYPH_HEIGHT * _SCALE, GLYPH_WIDTH * _SCALE), np.uint8)
    thickness = max(1, round(stroke * _THIN.get(mark, 1.0) * _SCALE))
    lines = [np.round(np.array(line) * _SCALE).astype(np.int32).reshape(-1, 1, 2) for line in STROKES[mark]]
    cv2.polylines(canvas, lines, False, 255, thickness, cv2.LINE_8)
    return cv2.resize(canvas, (GLYPH_WIDTH, GLYPH_HEIGHT), interpolation=cv2.INTER_AREA)


@lru_cache(maxsize=64)
def _font(font: Font, size: int) -> object:
    from PIL import ImageFont

    return ImageFont.truetype(str(font.path), size, index=font.index)


def text_mask(text: str, size: int, country: Country, face: int = 0) -> Mask:
    """Renders a line of any text in an installed font, cropped to its ink.

    Args:
        text: What to write; not empty.
        size: Font size in pixels.
        country: Gives the fonts.
        face: Which of those that are installed, counted round.

    Returns:
        uint8 array, 255 where there is ink; at least 1 x 1.

    Raises:
        HostError: None of the fonts is installed.
    """
    from PIL import Image, ImageDraw

    fonts = country.installed_fonts
    if not fonts:
        raise HostError(
            f"No font with the characters of {country.title} is installed under {FONT_ROOT}.",
            f"On Debian: apt-get install {country.font_package}"
            if country.font_package
            else f"Name one that has them in `fonts` of {country.folder / FILE_NAME}.",
        )
    font = _font(fonts[face % len(fonts)], size)
    left, top, right, bottom = font.getbbox(text)  # type: ignore[attr-defined]
    image = Image.new("L", (max(1, right - left), max(1, bottom - top)), 0)
    ImageDraw.Draw(image).text((-left, -top), text, font=font, fill=255)  # type: ignore[arg-type]
    return np.array(image)


def write_text(
    canvas: Mask, text: str, at: tuple[int, int], size: int, colour: tuple[int, int, int], country: Country
) -> None:
    """Writes a line of text into a picture, in place; what goes beyond its edges is cut off.

    Args:
        canvas: uint8 BGR array.
        text: What to write; not empty.
        at: Left top corner of the ink; nothing is written when it lies outside.
        size: Font size in pixels.
        colour: BGR.
        country: Gives the fonts.
    """
    mask = text_mask(text, size, country)
    x, y = at
    height = min(mask.shape[0], canvas.shape[0] - y)
    width = min(mask.shape[1], canvas.shape[1] - x)
    if x < 0 or y < 0 or height < 1 or width < 1:
        return
    area = canvas[y : y + height, x : x + width]
    weight = mask[:height, :width, None].astype(np.float32) / 255
    area[:] = (area * (1 - weight) + np.array(colour, np.float32) * weight).astype(np.uint8)
