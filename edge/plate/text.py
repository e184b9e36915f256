"""The text of a plate: its normal form, the marks of text that nobody could read, and the distance between two texts.

Labels come from many hands and programs: with the separator `·` or one of its look-alikes, with spaces, in full-width or
lower-case letters, with the letter O where a plate has a zero. What is compared, counted and learnt is the normal form.
"""

from __future__ import annotations

import re

from edge.plate.country import load_country

ILLEGIBLE = "###"
"""Marks text that is illegible or not to be counted: its plate is neither right nor wrong (`*` means the same)."""
PENDING = "待识别"
"""PPOCRLabel's placeholder for a text that nobody has typed yet; the plate's corners are good."""

SEPARATOR, LOWER, FULL_WIDTH, O_OR_I = (
    "with '·', '-' or spaces removed",
    "in lower case",
    "in full-width letters",
    "with O and 0, or I and 1, confused",
)
"""What `normal_text` may change, in words that follow a number of texts."""

# Dots and dashes of every alphabet that input methods offer, and characters without width; spaces are asked for.
_SEPARATORS = frozenset(
    "·•・‧⋅･∙●⚫᛫᎐˙․﹒.。｡-‐‑‒–—―−﹣_‾ー｜|"
    "\u200b\u200c\u200d\u2060\ufeff\u00ad"
)
_HALF_WIDTH = {**{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}, 0x3000: 0x20}
_ILLEGIBLE = re.compile(r"[#*]+")


def half_width(text: str) -> str:
    """Replaces full-width forms (U+FF01 to U+FF5E, U+3000) by their half-width ones."""
    return text.translate(_HALF_WIDTH)


def is_ignored(text: str) -> bool:
    """Whether a text marks a plate that does not count at all (`###`, `*`), neither its box nor its text."""
    return _ILLEGIBLE.fullmatch(half_width(text).strip()) is not None


def is_unread(text: str) -> bool:
    """Whether a text says nothing about what is on the plate: `is_ignored`, `PENDING`, or empty."""
    return not text.strip() or text.strip() == PENDING or is_ignored(text)


def normal_text(text: str) -> tuple[str, tuple[str, ...]]:
    """Brings the text of a plate into its normal form.

    Separators and spaces go, full-width letters become half-width ones, lower-case ones upper-case. Mainland plates have
    no I, and O only in second place (police and older official plates, such as 粤OA123, whose O is often typed as a
    zero); behind a province, O and I are therefore read as 0 and 1, and a zero in second place as O.

    Args:
        text: As labelled. What `is_unread` accepts comes back as `ILLEGIBLE` or `PENDING`.

    Returns:
        The normal form, and which of `SEPARATOR`, `LOWER`, `FULL_WIDTH`, `O_OR_I` it took.
    """
    if is_unread(text):
        return (ILLEGIBLE if is_ignored(text) else PENDING), ()
    changes = []
    narrow = half_width(text)
    if any(mark != other and not mark.isspace() for mark, other in zip(text, narrow, strict=True)):
        changes.append(FULL_WIDTH)
    kept = "".join(mark for mark in narrow if mark not in _SEPARATORS and not mark.isspace())
    if kept != narrow:
        changes.insert(0, SEPARATOR)
    upper = "".join(mark.upper() if "a" <= mark <= "z" else mark for mark in kept)
    if upper != kept:
        changes.append(LOWER)
    plate = _without_o_and_i(upper)
    if plate != upper:
        changes.append(O_OR_I)
    return plate or PENDING, tuple(changes)


def _without_o_and_i(text: str) -> str:
    if len(text) < 3 or text[0] not in load_country("cn").classes["P"]:
        return text
    office = "O" if text[1] == "0" else text[1]
    return text[0] + office + text[2:].replace("O", "0").replace("I", "1")


def edit_distance(a: str, b: str) -> int:
    """Returns the Levenshtein distance: the least number of insertions, deletions and substitutions."""
    row = list(range(len(b) + 1))
    for i, mark in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (mark != other))
    return row[-1]
