"""Cutting a plate out of the photo, straightened."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge.ocr.geometry import Points

TURN_RATIO = 1.5
"""Crops at least this many times higher than wide are turned by 90 degrees."""


def crop_size(box: Points) -> tuple[int, int]:
    """Returns the (width, height) in pixels of a box's crop before it may be turned; each at least 1.

    Args:
        box: float64 [4, 2], top left first, clockwise.
    """
    width = max(np.hypot(*(box[0] - box[1])), np.hypot(*(box[3] - box[2])))
    height = max(np.hypot(*(box[0] - box[3])), np.hypot(*(box[1] - box[2])))
    return max(1, int(width)), max(1, int(height))


def crop_plate(bgr: npt.NDArray[np.uint8], box: Points) -> npt.NDArray[np.uint8]:
    """Warps the quadrangle `box` to a rectangle, bicubic, the photo's border repeated outside it.

    Args:
        bgr: uint8 [height, width, 3].
        box: float64 [4, 2], top left first, clockwise.

    Returns:
        uint8 [h, w, 3]; a crop with h / w >= `TURN_RATIO` is turned counter-clockwise.
    """
    import cv2

    width, height = crop_size(box)
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(box.astype(np.float32), target)
    crop: npt.NDArray[np.uint8] = cv2.warpPerspective(
        bgr, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.ascontiguousarray(np.rot90(crop)) if height / width >= TURN_RATIO else crop
