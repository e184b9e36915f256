"""What a network is calibrated with is judged: pictures that show no plate are refused or warned of, with figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from invented import write_invented
from numpy.typing import NDArray

from edge.base.errors import InputError, UsageError, VerifyError
from edge.bundle.zoo import SHIPPED
from edge.model.card import Model, load_model
from train.quantize.calibration import make_samples
from train.quantize.judge import is_one_colour, judge, narrow_share, sample_images, sees
from train.quantize.ptq import _check_telling, likeness

Tensor = NDArray[np.float32]


def _model(task: str) -> Model:
    return load_model(SHIPPED / "plate-v1" / f"{task}-fp32")


def _text(*classes: int, score: float = 0.9) -> Tensor:
    """A recogniser's output whose steps are these classes."""
    steps = np.full((1, len(classes), 75), (1 - score) / 74, np.float32)
    steps[0, np.arange(len(classes)), classes] = score
    return steps


def test_pictures_of_one_colour_are_left_out_and_too_few_others_refused(tmp_path: Path) -> None:
    grey = np.full((60, 180, 3), 128, np.uint8)
    noise = np.random.default_rng(0).integers(126, 131, grey.shape, np.uint8)
    assert is_one_colour(grey) and is_one_colour(noise) and not any(map(is_one_colour, sample_images("rec")))
    for name, image in (("white.png", grey + 127), ("black.png", grey * 0), ("noise.png", noise)):
        cv2.imwrite(str(tmp_path / name), image)
    card = _model("rec").card
    with pytest.raises(InputError, match=r"3 of them are of one colour .*white\.png"):
        make_samples(card, tmp_path, 0, 8, 4)
    crop = sample_images("rec")[0]
    for index in range(3):
        cv2.imwrite(str(tmp_path / f"plate-{index}.png"), crop)
    samples = make_samples(card, tmp_path, 0, 8, 4)
    assert samples.source["photos"] == "3 of a folder" and "noise.png" in samples.notes[0]
    known = len(sample_images("rec"))
    assert len(samples.known) == known and len(samples.check) >= known, "the proof does not rest on the folder alone"


def test_a_country_of_the_user_is_calibrated_with_its_own_plates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    country = write_invented(tmp_path)
    card = replace(_model("rec").card, country="invented")
    with pytest.raises(InputError, match="does not ship") as error:
        make_samples(card, None, 0, 2, 1)
    assert "--country" in error.value.hint and "--calibrate" in error.value.hint
    with pytest.raises(UsageError, match="no plate country 'nowhere'"):
        make_samples(card, None, 0, 2, 1, "nowhere")
    own, kit = (make_samples(card, None, 0, 2, 1, named) for named in (str(country), "cn"))
    assert len(own.calibration) == 2 and len(own.check) == 1
    assert not np.array_equal(own.calibration[0], kit.calibration[0])
    photos = tmp_path / "photos"
    photos.mkdir()
    crops = sample_images("rec")
    for index in range(3):
        cv2.imwrite(str(photos / f"{index}.png"), crops[index])
    # With photos the country may stay unknown; named, it judges them by its own plates, rendered or photographed.
    without, rendered = (make_samples(card, photos, 0, 2, 12, named) for named in ("", str(country)))
    assert len(without.known) == len(crops) and len(rendered.check) == 12 and rendered.known
    (country / "samples").mkdir()
    cv2.imwrite(str(country / "samples" / "one.png"), np.tile(crops[0], (2, 2, 1)))
    labels = {"one.png": [{"text": "IOA042", "box": [[0, 0], [90, 0], [90, 40], [0, 40]]}]}
    (country / "samples" / "labels.json").write_text(json.dumps(labels), encoding="utf-8")
    assert len(make_samples(card, photos, 0, 2, 12, str(country)).known) == 1
    monkeypatch.chdir(tmp_path)
    assert len(make_samples(card, None, 0, 2, 1).calibration) == 2, "a folder here with the card's code"


def test_a_model_sees_a_plate_or_not() -> None:
    assert sees("rec", _text(0, 3, 3, 0, 5)) and sees("rec", _text(3, 4)[0])
    assert not sees("rec", _text(0, 0, 0)) and not sees("rec", _text(3, 4, 5, score=0.3))
    assert sees("det", np.full((1, 1, 4, 4), 0.5, np.float32))
    assert not sees("det", np.full((1, 1, 4, 4), 0.2, np.float32))


def test_layers_with_a_narrow_range_are_counted() -> None:
    samples = np.array([[1.0, 2.0, 4.0, 0.0], [3.0, 2.0, 4.0, 0.0]])
    assert narrow_share(samples, samples) == 0.0
    assert narrow_share(samples * [1, 1, 0.4, 1], samples) == 0.25


@pytest.mark.parametrize(
    ("seen", "factor", "number", "said"),
    [
        (8, 1.0, 8, []),
        (8, 1.0, 3, ["calibrated with 3 pictures"]),
        (2, 1.0, 8, ["reads a text in only 2 of 8"]),
        (8, 0.3, 8, ["100% of the layers stay below half"]),
        (1, 0.3, 3, ["calibrated with 3", "only 1 of 3", "100% of the layers"]),
    ],
)
def test_doubtful_calibration_is_warned_of_with_the_figure(
    seen: int, factor: float, number: int, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(model: Model, inputs: list[Tensor]) -> tuple[Any, list[Tensor]]:
        ranges = np.ones((len(inputs), 5))
        ranges[:number] *= factor
        return ranges, [_text(3) if index < seen else _text(0) for index in range(len(inputs))]

    monkeypatch.setattr("train.quantize.judge.measure_ranges", measured)
    blank = np.zeros((1, 3, 48, 160), np.float32)
    verdict = judge(_model("rec"), [blank] * number, [blank] * 7, "photos")
    assert len(verdict.warnings) == len(said)
    assert all(part in warning for part, warning in zip(said, verdict.warnings, strict=True))
    assert verdict.figures["with_plates"] == min(seen, number) and verdict.figures["judged"] == number
    monkeypatch.setattr(
        "train.quantize.judge.measure_ranges", lambda model, inputs: (np.ones((len(inputs), 5)), [_text(0)] * 99)
    )
    with pytest.raises(InputError, match=f"none of {number} pictures"):
        judge(_model("rec"), [blank] * number, [blank] * 7, "photos")


def test_a_proof_counts_the_inputs_that_tell_something() -> None:
    blank, plate, other = _text(0, 0, 0, 0), _text(0, 3, 0, 5), _text(0, 3, 0, 6)
    figures = likeness("rec", [(blank, blank)] * 20 + [(plate, plate), (plate, other)])
    assert figures["inputs"] == 22 and figures["telling"] == 2
    assert figures["same_texts"] == 0.5 and figures["same_steps"] == 0.875, "blank inputs do not make it better"
    with pytest.raises(VerifyError, match="reads a text in 2 of 22 pictures; 6 are needed"):
        _check_telling(_model("rec"), figures)
    assert likeness("rec", [(blank, blank)])["same_steps"] == 0.0
    nothing = likeness("det", [(np.zeros((1, 1, 4, 4), np.float32),) * 2])
    with pytest.raises(VerifyError, match="finds a plate in 0 of 1"):
        _check_telling(_model("det"), nothing)
