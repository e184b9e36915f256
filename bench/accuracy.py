"""Plates read right: what the board answered against the ground truth, and one cell's answers against another's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.result import Photo, Result

MIN_IOU = 0.5
Point = tuple[float, float]


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
        open_plates = list(photo.truth)
        hits = 0
        for plate in answers[index]:
            match = next((item for item in open_plates if _same_plate(item, plate)), None)
            if match is not None:
                open_plates.remove(match)
                hits += 1
        right += hits
        found += len(answers[index])
        truth += len(photo.truth)
        if hits != len(photo.truth) or hits != len(answers[index]):
            wrong.append(index)
    return Accuracy(right, found, truth, count, tuple(wrong)) if count else None


def agreement(
    a: Mapping[int, Sequence[Mapping[str, Any]]], b: Mapping[int, Sequence[Mapping[str, Any]]]
) -> Agreement | None:
    """Compares the texts of two cells photo by photo; None when they share none."""
    both = sorted(set(a) & set(b))
    differing = tuple(index for index in both if _texts(a[index]) != _texts(b[index]))
    return Agreement(len(both) - len(differing), len(both), differing) if both else None


def quad_iou(a: Sequence[Sequence[float]], b: Sequence[Sequence[float]]) -> float:
    """Intersection over union of two convex quadrilaterals, each four [x, y] in order round it (either way).

    The intersection is a clipped by b's sides in turn (Sutherland and Hodgman, 1974).
    """
    first, second = _clockwise(a), _clockwise(b)
    overlap = _clip(first, second)
    shared = abs(_area(overlap))
    union = abs(_area(first)) + abs(_area(second)) - shared
    return shared / union if union > 0 else 0.0


def _same_plate(truth: Mapping[str, Any], plate: Mapping[str, Any]) -> bool:
    if truth["text"] != plate.get("text"):
        return False
    box = plate.get("box")
    return isinstance(box, list) and len(box) == 4 and quad_iou(truth["box"], box) >= MIN_IOU


def _texts(plates: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted(str(plate.get("text")) for plate in plates)


def _area(points: Sequence[Point]) -> float:
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(points, [*points[1:], *points[:1]], strict=True)) / 2


def _clockwise(points: Sequence[Sequence[float]]) -> list[Point]:
    corners = [(float(x), float(y)) for x, y in points]
    # In image coordinates (y down) a positive shoelace sum is clockwise as seen.
    return corners if _area(corners) >= 0 else corners[::-1]


def _clip(subject: list[Point], clipper: list[Point]) -> list[Point]:
    output = subject
    for (x1, y1), (x2, y2) in zip(clipper, [*clipper[1:], clipper[0]], strict=True):
        points, output = output, []
        sides = [(x2 - x1) * (y - y1) - (y2 - y1) * (x - x1) for x, y in points]
        for i, (point, side) in enumerate(zip(points, sides, strict=True)):
            before, side_before = points[i - 1], sides[i - 1]
            if (side >= 0) != (side_before >= 0):
                part = side_before / (side_before - side)
                output.append((before[0] + part * (point[0] - before[0]), before[1] + part * (point[1] - before[1])))
            if side >= 0:
                output.append(point)
        if not output:
            return []
    return output
