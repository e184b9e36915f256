"""The umbrella command `edge`."""

from __future__ import annotations

import click

from edge.terminal.exits import run_cli
from edge.terminal.lazy_group import LazyGroup

COMMANDS: dict[str, tuple[str, str]] = {
    "quickstart": ("edge.commands.quickstart:quickstart", "Go from nothing to a first report, step by step."),
    "doctor": ("edge.commands.doctor:doctor", "Check this host, your boards and the cache."),
    "run": ("edge.commands.run:run", "Read the plates in photos, on this host or on a board."),
    "build": ("edge.commands.build:build", "Build the C++ program for a board."),
    "bundle": ("edge.commands.bundle:bundle", "Pack program, runtime and models for a board."),
    "flash": ("edge.commands.flash:flash", "Install a bundle on a board, verified and atomic."),
    "status": ("edge.commands.flash:status", "Show what is installed on a board."),
    "rollback": ("edge.commands.flash:rollback", "Switch a board back to its previous release."),
    "clean": ("edge.commands.flash:clean", "Remove old releases from a board."),
    "shell": ("edge.commands.flash:shell", "Open a shell, or run a command, on a board."),
    "device": ("edge.commands.device:device", "Add, list, show and remove your boards."),
    "probe": ("edge.commands.device:probe", "Read from a board what it is, and compare with its profile."),
    "runtime": ("edge.commands.runtime:runtime", "Get and check Paddle Lite libraries."),
    "virtual": ("edge.commands.virtual:virtual", "Run a virtual ARM board on this host."),
    "convert": ("convert.cli:convert", "Convert models to `.nb`; inspect, verify and shrink them."),
    "train": ("train.cli:train", "Make weights and data; fit, quantise and evaluate models."),
    "bench": ("bench.cli:bench", "Measure on a board, compare, report."),
    "completion": ("edge.terminal.completion:completion", "Print the script by which bash, zsh or fish completes."),
}


def _print_version(ctx: click.Context, option: click.Parameter, asked: bool) -> None:
    """Prints the versions of the kit, of Paddle Lite and of the model sets, and exits; looks them up only then."""
    if not asked or ctx.resilient_parsing:
        return
    from edge.start.versions import version_lines

    click.echo("\n".join(version_lines()))
    ctx.exit()


@click.group(
    cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]},
    epilog="New here? `edge quickstart` leads to a first report, and `edge doctor` says what is missing.",
)  # fmt: skip
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version,
              help="Show the versions of the kit, Paddle Lite and the models.")  # fmt: skip
def edge() -> None:
    """Train, quantise, convert, flash and benchmark PP-OCRv3 licence plate models on ARM boards."""


def main() -> None:
    """Entry point of the console script `edge`."""
    run_cli(edge, "edge")
