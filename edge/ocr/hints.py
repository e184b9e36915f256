"""What photos without a plate may have to do with the settings: plates too small for the detector, kinds not covered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

Answer = dict[str, Any]

LEAST_WIDTH = 45
"""Pixels of the detector's input from which plate-v1 sees a plate (train/results/plate-v1/README.md has the figures)."""

MOST_SIDE = 4096
"""Of `det_limit_side`."""

NOT_COVERED = {
    "plate-v1": "two-line, military, armed police, embassy, trailer, emergency or airport plates, or foreign ones",
}
"""By model set, what it was not trained to read."""


def with_scale(answer: Answer) -> Answer:
    """Adds `detector` to an answer: at what scale it looked, and the least width of a plate that it sees there.

    Args:
        answer: Of the program; one without `size` and `det_input` (an error, or of an older program) stays as it is.
    """
    if "size" not in answer or "det_input" not in answer:
        return answer
    scale = answer["det_input"][0] / answer["size"][0]
    return {**answer, "detector": {"scale": round(scale, 4), "least_plate_px": round(LEAST_WIDTH / scale)}}


def hints(answers: Sequence[Answer], set_name: str) -> list[str]:
    """Says why there may be no plate in photos in which none was found.

    Args:
        answers: From `with_scale`.
        set_name: Of the models.

    Returns:
        At most one note each about shrunk photos, about texts that were dropped, and about kinds of plates.
    """
    empty = [answer for answer in answers if answer.get("plates") == []]
    notes = [_small(shrunk)] if (shrunk := [answer for answer in empty if _is_shrunk(answer)]) else []
    dropped = sum(answer.get("boxes", 0) > 0 for answer in empty)
    if dropped:
        photos = "1 photo" if dropped == 1 else f"{dropped} photos"
        notes.append(
            f"in {photos} without a plate something was found that reads as none, or with a score under score_thresh"
        )
    if empty and set_name in NOT_COVERED:
        notes.append(f"{set_name} does not read {NOT_COVERED[set_name]}; it answers '-' for most of them")
    return notes


def _is_shrunk(answer: Answer) -> bool:
    return "detector" in answer and float(answer["detector"]["scale"]) < 1


def _small(shrunk: Sequence[Answer]) -> str:
    worst = max(shrunk, key=lambda answer: int(answer["detector"]["least_plate_px"]))
    (width, height), (inner, lower) = worst["size"], worst["det_input"]
    least = worst["detector"]["least_plate_px"]
    others = f", the most shrunk of {len(shrunk)}" if len(shrunk) > 1 else ""
    said = (
        f"no plate found in {Path(worst['image']).name}{others}: its {width}x{height} pixels were shrunk to {inner}x{lower} "
        f"for the detector, where a plate narrower than about {least} px is not seen"
    )
    side, longest = max(inner, lower), max(width, height)
    larger = min(2 * side, MOST_SIDE, -(-longest // 32) * 32)
    if larger <= side:
        return f"{said}; cut the photo"
    seen = max(LEAST_WIDTH, round(LEAST_WIDTH * longest / larger))
    times = (larger / side) ** 2
    return f"{said}; cut the photo, or --set det_limit_side={larger} (from about {seen} px on, {times:.1f} times the work)"
