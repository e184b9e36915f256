"""The table that `bench run` prints: one column a cell, one row a figure."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.judge.summary import ROWS, CellSummary, PairSummary, ResultSummary
from bench.record.result import Result
from bench.stats.describe import MIN_SAMPLES, Summary

STAGE_TITLES = {
    "decode": "decode",
    "det_pre": "det pre",
    "det_infer": "det infer",
    "det_post": "det post",
    "crop": "crop",
    "rec_pre": "rec pre",
    "rec_infer": "rec infer",
    "rec_post": "rec post",
    "other": "other",
    "total": "total",
}
_COLOURS = {"VALID": "green", "NOISY": "yellow", "INVALID": "red"}
_WIDE = 6


def figure(value: float) -> str:
    """Milliseconds with the digits that mean something: `0.042`, `4.21`, `223.4`, `1018`."""
    if abs(value) < 0.0005:
        return "0.000"
    digits = 3 if abs(value) < 1 else 2 if abs(value) < 100 else 1 if abs(value) < 1000 else 0
    return f"{value:.{digits}f}"


def pair(summary: Summary | None) -> str:
    """`median / p90`, the p90 marked where there are too few iterations for one."""
    if summary is None:
        return "-"
    return f"{figure(summary.median)} / {figure(summary.p90)}{'' if summary.n >= MIN_SAMPLES[90] else '*'}"


def variation(summary: Summary | None) -> str:
    """The cv, or `-` where no photo was timed twice."""
    return "-" if summary is None or summary.cv is None else f"{summary.cv:.1%}"


def megabytes(count: int) -> str:
    """`2.51 MB` (millions of bytes)."""
    return f"{count / 1e6:.2f} MB"


def headline(result: Result) -> str:
    """One line on what was measured where."""
    device = result.device
    where = {
        "host": "this host (not a board)", "emulated": "emulated CPU (no times of a board)",
        "replay": "replay runtime (no measurement)",
    }.get(str(device.get("kind")), str(device.get("title")))  # fmt: skip
    return f"{device.get('name')}: {where}, plan {result.plan.get('name')!r}"


def pair_sentence(twins: PairSummary) -> str:
    """int8 beside fp32 in one sentence: time, bytes, plates."""
    parts = []
    ratio = twins.ratios.get("total")
    if ratio is not None:
        interval = f" (95% interval: {ratio.interval.low:.2f} to {ratio.interval.high:.2f})" if ratio.interval else ""
        parts.append(f"{ratio.ratio:.2f} times the time, photo by photo{interval}")
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


def print_table(result: Result, summary: ResultSummary, console: Console) -> None:
    """Prints the figures of a result.

    Args:
        result: What was measured.
        summary: Its figures.
        console: Where to.
    """
    console.print(escape(headline(result)), style="bold")
    for note in result.notes:
        console.print(escape(note), style="dim")
    if len(summary.cells) <= _WIDE:
        console.print(_by_stage(summary))
    else:
        console.print(_by_cell(summary))
    if any(item.total is not None and item.total.n < MIN_SAMPLES[90] for item in summary.cells):
        console.print(
            f"* fewer than {MIN_SAMPLES[90]} timed photos: this p90 describes them, and predicts nothing.", style="dim"
        )
    for twins in summary.pairs:
        console.print(escape(pair_sentence(twins)))
    shared = shared_reasons(summary)
    for item in summary.cells:
        colour = _COLOURS[item.verdict.level]
        console.print(f"[{colour}]{item.verdict.level}[/{colour}] {escape(item.cell.key)}")
        for reason in item.verdict.reasons:
            if reason not in shared:
                console.print(f"  - {escape(reason)}")
    if shared:
        console.print("all of them:")
    for reason in shared:
        console.print(f"  - {escape(reason)}")
    if not result.complete:
        console.print(f"[red]incomplete[/red]: {escape(result.why)}")


def _by_stage(summary: ResultSummary) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="ms: median / p90", title_justify="left", title_style="dim")
    table.add_column("")
    for item in summary.cells:
        cell = item.cell
        settings = f"t{cell.threads} {cell.power_mode} {cell.side}"
        table.add_column(escape(f"{cell.model}\n{cell.precision}\n{settings}"), justify="right")
    rows: list[tuple[str, list[str]]] = [
        ("det size", [megabytes(item.cell.det_bytes) for item in summary.cells]),
        ("rec size", [megabytes(item.cell.rec_bytes) for item in summary.cells]),
        ("load (both models)", [_plain(item.load_ms) for item in summary.cells]),
        ("first photo", [_plain(item.first_ms) for item in summary.cells]),
    ]
    rows += [(STAGE_TITLES[row], [pair(item.stages.get(row)) for item in summary.cells]) for row in ROWS]
    rows += [
        ("rec infer a plate", [pair(item.rec_per_plate) for item in summary.cells]),
        ("median, 95%", [_interval(item) for item in summary.cells]),
        ("n (processes)", [_count(item) for item in summary.cells]),
        ("peak memory", [f"{item.hwm_kb / 1024:.0f} MiB" if item.hwm_kb else "-" for item in summary.cells]),
        ("plates right", [_accuracy(item) for item in summary.cells]),
    ]
    for title, values in rows:
        strong = title == "total"
        table.add_row(title, *values, style="bold" if strong else "", end_section=title in ("first photo", "total"))
    return table


def _by_cell(summary: ResultSummary) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="ms: median / p90", title_justify="left", title_style="dim")
    titles = "model,precision,settings,det,rec,load,first,det infer,rec infer,total,n,plates right"
    for number, title in enumerate(titles.split(",")):
        table.add_column(title, justify="left" if number < 3 else "right")
    for item in summary.cells:
        cell = item.cell
        table.add_row(
            escape(cell.model), cell.precision, escape(f"t{cell.threads} {cell.power_mode} {cell.side}"),
            megabytes(cell.det_bytes), megabytes(cell.rec_bytes), _plain(item.load_ms), _plain(item.first_ms),
            pair(item.stages.get("det_infer")), pair(item.stages.get("rec_infer")), pair(item.total), _count(item),
            _accuracy(item),
        )  # fmt: skip
    return table


def _plain(value: float | None) -> str:
    return "-" if value is None else figure(value)


def _interval(item: CellSummary) -> str:
    if item.total is None or item.total.interval is None:
        return "-"
    return f"{figure(item.total.interval.low)} to {figure(item.total.interval.high)}"


def _count(item: CellSummary) -> str:
    return f"{item.total.n} ({item.total.processes})" if item.total else "0"


def _accuracy(item: CellSummary) -> str:
    found = item.accuracy
    return f"{found.right} of {found.truth}" if found else "-"
