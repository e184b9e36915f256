"""Two results side by side: what became slower, larger or less right, and whether that is more than noise.

A regression is a change that is larger than the threshold *and* whose interval excludes "no change". The interval is
widened for the number of comparisons that are made together, so that a pair of equal builds raises a false alarm in at
most one of twenty comparisons of whole results, however many stages they have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bench.compare.differences import differences
from bench.judge.accuracy import Accuracy, accuracy, answers_of
from bench.judge.summary import column, photos
from bench.judge.verdict import invalid_reasons
from bench.record.events import KEYS
from bench.record.result import Result, ResultCell
from bench.stats.bootstrap import REPLICATES, Ratio, method, ratio_of_medians
from edge.base.plural import counted

DEFAULT_THRESHOLD = 0.05
# A smaller change comes from the clock or a cache line, and is not worth reporting.
MIN_MS = 0.02
REGRESSION, IMPROVEMENT, SAME = "regression", "improvement", "same"


@dataclass(frozen=True)
class FigureChange:
    """One figure of one combination in both results.

    Attributes:
        cell: Key of the combination.
        what: A stage, `total`, `det size`, `rec size`, `accuracy`, `memory`.
        unit: `ms`, `B`, `F`, `kB`.
        before: In A.
        after: In B.
        ratio: after / before.
        low: Lower end of the ratio's interval; None for figures without noise or with a single process.
        high: Upper end.
        verdict: `regression`, `improvement` or `same`.
    """

    cell: str
    what: str
    unit: str
    before: float
    after: float
    ratio: float
    low: float | None
    high: float | None
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """The outcome.

    Attributes:
        changes: All figures that both results have.
        obstacles: Reasons why the two cannot be compared; then `changes` is empty unless it was forced.
        notes: What the reader should know.
        threshold: Smallest change that counts, as a fraction.
    """

    changes: tuple[FigureChange, ...]
    obstacles: tuple[str, ...]
    notes: tuple[str, ...]
    threshold: float

    @property
    def undecided(self) -> tuple[str, ...]:
        """Combinations whose times have no interval, since a side has a single process: nothing can be found there."""
        return tuple(dict.fromkeys(item.cell for item in self.changes if item.unit == "ms" and item.low is None))

    @property
    def regressions(self) -> tuple[FigureChange, ...]:
        """Changes for the worse."""
        return tuple(change for change in self.changes if change.verdict == REGRESSION)

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        regressions = [asdict(change) for change in self.regressions]
        return {
            **asdict(self), "statistics": method(), "undecided": list(self.undecided), "regressions": regressions,
        }  # fmt: skip


def compare_results(
    a: Result,
    b: Result,
    *,
    threshold: float = DEFAULT_THRESHOLD,
    across_kinds: bool = False,
    paired: bool = False,
    replicates: int = REPLICATES,
) -> Comparison:
    """Compares B with the baseline A.

    Args:
        a: The baseline.
        b: The candidate.
        threshold: Smallest change that counts, as a fraction.
        across_kinds: Compare in spite of obstacles.
        paired: The processes of both ran in turns, so that process i of B had the same minute as process i of A.
        replicates: Bootstrap draws.
    """
    found = obstacles(a, b)
    shared = [cell for cell in b.cells if any(other.key == cell.key for other in a.cells)]
    notes = differences(a, b, shared)
    if found and not across_kinds:
        return Comparison((), tuple(found), tuple(notes), threshold)
    notes += _few(a, b, shared)
    measured = [cell for cell in shared if a.of(cell.key) and b.of(cell.key)]
    tests = max(1, len(measured) * len(KEYS))
    changes: list[FigureChange] = []
    for cell in measured:
        found_times = _times(a, b, cell, threshold, tests, replicates, paired)
        changes += found_times
        left_out = sorted(set(KEYS) - {change.what for change in found_times}, key=KEYS.index)
        if left_out:
            notes.append(f"{cell.key}: not compared, as half of the photos take no time there: {', '.join(left_out)}")
    for cell in shared:
        changes += _sizes(a.cell(cell.key), cell, threshold)
        changes += _accuracy(a, b, cell, threshold)
    return Comparison(tuple(changes), tuple(found), tuple(notes), threshold)


def obstacles(a: Result, b: Result) -> list[str]:
    """Reasons why two results cannot be compared; empty when they can."""
    found = []
    for name, result in (("A", a), ("B", b)):
        if not result.complete:
            found.append(f"{name} is incomplete: {result.why}")
        else:
            # Only what makes the times of a cell meaningless; noise is what the intervals are for.
            for cell in result.cells:
                found += [f"{name}, {cell.key}: {reason}" for reason in invalid_reasons(result, cell)]
    for key, text in (("board", "board"), ("kind", "kind of device"), ("abi", "ABI")):
        if a.device.get(key) != b.device.get(key):
            found.append(f"different {text}: {a.device.get(key)!r} and {b.device.get(key)!r}")
    if a.photos_sha256 != b.photos_sha256:
        lists = " and ".join(f"{len(side.photos)} of list {side.photos_sha256[:12]}" for side in (a, b))
        found.append(f"different photos: {lists}")
    for key in ("cpu", "cpu_parts", "cores"):
        if a.facts.get(key) != b.facts.get(key):
            found.append(f"different CPU: {key} {a.facts.get(key)!r} and {b.facts.get(key)!r}")
            break
    if a.plan.get("options") != b.plan.get("options"):
        found.append(f"different settings: {a.plan.get('options')} and {b.plan.get('options')}")
    knobs = [side.tuning.get("knobs", {}) for side in (a, b)]
    if knobs[0] != knobs[1]:
        said = " and ".join(", ".join(f"{name}={value}" for name, value in side.items()) or "none" for side in knobs)
        found.append(f"different knobs of the board: {said}")
    if not {cell.key for cell in a.cells} & {cell.key for cell in b.cells}:
        found.append("no combination in common: " + ", ".join(cell.key for cell in (*a.cells, *b.cells)))
    return found


def _few(a: Result, b: Result, shared: Sequence[ResultCell]) -> list[str]:
    notes = []
    for name, result in (("A", a), ("B", b)):
        fewest = min((len(result.of(cell.key)) for cell in shared), default=0)
        if shared and fewest < 5:
            notes.append(f"{name} has {counted(fewest, 'process')}; with fewer than 5 the intervals are wide")
    return notes


def _times(
    a: Result, b: Result, cell: ResultCell, threshold: float, tests: int, replicates: int, paired: bool
) -> list[FigureChange]:
    before, after = a.of(cell.key), b.of(cell.key)
    changes = []
    for stage in KEYS:
        old, new = column(before, stage), column(after, stage)
        if any(np.median(values) <= 0 for values in (*old, *new)):
            continue
        middle_old, middle_new = (float(np.median(np.concatenate(values))) for values in (old, new))
        groups = (photos(before), photos(after))
        ratio = ratio_of_medians(old, new, groups=groups, paired=paired, tests=tests, replicates=replicates)
        small = abs(middle_new - middle_old) < MIN_MS
        verdict = SAME if small else _judge(ratio, threshold)
        low, high = (ratio.interval.low, ratio.interval.high) if ratio.interval else (None, None)
        changes.append(FigureChange(cell.key, stage, "ms", middle_old, middle_new, ratio.ratio, low, high, verdict))
    return changes


def _judge(ratio: Ratio, threshold: float) -> str:
    if ratio.interval is None or not ratio.interval.excludes(1.0):
        return SAME
    if ratio.ratio > 1 + threshold:
        return REGRESSION
    # A slowdown by f is undone by a speed-up by 1/(1+f): the same distance on the logarithm.
    return IMPROVEMENT if ratio.ratio < 1 / (1 + threshold) else SAME


def _sizes(before: ResultCell, after: ResultCell, threshold: float) -> list[FigureChange]:
    changes = []
    for what, old, new in (
        ("det size", before.det_bytes, after.det_bytes),
        ("rec size", before.rec_bytes, after.rec_bytes),
    ):
        ratio = new / old if old else 1.0
        verdict = REGRESSION if ratio > 1 + threshold else IMPROVEMENT if ratio < 1 / (1 + threshold) else SAME
        changes.append(FigureChange(after.key, what, "B", old, new, ratio, None, None, verdict))
    return changes


def _accuracy(a: Result, b: Result, cell: ResultCell, threshold: float) -> list[FigureChange]:
    old, new = (_f_measure(accuracy(result.photos, answers_of(result, cell.key))) for result in (a, b))
    if old is None or new is None:
        return []
    verdict = REGRESSION if new < old - threshold else IMPROVEMENT if new > old + threshold else SAME
    return [FigureChange(cell.key, "accuracy", "F", old, new, new / old if old else 1.0, None, None, verdict)]


def _f_measure(found: Accuracy | None) -> float | None:
    return found.f_measure if found else None
