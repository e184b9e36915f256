"""Whether what came out of a JSON file is of the types that a dataclass names."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any


def mistyped(value: Any, wanted: Any, where: str = "") -> Iterator[str]:
    """Finds what is not of its type, as one text each, such as `input.mean[0]: 'a' is not float`.

    Args:
        value: A dataclass, or a part of one. A whole number does for a float; a truth value does for neither, and NaN
            and infinity are no numbers here.
        wanted: Its type: a dataclass, `str`, `int`, `float`, `bool`, `Any`, and tuples, dicts and `X | None` of these.
        where: Name of the value.
    """
    origin, parts = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):
        # Of `X | None`, what is wrong with the X.
        rest = [part for part in parts if part is not type(None)]
        if value is not None or len(rest) == len(parts):
            faults = [list(mistyped(value, part, where)) for part in rest]
            yield from min(faults, key=len)
    elif is_dataclass(wanted) and isinstance(value, typing.cast(type, wanted)):
        hints = typing.get_type_hints(wanted)
        for item in fields(wanted):
            yield from mistyped(getattr(value, item.name), hints[item.name], f"{where}.{item.name}".lstrip("."))
    elif origin is tuple and isinstance(value, tuple):
        every = parts[:1] * len(value) if parts[-1] is Ellipsis else parts
        if len(every) != len(value):
            yield f"{where}: {len(value)} values, not {len(every)}"
        for index, (item, part) in enumerate(zip(value, every, strict=False)):
            yield from mistyped(item, part, f"{where}[{index}]")
    elif origin is dict and isinstance(value, dict):
        for key, item in value.items():
            yield from mistyped(key, parts[0], f"{where}'s key")
            yield from mistyped(item, parts[1], f"{where}.{key}")
    elif not _is_plain(value, origin or wanted):
        yield _text(where, value, wanted)


def _is_plain(value: Any, wanted: Any) -> bool:
    if wanted is Any:
        return True
    if wanted in (int, float):
        number = isinstance(value, (int, wanted)) and not isinstance(value, bool)
        return number and (isinstance(value, int) or math.isfinite(value))
    return isinstance(value, wanted)


def _text(where: str, value: Any, wanted: Any) -> str:
    name = getattr(wanted, "__name__", str(wanted))
    shown = repr(value)
    return f"{where}: {shown if len(shown) <= 40 else shown[:37] + '...'} is not {name}"
