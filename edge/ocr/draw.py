"""Drawing what was read onto the photo."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.plate.answer import ReadPlate

COLOUR = (40, 210, 60)
"""BGR."""

_FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Bold.ttc",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/opentype/noto/NotoSerifCJK-Bold.ttc",
    "/usr/share/fonts/opentype/noto/NotoSerifCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Bold.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Bold.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/truetype/arphic/uming.ttc",
)


@lru_cache(maxsize=1)
def find_font() -> Path | None:
    """Returns a font file with Chinese characters, None when this machine has none where distributions put them."""
    return next((Path(name) for name in _FONTS if Path(name).is_file()), None)


def can_label() -> bool:
    """Says whether texts can be drawn: Pillow and a Chinese font are there."""
    try:
        import PIL.ImageFont  # noqa: F401
    except ImportError:
        return False
    return find_font() is not None


def draw_plates(bgr: npt.NDArray[np.uint8], plates: Sequence[ReadPlate]) -> npt.NDArray[np.uint8]:
    """Draws boxes, and above each its text and score where `can_label()`.

    Args:
        bgr: uint8 [height, width, 3].
        plates: In the photo's pixels.

    Returns:
        A drawn copy.
    """
    import cv2

    drawn = bgr.copy()
    thick = max(1, round(min(bgr.shape[:2]) / 300))
    for plate in plates:
        cv2.polylines(drawn, [plate.box.round().astype(np.int32)], True, COLOUR, thick, cv2.LINE_AA)
    return _draw_labels(drawn, plates) if plates and can_label() else drawn


def _draw_labels(bgr: npt.NDArray[np.uint8], plates: Sequence[ReadPlate]) -> npt.NDArray[np.uint8]:
    from PIL import Image, ImageDraw, ImageFont

    canvas = Image.fromarray(np.ascontiguousarray(bgr[:, :, ::-1]))
    draw = ImageDraw.Draw(canvas)
    size = max(12, round(min(bgr.shape[:2]) / 24))
    font = ImageFont.truetype(str(find_font()), size)
    for plate in plates:
        label = f"{plate.text} {plate.score:.2f}"
        left, top, right, bottom = draw.textbbox((0, 0), label, font=font)
        width, height = right - left + 8, bottom - top + 8
        x = min(max(0.0, float(plate.box[:, 0].min())), max(0.0, bgr.shape[1] - width))
        y = float(plate.box[:, 1].min()) - height - 4
        if y < 0:
            y = min(float(plate.box[:, 1].max()) + 4, bgr.shape[0] - height)
        draw.rectangle((x, y, x + width, y + height), fill=COLOUR[::-1])
        draw.text((x + 4 - left, y + 4 - top), label, fill=(0, 0, 0), font=font)
    return np.ascontiguousarray(np.asarray(canvas)[:, :, ::-1])
