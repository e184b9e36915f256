"""What photos without a plate may have to do with the settings: plates too small for the detector, kinds not covered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge.base.plural import counted
from edge.plate.answer import Answer

MOST_SIDE = 4096
"""Of `det_limit_side`."""


def with_scale(answer: Answer, least_width: int) -> Answer:
    """Adds `detector` to an answer: at what scale it looked, and the least width of a plate that it sees there.

    Args:
        answer: Of the program; one without `size` and `det_input` (an error, or of an older program) stays as it is.
        least_width: `limits.least_width` of the detector's card; of 0, no least width is said.
    """
    if answer.size is None or answer.det_input is None:
        return answer
    scale = answer.det_input[0] / answer.size[0]
    least = {"least_plate_px": round(least_width / scale)} if least_width else {}
    return replace(answer, detector={"scale": round(scale, 4), **least})


def card_limits(variant: Mapping[str, Any]) -> tuple[int, str]:
    """Returns `least_width` and `not_covered` of a release's variant; 0 and "" where its cards say none."""
    det, rec = ((variant.get(f"{task}_card") or {}).get("limits") or {} for task in ("det", "rec"))
    return int(det.get("least_width", 0)), str(rec.get("not_covered", ""))


def hints(answers: Sequence[Answer], set_name: str, least_width: int = 0, not_covered: str = "") -> list[str]:
    """Says why there may be no plate in photos in which none was found.

    Args:
        answers: From `with_scale`.
        set_name: Of the models.
        least_width: See `with_scale`.
        not_covered: `limits.not_covered` of the recogniser's card.

    Returns:
        At most one note each about shrunk photos, about texts that were dropped, and about kinds of plates.
    """
    empty = [answer for answer in answers if answer.error is None and not answer.plates]
    shrunk = [answer for answer in empty if answer.detector is not None and answer.detector["scale"] < 1]
    notes = [_small(shrunk, least_width)] if shrunk else []
    dropped = sum((answer.boxes or 0) > 0 for answer in empty)
    if dropped:
        notes.append(
            f"in {counted(dropped, 'photo')} without a plate the detector found something whose text is not a plate's, "
            "or whose score is below score_thresh"
        )
    if empty and not_covered:
        notes.append(f"{set_name} does not read {not_covered}; it answers '-' for most of them")
    return notes


def _small(shrunk: Sequence[Answer], least_width: int) -> str:
    worst = min(shrunk, key=lambda answer: (answer.detector or {})["scale"])
    assert worst.size and worst.det_input and worst.detector, "with_scale adds the third where it has the others"
    (width, height), (inner, lower) = worst.size, worst.det_input
    others = f", the most shrunk of {len(shrunk)}" if len(shrunk) > 1 else ""
    said = (
        f"no plate found in {Path(worst.image).name}{others}: its {width}x{height} pixels were shrunk to {inner}x{lower} "
        "for the detector"
    )
    if least_width:
        said += f", where a plate narrower than about {worst.detector['least_plate_px']} px is not seen"
    side, longest = max(inner, lower), max(width, height)
    larger = min(2 * side, MOST_SIDE, -(-longest // 32) * 32)
    if larger <= side:
        return f"{said}; cut the photo"
    seen = f"from about {max(least_width, round(least_width * longest / larger))} px on, " if least_width else ""
    return f"{said}; cut the photo, or --set det_limit_side={larger} ({seen}{(larger / side) ** 2:.1f} times the work)"
