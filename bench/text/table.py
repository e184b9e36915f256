"""The table that `bench run` prints: one column a cell, one row a figure."""

from __future__ import annotations

import sys

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.judge.summary import ROWS, ResultSummary
from bench.record.result import Result
from bench.text.figures import (
    STAGE_TITLES,
    count,
    few_timed,
    figure,
    interval,
    megabytes,
    pair,
    pair_sentence,
    peak_memory,
    plates_right,
    shared_reasons,
)

VERDICT_COLOURS = {"VALID": "green", "NOISY": "yellow", "INVALID": "red"}
_WIDE = 6


def output(width: int = 140) -> Console:
    """Standard output for tables, `width` columns wide where it is not a terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else width)


def columns(
    *heads: str, left: tuple[int, ...] = (0,), title: str = "", style: str | None = None
) -> Table:
    """A table without lines between its columns.

    Args:
        heads: Of the columns, as text.
        left: Numbers of those that are not figures.
        title: Above it, as markup.
        style: Of the title.
    """
    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", title_style=style)
    for number, head in enumerate(heads):
        table.add_column(escape(head), justify="left" if number in left else "right")
    return table


def headline(result: Result) -> str:
    """One line: what was measured, and where."""
    device = result.device
    where = {
        "host": "this host (not a board)", "emulated": "emulated CPU (no times of a board)",
        "replay": "replay runtime (no measurement)",
    }.get(device["kind"], str(device.get("title")))  # fmt: skip
    return f"{device['name']}: {where}, plan {result.plan.get('name')!r}"


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
    console.print(_by_stage(summary) if len(summary.cells) <= _WIDE else _by_cell(summary))
    if few_timed(summary):
        console.print(few_timed(summary), style="dim")
    for twins in summary.pairs:
        console.print(escape(pair_sentence(twins)))
    shared = shared_reasons(summary)
    for item in summary.cells:
        colour = VERDICT_COLOURS[item.verdict.level]
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
    cells = [item.cell for item in summary.cells]
    heads = [f"{cell.model}\n{cell.precision}\nt{cell.threads} {cell.power_mode} {cell.side}" for cell in cells]
    table = columns("", *heads, title="ms: median / p90", style="dim")
    rows = [
        ("det size", [megabytes(cell.det_bytes) for cell in cells]),
        ("rec size", [megabytes(cell.rec_bytes) for cell in cells]),
        ("load (both models)", [figure(item.load_ms) for item in summary.cells]),
        ("first photo", [figure(item.first_ms) for item in summary.cells]),
        *((STAGE_TITLES[row], [pair(item.stages.get(row)) for item in summary.cells]) for row in ROWS),
        ("rec infer a plate", [pair(item.rec_per_plate) for item in summary.cells]),
        ("median, 95%", [interval(item.total) for item in summary.cells]),
        ("n (processes)", [count(item.total) for item in summary.cells]),
        ("peak memory", [peak_memory(item) for item in summary.cells]),
        ("plates right", [plates_right(item) for item in summary.cells]),
    ]
    for title, values in rows:
        style = "bold" if title == "total" else ""
        table.add_row(title, *values, style=style, end_section=title in ("first photo", "total"))
    return table


def _by_cell(summary: ResultSummary) -> Table:
    titles = "model,precision,settings,det,rec,load,first,det infer,rec infer,total,n,plates right"
    table = columns(*titles.split(","), left=(0, 1, 2), title="ms: median / p90", style="dim")
    for item in summary.cells:
        cell = item.cell
        table.add_row(
            escape(cell.model), cell.precision, escape(f"t{cell.threads} {cell.power_mode} {cell.side}"),
            megabytes(cell.det_bytes), megabytes(cell.rec_bytes), figure(item.load_ms), figure(item.first_ms),
            pair(item.stages.get("det_infer")), pair(item.stages.get("rec_infer")), pair(item.total), count(item.total),
            plates_right(item),
        )  # fmt: skip
    return table
