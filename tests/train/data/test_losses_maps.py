"""DB's target maps against PaddleOCR's own, and on shapes that have no inside."""

from __future__ import annotations

import copy
import zlib  # noqa: F401

import cv2
import numpy as np
import pytest

from train.data.db_maps import LOW, offset_distance, polygon_area, shrunk, target_maps

SIZE = (120, 200)


def _paddleocr(quads: list[np.ndarray], ignored: list[bool], ratio: float) -> np.ndarray:
    pytest.importorskip("paddleocr")
    from ppocr.data.imaug.make_border_map import MakeBorderMap
    from ppocr.data.imaug.make_shrink_map import MakeShrinkMap

    data = {"image": np.zeros((*SIZE, 3), np.uint8), "polys": np.array(quads), "ignore_tags": list(ignored)}
    data["polys"] = copy.deepcopy(data["polys"])
    data = MakeShrinkMap(shrink_ratio=ratio)(MakeBorderMap(shrink_ratio=ratio)(data))
    return np.stack([data["shrink_map"], data["shrink_mask"], data["threshold_map"], data["threshold_mask"]])


PLATE = np.array([[40.0, 30.0], [150.0, 40.0], [148.0, 75.0], [38.0, 65.0]])
SLANTED = np.array([[20.0, 20.0], [90.0, 60.0], [80.0, 85.0], [10.0, 45.0]])
HALF_OUTSIDE = np.array([[-30.0, 80.0], [60.0, 84.0], [60.0, 110.0], [-30.0, 106.0]])
SMALL = np.array([[170.0, 10.0], [190.0, 10.0], [190.0, 16.0], [170.0, 16.0]])


@pytest.mark.parametrize("ratio", [0.4, 0.3, 0.6])
@pytest.mark.parametrize(
    ("quads", "ignored"),
    [
        ([PLATE], [False]),
        ([SLANTED], [False]),
        ([PLATE, HALF_OUTSIDE], [False, False]),
        ([PLATE, SMALL], [False, False]),
        ([PLATE, HALF_OUTSIDE], [True, False]),
        ([PLATE, PLATE + np.array([20, 10])], [False, False]),
    ],
    ids=["plate", "slanted", "cut off", "small", "ignored", "overlapping"],
)
def test_maps_equal_paddleocrs(quads: list[np.ndarray], ignored: list[bool], ratio: float) -> None:
    ours, theirs = target_maps(SIZE, quads, ignored, ratio), _paddleocr(quads, ignored, ratio)
    for index, name in enumerate(("shrink", "shrink mask", "threshold", "threshold mask")):
        assert np.abs(ours[index] - theirs[index]).max() <= 1e-5, name


def test_random_quads_equal_paddleocrs() -> None:
    rng = np.random.default_rng(3)
    for _ in range(40):
        centre, angle = rng.uniform((30, 20), (170, 100)), rng.uniform(-0.6, 0.6)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * rng.uniform((15, 6), (60, 25))
        quad = (half @ turn.T + centre + rng.normal(0, 2, (4, 2))).round()
        ours, theirs = target_maps(SIZE, [quad], [False]), _paddleocr([quad], [False], 0.4)
        assert np.abs(ours - theirs).max() <= 1e-5, quad.tolist()


def test_empty_image_is_background_everywhere() -> None:
    maps = target_maps(SIZE, [], [])
    assert maps[0].max() == 0 and maps[1].min() == 1 and maps[3].max() == 0
    assert (maps[2] == np.float32(LOW)).all()


@pytest.mark.parametrize(
    "quad",
    [
        [[10, 10], [10, 10], [10, 10], [10, 10]],
        [[10, 10], [60, 10], [60, 10], [10, 10]],
        [[10, 10], [60, 30], [110, 50], [10, 10]],
        [[500, 500], [600, 500], [600, 540], [500, 540]],
        [[-90, -90], [-10, -90], [-10, -60], [-90, -60]],
    ],
    ids=["point", "segment", "line", "right of the image", "left of the image"],
)
def test_degenerate_plates_teach_nothing_and_break_nothing(quad: list[list[int]]) -> None:
    maps = target_maps(SIZE, [np.array(quad, np.float64)], [False])
    assert np.isfinite(maps).all()
    assert maps[0].max() == 0
    assert shrunk(np.zeros((4, 2)), 0.4) is None


def test_shrinking_by_the_offset_leaves_the_rectangle_that_unclip_2_undoes() -> None:
    width, height = 110.0, 35.0
    quad = np.array([[20, 20], [20 + width, 20], [20 + width, 20 + height], [20, 20 + height]])
    distance = offset_distance(quad, 0.4)
    assert polygon_area(quad) == width * height
    assert distance == pytest.approx(width * height * 0.84 / (2 * (width + height)))
    inner_width, inner_height = width - 2 * distance, height - 2 * distance
    grown = inner_width * inner_height * 2.0 / (2 * (inner_width + inner_height))
    assert inner_height + 2 * grown == pytest.approx(height, rel=0.06)
    drawn = target_maps(SIZE, [quad], [False])[0]
    # Whole pixels on both borders are filled.
    assert cv2.countNonZero(drawn) == pytest.approx((inner_width + 1) * (inner_height + 1), rel=0.05)
