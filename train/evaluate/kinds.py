"""Kinds of photos: what a label or a CCPD file name says about how hard a plate is.

No label of CCPD tells the weather; a file of names and kinds of one's own can (`read_kinds`).
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.base.errors import InputError
from edge.base.utf8 import read_utf8
from edge.plate.ccpd import parse_name
from edge.plate.country import load_country
from edge.plate.grammar import Grammar
from train.data.dataset import Sample

SMALL = 150.0
"""Pixels: a narrower plate is `small` (a fifth of a CCPD photo's width)."""
TILTED = 10.0
"""Degrees off level or upright from which a plate is `tilted`."""
BLURRED = 20
"""CCPD's blur field (a Laplacian's strength) below which a plate is `blurred`."""
DARK = 60
"""CCPD's brightness field below which a plate is `dark`."""


def text_kinds(text: str, grammar: Grammar | None = None) -> list[str]:
    """Returns the name of the kind of plate that a text is of; nothing when its length fits none.

    Args:
        text: In normal form.
        grammar: Of the plates; None for the kit's own country's.
    """
    kind = (grammar or load_country().grammar).kind_of(text)
    return [kind] if kind else []


def plate_kinds(sample: Sample, grammar: Grammar | None = None) -> list[str]:
    """Returns the kind of a crop's plate, or of a photo's when every legible one is of that kind, else nothing."""
    texts = [plate.text for plate in sample.plates if not plate.unread] or [sample.plate_text]
    kinds = {name for text in texts for name in text_kinds(text, grammar) or [""]}
    return [*kinds] if len(kinds) == 1 and "" not in kinds else []


def all_kinds(sample: Sample, grammar: Grammar | None = None) -> list[str]:
    """Returns `plate_kinds` and what else is known: `small`, `tilted`, and of CCPD names `blurred`, `dark`; or `plain`."""
    if not sample.plates:
        return plate_kinds(sample, grammar)
    kinds = []
    quads = [plate.quad for plate in sample.plates if not plate.ignored]
    if any(_width(quad) < SMALL for quad in quads):
        kinds.append("small")
    if any(tilt(quad) > TILTED for quad in quads):
        kinds.append("tilted")
    try:
        name = parse_name(sample.path)
    except InputError:
        name = None
    if name and name.blur < BLURRED:
        kinds.append("blurred")
    if name and name.brightness < DARK:
        kinds.append("dark")
    return [*plate_kinds(sample, grammar), *(kinds or ["plain"])] if quads else []


def read_kinds(path: Path) -> dict[str, list[str]]:
    """Reads `file name<TAB>kind` lines; a photo may have several.

    Raises:
        InputError: Not a file, not UTF-8, a line of another form, or nothing in it.
    """
    found: dict[str, list[str]] = {}
    lines = read_utf8(path, "Lines are `file name<TAB>kind`.").splitlines()
    for number, line in enumerate(lines, 1):
        name, _, kind = line.partition("\t")
        if line.strip() and not (name and kind.strip()):
            raise InputError(f"{path}, line {number}: not `file name<TAB>kind`.")
        if line.strip():
            found.setdefault(name, []).append(kind.strip())
    if not found:
        raise InputError(f"{path} lists nothing.", "Lines are `file name<TAB>kind`.")
    return found


def tilt(quad: npt.NDArray[np.float64]) -> float:
    """Returns the greatest angle in degrees between a plate's edges and the photo's.

    Args:
        quad: float64 [4, 2], clockwise from top left.
    """
    edges = np.roll(quad, -1, axis=0) - quad
    along = [abs(math.degrees(math.atan2(y, x))) for x, y in edges[[0, 2]] * [[1], [-1]]]
    down = [abs(math.degrees(math.atan2(x, y))) for x, y in edges[[1, 3]] * [[1], [-1]]]
    return max(*along, *down)


def _width(quad: npt.NDArray[np.float64]) -> float:
    return float((np.linalg.norm(quad[1] - quad[0]) + np.linalg.norm(quad[2] - quad[3])) / 2)
