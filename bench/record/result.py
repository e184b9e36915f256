"""The result of `bench run`: raw values with everything that is needed to believe, repeat or compare them.

`result.json` holds every iteration of every process; medians and verdicts are always computed from those, never read
back. A loader refuses another schema, unknown or missing keys, and impossible figures.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import chain, pairwise
from pathlib import Path
from typing import Annotated, Any

from bench.conditions.environment import Look, MachineFacts
from bench.conditions.knobs import TuningFacts
from bench.plan.plan import PlanFacts
from bench.record.events import KEYS, Problem
from bench.record.parts import (
    DeviceFacts,
    Effective,
    HostCheck,
    KitFacts,
    ProgramFacts,
    RecordedPlate,
    RuntimeFacts,
    TimedLook,
    TruePlate,
)
from edge.base.errors import InputError
from edge.base.paths import write_atomic
from edge.model.json_types import Bounds, Count, Figure, build, mistyped

SCHEMA = "plate-edge/result/1"
RESULT_NAME = "result.json"


@dataclass(frozen=True)
class ResultPhoto:
    """One photo of the list.

    Attributes:
        name: File name.
        sha256: Of the file.
        bytes: Of the file.
        truth: Plates that are on it (`text` and `box`, clockwise from top left); None where it is not labelled.
    """

    name: str
    sha256: Annotated[str, Bounds(pattern="[0-9a-f]{64}")]
    bytes: Count
    truth: tuple[TruePlate, ...] | None = None


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
        problems: Lines that could not be used.
        problem_count: Of all of them.
        before: Conditions before.
        after: Conditions after.
        stderr: The last lines of its standard error when it failed.
    """

    index: Count
    round: Count
    cell: str
    started: str
    offset_s: Figure
    seconds: Figure
    exit_code: int | None
    complete: bool
    why: str
    effective: Effective
    load_ms: dict[str, Figure]
    first_ms: dict[str, Figure]
    rss_kb: Count | None
    hwm_kb: dict[str, Count | None]
    warmups: tuple[Figure, ...]
    times: tuple[Figure, ...]
    images: tuple[Count, ...]
    plates: tuple[Count, ...]
    boxes: tuple[Count, ...]
    ms: Annotated[dict[str, tuple[Figure, ...]], Bounds(keys=KEYS)]
    answers: dict[str, list[RecordedPlate]]
    answers_ok: bool
    problems: tuple[Problem, ...]
    problem_count: Count
    before: Look | None
    after: Look | None
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
        hashes: SHA-256 of `det`, `rec`, `dict`, `grammar` (not in results of 0.1), `config`.
        opt: Converter versions of `det` and `rec`, where known.
    """

    key: str
    model: str
    precision: Annotated[str, Bounds(pattern=r"\w{1,16}")]
    threads: Count
    power_mode: str
    side: Annotated[str, Bounds(pattern=r"(min|max)\d{1,5}")]
    det_bytes: Count
    rec_bytes: Count
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
        kit: What measured.
        command: Command line that made it.
        device: What was measured.
        program: What ran there.
        runtime: Its library.
        release: Hash of the release on the board.
        plan: What was to be measured.
        photos: In the order of the list.
        cells: What was measured.
        processes: In the order in which they ran.
        facts: What stays the same on the board.
        samples: Conditions while it ran.
        notes: Sentences that the reader must know.
        host_check: Cell to how far the board read what this host reads; empty when it was not compared.
        tuning: Knobs of the board that were set for the run; empty when it was taken as it was.
    """

    created: str
    finished: str
    complete: bool
    why: str
    kit: KitFacts
    command: tuple[str, ...]
    device: DeviceFacts
    program: ProgramFacts
    runtime: RuntimeFacts
    release: str
    plan: PlanFacts
    photos: tuple[ResultPhoto, ...]
    cells: tuple[ResultCell, ...]
    processes: tuple[Process, ...]
    facts: MachineFacts
    samples: tuple[TimedLook, ...] = ()
    notes: tuple[str, ...] = ()
    tuning: TuningFacts = field(default_factory=TuningFacts)
    host_check: dict[str, HostCheck] = field(default_factory=dict)

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
        InputError: No such file, no JSON, another schema, unknown or missing keys, impossible figures; says where.
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
    try:
        result = build(Result, {key: value for key, value in document.items() if key not in ("schema", "summary")})
        fault = next(chain(mistyped(result, Result), _impossible(result)), "")
    except ValueError as error:
        fault = str(error)
    except RecursionError:
        fault = "it is nested too deeply"
    if fault:
        raise InputError(f"{where}: {fault}.", "It was written by another version of the kit, or edited.")
    return result


def _refuse(name: str) -> float:
    raise InputError(f"it holds {name}, which is not a number.", "The kit writes none; was the file edited?")


def _impossible(result: Result) -> Iterator[str]:
    """What is impossible although every value is of its type."""
    keys = {cell.key for cell in result.cells}
    if len(keys) != len(result.cells):
        yield "two cells have the same key"
    for number, process in enumerate(result.processes):
        where = f"processes[{number}]"
        if not all(key.isdecimal() and int(key) < len(result.photos) for key in process.answers):
            yield f"{where}: answers name a photo that is not in the list"
        if process.cell not in keys:
            yield f"{where}: cell {process.cell!r} is not among the cells"
        count = len(process.times)
        columns = {"images": process.images, "plates": process.plates, "boxes": process.boxes}
        for name, column in {**columns, **{f"ms.{key}": values for key, values in process.ms.items()}}.items():
            if len(column) != count:
                yield f"{where}: {name} has {len(column)} values, but there are {count} iterations"
        if any(value <= 0 for value in process.ms["total"]):
            yield f"{where}: ms.total holds a value that is not above 0"
        if any(later < earlier for earlier, later in pairwise(process.times)):
            yield f"{where}: times go backwards, so its clock cannot be believed"
        if any(image >= len(result.photos) for image in process.images):
            yield f"{where}: images names a photo that is not in the list"
