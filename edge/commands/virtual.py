"""`edge virtual up|down|status|ssh`: an ARM board on this host."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from edge.base.errors import UsageError
from edge.device.board import inventory_path, load_inventory
from edge.terminal.commandline import group, print_json
from edge.terminal.options import inventory_option, json_option
from edge.terminal.steps import steps
from edge.virtual.board import DEFAULT, VirtualBoard, find_board, list_boards
from edge.virtual.board import down as switch_off
from edge.virtual.board import up as switch_on

name_argument = click.argument("name", default=DEFAULT)


@group()
def virtual() -> None:
    """Run a virtual ARM board on this host: Debian, a real sshd, the processor emulated.

    Use it to try and to test: answers are those of an ARM board, times are not.
    """


@virtual.command("up")
@name_argument
@click.option("--arch", type=click.Choice(["arm64", "armhf"]), default="arm64", show_default=True,
              help="Architecture of the board.")  # fmt: skip
@json_option
@inventory_option
def up(name: str, arch: str, as_json: bool, inventory: Path | None) -> None:
    """Switch the board NAME on, and add it to your devices.

    The first time makes a Debian root (some minutes, 200 MB); afterwards it takes seconds.
    """
    began = time.monotonic()
    with steps(quiet=as_json) as shown:
        report, _ = shown.board(name)
        board = switch_on(name, arch, inventory=inventory, report=report)
    seconds = time.monotonic() - began
    if as_json:
        print_json({**_document(board), "seconds": round(seconds, 2)})
        return
    click.echo(f"{name} is on: {arch}, ssh port {board.port} of 127.0.0.1, {seconds:.1f} s")
    click.echo(f"next: edge probe --device {name}; edge flash --device {name}; edge virtual ssh {name}")


@virtual.command("down")
@name_argument
@click.option("--remove", is_flag=True, help="Remove its files too.")
@json_option
@inventory_option
def down(name: str, remove: bool, as_json: bool, inventory: Path | None) -> None:
    """Switch the board NAME off; its files stay."""
    board = switch_off(name, remove=remove, inventory=inventory)
    if as_json:
        print_json({**_document(board), "removed": remove})
    else:
        click.echo(f"{name} is off" + (", and its files are removed" if remove else ""))


@virtual.command("status")
@json_option
@inventory_option
def status(as_json: bool, inventory: Path | None) -> None:
    """List the virtual boards."""
    boards = list_boards()
    path = inventory_path(inventory)
    known = load_inventory(inventory) if path.exists() else {}
    if as_json:
        print_json([{**_document(board), "device": board.name in known} for board in boards])
        return
    for board in boards:
        state = f"on, ssh port {board.port}, process {board.pid}" if board.running else "off"
        # A board that is switched off is taken out of the inventory.
        missing = board.running and board.name not in known
        lost = f"; not in {path}: `edge virtual up {board.name}` adds it" if missing else ""
        click.echo(f"{board.name:<16} {board.arch:<6} {state}{lost}")
    if not boards:
        click.echo("There is no virtual board yet: edge virtual up")


@virtual.command("ssh", context_settings={"ignore_unknown_options": True})
@name_argument
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(name: str, command: tuple[str, ...]) -> None:
    """Open a shell on the board NAME, or run COMMAND there (`edge virtual ssh NAME -- ls`)."""
    board = find_board(name)
    if not board.running:
        raise UsageError(f"The virtual board {name} is off.", f"edge virtual up {name}")
    sys.exit(subprocess.run(board.ssh_command(command), check=False).returncode)


def _document(board: VirtualBoard) -> dict[str, Any]:
    return {
        "name": board.name,
        "arch": board.arch,
        "running": board.running,
        "port": board.port,
        "pid": board.pid,
        "key": str(board.key),
        "folder": str(board.folder),
    }
