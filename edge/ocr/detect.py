"""The detector's two sides: photo to network input, probability map to boxes (DB, differentiable binarisation)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge.base.errors import InputError, ModelError
from edge.ocr.config import PipelineConfig
from edge.ocr.geometry import Points, clip_box, grow_box, mean_inside, min_area_rect, order_corners

Tensor = npt.NDArray[np.float32]
STRIDE = 32
MAX_PIXELS = 1 << 24
"""Of the network's input: 4096x4096. More is a photo of absurd shape, not a plate."""


def det_size(height: int, width: int, limit_type: str, side: int) -> tuple[int, int]:
    """Returns the (height, width) in pixels to which a photo is resized: multiples of 32, at least 32.

    Args:
        height: Of the photo.
        width: Of the photo.
        limit_type: `min`: enlarge until the shorter side is `side`; `max`: shrink until the longer is.
        side: Pixels.
    """
    ratio = 1.0
    if limit_type == "min" and min(height, width) < side:
        ratio = side / min(height, width)
    elif limit_type == "max" and max(height, width) > side:
        ratio = side / max(height, width)
    return (
        max(STRIDE, round(height * ratio / STRIDE) * STRIDE),
        max(STRIDE, round(width * ratio / STRIDE) * STRIDE),
    )


def jpeg_scale(height: int, width: int, config: PipelineConfig) -> int:
    """Returns the fraction of its sides at which a JPEG is decoded: 1, 2 or 4 for whole, half or quarter sides.

    Args:
        height: Of the photo.
        width: Of the photo.
        config: Uses `jpeg_scale`, `det_limit_type` and `det_limit_side`.
    """
    if config.jpeg_scale != "auto":
        return int(config.jpeg_scale)
    high, wide = det_size(height, width, config.det_limit_type, config.det_limit_side)
    return next((scale for scale in (4, 2) if height >= scale * high and width >= scale * wide), 1)


def to_tensor(bgr: npt.NDArray[np.uint8], mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Normalises: (pixel / 255 - mean) / std.

    Args:
        bgr: uint8 [height, width, 3].
        mean: Per channel.
        std: Per channel.

    Returns:
        float32 [1, 3, height, width].
    """
    scale = (1 / (255 * np.asarray(std, np.float64))).astype(np.float32)
    shift = (-np.asarray(mean, np.float64) / np.asarray(std, np.float64)).astype(np.float32)
    tensor = np.empty((1, 3, *bgr.shape[:2]), np.float32)
    for channel in range(3):
        np.multiply(bgr[:, :, channel], scale[channel], out=tensor[0, channel])
        tensor[0, channel] += shift[channel]
    return tensor


def det_pre(bgr: npt.NDArray[np.uint8], config: PipelineConfig, size: tuple[int, int] | None = None) -> Tensor:
    """Makes the detector's input from a photo.

    Args:
        bgr: uint8 [height, width, 3].
        config: Uses `det_limit_type`, `det_limit_side`, `det_mean`, `det_std`.
        size: Height and width of the photo in its own pixels, where `bgr` was decoded at a fraction of them.

    Returns:
        float32 [1, 3, H, W], H and W multiples of 32.

    Raises:
        InputError: The photo is so narrow that the input would have more than `MAX_PIXELS`.
    """
    import cv2

    high, wide = size or bgr.shape[:2]
    height, width = det_size(high, wide, config.det_limit_type, config.det_limit_side)
    if height * width > MAX_PIXELS:
        raise InputError(
            f"A photo of {wide}x{high} pixels needs a detector input of {width}x{height}.",
            "Crop it, or use det_limit_type max.",
        )
    if bgr.shape[:2] != (height, width):
        bgr = cv2.resize(bgr, (width, height), interpolation=cv2.INTER_LINEAR)
    return to_tensor(bgr, config.det_mean, config.det_std)


def components(mask: npt.NDArray[np.uint8], most: int) -> list[npt.NDArray[np.int32]]:
    """Finds the 8-connected components of a mask.

    Args:
        mask: uint8 [height, width], non-zero is text.
        most: At most this many are returned.

    Returns:
        Per component int32 [n, 2], the corner points of its outer boundary (their convex hull is the component's),
        in scan order (rows from the top, each from the left) of the components' first pixels.
    """
    import cv2

    contours, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if hierarchy is None:
        return []
    # In a two-level hierarchy everything without a parent is an outer boundary, also inside a hole of another.
    outer = [contour.reshape(-1, 2) for contour, links in zip(contours, hierarchy[0], strict=True) if links[3] < 0]
    return sorted(outer, key=lambda points: min((y, x) for x, y in points.tolist()))[:most]


def det_post(
    probability: Tensor, width: int, height: int, config: PipelineConfig, scores: list[float] | None = None
) -> list[Points]:
    """Turns a probability map into boxes on the photo.

    Args:
        probability: float32 [1, 1, H, W] or [H, W], 0..1.
        width: Of the photo in pixels.
        height: Of the photo in pixels.
        config: Uses the `det_*` and `box_*` keys.
        scores: When given, receives each box's mean probability, in the order of the boxes.

    Returns:
        Boxes, each float64 [4, 2] in the photo's pixels: top left, top right, bottom right, bottom left; sorted by
        the top left corner's (y, x).

    Raises:
        ModelError: The map holds NaN.
    """
    import cv2

    values = probability.reshape(probability.shape[-2:])
    if not np.isfinite(values.sum(dtype=np.float64)):
        raise ModelError("The detector's output is not finite.", "Convert the model again, or take its fp32 form.")
    mask = (values > np.float32(config.det_thresh)).astype(np.uint8)
    if config.det_dilation:
        mask = cv2.dilate(mask, np.ones((2, 2), np.uint8))
    scale = np.array([width / values.shape[1], height / values.shape[0]])
    found: list[tuple[float, float, float, Points]] = []
    for points in components(mask, config.det_max_candidates):
        rect = min_area_rect(points)
        if rect.short_side < config.det_min_size:
            continue
        score = mean_inside(values, rect)
        if score < config.det_box_thresh:
            continue
        # Growing a rectangle by round joins and taking the minimum-area rectangle again is growing its sides.
        distance = rect.width * rect.height * config.det_unclip_ratio / (2 * (rect.width + rect.height))
        rect = rect.grown(distance)
        if rect.short_side < config.det_min_size + 2:
            continue
        box = order_corners(rect.corners() * scale, config.box_flip)
        box = clip_box(grow_box(box, config.box_grow), width, height)
        found.append((float(box[0, 1]), float(box[0, 0]), score, box))
    found.sort(key=lambda item: item[:2])
    if scores is not None:
        scores.extend(item[2] for item in found)
    return [item[3] for item in found]
