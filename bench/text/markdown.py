"""The report as Markdown, for tickets and commits."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.judge.summary import ROWS, ResultSummary
from bench.record.result import Result
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
from bench.text.figures import STAGE_TITLES, count, few_timed, figure, interval, pair, pair_sentence, variation
from bench.text.memory import CAPTION, memory_rows


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
    rows.append(["load (both models)", *(figure(item.load_ms) for item in summary.cells)])
    rows.append(["first photo", *(figure(item.first_ms) for item in summary.cells)])
    rows.append(["rec infer a plate", *(pair(item.rec_per_plate) for item in summary.cells)])
    rows.append(["median, 95% interval", *(interval(item.total) for item in summary.cells)])
    rows.append(["cv", *(variation(item.total) for item in summary.cells)])
    rows.append(["n (processes)", *(count(item.total) for item in summary.cells)])
    rows.append(["det .nb", *(size_text(item.cell.det_bytes) for item in summary.cells)])
    rows.append(["rec .nb", *(size_text(item.cell.rec_bytes) for item in summary.cells)])
    lines += ["", "## Times", "", *_table(heads, rows), ""]
    if few_timed(summary):
        lines += [f"\\{few_timed(summary)}", ""]
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


def escape(text: str) -> str:
    """Text that Markdown shows as it is: on one line, no markup, no HTML, no further column of a table."""
    return re.sub(r"([\\|*`\[\]])", r"\\\1", " ".join(text.split())).replace("<", "&lt;")
