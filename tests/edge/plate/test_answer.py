"""What was read in a photo: its JSON both ways, and what is no answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge.plate.answer import Answer

BOX = [[10.125, 10.0], [90.0, 10.5], [90.0, 40.0], [10.0, 40.0]]
PLATE = {"box": BOX, "text": "皖A12345", "score": 0.98}
LINE: dict[str, Any] = {
    "image": "a.jpg", "size": [1280, 720], "det_input": [512, 288], "boxes": 2, "plates": [PLATE],
    "ms": {"decode": 3.5, "total": 12.25}, "warnings": ["its last bytes are missing"],
}  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [LINE, {"image": "a.jpg", "error": "the file is empty"}, {"image": "a.jpg", "boxes": 0, "plates": []},
     {**LINE, "plates": [PLATE, {**PLATE, "text": ""}]}],
)  # fmt: skip
def test_a_line_of_the_program_comes_out_as_it_went_in(line: dict[str, Any]) -> None:
    answer = Answer.from_json(json.loads(json.dumps(line)))
    assert answer.as_json() == line
    assert answer.texts == sorted(plate["text"] for plate in line.get("plates", []))


@pytest.mark.parametrize(
    "line",
    [{"image": "a.jpg"}, {"plates": None}, {"plates": "none"}, {"plates": [{**PLATE, "box": BOX[:3]}]},
     {"plates": [{**PLATE, "text": 7}]}, {"plates": [{"text": "皖A12345"}]}, {"plates": [7]},
     {**LINE, "size": 5}, {**LINE, "size": [0, 1]}, {**LINE, "size": [1280]}, {**LINE, "det_input": [512, True]},
     {**LINE, "det_input": [512.5, 288]}, {"plates": [{**PLATE, "score": float("nan")}]},
     {"plates": [{**PLATE, "box": [[float("inf"), 0], *BOX[1:]]}]}],
)  # fmt: skip
def test_what_is_no_answer_is_refused(line: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        Answer.from_json(line)


def test_an_error_goes_out_without_plates() -> None:
    answer = Answer.from_json({**LINE, "error": "the file is cut"})
    printed = json.loads(json.dumps(answer.as_json()))
    assert printed["error"] == "the file is cut" and "plates" not in printed
