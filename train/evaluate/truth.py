"""Truths that say nothing, or that a model can never read: reported before anything is measured."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from edge.base.errors import InputError
from edge.base.progress import Say
from edge.ocr.config import PipelineConfig
from edge.plate.country import load_country
from edge.plate.grammar import Grammar
from edge.plate.text import is_unread
from train.data.dataset import Sample


def check_measurable(task: str, samples: Sequence[Sample], labels: Path, note: Say) -> None:
    """Checks that there is something to measure.

    Args:
        task: `det`, `rec` or `e2e`.
        samples: As read.
        labels: Where from, for messages.
        note: Told when only false finds can be counted.

    Raises:
        InputError: No plate counts, and for photos every one has a plate to be ignored.
    """
    plates = [plate for sample in samples for plate in sample.plates]
    counted = sum(not plate.ignored for plate in plates) if task == "det" else len(_texts(samples))
    if counted:
        return
    what = "plate that counts" if task == "det" else "text that counts"
    if task == "rec" or all(sample.plates for sample in samples):
        raise InputError(
            f"{labels}: none of the {len(samples)} pictures has a {what}, so there is nothing to measure.",
            "Plates marked ### or difficult, and those without a text, are neither right nor wrong.",
        )
    note(f"{labels}: no photo has a {what}: there is nothing to find, and what is found counts as wrong.")


def note_unreadable(
    samples: Sequence[Sample],
    characters: Collection[str],
    config: PipelineConfig,
    name: str,
    note: Say,
    grammar: Grammar | None = None,
) -> None:
    """Notes truths that can never be read.

    Args:
        samples: With their truth.
        characters: Of the recogniser.
        config: Settings that it is read with.
        name: Of the recogniser.
        note: Told.
        grammar: Of the plates; None for that of the kit's own country.
    """
    grammar = grammar or load_country().grammar
    reasons: dict[str, tuple[int, str]] = {}
    for text, where in _texts(samples):
        absent = "".join(dict.fromkeys(mark for mark in text if mark not in characters))
        if absent:
            reason, place = f"with {absent}, which the dictionary of {name} lacks", where
        elif config.decode == "plate" and not grammar.is_plate(text):
            shown = text if len(text) <= 12 else f"{text[:12]}..., {len(text)} characters"
            reason, place = "that the grammar does not allow (decode=plate)", f"{where}: {shown}"
        else:
            continue
        count, first = reasons.get(reason, (0, place))
        reasons[reason] = count + 1, first
    if reasons:
        what = ", ".join(f"{count} {reason} ({place})" for reason, (count, place) in reasons.items())
        note(f"some texts can never be read, and count as wrong: {what}.")


def _texts(samples: Sequence[Sample]) -> list[tuple[str, str]]:
    found = [(sample.text, sample.where) for sample in samples if sample.text and not is_unread(sample.text)]
    return found + [(plate.text, sample.where) for sample in samples for plate in sample.plates if not plate.unread]
