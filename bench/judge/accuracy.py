"""Plates read right: what the board answered against the ground truth, and one cell's answers against another's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.record.result import Photo, Result
from edge.plate.polygon import overlap
from edge.plate.text import is_unread

MIN_IOU = 0.5


@dataclass(frozen=True)
class Accuracy:
    """End-to-end accuracy: a plate counts when its text is exact and its box overlaps by IoU >= 0.5.

    Attributes:
        right: Plates read right.
        found: Plates that the board answered.
        truth: Plates that are there.
        photos: Photos with ground truth.
        wrong: Indices of the photos with a plate missed, misread or invented.
    """

    right: int
    found: int
    truth: int
    photos: int
    wrong: tuple[int, ...]

    @property
    def f_measure(self) -> float | None:
        """Harmonic mean of precision and recall; None without any plate."""
        return 2 * self.right / (self.found + self.truth) if self.found + self.truth else None


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


def answers_of(result: Result, key: str) -> dict[int, list[dict[str, Any]]]:
    """Answers of a cell by photo index, of the first process that gave any; the verdict compares the others with it."""
    for process in result.of(key):
        if process.answers:
            return {int(index): plates for index, plates in process.answers.items()}
    return {}


def accuracy(photos: Sequence[Photo], answers: Mapping[int, Sequence[Mapping[str, Any]]]) -> Accuracy | None:
    """Counts plates read right.

    A plate whose text is not known (`edge.plate.text.is_unread`) is neither right nor wrong, nor is an answer there.

    Args:
        photos: With their ground truth.
        answers: Photo index to the plates read.

    Returns:
        The counts over the photos that have ground truth and an answer; None when there is none.
    """
    right = found = truth = count = 0
    wrong = []
    for index, photo in enumerate(photos):
        if photo.truth is None or index not in answers:
            continue
        count += 1
        wanted = [item for item in photo.truth if not is_unread(item["text"])]
        unread = [item for item in photo.truth if is_unread(item["text"])]
        open_plates = list(wanted)
        hits = aside = 0
        for plate in answers[index]:
            match = next((item for item in open_plates if _same_plate(item, plate)), None)
            if match is not None:
                open_plates.remove(match)
                hits += 1
                continue
            covered = next((item for item in unread if _same_place(item, plate)), None)
            if covered is not None:
                unread.remove(covered)
                aside += 1
        counted = len(answers[index]) - aside
        right += hits
        found += counted
        truth += len(wanted)
        if hits != len(wanted) or hits != counted:
            wrong.append(index)
    return Accuracy(right, found, truth, count, tuple(wrong)) if count else None


def agreement(
    a: Mapping[int, Sequence[Mapping[str, Any]]], b: Mapping[int, Sequence[Mapping[str, Any]]]
) -> Agreement | None:
    """Compares the texts of two cells photo by photo; None when they share none."""
    both = sorted(set(a) & set(b))
    differing = tuple(index for index in both if _texts(a[index]) != _texts(b[index]))
    return Agreement(len(both) - len(differing), len(both), differing) if both else None


def _same_plate(truth: Mapping[str, Any], plate: Mapping[str, Any]) -> bool:
    return bool(truth["text"] == plate.get("text")) and _same_place(truth, plate)


def _same_place(truth: Mapping[str, Any], plate: Mapping[str, Any]) -> bool:
    box = plate.get("box")
    return isinstance(box, list) and len(box) == 4 and overlap(truth["box"], box) >= MIN_IOU


def _texts(plates: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted(str(plate.get("text")) for plate in plates)
