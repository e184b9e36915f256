"""The lines of a label file and the pictures that they name; every command says the same about a wrong file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edge.base.errors import InputError
from edge.base.progress import Say
from edge.base.utf8 import read_utf8
from train.labels.journal import find_image, label_roots

FORM = "Lines are `path<TAB>text` for crops, `path<TAB>[{\"points\": ..., \"transcription\": ...}]` for photos."
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")


@dataclass(frozen=True)
class LabelLine:
    """One line.

    Attributes:
        where: File and line number, for messages.
        name: The picture as the line names it.
        image: The picture's file.
        label: What follows the tab.
    """

    where: str
    name: str
    image: Path
    label: str

    @property
    def is_photo(self) -> bool:
        """Whether the label is a list of plates on a photo; else it is the text of a crop."""
        return self.label.lstrip().startswith("[")


def read_lines(labels: Path, note: Say | None = None) -> list[LabelLine]:
    """Reads a label file of PP-OCR's form, made by the kit, by PPOCRLabel or by hand.

    Args:
        labels: UTF-8 with or without a mark before it, line ends of any system.
        note: Told of missing pictures; None makes them an error.

    Raises:
        InputError: No such file, another encoding, nothing in it, a malformed line, or a picture that is missing; names
            the first line that is wrong.
    """
    if not labels.is_file():
        raise InputError(f"{labels} is not a label file.", "Make labels with `edge train labels --ccpd DIR --out DIR`.")
    roots = label_roots(labels)
    text = read_utf8(labels, FORM)
    lines, missing = [], []
    for number, line in enumerate(text.split("\n" if "\n" in text else "\r"), 1):
        if not line.strip():
            continue
        found = _parse(f"{labels}, line {number}", line.rstrip("\r"), roots)
        lines.append(found)
        if not found.image.is_file():
            missing.append(found)
    if missing:
        error = _missing(missing, roots)
        if note is None:
            raise error
        note(str(error))
    if not lines:
        raise InputError(f"{labels} lists nothing: it is empty.", FORM)
    return lines


def _parse(where: str, line: str, roots: list[Path]) -> LabelLine:
    name, tab, label = line.partition("\t")
    if not tab or not label.strip():
        raise InputError(f"{where}: not `path<TAB>label`: {'nothing follows the tab' if tab else 'a tab is missing'}.", FORM)
    image = find_image(roots, name)
    if name.startswith("[") and not image.is_file():
        raise InputError(
            f"{where}: a list of several pictures (PaddleOCR's multi-path form) is not read.",
            "Give each picture a line of its own.",
        )
    found = LabelLine(where, name, image, label)
    if "\t" in label and not found.is_photo:
        raise InputError(f"{where}: not `path<TAB>label`: it has more than one tab.", FORM)
    return found


def _missing(lines: list[LabelLine], roots: list[Path]) -> InputError:
    first = lines[0]
    also = f", as in {len(lines) - 1} more lines" if len(lines) > 1 else ""
    looked = f"Paths may be relative to: {', '.join(str(root) for root in roots)}."
    windows = _WINDOWS.match(first.name) is not None
    if not windows and not first.name.startswith("/"):
        return InputError(f"{first.where}: {first.image} is missing{also}.", looked)
    kind = "an absolute Windows path" if windows else "an absolute path, perhaps from another computer"
    return InputError(f"{first.where}: {first.name} is missing{also}; this is {kind}.", _shorter(first.name, roots))


def _shorter(name: str, roots: list[Path]) -> str:
    """Returns the advice that makes an absolute path relative: what to cut off, where its last parts exist."""
    parts = [part for part in re.split(r"[\\/]", name) if part]
    for start in range(1, len(parts)):
        rest = parts[start:]
        if any(root.joinpath(*rest).is_file() for root in roots):
            cut = name[: len(name) - len("/".join(rest))]
            return f"{'/'.join(rest)} exists: remove {cut} from the start of every line."
    return f"Make the paths relative to {roots[0]}."
