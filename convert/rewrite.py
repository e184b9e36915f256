"""Rewriting an inference program before opt sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from convert.program import attribute, set_attribute


@dataclass(frozen=True)
class Change:
    """One kind of rewrite and how often it was made."""

    name: str
    count: int


def rewrite(program: Any) -> list[Change]:
    """Repairs a program in place."""
    return [Change("swish-beta", _add_beta(program))]


def _add_beta(program: Any) -> int:
    count = 0
    for block in program.blocks:
        for operator in block.ops:
            if operator.type == "swish" and attribute(operator, "beta") is None:
                set_attribute(operator, "beta", 1, 1.0)
                count += 1
    return count
