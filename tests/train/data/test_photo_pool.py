"""Photos are drawn with the kinds of plates that a recipe asks for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from edge.plate.country import load_country
from train.data.dataset import LabelledPlate, Sample
from train.data.photo_pool import PhotoPool

QUAD = np.array([[0, 0], [10, 0], [10, 4], [0, 4]], np.float64)
TEXTS = ("皖A12345", "皖AD12345", "沪B6R715", "京A1234警", "苏EF52937", "###")
PHOTOS = [Sample(Path(f"{number}.jpg"), (LabelledPlate(QUAD, text),)) for number, text in enumerate(TEXTS)]


def drawn(shares: dict[str, float], count: int = 600) -> Counter[str]:
    pool, rng = PhotoPool(PHOTOS, shares, load_country()), np.random.default_rng(3)
    return Counter(pool.draw(rng).plates[0].text for _ in range(count))


def test_kinds_are_drawn_by_their_shares() -> None:
    assert set(drawn({})) == set(TEXTS)
    found = drawn({"green": 0.5, "blue": 0.5})
    assert set(found) == {"皖AD12345", "苏EF52937", "皖A12345", "沪B6R715"}
    assert 240 < found["皖AD12345"] + found["苏EF52937"] < 360
    assert drawn({"black": 1.0}) == drawn({}), "what is not there is not missed"


def test_one_kind_is_drawn_as_in_the_first_release() -> None:
    """A run that is resumed, or repeated by its seed, draws the same photos."""
    green = [photo for photo in PHOTOS if len(photo.plate_text) == 8]
    pool, mine, theirs = PhotoPool(PHOTOS, {"green": 0.3}, load_country()), *map(np.random.default_rng, (5, 5))
    for _ in range(50):
        photos = green if theirs.random() < 0.3 else PHOTOS
        assert pool.draw(mine) is photos[int(theirs.integers(len(photos)))]
