"""`labels.json`: what is on photos, beside them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from edge.errors import InputError

LABELS_NAME = "labels.json"
_FORM = 'It holds {"photo.jpg": [{"text": "...", "box": [[x, y], four of them]}]}.'


def read_labels(path: Path) -> dict[str, tuple[dict[str, Any], ...]]:
    """Reads a `labels.json`: photo name to its plates (`text`; `box` = four [x, y], clockwise from top left).

    Raises:
        InputError: Not such a file; names the photo whose entry is malformed.
    """
    try:
        # Without the byte order mark that some editors put before a text.
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"{path} cannot be used: it is not UTF-8.", "Save it as UTF-8.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be used: it is not valid JSON: {error}.", _FORM) from error
    if not isinstance(document, dict):
        raise InputError(f"{path} cannot be used: it is not an object of photo names.", _FORM)
    for name, plates in document.items():
        if not isinstance(plates, list) or not all(_is_plate(plate) for plate in plates):
            said = f"{path} cannot be used: {name!r} is not a list of plates with `text` and `box` (four [x, y])."
            raise InputError(said, _FORM)
    return {name: tuple(plates) for name, plates in document.items()}


def _is_plate(plate: object) -> bool:
    return isinstance(plate, dict) and isinstance(plate.get("text"), str) and _is_box(plate.get("box"))


def _is_box(box: object) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(_is_corner(corner) for corner in box)


def _is_corner(corner: object) -> bool:
    return (
        isinstance(corner, list)
        and len(corner) == 2
        and all(isinstance(value, int | float) and math.isfinite(value) for value in corner)
    )
