"""What is measured, how often, and in which order.

A plan is a product of models, precisions, threads, power modes and detector sizes; each element of it is a *cell*. A
cell is measured by several *processes* (starts of the program), and the processes of all cells are interleaved: A B,
then B A, then A B again, so that a board that warms up, or another program that starts, affects all cells alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypedDict, cast

from edge.base.errors import InputError, UsageError
from edge.base.suggest import did_you_mean
from edge.bundle.zoo import detector_limit, model_sets
from edge.host.cpuinfo import POWER_MODES
from edge.model.json_types import Count, Figure
from edge.ocr.config import PipelineConfig

_HINT = "`bench run --help` names the values of the options, docs/measuring.md those of a plan."
PRECISIONS = ("fp32", "int8", "fp16")
# Keys of plate.conf that belong to a cell or to its files: as a setting of all cells they would contradict its name.
OWN_KEYS = ("threads", "power_mode", "det_limit_type", "det_limit_side", "det_model", "rec_model", "dict", "grammar")


@dataclass(frozen=True, order=True)
class DetSide:
    """The detector's input size in pixels: of the shorter side at least (`min`), or of the longer at most (`max`)."""

    kind: str
    pixels: int

    def __str__(self) -> str:
        return f"{self.kind}{self.pixels}"


def parse_side(text: str) -> DetSide:
    """Reads `736`, `min:736` or `max:640`.

    Raises:
        UsageError: Anything else.
    """
    kind, _, number = text.rpartition(":")
    kind = kind or "min"
    if kind not in ("min", "max") or not number.isdecimal() or not 32 <= int(number) <= 4096:
        raise UsageError(
            f"detector size {text!r} is not 736, min:736, max:640 (32 to 4096 pixels) or own.",
            "min (or a bare number) is the photo's shorter side, max its longer one; own is the models' own.",
        )
    return DetSide(kind, int(number))


def side_of(text: str, model: str) -> DetSide:
    """Parses a side; `own` is the one that the set of models was made for.

    Raises:
        UsageError: See `parse_side`.
    """
    return DetSide(*detector_limit(model)) if text == "own" else parse_side(text)


@dataclass(frozen=True)
class Cell:
    """One combination that gets its own column in the report.

    Attributes:
        model: Set of models, such as `ppocrv3`.
        precision: `fp32` or `int8`.
        threads: Asked for.
        power_mode: Asked for.
        side: Detector's input size.
    """

    model: str
    precision: str
    threads: int
    power_mode: str
    side: DetSide

    @property
    def variant(self) -> str:
        """Folder of the models in the bundle."""
        return f"{self.model}-{self.precision}"

    @property
    def key(self) -> str:
        """Short name, also good for a file: `ppocrv3-int8_t2_high_min736`."""
        return f"{self.variant}_t{self.threads}_{self.power_mode}_{self.side}"

    def options(self) -> list[str]:
        """Options that bring `plate_ocr` to this cell."""
        return [
            "--threads", str(self.threads), "--power_mode", self.power_mode,
            "--det_limit_type", self.side.kind, "--det_limit_side", str(self.side.pixels),
        ]  # fmt: skip


@dataclass(frozen=True)
class Slot:
    """One start of the program.

    Attributes:
        index: Place in the whole session, from 0.
        round: Every cell runs once a round.
        cell: What is measured.
    """

    index: int
    round: int
    cell: Cell

    @property
    def name(self) -> str:
        """Stem of the file that keeps what it printed."""
        return f"{self.index:04d}_{self.cell.key}"


@dataclass(frozen=True)
class Plan:
    """See the module's text; the numbers are per process.

    Attributes:
        name: `quick`, `default`, `publish`, or a YAML plan's own.
        models: Sets of models.
        precisions: Of each set.
        threads: Numbers of threads; empty until the board's own advice is filled in.
        power_modes: Paddle Lite's; likewise.
        det_sides: `736` or `min:736`, `max:640`; `own` is what a set's cards ask for.
        processes: Starts of the program for each cell.
        min_processes: With a time box: at least this many; 0 means all.
        box_s: Time box of the whole session: a start beyond `min_processes` is left out when it would not end within
            it, by the times of the cell's earlier ones. 0: none.
        warmup: Photos read before anything counts ...
        warmup_ms: ... and for at least this long.
        repeats: Iterations (photos read), at least ...
        min_ms: ... and for at least this long ...
        max_ms: ... but never longer.
        cooldown_s: Longest wait between processes for the temperature of the start (+-2 degrees).
        options: Further settings of `plate.conf` for every cell, such as `decode: plate`.
    """

    name: str = "default"
    models: tuple[str, ...] = ("ppocrv3",)
    precisions: tuple[str, ...] = ("fp32", "int8")
    threads: tuple[int, ...] = ()
    power_modes: tuple[str, ...] = ()
    det_sides: tuple[str, ...] = ("min:736",)
    processes: int = 5
    min_processes: int = 0
    box_s: float = 0.0
    warmup: int = 10
    warmup_ms: float = 1000.0
    repeats: int = 50
    min_ms: float = 3000.0
    max_ms: float = 120_000.0
    cooldown_s: float = 0.0
    options: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Refuses what cannot be run.

        Raises:
            InputError: Names the key.
        """
        problems = []
        for key in ("models", "precisions", "threads", "power_modes", "det_sides"):
            values = getattr(self, key)
            if not values and key not in ("threads", "power_modes"):
                problems.append(f"{key} is empty")
            if len(set(values)) != len(values):
                problems.append(f"{key} names something twice")
        for key, values, allowed in (
            ("precision", self.precisions, PRECISIONS),
            ("power mode", self.power_modes, POWER_MODES),
        ):
            problems += [f"{key} {item!r} is not one of {', '.join(allowed)}" for item in values if item not in allowed]
        wrong = [item for item in self.threads if type(item) is not int or not 1 <= item <= 64]
        problems += [f"{item!r} threads, not 1 to 64" for item in wrong]
        problems += [f"model name {item!r}" for item in self.models if not re.fullmatch(r"\w[\w.-]{0,63}", item)]
        for key, low, high in (
            ("processes", 1, 1000), ("min_processes", 0, 1000), ("box_s", 0, 86400),
            ("warmup", 0, 100_000), ("warmup_ms", 0, 3.6e6), ("repeats", 1, 10_000_000),
            ("min_ms", 0, 3.6e6), ("max_ms", 1, 8.64e7), ("cooldown_s", 0, 3600),
        ):  # fmt: skip
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
                problems.append(f"{key} = {value!r} is not between {low:g} and {high:g}")
        settings = {item.name for item in fields(PipelineConfig)}
        for key, _ in self.options:
            if key in OWN_KEYS:
                problems.append(f"options: {key} cannot be set for all cells; give threads, power_modes or det_sides")
            elif key not in settings:
                problems.append(f"options: {key!r} is not a key of plate.conf")
        if problems:
            raise InputError(f"plan {self.name!r} cannot run: {'; '.join(problems)}.", _HINT)
        for item in self.det_sides:
            side_of(item, "")

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All combinations, precision varying fastest so that what is compared runs side by side."""
        return tuple(
            Cell(model, precision, threads, mode, side_of(side, model))
            for side in self.det_sides
            for threads in self.threads or (1,)
            for mode in self.power_modes or ("none",)
            for model in self.models
            for precision in self.precisions
        )

    @property
    def slots(self) -> tuple[Slot, ...]:
        """All starts of the program in order: forwards in even rounds, backwards in odd ones (A B B A)."""
        cells = self.cells
        order = [
            (turn, cell)
            for turn in range(self.processes)
            for cell in (cells if turn % 2 == 0 else tuple(reversed(cells)))
        ]
        return tuple(Slot(index, turn, cell) for index, (turn, cell) in enumerate(order))

    @property
    def least_processes(self) -> int:
        """Starts of each cell without which a session is not complete."""
        return min(self.processes, self.min_processes or self.processes) if self.box_s else self.processes

    @property
    def variants(self) -> tuple[str, ...]:
        """Model folders that the bundle must hold."""
        return tuple(dict.fromkeys(cell.variant for cell in self.cells))

    def minimum_seconds(self) -> float:
        """What the times alone ask for; loading and slow photos come on top."""
        return self.processes * len(self.cells) * (self.warmup_ms + self.min_ms) / 1000

    def maximum_seconds(self) -> float:
        """An upper bound, without loading: every process ends after `max_ms` of iterations."""
        return self.processes * len(self.cells) * (self.max_ms / 1000 + self.cooldown_s) + self.minimum_seconds()

    def arguments(self, cell: Cell, photos: int = 1) -> list[str]:
        """Options of `plate_ocr bench` for a cell.

        Args:
            cell: What is measured.
            photos: Length of the list; repeats are rounded up to whole rounds, so that every photo counts alike.
        """
        repeats = -(-self.repeats // max(1, photos)) * max(1, photos)
        extra = [part for key, value in self.options for part in (f"--{key}", value)]
        return [
            *cell.options(), *extra,
            "--warmup", str(self.warmup), "--warmup-ms", f"{self.warmup_ms:g}",
            "--repeats", str(repeats), "--min-ms", f"{self.min_ms:g}", "--max-ms", f"{self.max_ms:g}",
        ]  # fmt: skip

    def document(self) -> PlanFacts:
        """The plan as plain JSON."""
        return cast(PlanFacts, json.loads(json.dumps({**asdict(self), "options": dict(self.options)})))


class PlanFacts(TypedDict, total=False):
    """A plan as JSON."""

    name: str
    models: list[str]
    precisions: list[str]
    threads: list[Count]
    power_modes: list[str]
    det_sides: list[str]
    processes: Count
    min_processes: Count
    box_s: Figure
    warmup: Count
    warmup_ms: Figure
    repeats: Count
    min_ms: Figure
    max_ms: Figure
    cooldown_s: Figure
    options: dict[str, str]


PRESETS: dict[str, Plan] = {
    # A first look in under half a minute; too few processes for its verdict to be VALID, and it says so.
    "quick": Plan(
        name="quick", processes=3, min_processes=1, box_s=25, warmup=1, warmup_ms=1, repeats=7, min_ms=1, max_ms=12_000
    ),
    "default": Plan(),
    "publish": Plan(name="publish", processes=10, cooldown_s=300),
}


def load_plan(name: str) -> Plan:
    """Returns a preset by name, or reads a YAML plan.

    A YAML plan is a mapping with the keys of `Plan`; `base: quick` (or default, publish) gives what it leaves out, and
    without `models` and `det_sides` it measures the kit's best set at the size that the set was made for.

    Raises:
        UsageError: Neither a preset nor a file.
        InputError: With file, line where YAML knows it, and key.
    """
    if name in PRESETS:
        return PRESETS[name]
    path = Path(name)
    if not path.is_file():
        guess = did_you_mean(name, PRESETS)
        raise UsageError(f"{name!r} is not a plan.{guess}", f"Use {', '.join(PRESETS)}, or a YAML file (docs/measuring.md).")
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(document, dict):
        raise InputError(f"{path}: a plan is a mapping of keys to values.")
    # As `bench run --plan quick` measures, not as the bare preset stands here.
    left_out = {"models": model_sets()[:1], "det_sides": ["own"]}
    return plan_from_mapping({**left_out, **document}, str(path), default_name=path.stem)


def plan_from_mapping(document: dict[str, Any], where: str, default_name: str = "custom") -> Plan:
    """Builds a plan from parsed YAML or JSON; see `load_plan`."""
    known = {item.name for item in fields(Plan)}
    values = dict(document)
    base = PRESETS.get(str(values.pop("base", "default")))
    if base is None:
        raise InputError(f"{where}: base {document['base']!r} is not one of {', '.join(PRESETS)}.")
    unknown = sorted(set(values) - known)
    if unknown:
        raise InputError(f"{where}: unknown key {unknown[0]!r}.", f"Known keys: base, {', '.join(sorted(known))}.")
    values.setdefault("name", default_name)
    for key, value in values.items():
        if isinstance(getattr(base, key), tuple):
            if key == "options":
                if not isinstance(value, dict):
                    raise InputError(f"{where}: options is a mapping of plate.conf keys to values.")
                values[key] = tuple((str(name), _plain(item)) for name, item in value.items())
                continue
            items = value if isinstance(value, (list, tuple)) else [value]
            values[key] = tuple(item if key == "threads" else str(item) for item in items)
    try:
        return replace(base, **values)
    except (InputError, UsageError) as error:
        raise InputError(f"{where}: {error.message}", error.hint) from error


def with_options(plan: Plan, **lists: Sequence[str] | Sequence[int]) -> Plan:
    """Returns the plan with those of its lists replaced that were given on the command line (the non-empty ones)."""
    given = {key: tuple(values) for key, values in lists.items() if values}
    return replace(plan, **given)  # type: ignore[arg-type]


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
