"""Writes a result and its reports into the folder of its session."""

from __future__ import annotations

from pathlib import Path

from bench.judge.summary import ResultSummary, summarise_result
from bench.record.result import RESULT_NAME, Result, save_result


def write_outputs(
    result: Result, out: Path, *, summary: ResultSummary | None = None, report: bool = True
) -> list[Path]:
    """Writes `result.json`, and with `report` the Markdown, CSV and HTML reports.

    Args:
        result: What was measured.
        out: Folder.
        summary: Its figures, when they were computed before.
        report: Also the reports.

    Returns:
        The files, the one to look at last.
    """
    figures = summary or summarise_result(result)
    path = out / RESULT_NAME
    save_result(path, result, summary=figures.document())
    files = [path]
    if report:
        from bench.report.write import write_reports

        files += write_reports(result, figures, out)
    return files
