"""The report as Markdown, for tickets and commits."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.judge.summary import ROWS, ResultSummary
from bench.record.result import Result
from bench.stats.describe import MIN_SAMPLES
from bench.text.facts import (
    COMPARISON_TITLES,
    NOTE_FOOTNOTE,
    OWN_FOOTNOTE,
    STAGE_FOOTNOTE,
    VERDICT_TEXT,
    comparison_rows,
    conditions,
    hashes,
    note_rows,
    settings,
    shared_settings,
    size_text,
    title,
)
from bench.text.memory import CAPTION, memory_rows
from bench.text.table import STAGE_TITLES, figure, pair, pair_sentence, variation


def markdown(result: Result, summary: ResultSummary) -> str:
    """Returns the text of `report.md`."""
    lines = [f"# {escape(title(result))}", "", f"**{summary.level}** - {VERDICT_TEXT[summary.level]}", ""]
    if not result.complete:
        lines += [f"**Incomplete**: {escape(result.why)}", ""]
    lines += [f"> {escape(note)}" for note in result.notes]
    for item in summary.cells:
        lines += ["", f"- **{item.verdict.level}** {escape(f'{item.cell.label}, {settings(item)}')}"]
        lines += [f"  - {escape(reason)}" for reason in item.verdict.reasons]
    heads = ["ms: median / p90", *(f"{item.cell.label}, {settings(item)}" for item in summary.cells)]
    rows = [[STAGE_TITLES[row], *(pair(item.stages.get(row)) for item in summary.cells)] for row in ROWS]
    rows.append(["load (both models)", *(_plain(item.load_ms) for item in summary.cells)])
    rows.append(["first photo", *(_plain(item.first_ms) for item in summary.cells)])
    rows.append(["rec infer a plate", *(pair(item.rec_per_plate) for item in summary.cells)])
    intervals = [item.total.interval if item.total else None for item in summary.cells]
    rows.append(["median, 95% interval", *(f"{figure(i.low)} to {figure(i.high)}" if i else "-" for i in intervals)])
    rows.append(["cv", *(variation(item.total) for item in summary.cells)])
    rows.append(["n (processes)", *(f"{t.n} ({t.processes})" if (t := item.total) else "0" for item in summary.cells)])
    rows.append(["det .nb", *(size_text(item.cell.det_bytes) for item in summary.cells)])
    rows.append(["rec .nb", *(size_text(item.cell.rec_bytes) for item in summary.cells)])
    lines += ["", "## Times", "", *_table(heads, rows), ""]
    if any(item.total and item.total.n < MIN_SAMPLES[90] for item in summary.cells):
        lines += [f"\\* fewer than {MIN_SAMPLES[90]} timed photos: this p90 describes them, and predicts nothing.", ""]
    lines += [STAGE_FOOTNOTE, ""]
    lines += [escape(pair_sentence(twins)) for twins in summary.pairs]
    memory = memory_rows(summary)
    if memory:
        lines += ["", "## Memory", "", f"{CAPTION}.", "", *_table(["", *heads[1:]], memory)]
    lines += ["", "## Beside the application note", ""]
    used = ", ".join(shared_settings(summary))
    lines += [f"Ours with {escape(used)}.", ""] if used else []
    lines += _table(COMPARISON_TITLES, note_rows() + comparison_rows(summary))
    lines += ["", NOTE_FOOTNOTE, "", OWN_FOOTNOTE, "", "## Conditions", ""]
    lines += _table(
        ("what", "value"), [[row.name, row.value or f"not recorded: {row.reason}"] for row in conditions(result)]
    )
    lines += ["", "## Hashes", "", *_table(("of", "SHA-256 or version"), [list(row) for row in hashes(result)]), ""]
    return "\n".join(lines)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(escape(cell) for cell in cells) + " |"

    return [line(heads), "| " + " | ".join("---" for _ in heads) + " |", *(line(row) for row in rows)]


def _plain(value: float | None) -> str:
    return "-" if value is None else figure(value)


def escape(text: str) -> str:
    """Text that Markdown shows as it is: on one line, no markup, no HTML, no further column of a table."""
    return re.sub(r"([\\|*`\[\]])", r"\\\1", " ".join(text.split())).replace("<", "&lt;")
