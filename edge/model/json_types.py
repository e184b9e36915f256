"""JSON files whose form is that of types: dataclasses out of parsed JSON, and what in them is not of its type."""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar

# A float holds every whole number up to here.
_MOST = 1 << 53
# Levels of lists and objects in free JSON; what copies and writes it takes several calls for each.
_DEEPEST = 50
_T = TypeVar("_T")


@dataclass(frozen=True)
class Bounds:
    """What a value of a type may be besides, for `Annotated`.

    Attributes:
        least: Of a number.
        pattern: Regular expression that the whole text fits.
        keys: That a dict has at least.
    """

    least: float = -math.inf
    pattern: str = ""
    keys: tuple[str, ...] = ()


# Numbers that are not negative.
Figure = typing.Annotated[float, Bounds(least=0)]
Count = typing.Annotated[int, Bounds(least=0)]


@cache
def hints_of(kind: type) -> dict[str, Any]:
    """Name to type of a dataclass' or typed dict's parts, with their bounds."""
    return typing.get_type_hints(kind, include_extras=True)


def build(kind: type[_T], value: Any) -> _T:
    """Makes a dataclass of parsed JSON, with all dataclasses and tuples in it; see `mistyped` for what else may be wrong.

    Args:
        kind: The dataclass.
        value: The JSON.

    Raises:
        ValueError: Not an object, or unknown or missing keys; says where.
    """
    return typing.cast(_T, _build(kind, value, ""))


def _build(wanted: Any, value: Any, where: str) -> Any:
    origin, parts = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is typing.Annotated:
        return _build(parts[0], value, where)
    if origin in (types.UnionType, typing.Union):
        return value if value is None else _build(parts[0], value, where)
    if is_dataclass(wanted):
        if not isinstance(value, dict):
            raise ValueError(f"{where or 'the document'} is {_shown(value)} and not an object")
        known = {item.name: item.default is MISSING and item.default_factory is MISSING for item in fields(wanted)}
        for key in value.keys() - known.keys():
            raise ValueError(f"unknown key {_joined(where, key)!r}")
        for key in (key for key, needed in known.items() if needed and key not in value):
            raise ValueError(f"{_joined(where, key)!r} is missing")
        hints = hints_of(typing.cast(type, wanted))
        made = {key: _build(hints[key], item, _joined(where, key)) for key, item in value.items()}
        return typing.cast(Callable[..., Any], wanted)(**made)
    if origin is tuple and isinstance(value, list):
        if _plain_check(parts[0]) is not None:
            return tuple(value)
        return tuple(_build(parts[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {key: _build(parts[1], item, _joined(where, key)) for key, item in value.items()}
    return value


def mistyped(value: Any, wanted: Any, where: str = "", *, partial: bool = False) -> Iterator[str]:
    """Finds what is not of its type, as one text each, such as `input.mean[0]: 'a' is not a number`.

    Args:
        value: A dataclass, or a part of one. A whole number passes for a float, a truth value for neither. NaN,
            infinity and what a float cannot hold are not numbers here, and half of a UTF-16 pair is not text.
        wanted: Its type: a dataclass, a typed dict (whose other keys are free), `str`, `int`, `float`, `bool`, `Any`,
            `Literal`, tuples, lists, dicts and `X | None` of these, and `Annotated` with `Bounds`.
        where: Name of the value.
        partial: Keys that the typed dict itself, or `Bounds` of one of its values, ask for may be missing; what lies
            deeper is whole.
    """
    origin, parts = typing.get_origin(wanted), typing.get_args(wanted)

    def inner(item: Any, part: Any, name: str) -> Iterator[str]:
        return mistyped(item, part, name)

    plain = _plain_check(wanted)
    if plain is not None:
        if not plain(value):
            yield f"{where}: {_shown(value)} is not {_name(wanted)}"
    elif origin is typing.Annotated:
        yield from inner(value, parts[0], where)
        if isinstance(value, dict) and not partial:
            yield from (f"{_joined(where, key)!r} is missing" for key in parts[1].keys if key not in value)
    elif origin in (types.UnionType, typing.Union):
        # Of `X | None`, what is wrong with the X.
        rest = [part for part in parts if part is not type(None)]
        if value is not None or len(rest) == len(parts):
            yield from min((list(inner(value, part, where)) for part in rest), key=len)
    elif is_dataclass(wanted) and isinstance(value, typing.cast(type, wanted)):
        for name, part in hints_of(typing.cast(type, wanted)).items():
            yield from inner(getattr(value, name), part, _joined(where, name))
    elif typing.is_typeddict(wanted) and isinstance(value, dict):
        hints = hints_of(wanted)
        for key in sorted(wanted.__required_keys__ - value.keys()) if not partial else ():
            yield f"{_joined(where, key)!r} is missing"
        for key, item in value.items():
            yield from inner(key, str, f"{where}'s key")
            part = hints.get(key, Any)
            loose = partial and typing.get_origin(part) is typing.Annotated
            yield from mistyped(item, part, _joined(where, key), partial=loose)
    elif origin in (tuple, list) and isinstance(value, (tuple, list)):
        every = parts[:1] * len(value) if origin is list or parts[-1] is Ellipsis else parts
        if len(every) != len(value):
            yield f"{where}: {len(value)} values, not {len(every)}"
        plain = _plain_check(parts[0]) if len(set(every)) == 1 else None
        if plain is None or not all(map(plain, value)):
            for index, (item, part) in enumerate(zip(value, every, strict=False)):
                yield from inner(item, part, f"{where}[{index}]")
    elif origin is dict and isinstance(value, dict):
        for key, item in value.items():
            yield from inner(key, parts[0], f"{where}'s key")
            yield from inner(item, parts[1], _joined(where, key))
    else:
        yield f"{where}: {_shown(value)} is not {_name(origin or wanted)}"


@cache
def _plain_check(wanted: Any) -> Callable[[Any], bool] | None:
    """Whether a value is of a type without parts; None for a type with parts."""
    origin, parts = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is typing.Annotated:
        check, bounds = _plain_check(parts[0]), parts[1]
        if check is None:
            return None
        if parts[0] is str:
            return lambda value: check(value) and re.fullmatch(bounds.pattern, value) is not None
        return lambda value: check(value) and value >= bounds.least
    if origin is typing.Literal:
        return lambda value: isinstance(value, str) and value in parts
    known: dict[Any, Callable[[Any], bool]] = {
        int: lambda value: isinstance(value, int) and _is_number(value), float: _is_number, str: _is_text,
        bool: lambda value: isinstance(value, bool), Any: _is_json,
    }  # fmt: skip
    return known.get(wanted)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_MOST < value < _MOST


def _is_text(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_json(value: Any, levels: int = _DEEPEST) -> bool:
    if isinstance(value, dict):
        return levels > 0 and all(_is_text(key) and _is_json(item, levels - 1) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return levels > 0 and all(_is_json(item, levels - 1) for item in value)
    return value is None or isinstance(value, bool) or _is_text(value) or _is_number(value)


def _joined(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _shown(value: Any) -> str:
    try:
        text = ascii(value) if isinstance(value, str) and not _is_text(value) else repr(value)
    except RecursionError:
        return "what is nested too deeply"
    return text if len(text) <= 40 else text[:37] + "..."


_NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false", list: "a list", tuple: "a list"}


def _name(wanted: Any) -> str:
    parts = typing.get_args(wanted)
    if typing.get_origin(wanted) is typing.Literal:
        return f"one of {', '.join(map(str, parts))}"
    if typing.get_origin(wanted) is typing.Annotated:
        return f"{_name(parts[0])} " + (f"like {parts[1].pattern}" if parts[1].pattern else f"of {parts[1].least:g} or more")
    return f"plain JSON of at most {_DEEPEST} levels" if wanted is Any else _NAMES.get(wanted, "an object")
