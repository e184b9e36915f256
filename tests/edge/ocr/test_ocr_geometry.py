"""Rectangles, scores and corner order against OpenCV and brute force."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.ocr.geometry import Rect, clip_box, grow_box, mean_inside, min_area_rect, order_corners


def blob(rng: np.random.Generator) -> np.ndarray:
    """The pixels of a random turned ellipse or bar."""
    mask = np.zeros((200, 300), np.uint8)
    centre = (int(rng.integers(60, 240)), int(rng.integers(60, 140)))
    axes = (int(rng.integers(1, 55)), int(rng.integers(0, 30)))
    if rng.random() < 0.5:
        cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    else:
        corners = cv2.boxPoints((centre, (2.0 * axes[0], 2.0 * axes[1]), float(rng.uniform(0, 180))))
        cv2.fillPoly(mask, [corners.astype(np.int32)], 1)
    y, x = np.nonzero(mask)
    return np.stack([x, y], axis=1).astype(np.int32)


def test_minimum_area_rectangle_equals_opencvs() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        points = blob(rng)
        ours, theirs = min_area_rect(points), cv2.minAreaRect(points)
        assert ours.width * ours.height <= theirs[1][0] * theirs[1][1] * (1 + 1e-5) + 1e-3
        assert ours.width * ours.height >= theirs[1][0] * theirs[1][1] * (1 - 1e-5) - 1e-3
        # It holds every point, and each side touches one.
        u = (points - (ours.cx, ours.cy)) @ (ours.ux, ours.uy)
        v = (points - (ours.cx, ours.cy)) @ (-ours.uy, ours.ux)
        for extent, side in ((u, ours.width), (v, ours.height)):
            assert extent.max() == pytest.approx(side / 2, abs=1e-6)
            assert extent.min() == pytest.approx(-side / 2, abs=1e-6)


@pytest.mark.parametrize(
    ("points", "sides"),
    [
        ([[5, 7]], (0, 0)),
        ([[5, 7], [5, 7]], (0, 0)),
        ([[0, 0], [3, 4]], (0, 5)),
        ([[0, 0], [1, 1], [2, 2], [9, 9]], (0, 9 * 2**0.5)),
        ([[0, 0], [4, 0], [4, 2], [0, 2], [1, 1]], (2, 4)),
        ([[2, 0], [4, 2], [2, 4], [0, 2]], (8**0.5, 8**0.5)),
    ],
)
def test_minimum_area_rectangle_of_few_points(points: list[list[int]], sides: tuple[float, float]) -> None:
    rect = min_area_rect(np.array(points, np.int32))
    assert sorted((rect.width, rect.height)) == pytest.approx(list(sides), abs=1e-12)


def test_minimum_area_rectangle_does_not_depend_on_the_order_of_points() -> None:
    rng = np.random.default_rng(2)
    points = blob(rng)
    first = min_area_rect(points)
    for _ in range(10):
        assert min_area_rect(rng.permutation(points)) == first


def test_mean_inside_equals_a_loop_over_all_pixels() -> None:
    rng = np.random.default_rng(3)
    values = rng.random((40, 60)).astype(np.float32)
    for _ in range(50):
        angle = rng.uniform(0, np.pi)
        rect = Rect(rng.uniform(-5, 65), rng.uniform(-5, 45), np.cos(angle), np.sin(angle), *rng.uniform(1, 30, 2))
        corners = rect.corners().astype(np.float32)
        inside = [
            values[y, x] for y in range(40) for x in range(60)
            if cv2.pointPolygonTest(corners, (float(x), float(y)), True) >= -0.01
        ]
        assert mean_inside(values, rect) == pytest.approx(np.mean(inside, dtype=np.float64) if inside else 0, abs=1e-6)


def test_mean_inside_counts_the_border() -> None:
    values = np.arange(25, dtype=np.float32).reshape(5, 5)
    assert mean_inside(values, min_area_rect(np.array([[1, 1], [3, 1], [3, 2], [1, 2]], np.int32))) == pytest.approx(
        values[1:3, 1:4].mean()
    )


def corners_at(angle: float, width: float = 60, height: float = 20) -> np.ndarray:
    """Corners, clockwise from top left, of a text that runs in direction `angle` (degrees, clockwise)."""
    turn = np.deg2rad(angle)
    along, down = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    half_w, half_h = along * width / 2, down * height / 2
    return np.array([100, 100]) + np.array([-half_w - half_h, half_w - half_h, half_w + half_h, half_h - half_w])


@pytest.mark.parametrize("angle", [-89, -70, -45, -10, 0, 10, 45, 70, 89, 90])
@pytest.mark.parametrize("start", [0, 1, 2, 3])
@pytest.mark.parametrize("reverse", [False, True])
def test_flip_correction_follows_the_text(angle: float, start: int, reverse: bool) -> None:
    expected = corners_at(angle)
    shuffled = np.roll(expected[::-1] if reverse else expected, start, axis=0)
    assert order_corners(shuffled, flip=True) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("angle", [-30, 0, 30])
def test_both_orders_agree_on_nearly_level_text(angle: float) -> None:
    expected = corners_at(angle)
    for start in range(4):
        assert order_corners(np.roll(expected, start, axis=0), flip=False) == pytest.approx(expected, abs=1e-9)


def test_the_old_order_flips_steep_text_and_the_correction_does_not() -> None:
    steep = corners_at(80)
    assert order_corners(steep, flip=False) != pytest.approx(steep)
    assert order_corners(steep, flip=True) == pytest.approx(steep)


def test_growing_moves_every_side_by_its_own_length() -> None:
    box = corners_at(25)
    grown = grow_box(box, 0.1)
    assert np.linalg.norm(grown[1] - grown[0]) == pytest.approx(60 * 1.2)
    assert np.linalg.norm(grown[3] - grown[0]) == pytest.approx(20 * 1.2)
    assert grown.mean(axis=0) == pytest.approx(box.mean(axis=0))
    assert grow_box(box, 0) == pytest.approx(box)


def test_clipping_keeps_corners_on_pixels() -> None:
    clipped = clip_box(np.array([[-5.0, -5], [99.5, 0], [120, 60], [0, 49.2]]), 100, 50)
    assert clipped.tolist() == [[0, 0], [99, 0], [99, 49], [0, 49]]
