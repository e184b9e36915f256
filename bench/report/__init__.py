"""Reports of a result: Markdown, CSV, and one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path

from bench.result import Result
from bench.summary import ResultSummary


def write_reports(result: Result, summary: ResultSummary, out: Path) -> list[Path]:
    """Writes all reports."""
    return []
