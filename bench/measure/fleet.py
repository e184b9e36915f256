"""Several boards measured at the same time: each as it would be alone, and one table over all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from bench.judge.summary import ResultSummary
from bench.record.result import Result
from bench.text.figures import figure, median, megabytes, plates_right
from bench.text.table import VERDICT_COLOURS, columns, output
from edge.base.errors import ExitCode
from edge.device.board import Device
from edge.device.fleet import BoardOutcome, fleet_exit, run_fleet
from edge.terminal.commandline import print_json

# One name for all boards that are this computer: they disturb one another, and are measured one after another.
_HERE = ("localhost", "127.", "::1")


@dataclass(frozen=True)
class Measured:
    """What was measured on one board.

    Attributes:
        result: The result.
        summary: Its figures.
        out: Its folder.
        files: What was written there.
    """

    result: Result
    summary: ResultSummary
    out: Path
    files: list[Path]

    def document(self) -> dict[str, Any]:
        """What `--json` prints of it."""
        named = {"result": str(self.out), "complete": self.result.complete, "files": [str(path) for path in self.files]}
        return {**named, **self.summary.document()}


def on_this_host(device: Device) -> bool:
    """Whether a device's programs run on this computer's processor: `local`, and virtual boards."""
    return device.transport == "local" or device.host.startswith(_HERE)


def measure_fleet(devices: Sequence[Device], work: Callable[[Device], Measured]) -> list[BoardOutcome[Measured]]:
    """Measures every board by `work`, in parallel, but one at a time of those that are this computer."""
    here = threading.Lock()

    def one(device: Device) -> Measured:
        if not on_this_host(device):
            return work(device)
        with here:
            return work(device)

    return run_fleet(devices, one)


def show_fleet(outcomes: Sequence[BoardOutcome[Measured]], *, as_json: bool, require_valid: bool) -> ExitCode:
    """Prints what became of each board.

    Args:
        outcomes: Of `measure_fleet`.
        as_json: One JSON document instead: a list with an object a board.
        require_valid: A verdict other than VALID is a failure.

    Returns:
        The exit code: OK, PARTIAL when something failed on some of the boards, else the failure of all.
    """
    if as_json:
        documents = [outcome.document(lambda device, done: done.document()) for outcome in outcomes]
        print_json(documents)
    else:
        _print(outcomes)
    code = fleet_exit(outcomes)
    if code != ExitCode.OK:
        return code
    done = [outcome.value for outcome in outcomes if outcome.value is not None]
    if not all(item.result.complete for item in done):
        return ExitCode.PARTIAL
    if require_valid and any(item.summary.level != "VALID" for item in done):
        return ExitCode.NOT_VALID
    return ExitCode.OK


def _print(outcomes: Sequence[BoardOutcome[Measured]]) -> None:
    heads = ("board", "verdict", "combination", "ms a photo", "p90", "load ms", "models", "plates read")
    table = columns(*heads, left=(0, 1, 2), title=f"{len(outcomes)} boards")
    for column in table.columns[:3]:
        column.overflow = "fold"
    for outcome in outcomes:
        if outcome.value is None:
            table.add_row(escape(outcome.device.name), "[red]FAILED", escape(outcome.error.message if outcome.error else ""))
            continue
        for item in outcome.value.summary.cells:
            level = item.verdict.level
            table.add_row(
                escape(outcome.device.name), f"[{VERDICT_COLOURS[level]}]{level}", escape(item.cell.key),
                median(item.total), figure(item.total.p90 if item.total else None), figure(item.load_ms),
                megabytes(item.cell.det_bytes + item.cell.rec_bytes), plates_right(item),
            )  # fmt: skip
    output(160).print(table)
    for outcome in outcomes:
        if outcome.value is not None:
            click.echo(f"{outcome.device.name}: {outcome.value.files[-1]}")
        elif outcome.error is not None and outcome.error.hint:
            click.echo(f"{outcome.device.name}: hint: {outcome.error.hint}", err=True)
