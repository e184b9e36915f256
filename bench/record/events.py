"""Reads the JSON lines of `plate_ocr bench` as they arrive, in little memory, and distrusts every one of them.

A board may print anything: log lines of a library in between, half a line when the link is cut, NaN where a clock
jumped. Whatever cannot be used is counted and quoted in `problems`; nothing else is lost by it.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

SCHEMA = "plate-ocr/events/1"
STAGES = ("decode", "det_pre", "det_infer", "det_post", "crop", "rec_pre", "rec_infer", "rec_post")
KEYS = (*STAGES, "total")
# What a problem does to a result: the first makes it invalid, the second is only told.
FATAL = "fatal"
NOTE = "note"
_VALUES = itemgetter(*KEYS)
_MAX_PROBLEMS = 50
_MAX_LINE = 4 << 20
# Thirty years. A whole number in JSON has no end, but a float has.
_MAX_MS = 1e12


@dataclass(frozen=True)
class Problem:
    """A line that could not be used, or could not be believed.

    Attributes:
        line: Number of the line, from 1.
        kind: `fatal` (a figure is wrong) or `note` (noise between the figures).
        message: What is wrong, with an excerpt.
    """

    line: int
    kind: str
    message: str


class _NotFinite(ValueError):
    pass


def _refuse_constant(name: str) -> float:
    raise _NotFinite(f"{name} is no time")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


@dataclass
class EventLog:
    """Everything that one process reported; feed it line by line.

    Attributes:
        start: The `start` event, None until it arrived.
        load: The `load` event.
        first: The `first` event.
        end: The `end` event; a process without one was cut off.
        warmups: Milliseconds of the whole of each warm-up.
        times: When each iteration began, milliseconds since the start of the process.
        images: Photo index of each iteration.
        plates: Plates read in each iteration.
        boxes: Boxes recognised in each iteration.
        ms: Stage to milliseconds, one an iteration; `total` too.
        problems: At most 50, then only `problem_count` grows.
        lines: Lines seen.
    """

    start: dict[str, Any] | None = None
    load: dict[str, Any] | None = None
    first: dict[str, Any] | None = None
    end: dict[str, Any] | None = None
    warmups: array[float] = field(default_factory=lambda: array("d"))
    times: array[float] = field(default_factory=lambda: array("d"))
    images: array[int] = field(default_factory=lambda: array("l"))
    plates: array[int] = field(default_factory=lambda: array("l"))
    boxes: array[int] = field(default_factory=lambda: array("l"))
    ms: dict[str, array[float]] = field(default_factory=lambda: {key: array("d") for key in KEYS})
    problems: list[Problem] = field(default_factory=list)
    problem_count: int = 0
    fatal_count: int = 0
    lines: int = 0

    def feed(self, line: str | bytes) -> None:
        """Takes one line; never raises for what it holds."""
        self.lines += 1
        text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
        text = text.strip()
        if not text:
            return
        if len(text) > _MAX_LINE:
            self._note(f"a line of {len(text)} characters was passed over")
            return
        try:
            event, end = _DECODER.raw_decode(text)
        except _NotFinite as error:
            self._fatal(f"{error}: {text[:120]}")
            return
        except (ValueError, RecursionError):
            self._note(f"not JSON: {text[:120]!r}")
            return
        if not isinstance(event, dict) or end != len(text):
            self._note(f"not an event: {text[:120]!r}")
            return
        kind = event.get("event")
        if kind == "iteration":
            self._iteration(event, text)
        elif kind == "warmup":
            self._warmup(event, text)
        elif kind == "start":
            self._start(event)
        elif kind in ("load", "first", "end"):
            self._single(str(kind), event, text)
        elif kind == "error":
            self._note(f"{str(event.get('path'))[:300]} cannot be read: {str(event.get('error'))[:200]}")
        else:
            self._note(f"unknown event {str(kind)[:40]!r}")

    @property
    def iterations(self) -> int:
        """Iterations that were measured and believed."""
        return len(self.times)

    @property
    def complete(self) -> bool:
        """True when the program said that it had finished, and everything before that could be believed."""
        return self.end is not None and self.start is not None and self.load is not None and self.fatal_count == 0

    def _start(self, event: dict[str, Any]) -> None:
        if event.get("schema") != SCHEMA:
            self._fatal(f"events of schema {str(event.get('schema'))[:60]!r}; this kit reads {SCHEMA!r}")
        elif self.start is not None:
            self._fatal("a second start: two programs wrote to one stream")
        elif not _is_start(event):
            self._fatal(f"a start with mistyped keys: {str(event)[:160]}")
        else:
            self.start = event

    def _single(self, kind: str, event: dict[str, Any], text: str) -> None:
        if getattr(self, kind) is not None:
            self._fatal(f"a second {kind} event")
            return
        times = event.get("ms")
        if kind != "end" and not _believable(times):
            self._fatal(f"times that cannot be: {text[:160]}")
            return
        if not _storable(event) or (kind == "end" and not is_answers(event.get("answers", []))):
            self._fatal(f"a {kind} event with mistyped keys: {text[:160]}")
            return
        setattr(self, kind, event)

    def _warmup(self, event: dict[str, Any], text: str) -> None:
        try:
            total = float(event["ms"]["total"])
        except (KeyError, TypeError, ValueError, OverflowError):
            self._note(f"warm-up without a total: {text[:120]}")
            return
        if 0 <= total < _MAX_MS:
            self.warmups.append(total)
        else:
            self._fatal(f"times that cannot be: {text[:160]}")

    def _iteration(self, event: dict[str, Any], text: str) -> None:
        try:
            values = _VALUES(event["ms"])
            at, image, plates, boxes = event["t"], event["image"], event["plates"], event["boxes"]
            good = (
                min(values) >= 0
                and max(values) < _MAX_MS
                and values[-1] > 0
                and 0 <= at < _MAX_MS
                and min(image, plates, boxes) >= 0
                and type(image) is type(plates) is type(boxes) is int
            )
        except (KeyError, TypeError, ValueError, OverflowError):
            self._fatal(f"iteration with missing or mistyped keys: {text[:160]}")
            return
        if not good:
            self._fatal(f"times that cannot be: {text[:160]}")
            return
        if self.times and at < self.times[-1]:
            self._fatal(f"the clock went back from {self.times[-1]:.3f} to {at:.3f} ms")
            return
        try:
            self.images.append(image)
        except OverflowError:
            self._fatal(f"iteration with missing or mistyped keys: {text[:160]}")
            return
        self.times.append(at)
        self.plates.append(min(plates, 1 << 30))
        self.boxes.append(min(boxes, 1 << 30))
        for column, value in zip(self.ms.values(), values, strict=True):
            column.append(value)

    def _note(self, message: str) -> None:
        self._problem(NOTE, message)

    def _fatal(self, message: str) -> None:
        self.fatal_count += 1
        self._problem(FATAL, message)

    def _problem(self, kind: str, message: str) -> None:
        self.problem_count += 1
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(Problem(self.lines, kind, printable(message)))


def read_events(lines: Iterable[str | bytes]) -> EventLog:
    """Reads a whole stream, such as an open file, without holding it."""
    log = EventLog()
    for line in lines:
        log.feed(line)
    return log


def printable(text: str) -> str:
    """Text of a board's for a terminal: what would move its cursor, set its title or turn its letters round is shown."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def is_box(box: Any) -> bool:
    """True for four corners [x, y] of finite numbers."""
    return (
        isinstance(box, (list, tuple))
        and len(box) == 4
        and all(isinstance(corner, (list, tuple)) and len(corner) == 2 for corner in box)
        and all(_is_number(value) for corner in box for value in corner)
    )


def is_plates(plates: Any) -> bool:
    """True for a list of plates with a `text` and, where there is one, a `box` and a `score`."""
    return isinstance(plates, (list, tuple)) and all(
        isinstance(plate, dict)
        and isinstance(plate.get("text"), str)
        and ("box" not in plate or is_box(plate["box"]))
        and ("score" not in plate or _is_number(plate["score"]))
        for plate in plates
    )


def is_answers(answers: Any) -> bool:
    """True for the `answers` of an `end` event; one of a photo that could not be read has no plates."""
    return isinstance(answers, list) and all(
        isinstance(item, dict) and type(item.get("image")) in (str, int) and is_plates(item.get("plates", []))
        for item in answers
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _MAX_MS


def _is_start(event: dict[str, Any]) -> bool:
    affinity = event.get("affinity", [])
    return (
        all(isinstance(event.get(key, {}), dict) for key in ("threads", "power_mode", "config"))
        and isinstance(affinity, list)
        and all(type(cpu) is int for cpu in affinity)
        and _storable(event)
    )


def _storable(value: Any) -> bool:
    """Whether a result can hold it: no number beyond a float (1e999), no half of a UTF-16 pair, which no file takes."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return False
    return True


def _believable(times: Any) -> bool:
    if not isinstance(times, dict) or not times:
        return False
    return all(_is_number(value) and value >= 0 for value in times.values())
