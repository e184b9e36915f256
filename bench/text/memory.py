"""Peak memory by stage: which of them the board's memory is for."""

from __future__ import annotations

from bench.judge.summary import ResultSummary
from bench.record.events import STAGES
from bench.text.figures import NONE, STAGE_TITLES

TITLES = {"load": "both models loaded", **{stage: STAGE_TITLES[stage] for stage in STAGES}, "end": "at the end"}
CAPTION = "Peak memory (VmHWM) in MiB: after loading, after each stage of the first photo, and at the end"


def memory_rows(summary: ResultSummary) -> list[list[str]]:
    """Rows of the table: moment, then for each combination `170.2 (+118.4)`, what it added in brackets.

    Returns:
        No row at all where no program told more than one figure.
    """
    if not any(len(item.memory_kb) > 1 for item in summary.cells):
        return []
    rows = []
    for key, title in TITLES.items():
        if any(key in item.memory_kb for item in summary.cells):
            rows.append([title, *(_text(item.memory_kb, key) for item in summary.cells)])
    return rows


def _text(memory: dict[str, int], key: str) -> str:
    if key not in memory:
        return NONE
    order = [name for name in TITLES if name in memory]
    place = order.index(key)
    added = memory[key] - memory[order[place - 1]] if place else 0
    return f"{memory[key] / 1024:.1f}" + (f" (+{added / 1024:.1f})" if added >= 52 else "")
