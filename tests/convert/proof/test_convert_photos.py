"""Photos with known plates, as `edge convert verify --photos` takes them: labels.json, CCPD names, and what is neither."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from convert.proof.photos import load_photos
from edge.base.errors import InputError
from edge.plate.ccpd import CcpdName, format_name

BOX = [[10, 10], [90, 12], [90, 40], [10, 38]]


def _photo(path: Path) -> None:
    cv2.imwrite(str(path), np.full((60, 100, 3), 128, np.uint8))


def test_labels_of_photos_without_a_plate_are_passed_over(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        _photo(tmp_path / name)
    labels = {"a.jpg": [], "b.jpg": [{"text": "皖A12345", "box": BOX}]}
    (tmp_path / "labels.json").write_text(json.dumps(labels), encoding="utf-8")
    assert [(photo.name, photo.text) for photo in load_photos([tmp_path], 8)] == [("b.jpg", "皖A12345")]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"a.jpg": 3}',
        '{"a.jpg": [{"text": "x"}]}',
        '{"a.jpg": [{"text": "x", "box": [1, 2]}]}',
        '{"a.jpg": [{"text": "x", "box": [[1, 2], [3, 4], [5, 6], ["a", 8]]}]}',
        '{"a.jpg": [{"text": "x", "box": [[1, 2], [3, 4], [5, 6], [NaN, 8]]}]}',
    ],
)
def test_labels_of_another_form_end_in_a_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"labels\.json cannot be used"):
        load_photos([tmp_path], 8)


def test_ccpd_names_give_boxes_from_the_top_left_whatever_vertex_comes_first(tmp_path: Path) -> None:
    box = ((100, 229), (279, 80), (300, 110), (126, 259))
    for at, vertices in enumerate((box, (*box[2:], *box[:2]))):
        name = format_name(CcpdName("025", (90, 90), ((1, 1), (9, 9)), vertices, "皖A12345", 100, 20 + at))
        cv2.imwrite(str(tmp_path / name), np.full((300, 400, 3), 128, np.uint8))
    _photo(tmp_path / "other.jpg")
    photos = load_photos([tmp_path], 8)
    assert len(photos) == 2
    assert all(np.array_equal(photo.box, np.array(box)) for photo in photos)
