"""The trial run's comparison: the board's plates against the host's, paired by their boxes."""

from __future__ import annotations

import numpy as np
import pytest

from edge.plate.answer import Answer, ReadPlate
from edge.release.smoke import same_answer

BOX = np.array([[0.0, 0], [100, 0], [100, 30], [0, 30]])
ASIDE = BOX + 200
FLAT = np.array([[5.0, 5]] * 4)


def reading(*plates: tuple[np.ndarray, str]) -> Answer:
    return Answer(plates=tuple(ReadPlate(box, text, 0.9) for box, text in plates))


@pytest.mark.parametrize(
    ("found", "expected", "agrees", "iou"),
    [
        (reading(), reading(), True, 1.0),
        (reading((ASIDE, "京B00000"), (BOX, "皖A12345")), reading((BOX, "皖A12345"), (ASIDE, "京B00000")), True, 1.0),
        (reading((FLAT, "皖A12345")), reading((FLAT, "皖A12345")), True, 1.0),  # two equal boxes without area
        (reading((BOX, "京B00000"), (ASIDE, "皖A12345")), reading((BOX, "皖A12345"), (ASIDE, "京B00000")), False, 0.0),
        (reading((ASIDE, "皖A12345")), reading((BOX, "皖A12345")), False, 0.0),
        (reading((BOX, "皖A12345")), reading((BOX, "皖A12345"), (ASIDE, "京B00000")), False, 1.0),
        (reading((BOX, "皖A12345"), (BOX + 1, "皖A12345")), reading((BOX, "皖A12345")), False, 1.0),
    ],
)
def test_a_board_answers_as_the_host_does(found: Answer, expected: Answer, agrees: bool, iou: float) -> None:
    result = same_answer(found, expected, int8=False)
    assert (result.compared, result.agrees, result.iou) == (True, agrees, iou)


def test_int8_may_move_a_box_a_little_further() -> None:
    near, expected = reading((np.add(BOX, (2, 1)), "皖A12345")), reading((BOX, "皖A12345"))
    assert [same_answer(near, expected, int8).agrees for int8 in (False, True)] == [False, True]
    assert not same_answer(near, None, int8=False).compared
