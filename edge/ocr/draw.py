"""Drawing what was read onto the photo."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge.plate.answer import ReadPlate
from edge.plate.country import Country
from edge.plate.kind import Font

COLOUR = (40, 210, 60)
"""BGR."""


def label_font(country: Country) -> Font | None:
    """Returns a font for the texts of a country's plates, None without Pillow or where none of its fonts is installed."""
    fonts = country.installed_fonts
    return fonts[0] if fonts and importlib.util.find_spec("PIL") else None


def draw_plates(
    bgr: npt.NDArray[np.uint8], plates: Sequence[ReadPlate], font: Font | None = None
) -> npt.NDArray[np.uint8]:
    """Draws boxes, and above each its text and score where there is a font.

    Args:
        bgr: uint8 [height, width, 3].
        plates: In the photo's pixels.
        font: From `label_font`.

    Returns:
        A drawn copy.
    """
    import cv2

    drawn = bgr.copy()
    thick = max(1, round(min(bgr.shape[:2]) / 300))
    for plate in plates:
        cv2.polylines(drawn, [plate.box.round().astype(np.int32)], True, COLOUR, thick, cv2.LINE_AA)
    return _draw_labels(drawn, plates, font) if plates and font else drawn


def _draw_labels(
    bgr: npt.NDArray[np.uint8], plates: Sequence[ReadPlate], font: Font
) -> npt.NDArray[np.uint8]:
    from PIL import Image, ImageDraw, ImageFont

    canvas = Image.fromarray(np.ascontiguousarray(bgr[:, :, ::-1]))
    draw = ImageDraw.Draw(canvas)
    size = max(12, round(min(bgr.shape[:2]) / 24))
    face = ImageFont.truetype(str(font.path), size, index=font.index)
    for plate in plates:
        label = f"{plate.text} {plate.score:.2f}"
        left, top, right, bottom = draw.textbbox((0, 0), label, font=face)
        width, height = right - left + 8, bottom - top + 8
        x = min(max(0.0, float(plate.box[:, 0].min())), max(0.0, bgr.shape[1] - width))
        y = float(plate.box[:, 1].min()) - height - 4
        if y < 0:
            y = min(float(plate.box[:, 1].max()) + 4, bgr.shape[0] - height)
        draw.rectangle((x, y, x + width, y + height), fill=COLOUR[::-1])
        draw.text((x + 4 - left, y + 4 - top), label, fill=(0, 0, 0), font=face)
    return np.ascontiguousarray(np.asarray(canvas)[:, :, ::-1])
