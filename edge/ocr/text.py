"""Comparing texts that were read."""

from __future__ import annotations


def edit_distance(a: str, b: str) -> int:
    """Returns the Levenshtein distance: the least number of insertions, deletions and substitutions."""
    row = list(range(len(b) + 1))
    for i, mark in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (mark != other))
    return row[-1]
