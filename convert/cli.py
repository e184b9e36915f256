"""The command group `edge convert`."""

from __future__ import annotations

import click

from edge.terminal.lazy_group import LazyGroup

COMMANDS: dict[str, tuple[str, str]] = {
    "nb": ("convert.commands.nb:nb", "Convert an inference model to a Paddle Lite `.nb` file."),
    "inspect": ("convert.commands.inspect:inspect", "Show what is inside a `.nb` file, or how two differ."),
    "check": ("convert.commands.check:check", "Find what would stop or slow a conversion, before it starts."),
    "verify": ("convert.commands.verify:verify", "Prove a `.nb` against the model it was made from, on photos."),
    "charset": ("convert.commands.charset:charset", "Keep only some characters of a recogniser."),
    "size": ("convert.commands.size:size", "Show where the bytes go, and how far a file is from its floor."),
}


@click.group(cls=LazyGroup, table=COMMANDS, old={"prune": "charset"})
def convert() -> None:
    """Convert models to `.nb`; inspect, verify and shrink them."""
