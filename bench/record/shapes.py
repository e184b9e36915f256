"""What the parts of a result may look like that a board, or whoever edited the file, had a say in.

The types of `bench.record.result` say which keys there are; here stands what lies inside, so that a report never meets a
figure that is none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from bench.record.events import is_plates

Shape = Callable[[Any], bool]
# A float holds every whole number up to here.
_MOST = 1 << 53


def number(value: Any) -> bool:
    """A finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_MOST < value < _MOST


def figure(value: Any) -> bool:
    """A finite number that is not negative."""
    return number(value) and value >= 0


def whole(value: Any) -> bool:
    """A whole number that is not negative."""
    return type(value) is int and 0 <= value < _MOST


def text(value: Any) -> bool:
    """Text that a file takes: no half of a UTF-16 pair."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def optional(shape: Shape) -> Shape:
    """The shape, or None."""
    return lambda value: value is None or shape(value)


def listing(shape: Shape) -> Shape:
    """A list of such."""
    return lambda value: isinstance(value, (list, tuple)) and all(shape(item) for item in value)


def mapping(shape: Shape) -> Shape:
    """An object whose values are such."""
    return lambda value: isinstance(value, dict) and all(text(key) and shape(item) for key, item in value.items())


def record(needed: tuple[str, ...] = (), **shapes: Shape) -> Shape:
    """An object; keys that it has must fit, `needed` ones must be there, others are free."""
    return lambda value: (
        isinstance(value, dict)
        and all(key in value for key in needed)
        and all(shape(value[key]) for key, shape in shapes.items() if key in value)
    )


def plain(value: Any) -> bool:
    """JSON without figures that are none, to any depth."""
    if isinstance(value, dict):
        return all(text(key) and plain(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return all(plain(item) for item in value)
    return value is None or isinstance(value, bool) or text(value) or (number(value) and math.isfinite(value))


_ASKED = record(requested=plain, effective=plain)
_THREADS = record(requested=plain, effective=whole, started=whole)
LOOK = record(
    frequencies=optional(mapping(figure)), governors=optional(mapping(text)), limits=optional(mapping(figure)),
    temperatures=optional(mapping(number)), cooling=optional(mapping(figure)), throttled=optional(mapping(whole)),
    load=optional(figure), memory_kb=optional(figure), power_w=optional(mapping(number)),
    power_source=optional(text), missing=mapping(text), t=figure, process=whole,
)  # fmt: skip
PROCESS: dict[str, Shape] = {
    "offset_s": figure, "seconds": figure, "load_ms": mapping(figure), "first_ms": mapping(figure),
    "hwm_kb": mapping(optional(whole)), "answers": mapping(is_plates), "before": optional(LOOK),
    "after": optional(LOOK), "problem_count": whole, "why": text, "started": text,
    "effective": record(threads=_THREADS, power_mode=_ASKED, affinity=listing(whole)),
    "problems": listing(plain),
}  # fmt: skip
CELL: dict[str, Shape] = {
    "key": text, "model": text, "precision": lambda value: text(value) and re.fullmatch(r"\w{1,16}", value) is not None,
    "threads": whole, "power_mode": text, "det_bytes": whole, "rec_bytes": whole,
    "side": lambda value: text(value) and re.fullmatch(r"(min|max)\d{1,5}", value) is not None,
    "hashes": mapping(text), "opt": mapping(text),
}  # fmt: skip
PHOTO: dict[str, Shape] = {
    "name": text, "sha256": text, "bytes": whole,
    "truth": optional(lambda plates: is_plates(plates) and all("box" in plate for plate in plates)),
}  # fmt: skip
RESULT: dict[str, Shape] = {
    "created": text, "finished": text, "why": text, "release": text, "command": listing(text), "notes": listing(text),
    "kit": record(git=optional(text)), "device": record(("name", "kind"), name=text, kind=text),
    "program": plain, "runtime": plain,
    "plan": record(
        processes=whole, min_processes=whole, box_s=figure, min_ms=figure, options=mapping(plain), name=text
    ),
    "facts": record(
        memory_kb=optional(figure), cores=optional(figure), cpu_parts=optional(mapping(whole)),
        features=optional(listing(text)), max_khz=optional(mapping(figure)), cpu=optional(text),
    ),
    "samples": listing(lambda value: LOOK(value) and "t" in value),
    "tuning": record(
        knobs=mapping(text), problems=listing(text), settings=listing(record(("now", "wanted"))),
    ),
    "host_check": mapping(
        record(("photos", "same", "edits", "least_iou"), photos=whole, same=whole, edits=whole,
               least_iou=optional(figure))
    ),
}  # fmt: skip


def misfit(item: Any, shapes: dict[str, Shape]) -> str:
    """Name of the first attribute that does not fit its shape, or holds what no file takes; "" when all do."""
    for name, shape in shapes.items():
        value = getattr(item, name)
        if not shape(value) or not plain(value):
            return name
    return ""
