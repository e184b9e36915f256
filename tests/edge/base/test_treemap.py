"""The treemap: areas in proportion, no overlap, nothing outside."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from edge.base.treemap import squarify


@given(st.lists(st.one_of(st.just(0.0), st.floats(0.01, 1e6)), max_size=40))
def test_cells_tile_the_rectangle(values: list[float]) -> None:
    cells = squarify(values, 90.0, 60.0)
    assert sorted(cell.index for cell in cells) == [i for i, value in enumerate(values) if value > 0]
    total = sum(values)
    for cell in cells:
        assert abs(cell.width * cell.height - values[cell.index] / total * 5400) < 1e-3
        assert cell.x >= -1e-9 and cell.y >= -1e-9
        assert cell.x + cell.width <= 90.001 and cell.y + cell.height <= 60.001
    for a, b in itertools.combinations(cells, 2):
        across = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
        down = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
        assert across < 1e-3 or down < 1e-3, "two cells overlap"


def test_sides_are_as_equal_as_can_be() -> None:
    for cell in squarify([1.0] * 4, 100.0, 100.0):
        assert abs(cell.width - 50) < 1e-9 and abs(cell.height - 50) < 1e-9
