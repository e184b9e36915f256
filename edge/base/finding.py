"""One thing that a check found: on this host, on a board, in a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        level: One of the checker's levels.
        name: What was looked at, or the check's short stable name.
        message: What was found.
        hint: The next step; may be empty.
    """

    level: str
    name: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()

    def as_json(self, keys: Sequence[str]) -> dict[str, str]:
        """Returns it as a JSON object.

        Args:
            keys: The four keys that the command's output has for level, name, message and hint.
        """
        return dict(zip(keys, astuple(self), strict=True))


def gravest_first(findings: Sequence[Finding], levels: Sequence[str]) -> list[Finding]:
    """Sorts findings by their levels, of which the last is the most severe; equals keep their order."""
    return sorted(findings, key=lambda finding: -levels.index(finding.level))
