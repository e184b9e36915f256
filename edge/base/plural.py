"""A number and its noun, for messages."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Returns `1 photo`, `2 photos`, `0 processes`.

    Args:
        number: How many.
        noun: In the singular; one with a regular plural.
    """
    ending = "" if number == 1 else "es" if noun.endswith(("s", "x", "ch")) else "s"
    return f"{number} {noun}{ending}"
