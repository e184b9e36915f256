"""What is said about photos in which no plate was found."""

from __future__ import annotations

from typing import Any

import pytest

from edge.ocr.hints import hints, with_scale


def answer(size: tuple[int, int], det_input: tuple[int, int], plates: int = 0) -> dict[str, Any]:
    found = [{"text": "皖A12345", "score": 0.9, "box": []}] * plates
    return with_scale({"image": "gate/a.jpg", "size": [*size], "det_input": [*det_input], "plates": found})


@pytest.mark.parametrize(
    ("size", "det_input", "words"),
    [
        ((3840, 2160), (512, 288), ["3840x2160", "512x288", "about 338 px", "det_limit_side=1024", "169 px", "4.0 times"]),
        ((10000, 200), (512, 32), ["narrower than about 879 px", "det_limit_side=1024"]),
        ((3840, 2160), (2048, 1152), ["narrower than about 84 px", "det_limit_side=3840", "45 px"]),
        ((6000, 4000), (4096, 2720), ["cut the photo"]),
        ((720, 1280), (288, 512), ["det_limit_side=1024"]),
    ],
)  # fmt: skip
def test_a_shrunk_photo_without_a_plate_says_which_are_not_seen(
    size: tuple[int, int], det_input: tuple[int, int], words: list[str]
) -> None:
    (note,) = hints([answer(size, det_input)], "mine")
    assert all(word in note for word in words), note
    assert ("det_limit_side" in note) == any("det_limit_side" in word for word in words)


def test_nothing_is_said_where_the_scale_is_not_the_reason() -> None:
    damaged = {"image": "b.jpg", "error": "damaged"}
    assert hints([answer((512, 288), (512, 288)), answer((3840, 2160), (512, 288), plates=1), damaged], "mine") == []
    assert with_scale({"image": "c.jpg", "plates": []}) == {"image": "c.jpg", "plates": []}


def test_one_note_for_many_photos_names_the_most_shrunk() -> None:
    (note,) = hints([answer((1920, 1080), (512, 288)), answer((3840, 2160), (512, 288))], "mine")
    assert "most shrunk of 2" in note and "3840x2160" in note


def test_the_document_says_at_which_scale_the_detector_looked() -> None:
    assert answer((3840, 2160), (512, 288))["detector"] == {"scale": 0.1333, "least_plate_px": 338}


def test_texts_that_were_dropped_are_counted() -> None:
    found = [{**answer((512, 288), (512, 288)), "boxes": boxes} for boxes in (0, 1, 2)]
    assert hints(found, "mine")[0].startswith("in 2 photos without a plate something was found")


def test_kinds_that_a_set_does_not_read_are_named_where_nothing_was_found() -> None:
    assert "military" in hints([answer((512, 288), (512, 288))], "plate-v1")[0]
    assert hints([answer((512, 288), (512, 288), plates=1)], "plate-v1") == []
