"""`labels.json`: what is on photos, beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edge.base.errors import InputError
from edge.base.progress import Say
from edge.base.utf8 import read_utf8
from edge.plate.corners import CORNERS, plate_corners
from edge.plate.label_notes import LabelNotes, tell

LABELS_NAME = "labels.json"
_FORM = 'It must hold {"photo.jpg": [{"text": "...", "box": [[x, y], four of them]}]}.'


def read_labels(path: Path, note: Say = tell) -> dict[str, tuple[dict[str, Any], ...]]:
    """Reads a `labels.json`: photo name to its plates (`text`; `box` = four [x, y], clockwise from top left).

    Texts come in normal form (see `edge.plate.text`), boxes of more than four points as the rectangle around them, and
    plates that do not count (`###`, `*`, `"difficult": true`) with the text `###`.

    Args:
        path: The file.
        note: Told what was changed.

    Raises:
        InputError: Not such a file; names the photo whose entry is malformed.
    """
    try:
        document = json.loads(read_utf8(path, _FORM), object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be used: it is not valid JSON: {error}.", _FORM) from error
    if not isinstance(document, dict):
        raise InputError(f"{path} cannot be used: it is not an object of photo names.", _FORM)
    notes = LabelNotes(path)
    labels = {}
    for name, plates in document.items():
        try:
            if not isinstance(plates, list):
                raise ValueError("it is not a list of plates")
            labels[name] = tuple(_plate(plate, f"{path}, {name}", notes) for plate in plates)
        except (ValueError, KeyError, TypeError) as error:
            why = f"{error} is missing" if isinstance(error, KeyError) else error
            said = f"{path} cannot be used: {name!r} is not a list of plates with `text` and `box` (four [x, y]): {why}."
            raise InputError(said, _FORM) from error
    for sentence in notes.sentences():
        note(sentence)
    return labels


def _plate(plate: Any, where: str, notes: LabelNotes) -> dict[str, Any]:
    if not isinstance(plate, dict):
        raise TypeError("a plate is an object")
    label, box = plate["text"], plate["box"]
    if not isinstance(label, str | None):
        raise TypeError("`text` is not a text")
    corners = plate_corners(box).tolist()
    text = notes.text(label, where, difficult=plate.get("difficult") in (True, "true"))
    return {**plate, "text": text, "box": box if len(box) == CORNERS else corners}


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is given twice")
    return found
