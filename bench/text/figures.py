"""Figures as every report writes them."""

from __future__ import annotations

from bench.judge.summary import ROWS, CellSummary, PairSummary, ResultSummary
from bench.stats.describe import MIN_SAMPLES, Summary

STAGE_TITLES = {row: row.replace("_", " ") for row in ROWS}
# Where there is no figure.
NONE = "-"


def figure(value: float | None) -> str:
    """Milliseconds with the digits that mean something: `0.042`, `4.21`, `223.4`, `1018`."""
    if value is None:
        return NONE
    if abs(value) < 0.0005:
        return "0.000"
    digits = 3 if abs(value) < 1 else 2 if abs(value) < 100 else 1 if abs(value) < 1000 else 0
    return f"{value:.{digits}f}"


def median(summary: Summary | None) -> str:
    """The median alone."""
    return figure(summary.median if summary else None)


def pair(summary: Summary | None) -> str:
    """`median / p90`, the p90 marked where there are too few iterations for one."""
    if summary is None:
        return NONE
    return f"{figure(summary.median)} / {figure(summary.p90)}{'' if summary.n >= MIN_SAMPLES[90] else '*'}"


def interval(summary: Summary | None) -> str:
    """`218.3 to 229.1`: the interval of the median."""
    found = summary.interval if summary else None
    return f"{figure(found.low)} to {figure(found.high)}" if found else NONE


def variation(summary: Summary | None) -> str:
    """The cv, or `-` where no photo was timed twice."""
    return NONE if summary is None or summary.cv is None else f"{summary.cv:.1%}"


def count(summary: Summary | None) -> str:
    """`250 (5)`: iterations and processes."""
    return f"{summary.n} ({summary.processes})" if summary else "0"


def plates_right(item: CellSummary) -> str:
    """`19 of 20`."""
    return f"{item.accuracy.right} of {item.accuracy.truth}" if item.accuracy else NONE


def peak_memory(item: CellSummary) -> str:
    """`171 MiB`."""
    return f"{item.hwm_kb / 1024:.0f} MiB" if item.hwm_kb else NONE


def megabytes(size: int) -> str:
    """`2.51 MB` (millions of bytes)."""
    return f"{size / 1e6:.2f} MB"


def few_timed(summary: ResultSummary) -> str:
    """What the star at a p90 means; "" where there is none."""
    if all(item.total is None or item.total.n >= MIN_SAMPLES[90] for item in summary.cells):
        return ""
    return f"* fewer than {MIN_SAMPLES[90]} timed photos: this p90 describes them, and predicts nothing."


def pair_sentence(twins: PairSummary) -> str:
    """int8 beside fp32 in one sentence: time, bytes, plates."""
    parts = []
    ratio = twins.ratios.get("total")
    if ratio is not None:
        told = f" (95% interval: {ratio.interval.low:.2f} to {ratio.interval.high:.2f})" if ratio.interval else ""
        parts.append(f"{ratio.ratio:.2f} times the time, photo by photo{told}")
    parts.append(f"{twins.det_bytes:.2f} times the detector's bytes and {twins.rec_bytes:.2f} times the recogniser's")
    if twins.agreement:
        parts.append(f"the same plates on {twins.agreement.same} of {twins.agreement.photos} photos")
    return f"int8 against fp32 ({twins.int8}): {', '.join(parts)}."


def shared_reasons(summary: ResultSummary) -> tuple[str, ...]:
    """Reasons that every combination has, so that they need saying once; none where there is a single combination."""
    cells = summary.cells
    if len(cells) < 2:
        return ()
    return tuple(text for text in cells[0].verdict.reasons if all(text in item.verdict.reasons for item in cells[1:]))
