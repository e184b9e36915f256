"""Writes a result and its reports into a folder: JSON, Markdown, CSV, and one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path

from bench.judge.summary import ResultSummary
from bench.record.result import RESULT_NAME, Result, save_result
from edge.base.paths import write_atomic

REPORT_NAMES = ("report.md", "report.csv", "report.html")


def write_reports(result: Result, summary: ResultSummary, out: Path) -> list[Path]:
    """Writes `report.md`, `report.csv` and `report.html`.

    Args:
        result: What was measured.
        summary: Its figures.
        out: Folder; small copies of the photos are looked for in `out/photos`.

    Returns:
        The files, the page last.
    """
    from bench.report.page import page
    from bench.report.photos import load_pictures
    from bench.text.csv_sheet import sheet
    from bench.text.markdown import markdown

    texts = {
        "report.md": markdown(result, summary),
        "report.csv": sheet(result, summary),
        "report.html": page(result, summary, load_pictures(result, out)),
    }
    for name, text in texts.items():
        write_atomic(out / name, text)
    return [out / name for name in texts]


def write_outputs(result: Result, summary: ResultSummary, out: Path, *, report: bool) -> list[Path]:
    """Writes `result.json`, and with `report` the reports beside it; returns the files, the one to look at last."""
    save_result(out / RESULT_NAME, result, summary=summary.document())
    return [out / RESULT_NAME, *(write_reports(result, summary, out) if report else ())]
