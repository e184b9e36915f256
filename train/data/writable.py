"""Which labelled texts a recogniser can learn: those that its characters can write in the steps that it has."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import pairwise

from edge.base.errors import InputError
from edge.base.progress import Say
from edge.plate.text import SEPARATOR
from train.data.dataset import Sample


def steps_needed(text: str) -> int:
    """Returns the CTC steps that a text takes at least: one a character, and a blank between equal neighbours."""
    return len(text) + sum(one == other for one, other in pairwise(text))


class Writable:
    """Chooses samples, and counts what it leaves out.

    Args:
        characters: That can be written.
        width: Of the network's input in pixels.
        stride: Pixels for each CTC step.
        charset: Name of the characters' set, for messages.
    """

    def __init__(self, characters: Collection[str], width: int, stride: int, charset: str) -> None:
        self._characters, self._steps, self._charset = characters, width // stride, charset
        self._hint = f"Choose another model.charset, or a greater model.width ({stride} pixels a step)."
        self._all = self._kept = 0
        self._reasons: dict[str, tuple[int, str]] = {}

    def crops(self, samples: Sequence[Sample]) -> list[Sample]:
        """Returns the crops that can be learnt."""
        return [sample for sample in samples if self._fits(sample.plate_text, sample.where)]

    def photos(self, samples: Sequence[Sample]) -> list[Sample]:
        """Returns the photos with a plate that can be learnt, without their other legible plates."""
        chosen = []
        for sample in samples:
            plates = tuple(plate for plate in sample.plates if plate.unread or self._fits(plate.text, sample.where))
            if any(not plate.unread for plate in plates):
                chosen.append(sample if len(plates) == len(sample.plates) else replace(sample, plates=plates))
        return chosen

    def tell(self, notes: Sequence[str], rendered: bool, note: Say) -> None:
        """Notes what was left out and why.

        Args:
            notes: What was told of the labels before.
            rendered: Whether rendered plates are trained on, so that something is left.
            note: Told.

        Raises:
            InputError: There are texts, none of which can be learnt, and nothing is rendered.
        """
        why = ", ".join(f"{count} {reason} ({place})" for reason, (count, place) in self._reasons.items())
        if self._all and not self._kept and not rendered:
            raise InputError(
                f"No sample's text can be written with this charset in {self._steps} steps: {why}.", self._hint
            )
        if why:
            note(f"{self._all - self._kept} of {self._all} crops and plates are left out: {why}.")
        if "·" in self._characters and any(SEPARATOR in text for text in notes):
            note(
                f"model.charset {self._charset} has '·', but it is not learnt: texts are learnt in their normal form, and "
                "every reading is stripped of '·', '.', '-' and spaces too (text_strip)."
            )

    def can(self, text: str) -> bool:
        """Tells whether a text can be learnt: of one that the steps cannot hold the loss is 0."""
        return bool(text) and all(mark in self._characters for mark in text) and steps_needed(text) <= self._steps

    def never(self, text: str) -> InputError:
        """Returns the error for samples none of which can be learnt, such as one with this text."""
        return InputError(
            f"No sample's text can be written with this charset in {self._steps} steps (the last one: {text!r}).",
            self._hint,
        )

    def _fits(self, text: str, where: str) -> bool:
        self._all += 1
        absent = "".join(dict.fromkeys(mark for mark in text if mark not in self._characters))
        if not text:
            reason, place = "without a text, or to be ignored", where
        elif absent:
            reason, place = f"with {absent}, which model.charset {self._charset} lacks", where
        elif steps_needed(text) > self._steps:
            reason, place = f"too long for {self._steps} steps", f"{where}: {len(text)} characters"
        else:
            self._kept += 1
            return True
        count, first = self._reasons.get(reason, (0, place))
        self._reasons[reason] = count + 1, first
        return False
