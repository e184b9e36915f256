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
from typing import Annotated, Any, Literal, TypedDict, cast

from bench.record.parts import AskedMode, AskedThreads, RecordedPlate
from edge.model.json_types import Bounds, Count, Figure, mistyped

SCHEMA = "plate-ocr/events/1"
STAGES = ("decode", "det_pre", "det_infer", "det_post", "crop", "rec_pre", "rec_infer", "rec_post")
KEYS = (*STAGES, "total")
# What a problem does to a result: the first makes it invalid, the second is only reported.
FATAL = "fatal"
NOTE = "note"
_VALUES = itemgetter(*KEYS)
_MAX_PROBLEMS = 50
_MAX_LINE = 4 << 20
# Thirty years. An integer in JSON has no upper limit, but a float has.
_MAX_MS = 1e12


StageTimes = Annotated[dict[str, Figure], Bounds(keys=KEYS)]


class StartEvent(TypedDict):
    """The program has started."""

    event: Literal["start"]
    schema: Literal["plate-ocr/events/1"]
    program: str
    version: str
    runtime: str
    compiler: str
    abi: str
    pid: Count
    threads: AskedThreads
    power_mode: AskedMode
    affinity: list[Count]
    cpu_features: list[str]
    config: dict[str, Any]
    images: Count


class _LoadTold(TypedDict):
    event: Literal["load"]
    ms: Annotated[dict[str, Figure], Bounds(keys=("det", "rec"))]
    rss_kb: Count
    hwm_kb: Count


class LoadEvent(_LoadTold, total=False):
    """Both models are loaded."""

    jpeg: str


class _PhotoTold(TypedDict):
    t: Figure
    image: int | str
    plates: Count
    boxes: Count
    ms: StageTimes


class _FirstTold(_PhotoTold):
    event: Literal["first"]


class FirstEvent(_FirstTold, total=False):
    """The first, cold photo was read; peak memory when each stage first ended."""

    hwm_kb: dict[str, Count]


class PhotoEvent(_PhotoTold):
    """A further photo was read."""

    event: Literal["warmup", "iteration"]
    i: Count


class ErrorEvent(TypedDict):
    """A photo cannot be read."""

    event: Literal["error"]
    error: str


class _AnswerTold(TypedDict):
    image: int | str
    plates: list[RecordedPlate]


class PhotoAnswer(_AnswerTold, total=False):
    """What was read in a photo the first time, and what is wrong with its file."""

    warnings: list[str]


class _EndTold(TypedDict):
    event: Literal["end"]
    iterations: Count
    warmups: Count
    rss_kb: Count
    hwm_kb: Count
    answers: list[PhotoAnswer]
    ok: bool


class EndEvent(_EndTold, total=False):
    """The program has finished; `why` where an answer changed."""

    why: str
    process_threads: Count


EVENTS = (StartEvent, LoadEvent, FirstEvent, PhotoEvent, ErrorEvent, EndEvent)
_SINGLE: dict[str, type] = {"load": LoadEvent, "first": FirstEvent, "end": EndEvent}


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
    raise _NotFinite(f"{name} is not a time")


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

    start: StartEvent | None = None
    load: LoadEvent | None = None
    first: FirstEvent | None = None
    end: EndEvent | None = None
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
        elif isinstance(kind, str) and kind in _SINGLE:
            self._single(kind, event, text)
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
        elif fault := _fault(event, StartEvent):
            self._fatal(f"a start event with mistyped keys: {fault}")
        else:
            self.start = cast(StartEvent, event)

    def _single(self, kind: str, event: dict[str, Any], text: str) -> None:
        if getattr(self, kind) is not None:
            self._fatal(f"a second {kind} event")
            return
        if kind != "end" and not event.get("ms"):
            self._fatal(f"a {kind} event without times: {text[:160]}")
        elif fault := _fault(event, _SINGLE[kind]):
            self._fatal(f"a {kind} event with mistyped keys: {fault}")
        else:
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
            self._fatal(f"impossible times: {text[:160]}")

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
            self._fatal(f"impossible times: {text[:160]}")
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
    """A board's text for a terminal: what would move its cursor, set its title or reverse its letters becomes U+FFFD."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def _fault(event: dict[str, Any], kind: type) -> str:
    """What is mistyped in an event; "" when nothing is.

    A missing key of the event itself or of its times is not a fault: nothing else is lost by it. An answer is whole, but
    for the plates of a photo that could not be read.
    """
    answers = event.get("answers")
    if isinstance(answers, list):
        whole = [{"plates": [], **item} if isinstance(item, dict) else item for item in answers]
        event = {**event, "answers": whole}
    try:
        return next(mistyped(event, kind, partial=True), "")
    except RecursionError:
        return "it is nested too deeply"
