"""Counts what is odd about labels that are used nevertheless, and tells each group in one line with its first place."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from edge.host.streams import printable
from edge.plate.text import ILLEGIBLE, PENDING, is_ignored, normal_text

CHANGED = "texts were brought into their normal form: {}."
IGNORED = "plates that do not count, neither right nor wrong, and are not learnt: {}."
UNREAD = "plates without a text, whose boxes count and whose texts do not: {}."
OUTSIDE = "plates with corners outside their photo: {}."
FLAT = "plates whose corners enclose less than a pixel: {}."
TWICE = "pictures that are listed more than once, and count each time: {}."


def tell(text: str) -> None:
    """Writes a note to standard error."""
    print(f"note: {printable(text)}", file=sys.stderr, flush=True)


class Notes(list[str]):
    """Notes that are told at once and kept, for a command that also writes them as JSON."""

    def __call__(self, text: str) -> None:
        """Takes a note."""
        self.append(text)
        tell(text)


@dataclass
class _Found:
    first: str
    count: int = 0


class LabelNotes:
    """Counts what is odd in one source of labels.

    Args:
        source: Its name.
    """

    def __init__(self, source: object) -> None:
        self.source = source
        self._found: dict[str, dict[str, _Found]] = {}
        self._seen: dict[object, tuple[str, str]] = {}

    def text(self, label: object, where: str, difficult: bool = False) -> str:
        """Returns the normal form of a transcription as it stands in a label; None (JSON's null) is an empty one.

        Args:
            label: The transcription.
            where: File and line.
            difficult: Whether the annotator marked the plate as not to be counted.
        """
        raw = "" if label is None else str(label)
        if difficult or is_ignored(raw):
            self._add(IGNORED, "marked difficult" if difficult else "marked ### or *", where)
            return ILLEGIBLE
        text, changes = normal_text(raw)
        if text == PENDING:
            pending = raw.strip() == PENDING
            self._add(UNREAD, f"with PPOCRLabel's placeholder {PENDING}" if pending else "with an empty text", where)
            return text
        for change in changes:
            self._add(CHANGED, change, where)
        return text

    def outside(self, point: tuple[float, float], size: tuple[int, int], where: str) -> None:
        """Counts a plate with a point outside its photo of width x height pixels."""
        self._add(OUTSIDE, "", f"{self._short(where)}: {point[0]:g}, {point[1]:g} in {size[0]}x{size[1]} pixels")

    def flat(self, where: str) -> None:
        """Counts a plate without an area."""
        self._add(FLAT, "", where)

    def picture(self, picture: object, label: str, where: str) -> None:
        """Counts a picture that an earlier line also lists."""
        first, known = self._seen.setdefault(picture, (where, label))
        if first != where:
            kind = "with the same label" if known == label else "with another label"
            self._add(TWICE, kind, f"{self._short(where)}, as in {self._short(first)}")

    def sentences(self) -> list[str]:
        """Returns a sentence for each group of what was found; none for labels as they should be."""
        return [
            f"{self.source}: "
            + group.format(", ".join(f"{f'{item.count} {kind}'.strip()} ({item.first})" for kind, item in kinds.items()))
            for group, kinds in self._found.items()
        ]

    def _add(self, group: str, kind: str, where: str) -> None:
        self._found.setdefault(group, {}).setdefault(kind, _Found(self._short(where))).count += 1

    def _short(self, where: str) -> str:
        return where.removeprefix(f"{self.source}, ")
