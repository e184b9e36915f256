"""A Click group that imports a command only when it is called, so that `--help` stays under 0.3 s."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from edge.base.suggest import did_you_mean
from edge.host.streams import broken_pipe
from edge.terminal.commandline import Group


class LazyGroup(Group):
    """A group whose commands are named in a table.

    Args:
        table: Command name to (`"module:attribute"`, one line of help). The help line is kept here so that
            listing the commands imports none of them.
        old: See `Group`.
    """

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = dict(table)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table, which is the order in which a newcomer needs them."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports and returns one command, or None when there is none of that name."""
        if cmd_name not in self.table:
            return None
        module, attribute = self.table[cmd_name][0].split(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Names the nearest command for one that does not exist; Click does so only for commands that it has loaded.

        Raises:
            click.UsageError: There is no such command.
        """
        name = args[0]
        if name in self.table or name in self.old or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        raise click.UsageError(f"No such command {name!r}.{did_you_mean(name, self.table)}", ctx)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Reads the options; see `BrokenPipe` (`--help` and `--version` print here)."""
        with broken_pipe():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Calls the command; see `BrokenPipe`."""
        with broken_pipe():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the command list from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.table.items()])
