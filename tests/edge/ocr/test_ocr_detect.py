"""The detector's two sides against OpenCV's components and PaddleOCR's own post-processing."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge.base.errors import ModelError
from edge.ocr.config import PipelineConfig
from edge.ocr.detect import components, det_post, det_pre, det_size

PLAIN = PipelineConfig(det_dilation=False, box_flip=False, box_grow=0.0)


def draw_map(seed: int = 0, count: int = 6, shape: tuple[int, int] = (320, 480)) -> np.ndarray:
    """A probability map with turned bars, most of them certain, far enough apart, and noise."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(0, 0.2, shape).astype(np.float32)
    for i in range(count):
        centre = (80 + 160 * (i % 3), 60 + 100 * (i // 3))
        size = (float(rng.uniform(30, 110)), float(rng.uniform(10, 30)))
        corners = cv2.boxPoints((centre, size, float(rng.uniform(-40, 40))))
        cv2.fillPoly(values, [corners.astype(np.int32)], float(rng.choice([0.4, 0.85, 1.0])))
    return values


@pytest.mark.parametrize(
    ("photo", "limit", "expected"),
    [
        ((1160, 720), ("min", 736), (1184, 736)),  # the note's setting on a CCPD photo
        ((1160, 720), ("max", 640), (640, 384)),
        ((1160, 720), ("max", 1280), (1152, 704)),  # 36.25 and 22.5 strides: half rounds to even
        ((400, 800), ("min", 400), (384, 800)),
        ((1, 1), ("max", 640), (32, 32)),
        ((1, 3000), ("max", 640), (32, 640)),
        ((10, 10), ("min", 736), (736, 736)),
    ],
)
def test_input_sizes(photo: tuple[int, int], limit: tuple[str, int], expected: tuple[int, int]) -> None:
    assert det_size(*photo, *limit) == expected


def test_preprocessing_normalises_like_the_formula() -> None:
    rng = np.random.default_rng(1)
    photo = rng.integers(0, 256, (96, 64, 3), dtype=np.uint8)
    config = replace(PLAIN, det_limit_type="max", det_limit_side=640)
    tensor = det_pre(photo, config)
    expected = (photo.astype(np.float64) / 255 - config.det_mean) / config.det_std
    assert tensor.dtype == np.float32 and tensor.shape == (1, 3, 96, 64)
    assert tensor[0] == pytest.approx(expected.transpose(2, 0, 1), abs=1e-5)


def test_preprocessing_resizes_like_opencv_in_float() -> None:
    rng = np.random.default_rng(2)
    photo = cv2.GaussianBlur(rng.integers(0, 256, (116, 72, 3), dtype=np.uint8), (5, 5), 1)
    config = replace(PLAIN, det_limit_type="max", det_limit_side=64, det_mean=(0.0,) * 3, det_std=(1.0,) * 3)
    expected = cv2.resize(photo.astype(np.float32), (32, 64), interpolation=cv2.INTER_LINEAR) / 255
    assert np.abs(det_pre(photo, config)[0].transpose(1, 2, 0) - expected).max() <= 1.01 / 255


def test_components_equal_opencvs_labels() -> None:
    rng = np.random.default_rng(3)
    for density in (0.1, 0.3, 0.5, 0.7):
        mask = (rng.random((60, 90)) < density).astype(np.uint8)
        found = components(mask, 10_000)
        count, labels = cv2.connectedComponents(mask, connectivity=8)
        assert len(found) == count - 1
        firsts = []
        for points in found:
            ids = {int(labels[y, x]) for x, y in points.tolist()}
            assert len(ids) == 1
            y, x = np.nonzero(labels == ids.pop())
            hull = cv2.convexHull(np.stack([x, y], axis=1).astype(np.int32)).reshape(-1, 2)
            ours = cv2.convexHull(points).reshape(-1, 2)
            assert {tuple(p) for p in hull.tolist()} == {tuple(p) for p in ours.tolist()}
            firsts.append((int(y[0]), int(x[0])))
        assert firsts == sorted(firsts)


def test_a_hole_is_no_component_but_what_lies_in_it_is_one() -> None:
    mask = np.zeros((50, 50), np.uint8)
    mask[5:45, 5:45] = 1
    mask[10:40, 10:40] = 0
    mask[20:25, 20:30] = 1
    found = components(mask, 10)
    assert [points.min(axis=0).tolist() for points in found] == [[5, 5], [20, 20]]
    assert len(components(mask, 1)) == 1


@pytest.mark.parametrize("dilation", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_boxes_equal_paddleocrs(seed: int, dilation: bool) -> None:
    __import__("zlib")
    reference = pytest.importorskip("paddleocr.ppocr.postprocess.db_postprocess")
    values = draw_map(seed)
    theirs = reference.DBPostProcess(0.3, 0.6, 1000, 1.5, use_dilation=dilation)(
        {"maps": values[None, None]}, np.array([[640, 1440, 2, 3]], np.float32)
    )[0]["points"]
    scores: list[float] = []
    ours = det_post(values, 1440, 640, replace(PLAIN, det_dilation=dilation), scores)
    assert len(ours) == len(theirs) >= 3
    assert len(scores) == len(ours) and min(scores) >= 0.6
    for box in ours:
        best = max(_iou(box, other) for other in theirs)
        # PaddleOCR cuts the corners to whole map pixels before it grows them.
        assert best > 0.85


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    common, _ = cv2.intersectConvexConvex(a.astype(np.float32), np.asarray(b, np.float32))
    areas = cv2.contourArea(a.astype(np.float32)) + cv2.contourArea(np.asarray(b, np.float32))
    return float(common / (areas - common))


def test_dilation_reaches_right_and_down_by_one_pixel() -> None:
    values = np.zeros((64, 64), np.float32)
    values[20:30, 10:40] = 1
    config = replace(PLAIN, det_unclip_ratio=0.0)
    assert det_post(values, 64, 64, config)[0].tolist() == [[10, 20], [39, 20], [39, 29], [10, 29]]
    dilated = det_post(values, 64, 64, replace(config, det_dilation=True, det_box_thresh=0.5))
    assert dilated[0].tolist() == [[10, 20], [40, 20], [40, 30], [10, 30]]


def test_unclip_grows_by_area_over_perimeter_and_clips_to_the_photo() -> None:
    values = np.zeros((64, 96), np.float32)
    values[20:31, 10:51] = 1  # 40 x 10 between pixel centres
    distance = 40 * 10 * 1.5 / 100
    (box,) = det_post(values, 192, 64, PLAIN)
    assert box == pytest.approx(
        np.array([[20 - 2 * distance, 20 - distance], [100 + 2 * distance, 20 - distance],
                  [100 + 2 * distance, 30 + distance], [20 - 2 * distance, 30 + distance]])
    )
    values[:] = 1
    (box,) = det_post(values, 192, 64, PLAIN)
    assert box.tolist() == [[0, 0], [191, 0], [191, 63], [0, 63]]


def test_small_and_doubtful_boxes_are_dropped() -> None:
    values = np.zeros((64, 64), np.float32)
    values[10:13, 10:40] = 1  # short side 2
    values[30:40, 10:40] = 0.55  # under the box threshold
    assert det_post(values, 64, 64, PLAIN) == []
    assert len(det_post(values, 64, 64, replace(PLAIN, det_box_thresh=0.5))) == 1
    assert len(det_post(values, 64, 64, replace(PLAIN, det_min_size=2))) == 1


def test_boxes_are_sorted_from_the_top() -> None:
    tops = [float(box[0, 1]) for box in det_post(draw_map(5), 480, 320, PLAIN)]
    assert len(tops) >= 3 and tops == sorted(tops)


def test_an_empty_map_has_no_boxes_and_nan_is_an_error() -> None:
    assert det_post(np.zeros((1, 1, 64, 64), np.float32), 64, 64, PLAIN) == []
    broken = np.zeros((64, 64), np.float32)
    broken[3, 3] = np.nan
    with pytest.raises(ModelError, match="not finite"):
        det_post(broken, 64, 64, PLAIN)
