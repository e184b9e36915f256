"""Plates read right: what the board answered against the ground truth, and one cell's answers against another's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.record.parts import RecordedPlate, TruePlate
from bench.record.result import Result, ResultPhoto
from edge.plate.metrics import EndToEndMetric, f_measure


@dataclass(frozen=True)
class Accuracy:
    """End-to-end accuracy, counted by `edge.plate.metrics.EndToEndMetric`.

    Attributes:
        right: Plates read right.
        found: Plates that the board answered.
        truth: Plates that are there.
        photos: Photos with ground truth.
        wrong: Indices of the photos with a plate missed, misread or invented.
        kinds: Of photos whose plates are all of one kind: its name, plates read right, plates that are there.
    """

    right: int
    found: int
    truth: int
    photos: int
    wrong: tuple[int, ...]
    kinds: tuple[tuple[str, int, int], ...] = ()

    @property
    def f_measure(self) -> float | None:
        """Harmonic mean of precision and recall; None without any plate."""
        return f_measure(self.right, self.found, self.truth) if self.found + self.truth else None


@dataclass(frozen=True)
class Agreement:
    """How far two cells answer alike.

    Attributes:
        same: Photos on which both read the same texts.
        photos: Photos that both answered.
        differing: Indices of the others.
    """

    same: int
    photos: int
    differing: tuple[int, ...]


def answers_of(result: Result, key: str) -> dict[int, list[RecordedPlate]]:
    """Answers of a cell by photo index, of the first process that gave any; the verdict compares the others with it."""
    for process in result.of(key):
        if process.answers:
            return {int(index): plates for index, plates in process.answers.items()}
    return {}


def accuracy(photos: Sequence[ResultPhoto], answers: Mapping[int, Sequence[RecordedPlate]]) -> Accuracy | None:
    """Counts plates read right.

    Args:
        photos: With their ground truth.
        answers: Photo index to the plates read.

    Returns:
        The counts over the photos that have ground truth and an answer; None when there is none.
    """
    metric = EndToEndMetric()
    kinds: dict[str, EndToEndMetric] = {}
    wrong = []
    for index, photo in enumerate(photos):
        if photo.truth is None or index not in answers:
            continue
        read, truth = _boxes_and_texts(answers[index]), _boxes_and_texts(photo.truth)
        if not metric.add(read, truth).exact:
            wrong.append(index)
        named = {plate.get("kind", "") for plate in photo.truth}
        if len(named) == 1 and (kind := named.pop()):
            kinds.setdefault(kind, EndToEndMetric()).add(read, truth)
    counted = tuple((name, found.hits, found.truth) for name, found in sorted(kinds.items()))
    return Accuracy(metric.hits, metric.found, metric.truth, metric.images, tuple(wrong), counted) if metric.images else None


def agreement(
    a: Mapping[int, Sequence[RecordedPlate]], b: Mapping[int, Sequence[RecordedPlate]]
) -> Agreement | None:
    """Compares the texts of two cells photo by photo; None when they share none."""
    both = sorted(set(a) & set(b))
    differing = tuple(index for index in both if texts_read(a[index]) != texts_read(b[index]))
    return Agreement(len(both) - len(differing), len(both), differing) if both else None


def _boxes_and_texts(plates: Sequence[RecordedPlate | TruePlate]) -> list[tuple[Any, str]]:
    return [(plate.get("box") or (), plate["text"]) for plate in plates]


def texts_read(plates: Sequence[RecordedPlate]) -> list[str]:
    """The texts of plates, sorted: what is compared where only texts count."""
    return sorted(plate["text"] for plate in plates)
