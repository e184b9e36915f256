"""Numbers with their nouns."""

from __future__ import annotations

import pytest

from edge.base.plural import counted


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [(0, "photo", "0 photos"), (1, "photo", "1 photo"), (2, "hidden file", "2 hidden files"), (1, "process", "1 process"),
     (3, "process", "3 processes"), (2, "box", "2 boxes")],
)  # fmt: skip
def test_a_number_takes_its_noun(number: int, noun: str, said: str) -> None:
    assert counted(number, noun) == said
