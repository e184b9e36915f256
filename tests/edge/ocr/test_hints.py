"""What is said about photos in which no plate was found."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from edge.bundle.zoo import SHIPPED
from edge.model.card import load_model
from edge.ocr.hints import card_limits, hints, with_scale
from edge.plate.answer import Answer, ReadPlate


def answer(size: tuple[int, int], det_input: tuple[int, int], plates: int = 0, least_width: int = 45) -> Answer:
    found = (ReadPlate(np.zeros((4, 2)), "皖A12345", 0.9),) * plates
    return with_scale(Answer("gate/a.jpg", found, size=size, det_input=det_input), least_width)


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
    (note,) = hints([answer(size, det_input)], "mine", 45)
    assert all(word in note for word in words), note
    assert ("det_limit_side" in note) == any("det_limit_side" in word for word in words)


def test_nothing_is_said_where_the_scale_is_not_the_reason() -> None:
    damaged = Answer("b.jpg", error="damaged")
    assert hints([answer((512, 288), (512, 288)), answer((3840, 2160), (512, 288), plates=1), damaged], "mine", 45) == []
    assert with_scale(Answer("c.jpg"), 45) == Answer("c.jpg")


def test_one_note_for_many_photos_names_the_most_shrunk() -> None:
    (note,) = hints([answer((1920, 1080), (512, 288)), answer((3840, 2160), (512, 288))], "mine", 45)
    assert "most shrunk of 2" in note and "3840x2160" in note


def test_the_document_says_at_which_scale_the_detector_looked() -> None:
    assert answer((3840, 2160), (512, 288)).detector == {"scale": 0.1333, "least_plate_px": 338}


def test_texts_that_were_dropped_are_counted() -> None:
    found = [replace(answer((512, 288), (512, 288)), boxes=boxes) for boxes in (0, 1, 2)]
    assert hints(found, "mine")[0].startswith("in 2 photos without a plate the detector found something")


def test_kinds_that_a_set_does_not_read_are_named_where_nothing_was_found() -> None:
    limits = {f"{task}_card": asdict(load_model(SHIPPED / "plate-v1" / f"{task}-fp32").card) for task in ("det", "rec")}
    least_width, not_covered = card_limits(limits)
    assert least_width == 45 and "military" in not_covered
    (note,) = hints([answer((512, 288), (512, 288))], "plate-v1", least_width, not_covered)
    assert note.startswith("plate-v1 does not read two-line, military")
    assert hints([answer((512, 288), (512, 288), plates=1)], "plate-v1", least_width, not_covered) == []


def test_models_of_which_nobody_measured_limits_get_none_of_another_set() -> None:
    old = {"det_card": {"name": "of 0.1"}, "rec_card": {"limits": None}}
    assert card_limits(old) == (0, "") == card_limits({})
    shrunk = answer((3840, 2160), (512, 288), least_width=0)
    assert shrunk.detector == {"scale": 0.1333}
    (note,) = hints([shrunk], "mine")
    assert "were shrunk to 512x288 for the detector; cut the photo, or --set det_limit_side=1024 (4.0 times" in note
