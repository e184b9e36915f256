"""Areas and overlaps of polygons against shapely, and where they are known."""

from __future__ import annotations

import numpy as np
import pytest

from edge.plate.polygon import area, convex_hull, intersection_areas, overlap

SQUARE = [[0, 0], [10, 0], [10, 10], [0, 10]]


def quads(rng: np.random.Generator, count: int) -> list[np.ndarray]:
    """Random quadrangles, some of them with crossing sides, some tiny, many of them overlapping."""
    centres = rng.uniform(0, 60, (count, 1, 2))
    return list(centres + rng.uniform(-20, 20, (count, 4, 2)))


def test_polygon_areas_equal_shapelys() -> None:
    geometry = pytest.importorskip("shapely.geometry")
    rng = np.random.default_rng(1)
    for a, b in zip(quads(rng, 400), quads(rng, 400), strict=True):
        first, second = geometry.Polygon(a).convex_hull, geometry.Polygon(b).convex_hull
        common = first.intersection(second).area
        ours = intersection_areas(a, b)
        assert ours == pytest.approx((common, first.area, second.area), abs=1e-5)
        assert overlap(a, b) == pytest.approx(common / (first.area + second.area - common), abs=1e-5)


def test_polygons_with_many_corners_equal_shapelys() -> None:
    geometry = pytest.importorskip("shapely.geometry")
    rng = np.random.default_rng(2)
    for _ in range(100):
        a, b = rng.uniform(0, 50, (rng.integers(3, 12), 2)), rng.uniform(0, 50, (rng.integers(3, 12), 2))
        first, second = geometry.MultiPoint(a).convex_hull, geometry.MultiPoint(b).convex_hull
        assert area(convex_hull(a)) == pytest.approx(first.area, abs=1e-5)
        assert intersection_areas(a, b)[0] == pytest.approx(first.intersection(second).area, abs=1e-5)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (SQUARE, 1.0),
        (SQUARE[::-1], 1.0),
        ([SQUARE[i] for i in (0, 2, 1, 3)], 1.0),  # vertices in a crossing order
        ([[10, 0], [20, 0], [20, 10], [10, 10]], 0.0),  # touching
        ([[5, 0], [15, 0], [15, 10], [5, 10]], 1 / 3),
        ([[2, 2], [4, 2], [4, 4], [2, 4]], 0.04),  # inside
        ([[3, 3]] * 4, 0.0),  # a point
        ([[0, 0], [5, 5], [10, 10], [2, 2]], 0.0),  # a line
        ([], 0.0),
    ],
)
def test_overlap_of_known_pairs(other: list[list[float]], expected: float) -> None:
    assert overlap(SQUARE, other) == pytest.approx(expected, abs=1e-12)
    assert overlap(other, SQUARE) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("flat", [[[3, 3]] * 4, [[0, 0], [5, 5], [10, 10], [2, 2]]])
def test_a_box_without_area_lies_where_it_lies(flat: list[list[float]]) -> None:
    assert overlap(flat, np.array(flat)) == 1, "two machines that answer the same flat box agree"
    assert overlap(flat, [[x + 1, y] for x, y in flat]) == 0
    assert overlap([], []) == 0


def test_overlap_keeps_its_precision_far_from_the_origin() -> None:
    far, aside = np.array(SQUARE) + 1e6, np.array([5, 0])
    assert overlap(far, far + aside) == pytest.approx(1 / 3, abs=1e-6)
