"""The program and the Python reference read the same on real photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cpp_program import config_for, lines, run

from edge.bundle.zoo import ModelPair
from edge.model.dictionary import read_dictionary
from edge.ocr.config import PipelineConfig
from edge.ocr.reader import Networks, Reader
from edge.plate.polygon import overlap
from edge.runtime.paddle_lite import LiteNetwork

pytestmark = pytest.mark.real


def test_same_text_and_boxes_at_the_notes_settings(program: Path, conf: Path, real_readings: object) -> None:
    """On at least 49 of 50 photos the same texts; boxes overlap by 0.97 on average."""
    photos = [sample.path for sample in real_readings.samples]  # type: ignore[attr-defined]
    answers = lines(run(program, "run", "--config", conf, "--threads", "2", *photos))
    same = 0
    overlaps: list[float] = []
    for answer, output in zip(answers, real_readings.outputs, strict=True):  # type: ignore[attr-defined]
        same += [plate["text"] for plate in answer["plates"]] == [plate.text for plate in output.plates]
        overlaps += [overlap(a["box"], b.box) for a, b in zip(answer["plates"], output.plates, strict=False)]
    assert same >= len(photos) - 1
    assert np.mean(overlaps) >= 0.97


def test_other_settings_agree_too(program: Path, ocr_models: ModelPair, real_data: Path, tmp_path: Path) -> None:
    """Padding, the old corner order, no dilation, a smaller input, the plate decoder."""
    photos = sorted((real_data / "full" / "test").glob("*.jpg"))[:6]
    networks = [LiteNetwork(model.file(".nb")) for model in (ocr_models.det, ocr_models.rec)]
    dictionary = ocr_models.rec.dictionary
    assert dictionary is not None
    settings = {
        "det_limit_type": "max",
        "det_limit_side": 480,
        "rec_resize": "pad",
        "box_flip": False,
        "det_dilation": False,
        "box_grow": 0.04,
        "decode": "plate",
        "text_lengths": (),
    }
    config = config_for(tmp_path / "plate.conf", ocr_models, **settings)
    reader = Reader(PipelineConfig(**settings), Networks(*networks, read_dictionary(dictionary)))  # type: ignore[arg-type]
    answers = lines(run(program, "run", "--config", config, *photos))
    for photo, answer in zip(photos, answers, strict=True):
        expected = reader.read_file(photo).plates
        assert [plate["text"] for plate in answer["plates"]] == [plate.text for plate in expected], photo.name
        for found, wanted in zip(answer["plates"], expected, strict=True):
            assert found["score"] == pytest.approx(wanted.score, abs=2e-3)
            assert overlap(found["box"], wanted.box) > 0.999
