"""The report as CSV: one line a stage of a combination, for spreadsheets."""

from __future__ import annotations

import csv
import io

from bench.judge.summary import ROWS, ResultSummary
from bench.record.result import Result

COLUMNS = (
    "device", "kind", "verdict", "model", "precision", "threads", "power_mode", "det_side", "det_bytes", "rec_bytes",
    "stage", "n", "processes", "median_ms", "low_ms", "high_ms", "p90_ms", "p95_ms", "p99_ms", "mean_ms", "min_ms",
    "max_ms", "mad_ms", "cv",
)  # fmt: skip


def sheet(result: Result, summary: ResultSummary) -> str:
    """Returns the text of `report.csv`."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for item in summary.cells:
        cell = item.cell
        head = [
            result.device.get("name"), result.device.get("kind"), item.verdict.level, cell.model, cell.precision,
            cell.threads, cell.power_mode, cell.side, cell.det_bytes, cell.rec_bytes,
        ]  # fmt: skip
        for stage in (*ROWS, "rec_per_plate"):
            found = item.rec_per_plate if stage == "rec_per_plate" else item.stages.get(stage)
            if found is None:
                continue
            interval = found.interval
            figures = [
                found.median, interval.low if interval else None, interval.high if interval else None, found.p90,
                found.p95, found.p99, found.mean, found.minimum, found.maximum, found.mad, found.cv,
            ]  # fmt: skip
            numbers = ["" if value is None else f"{value:.6g}" for value in figures]
            writer.writerow([*(_plain(value) for value in head), stage, found.n, found.processes, *numbers])
    return stream.getvalue()


def _plain(value: object) -> object:
    # A spreadsheet would run a text that begins so as a formula.
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" else value
