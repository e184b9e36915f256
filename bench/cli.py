"""The command `bench` (also `edge bench`)."""

from __future__ import annotations

import click

from edge import __version__
from edge.terminal.lazy_group import LazyGroup

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("bench.commands.run:run", "Measure models on a board and write result and report."),
    "report": ("bench.commands.report:report", "Write a report from a result."),
    "compare": ("bench.commands.compare:compare", "Compare two results; gate regressions."),
    "history": ("bench.commands.history:history", "Keep and show results over time."),
    "tune": ("bench.commands.tune:tune", "Search for settings that are fast and still read the plates."),
    "estimate": ("bench.commands.estimate:estimate", "Estimate times on a board you do not have, with their error."),
    "count": ("bench.commands.count:count", "Count ARM instructions of each stage under emulation."),
}


@click.group(
    cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]},
    epilog="New here? `bench run --device local --plan quick` measures this computer in about half a minute.",
)  # fmt: skip
@click.version_option(__version__, prog_name="bench")
def bench() -> None:
    """Measure plate recognition on boards or on this computer; compare and report."""


def main() -> None:
    """Entry point of the console script `bench`."""
    from edge.terminal.exits import run_cli

    run_cli(bench, "bench")
