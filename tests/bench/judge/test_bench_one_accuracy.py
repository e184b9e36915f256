"""One end-to-end accuracy: bench, training and the metric itself count a recorded result alike.

`recorded_answers.json` holds what plate-v1 (fp32) read in the kit's samples, and answers changed by hand where the two
definitions of 0.1 parted, each with the counts (right, found, truth) of both.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.judge.accuracy import accuracy
from bench.record.result import ResultPhoto
from edge.plate.answer import ReadPlate
from edge.plate.metrics import EndToEndMetric, PhotoCounts
from train.data.dataset import LabelledPlate, Sample
from train.evaluate.pipeline import PhotoOutput, e2e_figures

RECORDED: list[dict[str, Any]] = json.loads(Path(__file__).with_name("recorded_answers.json").read_text(encoding="utf-8"))
COUNTS = [PhotoCounts(*item["train 0.1"]) for item in RECORDED]


def test_the_figures_that_moved_are_those_of_bench_where_boxes_overlap_or_letters_are_wide() -> None:
    moved = [item["name"] for item in RECORDED if item["bench 0.1"] != item["train 0.1"]]
    assert moved == ["two answers for one plate", "full-width letters", "illegible plate before a legible one"]
    for item, counts in zip(RECORDED, COUNTS, strict=True):
        found, truth = ([(plate["box"], plate["text"]) for plate in item[key]] for key in ("plates", "truth"))
        assert EndToEndMetric().add(found, truth) == counts, item["name"]


def test_bench_counts_as_the_metric_does() -> None:
    photos = [ResultPhoto(item["name"], "", 1, tuple(item["truth"])) for item in RECORDED]
    found = accuracy(photos, {index: item["plates"] for index, item in enumerate(RECORDED)})
    assert found is not None
    sums = [sum(getattr(counts, name) for counts in COUNTS) for name in ("hits", "found", "truth")]
    assert [found.right, found.found, found.truth] == sums
    assert found.f_measure == pytest.approx(2 * sums[0] / (sums[1] + sums[2]))
    assert found.wrong == tuple(index for index, counts in enumerate(COUNTS) if not counts.exact)


def test_training_counts_as_the_metric_does() -> None:
    samples = [
        Sample(Path(item["name"]), tuple(LabelledPlate(np.array(one["box"], float), one["text"]) for one in item["truth"]))
        for item in RECORDED
    ]
    outputs = [
        PhotoOutput((), tuple(map(ReadPlate.from_json, item["plates"])))
        for item in RECORDED
    ]
    mistakes: list[dict[str, Any]] = []
    figures = e2e_figures(samples, outputs, mistakes)["all"]
    assert (figures.hits, figures.found, figures.truth) == tuple(
        sum(getattr(counts, name) for counts in COUNTS) for name in ("hits", "found", "truth")
    )
    wrong = [item["name"] for item, counts in zip(RECORDED, COUNTS, strict=True) if not counts.exact]
    assert [item["image"] for item in mistakes] == wrong
