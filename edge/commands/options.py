"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def inventory_option(command: F) -> F:
    """`--inventory FILE`, passed as `inventory: Path | None`."""
    return click.option(
        "--inventory",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Your devices.yml. [default: $PLATE_EDGE_INVENTORY, else ~/.config/plate-edge/devices.yml]",
    )(command)


def complete_devices(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of devices for shell completion; none where the inventory cannot be read, since nobody would see why."""
    from edge.board import load_inventory
    from edge.errors import EdgeError

    try:
        names = ["local", *load_inventory()]
    except (EdgeError, OSError):
        names = ["local"]
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]


def device_option(command: F) -> F:
    """`--device NAME`, passed as `device: str`."""
    return click.option(
        "--device", required=True, metavar="NAME", shell_complete=complete_devices,
        help="A device of your inventory, or `local`.",
    )(command)  # fmt: skip


def fleet_options(command: F) -> F:
    """`--device A,B,C` and `--group NAME`, passed as `device: str | None` and `group: str | None`."""
    command = click.option("--group", metavar="NAME", help="All devices of a group, instead of --device.")(command)
    return click.option(
        "--device", metavar="NAME[,NAME...]", shell_complete=complete_devices,
        help="Devices of your inventory; `local` is this computer. [default: local]",
    )(command)  # fmt: skip


def json_option(command: F) -> F:
    """`--json`, passed as `as_json: bool`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")(command)


def recursive_option(command: F) -> F:
    """`--recursive`, passed as `recursive: bool`."""
    return click.option("--recursive", is_flag=True, help="Look for photos in subfolders too.")(command)


def examples(*lines: str) -> str:
    """Epilog of a command: command lines, kept as they are (the tests check that each is one)."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))
