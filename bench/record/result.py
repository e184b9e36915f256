"""The result of `bench run`: raw values with everything that is needed to believe, repeat or compare them.

`result.json` holds every iteration of every process; medians and verdicts are always computed from those, never read
back. A loader refuses another schema, unknown or missing keys, and figures that cannot be.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from bench.record.events import KEYS
from bench.record.shapes import CELL, PHOTO, PROCESS, RESULT, figure, misfit
from edge.base.errors import InputError
from edge.base.paths import write_atomic

SCHEMA = "plate-edge/result/1"
RESULT_NAME = "result.json"
KINDS = ("host", "board", "emulated", "replay")


@dataclass(frozen=True)
class ResultPhoto:
    """One photo of the list.

    Attributes:
        name: File name.
        sha256: Of the file.
        bytes: Of the file.
        truth: Plates that are on it (`text` and `box`, clockwise from top left); None when nobody said.
    """

    name: str
    sha256: str
    bytes: int
    truth: tuple[dict[str, Any], ...] | None = None


@dataclass(frozen=True)
class Process:
    """One start of the program and everything that it measured.

    Attributes:
        index: Place in the session's order.
        round: Round of the plan.
        cell: Key of the cell.
        started: UTC, ISO 8601.
        offset_s: Seconds since the session began.
        seconds: Wall time of the process as the host saw it, link included.
        exit_code: Its exit code; None when the link broke first.
        complete: It said that it had finished, and nothing it said was impossible.
        why: Reason when not.
        effective: What the runtime really used: threads, power_mode (each requested and effective), affinity.
        load_ms: Milliseconds to load `det` and `rec`.
        first_ms: Stage times of the first, cold photo.
        rss_kb: Resident memory at the end; None when it did not get there.
        hwm_kb: Peak resident memory: after `load`, after each stage of the first photo, and at the `end`.
        warmups: Totals of the warm-up photos, ms.
        times: When each iteration began, ms since the program started.
        images: Photo index of each iteration.
        plates: Plates read in each iteration.
        boxes: Boxes recognised in each iteration.
        ms: Stage to milliseconds of each iteration; `total` too.
        answers: Photo index (as text) to the plates read the first time.
        answers_ok: The same answers in every iteration.
        problems: Lines that could not be used: `line`, `kind`, `message`.
        problem_count: Of all of them.
        before: Conditions before (`environment.Snapshot`).
        after: Conditions after.
        stderr: The last lines of its standard error when it failed.
    """

    index: int
    round: int
    cell: str
    started: str
    offset_s: float
    seconds: float
    exit_code: int | None
    complete: bool
    why: str
    effective: dict[str, Any]
    load_ms: dict[str, float]
    first_ms: dict[str, float]
    rss_kb: int | None
    hwm_kb: dict[str, int | None]
    warmups: tuple[float, ...]
    times: tuple[float, ...]
    images: tuple[int, ...]
    plates: tuple[int, ...]
    boxes: tuple[int, ...]
    ms: dict[str, tuple[float, ...]]
    answers: dict[str, list[dict[str, Any]]]
    answers_ok: bool
    problems: tuple[dict[str, Any], ...]
    problem_count: int
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    stderr: str = ""


@dataclass(frozen=True)
class ResultCell:
    """One column of the report.

    Attributes:
        key: Name of the cell, see `bench.plan.plan.Cell.key`.
        model: Set of models.
        precision: `fp32` or `int8`.
        threads: Asked for.
        power_mode: Asked for.
        side: `min736`.
        det_bytes: Size of the detector's `.nb`.
        rec_bytes: Size of the recogniser's `.nb`.
        hashes: SHA-256 of `det`, `rec`, `dict`, `config`.
        opt: Converter versions of `det` and `rec`, where known.
    """

    key: str
    model: str
    precision: str
    threads: int
    power_mode: str
    side: str
    det_bytes: int
    rec_bytes: int
    hashes: dict[str, str] = field(default_factory=dict)
    opt: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """For people: `ppocrv3 int8`."""
        return f"{self.model} {self.precision}"


@dataclass(frozen=True)
class Result:
    """See the module's text.

    Attributes:
        created: UTC, ISO 8601, when the session began.
        finished: UTC when it ended, "" when it was broken off.
        complete: Every process of the plan ran to its end.
        why: Why not.
        kit: `version`, `git` (commit or None), `dirty`.
        command: Command line that made it.
        device: `name`, `board`, `title`, `soc`, `kind` (one of `KINDS`), `transport`, `abi`.
        program: `sha256`, `version`, `compiler`, `abi`, `runtime`.
        runtime: Library: `version`, `build`, `sha256`.
        release: Hash of the release on the board.
        plan: The plan as JSON.
        photos: In the order of the list.
        cells: What was measured.
        processes: In the order in which they ran.
        facts: What stays the same on the board (`environment.facts`).
        samples: Conditions while it ran: `t` (seconds since the session began), `process`, and a snapshot's keys.
        notes: Sentences that the reader must know.
        host_check: Cell to how far the board read what this host reads (`host_reader.agreement_with_host`); empty when it
            was not compared.
        tuning: Knobs of the board that were set for the run (`board_tuner.SystemTuning`); empty when it was taken as it was.
    """

    created: str
    finished: str
    complete: bool
    why: str
    kit: dict[str, Any]
    command: tuple[str, ...]
    device: dict[str, Any]
    program: dict[str, Any]
    runtime: dict[str, Any]
    release: str
    plan: dict[str, Any]
    photos: tuple[ResultPhoto, ...]
    cells: tuple[ResultCell, ...]
    processes: tuple[Process, ...]
    facts: dict[str, Any]
    samples: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    tuning: dict[str, Any] = field(default_factory=dict)
    host_check: dict[str, Any] = field(default_factory=dict)

    @property
    def photos_sha256(self) -> str:
        """Hash of the list of photos, order included; results of other photos cannot be compared."""
        return hashlib.sha256("".join(photo.sha256 for photo in self.photos).encode()).hexdigest()

    @property
    def identity(self) -> str:
        """Hash of the raw measurement, by which the history knows a result that it already has."""
        runs = [[run.started, run.cell, run.times, run.ms.get("total", ())] for run in self.processes]
        return hashlib.sha256(json.dumps([self.created, self.device.get("name"), runs]).encode()).hexdigest()

    def cell(self, key: str) -> ResultCell:
        """Returns the cell with that key.

        Raises:
            KeyError: There is none.
        """
        return next(cell for cell in self.cells if cell.key == key)

    def of(self, key: str) -> list[Process]:
        """Processes of a cell that measured anything, in order."""
        return [process for process in self.processes if process.cell == key and process.times]


def save_result(path: Path, result: Result, *, summary: Mapping[str, Any] | None = None) -> None:
    """Writes `result.json` atomically.

    Args:
        path: The file.
        result: What to write.
        summary: Computed figures and verdicts for readers of the JSON; a loader ignores them.
    """
    document = {"schema": SCHEMA, **asdict(result), "summary": dict(summary or {})}
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    write_atomic(path, text + "\n")


def load_result(path: Path) -> Result:
    """Loads a result; a folder stands for the `result.json` in it.

    Raises:
        InputError: No such file, no JSON, another schema, unknown or missing keys, figures that cannot be; says where.
    """
    file = path / RESULT_NAME if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"{file} is not a file.", "Make a result with `bench run --device NAME`.")
    try:
        document = json.loads(file.read_text(encoding="utf-8"), parse_constant=_refuse)
    except InputError as error:
        raise InputError(f"{file}: {error.message}", error.hint) from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{file} is not valid JSON: {error}.",
            "The raw lines are in `raw/` beside it; `bench run --resume` makes the result from them again.",
        ) from error
    return result_from_json(document, str(file))


def result_from_json(document: Any, where: str) -> Result:
    """Builds a result from parsed JSON; see `load_result`."""
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, str) or schema != SCHEMA:
        newer = isinstance(schema, str) and schema.startswith("plate-edge/result/")
        raise InputError(
            f"{where}: schema {schema!r} is not {SCHEMA!r}.",
            "Another version of the kit wrote it; use that one." if newer else "This is not a result of `bench run`.",
        )
    body = {key: value for key, value in document.items() if key not in ("schema", "summary")}
    try:
        body["photos"] = tuple(_build(ResultPhoto, item, f"photos[{i}]") for i, item in enumerate(_list(body, "photos")))
        body["cells"] = tuple(_build(ResultCell, item, f"cells[{i}]") for i, item in enumerate(_list(body, "cells")))
        body["processes"] = tuple(_process(item, f"processes[{i}]") for i, item in enumerate(_list(body, "processes")))
        result = _build(Result, body, "")
        _check(result)
    except InputError as error:
        raise InputError(f"{where}: {error.message}", error.hint) from error
    return result


_T = TypeVar("_T")


def _refuse(name: str) -> float:
    raise InputError(f"it holds {name}, which is not a number.", "A result is written without any; was it edited?")


def _list(body: Mapping[str, Any], key: str) -> list[Any]:
    value = body.get(key)
    if not isinstance(value, list):
        raise InputError(f"{key} is missing or no list.")
    return value


def _build(kind: type[_T], item: Any, where: str) -> _T:
    if not isinstance(item, dict):
        raise InputError(f"{where or 'the document'} is not an object.")
    known = {entry.name: entry for entry in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(item) - set(known))
    needed = {name for name, entry in known.items() if entry.default is MISSING and entry.default_factory is MISSING}
    missing = sorted(needed - set(item))
    prefix = f"{where}: " if where else ""
    if unknown or missing:
        what = f"unknown key {unknown[0]!r}" if unknown else f"{missing[0]!r} is missing"
        raise InputError(f"{prefix}{what}.", "It was written by another version of the kit, or edited.")
    values = {}
    for name, value in item.items():
        expected = str(known[name].type)
        values[name] = tuple(value) if expected.startswith("tuple") and isinstance(value, list) else value
        if not _fits(values[name], expected):
            raise InputError(f"{prefix}{name} is {str(value)[:40]!r}, which is not of type {expected}.")
    return kind(**values)


def _process(item: Any, where: str) -> Process:
    process = _build(Process, item, where)
    columns: dict[str, tuple[float, ...]] = {
        key: tuple(values) if isinstance(values, (list, tuple)) else () for key, values in process.ms.items()
    }
    return replace(process, ms=columns)


def _fits(value: Any, expected: str) -> bool:
    if value is None:
        return "None" in expected
    head = expected.split("[")[0].split(" ")[0]
    kinds: dict[str, tuple[type, ...]] = {
        "int": (int,), "float": (int, float), "str": (str,), "bool": (bool,),
        "dict": (dict,), "tuple": (tuple,), "list": (list,),
    }  # fmt: skip
    if isinstance(value, bool):
        return head == "bool"
    return isinstance(value, kinds[head])


def _check(result: Result) -> None:
    keys = {cell.key for cell in result.cells}
    if len(keys) != len(result.cells):
        raise InputError("two cells have the same key.")
    if result.device.get("kind") not in KINDS:
        raise InputError(f"device.kind {result.device.get('kind')!r} is none of {', '.join(KINDS)}.")
    parts = [("", result, RESULT), *((f"photos[{i}]: ", photo, PHOTO) for i, photo in enumerate(result.photos))]
    parts += [(f"cells[{i}]: ", cell, CELL) for i, cell in enumerate(result.cells)]
    parts += [(f"processes[{i}]: ", process, PROCESS) for i, process in enumerate(result.processes)]
    for prefix, part, shapes in parts:
        wrong = misfit(part, shapes)
        if wrong:
            value = str(getattr(part, wrong))[:80]
            raise InputError(f"{prefix}{wrong} holds what cannot be: {value!r}.", "Was the file edited?")
    for number, process in enumerate(result.processes):
        where = f"processes[{number}]"
        if not all(key.isdecimal() and int(key) < len(result.photos) for key in process.answers):
            raise InputError(f"{where}: answers name a photo that is not in the list.")
        if process.cell not in keys:
            raise InputError(f"{where}: cell {process.cell!r} is not among the cells.")
        count = len(process.times)
        columns: dict[str, tuple[Any, ...]] = {
            "images": process.images, "plates": process.plates, "boxes": process.boxes,
            **{f"ms.{key}": tuple(process.ms.get(key, ())) for key in KEYS},
        }  # fmt: skip
        for name, column in columns.items():
            if len(column) != count:
                raise InputError(f"{where}: {name} has {len(column)} values, but there are {count} iterations.")
            if not all(figure(value) for value in column):
                raise InputError(f"{where}: {name} holds a value that is negative or no number.")
        if not all(figure(value) for value in (*process.times, *process.warmups)):
            raise InputError(f"{where}: times or warmups hold a value that is negative or no number.")
        if any(value <= 0 for value in process.ms.get("total", ())):
            raise InputError(f"{where}: ms.total holds a value that is not above 0.")
        if any(later < earlier for earlier, later in zip(process.times, process.times[1:], strict=False)):
            raise InputError(f"{where}: times go backwards, so its clock cannot be believed.")
        if any(image >= len(result.photos) for image in process.images):
            raise InputError(f"{where}: images names a photo that is not in the list.")
