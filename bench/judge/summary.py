"""From raw values to the figures that tables, reports and gates show; always computed, never stored as truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bench.conditions.environment import Look
from bench.judge.accuracy import Accuracy, Agreement, accuracy, agreement, answers_of
from bench.judge.verdict import Verdict, drift_of, judge_cell, modes_of, other_share, overall
from bench.record.events import KEYS, STAGES
from bench.record.result import Process, Result, ResultCell
from bench.stats.bootstrap import Ratio, method, ratio_of_medians
from bench.stats.describe import Summary, summarise
from bench.stats.sampling import Array, Groups
from bench.stats.trend import Drift, Modes

OTHER = "other"
ROWS = (*STAGES, OTHER, "total")


@dataclass(frozen=True)
class CellSummary:
    """One column of the table.

    Attributes:
        cell: What was measured.
        stages: Row (`ROWS`) to its summary; empty when nothing was measured.
        load_ms: Median over processes of loading both models.
        first_ms: Median over processes of the first, cold photo.
        load_parts: Median of loading `det` and `rec`.
        rec_per_plate: Summary of `rec_infer` over the boxes of a photo (photos with a box); None without any.
        hwm_kb: Highest peak memory of a process, kB; None when it was not reported.
        memory_kb: Peak memory after `load`, after each stage of the first photo and at the `end`; the largest of any
            process.
        other_share: Median of (total - sum of stages) / total.
        drift: See `statistics.drift`.
        modes: Two speeds, or None.
        accuracy: Plates read right; None without ground truth.
        millijoules: Energy a photo, from the largest power sensor; None without one.
        millijoules_above_idle: The same less what the board draws before a process begins.
        verdict: Whether to believe it.
    """

    cell: ResultCell
    stages: dict[str, Summary]
    load_ms: float | None
    first_ms: float | None
    load_parts: dict[str, float]
    rec_per_plate: Summary | None
    hwm_kb: int | None
    memory_kb: dict[str, int]
    other_share: float | None
    drift: Drift | None
    modes: Modes | None
    accuracy: Accuracy | None
    millijoules: float | None
    millijoules_above_idle: float | None
    verdict: Verdict

    @property
    def total(self) -> Summary | None:
        """Summary of the whole photo."""
        return self.stages.get("total")


@dataclass(frozen=True)
class PairSummary:
    """int8 beside fp32 of the same models and settings.

    Attributes:
        fp32: Key of the cell.
        int8: Key of the cell.
        ratios: Row to time(int8) / time(fp32).
        det_bytes: Size ratio of the detectors.
        rec_bytes: Size ratio of the recognisers.
        agreement: Photos on which both read the same.
    """

    fp32: str
    int8: str
    ratios: dict[str, Ratio]
    det_bytes: float
    rec_bytes: float
    agreement: Agreement | None


@dataclass(frozen=True)
class ResultSummary:
    """All columns, the pairs, and the verdict on the whole.

    Attributes:
        cells: In the order of the result.
        pairs: int8 beside fp32.
        level: The worst verdict; INVALID when the session was broken off.
    """

    cells: tuple[CellSummary, ...]
    pairs: tuple[PairSummary, ...]
    level: str

    def cell(self, key: str) -> CellSummary:
        """Returns the column of a cell."""
        return next(item for item in self.cells if item.cell.key == key)

    def document(self) -> dict[str, Any]:
        """Plain JSON, for readers of `result.json`."""
        return {
            "verdict": self.level,
            "statistics": method(),
            "cells": {item.cell.key: _cell_document(item) for item in self.cells},
            "pairs": [asdict(pair) for pair in self.pairs],
        }


def column(processes: list[Process], row: str) -> list[Array]:
    """Milliseconds of one row of the table, one array a process."""
    if row == OTHER:
        return [
            np.asarray(process.ms["total"]) - np.sum([process.ms[stage] for stage in STAGES], axis=0)
            for process in processes
        ]
    return [np.asarray(process.ms[row], dtype=np.float64) for process in processes]


def photos(processes: list[Process]) -> list[Groups]:
    """Photo index of every iteration, one array a process."""
    return [np.asarray(process.images, dtype=np.int64) for process in processes]


def summarise_result(result: Result) -> ResultSummary:
    """Computes everything; about a tenth of a second for a default run."""
    cells = tuple(_summarise_cell(result, cell) for cell in result.cells)
    pairs = []
    for cell in result.cells:
        twin = next((other for other in result.cells if _is_int8_of(other, cell)), None)
        if twin is not None and result.of(cell.key) and result.of(twin.key):
            pairs.append(_pair(result, cell, twin))
    return ResultSummary(cells, tuple(pairs), overall(item.verdict for item in cells) if result.complete else "INVALID")


def _summarise_cell(result: Result, cell: ResultCell) -> CellSummary:
    processes = result.of(cell.key)
    images = photos(processes)
    stages = {}
    for row in ROWS:
        summary = summarise(column(processes, row), groups=images)
        if summary is not None:
            stages[row] = summary
    total_summary = stages.get("total")
    energy = _energy(result, processes, total_summary)
    return CellSummary(
        cell=cell,
        stages=stages,
        load_ms=_median([sum(process.load_ms.values()) for process in processes if process.load_ms]),
        first_ms=_median([process.first_ms["total"] for process in processes if "total" in process.first_ms]),
        load_parts={
            part: float(np.median(values))
            for part in ("det", "rec")
            if (values := [process.load_ms[part] for process in processes if part in process.load_ms])
        },
        rec_per_plate=summarise(_per_plate(processes)),
        hwm_kb=max((value for process in processes for value in process.hwm_kb.values() if value), default=None),
        memory_kb=_memory(processes),
        other_share=other_share(processes),
        drift=drift_of(processes),
        modes=modes_of(processes),
        accuracy=accuracy(result.photos, answers_of(result, cell.key)),
        millijoules=energy[0],
        millijoules_above_idle=energy[1],
        verdict=judge_cell(result, cell, total_summary),
    )


def _per_plate(processes: list[Process]) -> list[Array]:
    values = []
    for process in processes:
        boxes = np.asarray(process.boxes)
        mask = boxes > 0
        values.append(np.asarray(process.ms["rec_infer"])[mask] / boxes[mask])
    return values


def _memory(processes: list[Process]) -> dict[str, int]:
    keys = dict.fromkeys(key for process in processes for key in process.hwm_kb)
    found = {key: [value for process in processes if (value := process.hwm_kb.get(key))] for key in keys}
    return {key: max(values) for key, values in found.items() if values}


def _energy(
    result: Result, processes: list[Process], total: Summary | None
) -> tuple[float | None, float | None]:
    """Millijoules of a photo, and those above idling; watts times milliseconds."""
    indices = {process.index for process in processes}

    def watts(looks: Iterable[Look | None]) -> float | None:
        # The sensor with the largest value: rails lie within rails, so the sum would count twice.
        values = [max(told.values()) for look in looks if look and (told := look.get("power_w"))]
        return float(np.mean(values)) if values else None

    busy = watts(sample for sample in result.samples if sample.get("process") in indices)
    idle = watts(process.before for process in processes)
    if busy is None or total is None:
        return None, None
    return busy * total.mean, max(0.0, busy - idle) * total.mean if idle is not None else None


def _is_int8_of(other: ResultCell, cell: ResultCell) -> bool:
    same = (other.model, other.threads, other.power_mode, other.side) == (
        cell.model, cell.threads, cell.power_mode, cell.side,
    )  # fmt: skip
    return same and cell.precision == "fp32" and other.precision == "int8"


def _pair(result: Result, fp32: ResultCell, int8: ResultCell) -> PairSummary:
    a, b = result.of(fp32.key), result.of(int8.key)
    paired = [process.round for process in a] == [process.round for process in b]
    ratios = {}
    for row in KEYS:
        before, after = column(a, row), column(b, row)
        if all((np.median(values) > 0) for values in (*before, *after)):
            ratios[row] = ratio_of_medians(before, after, groups=(photos(a), photos(b)), paired=paired)
    return PairSummary(
        fp32.key,
        int8.key,
        ratios,
        int8.det_bytes / max(1, fp32.det_bytes),
        int8.rec_bytes / max(1, fp32.rec_bytes),
        agreement(answers_of(result, fp32.key), answers_of(result, int8.key)),
    )


def _median(values: list[float]) -> float | None:
    return float(np.median(values)) if values else None


def _cell_document(item: CellSummary) -> dict[str, Any]:
    document = asdict(item)
    document.pop("cell")
    if item.accuracy is not None:
        document["accuracy"]["f_measure"] = item.accuracy.f_measure
    return document
