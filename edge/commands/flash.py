"""`edge flash`, and what concerns the releases on a board: `status`, `rollback`, `clean`, `shell`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import click

from edge.base.errors import UsageError
from edge.base.plural import counted
from edge.bundle.bundle import Bundle, load_bundle
from edge.commands.release_options import Choice, choose_bundle, read_choice, release_options
from edge.device.board import Device, find_device
from edge.device.fleet import run_fleet, select_devices
from edge.plate.answer import Answer
from edge.protocol.base import Transport
from edge.release.flash import FlashResult
from edge.release.flash import flash as install
from edge.release.releases import BoardState, look, read_release
from edge.release.releases import clean as clean_board
from edge.release.releases import rollback as roll_back
from edge.terminal.boards import finish
from edge.terminal.commandline import command, given
from edge.terminal.options import device_option, examples, fleet_options, inventory_option, json_option
from edge.terminal.steps import Steps, steps
from edge.transport.connect import connect, device_root, on_board

T = TypeVar("T")


@command(epilog=examples(
    "edge flash --device gate",
    "edge flash --device gate,barn --models plate-v1 --precision int8",
    "edge flash --device gate --bundle plate.tar",
))
@fleet_options
@click.option("--bundle", type=click.Path(exists=True, path_type=Path), help="Flash this bundle instead of making one.")
@release_options(old=("--force",), changed="It never replaced files.")
@click.option("--wait", default=0.0, metavar="SECONDS", help="Wait this long for another flash of the same board.")
@click.option("--break-lock", is_flag=True, help="Take the board's lock, whoever holds it.")
@json_option
@inventory_option
def flash(
    device: tuple[str, ...],
    group: tuple[str, ...],
    bundle: Path | None,
    wait: float,
    break_lock: bool,
    as_json: bool,
    inventory: Path | None,
    **options: Any,
) -> None:
    """Install a release on a board: verified, tried, then switched on by one rename.

    Run it again after any failure: the release that was running stays until the new one is proven, and what has
    arrived is not sent again.
    """
    inside = [name for name in ("models", "precisions", "det", "rec", "settings") if given(name)]
    if bundle is not None and inside:
        raise UsageError("A bundle already holds its models and settings.", "Leave out those options, or --bundle.")
    devices = select_devices(device, group, inventory)
    choice = read_choice(**options)
    packed = load_bundle(bundle) if bundle is not None else None
    with steps(quiet=as_json, single=len(devices) == 1) as shown:
        outcomes = run_fleet(devices, lambda item: _flash(item, choice, packed, wait, break_lock, shown))
    finish(outcomes, as_json, _flash_json, lambda item, done: click.echo(_flash_text(item, done)))


def _flash(
    device: Device, choice: Choice, packed: Bundle | None, wait: float, break_lock: bool, shown: Steps
) -> FlashResult:
    from edge.release.install import host_answers

    report, progress = shown.board(device.name)
    expected: dict[str, Answer] = {}
    with on_board(device) as (transport, root):
        # Whether the board answers is found out before minutes of building, not after.
        look(transport, root)
        if packed is None:
            packed = choose_bundle(device.board, choice, report)
            if choice.sets:
                expected = host_answers(
                    device, packed, choice.sets, choice.precisions, report, settings=choice.settings
                )
        return install(
            transport,
            root,
            packed,
            expected=expected,
            force=choice.accept_failed,
            wait=wait,
            break_lock=break_lock,
            report=report,
            progress=progress,
        )


def _flash_json(device: Device, done: FlashResult) -> dict[str, Any]:
    return {
        "release": done.release.hash,
        "path": done.release.path,
        "previous": done.previous,
        "already": done.already,
        "variants": done.release.variants,
        "sent_files": done.sent_files,
        "sent_bytes": done.sent_bytes,
        "reused_files": done.reused_files,
        "smoke": {
            name: {
                "texts": item.answer.texts,
                "compared": item.compared,
                "agrees": item.agrees,
                "iou": item.iou,
                "reads": item.reads,
            }
            for name, item in done.smoke.items()
        },
        "seconds": {name: round(value, 4) for name, value in done.seconds.items()},
        "notes": done.notes,
    }


def _flash_text(device: Device, done: FlashResult) -> str:
    name = f"{device.name}: release {done.release.hash} ({', '.join(done.release.variants)})"
    if done.already:
        return f"{name} was installed already; every file verified, nothing sent, {done.total_seconds:.1f} s."
    lines = [
        f"{name} is switched on: {counted(done.sent_files, 'file')} ({done.sent_bytes / 1e6:.1f} MB) sent, "
        f"{done.reused_files} reused, {done.total_seconds:.1f} s."
    ]
    for variant, item in done.smoke.items():
        same = "as on the host" if item.compared and item.agrees else "NOT as on the host" if item.compared else ""
        if not item.reads:
            same += f"{', ' if same else ''}and NO sample photo right (accepted)"
        lines.append(f"  {variant} reads {', '.join(item.answer.texts) or 'nothing'} {same}".rstrip())
    if done.previous and done.previous != done.release.hash:
        lines.append(f"  before: {done.previous} (`edge rollback --device {device.name}` goes back)")
    return "\n".join([*lines, *(f"  note: {note}" for note in done.notes)])


@command()
@fleet_options
@json_option
@inventory_option
def status(device: tuple[str, ...], group: tuple[str, ...], as_json: bool, inventory: Path | None) -> None:
    """Show what is installed on a board."""
    devices = select_devices(device, group, inventory)
    outcomes = run_fleet(devices, lambda item: _on_board(item, _status))
    finish(outcomes, as_json, lambda item, done: done, _show_status)


def _status(transport: Transport, root: str) -> dict[str, Any]:
    state = look(transport, root)
    document: dict[str, Any] = {
        "root": root,
        "current": state.current,
        "previous": state.previous,
        "releases": list(state.releases),
        "lock": state.lock,
        "free_bytes": state.free,
    }
    if state.current:
        manifest = read_release(transport, root, state.current).manifest
        document |= {
            "variants": sorted(manifest.variants),
            "runtime": manifest.runtime,
            "kit": manifest.kit,
            "abi": manifest.abi,
            "bytes": manifest.size,
        }
    return document


def _show_status(device: Device, state: dict[str, Any]) -> None:
    click.secho(f"{device.name} ({device.board.title})", bold=True)
    if not state["current"]:
        click.echo(f"  nothing installed in {state['root']}: edge flash --device {device.name}")
    else:
        version = state["runtime"].get("version") or "unknown"
        replay = " (replay: none of its times is valid)" if state["runtime"].get("replay") else ""
        click.echo(f"  current   {state['current']}  {', '.join(state['variants'])}")
        click.echo(f"  made by   kit {state['kit']} for {state['abi']}, {state['bytes'] / 1e6:.1f} MB")
        click.echo(f"  runtime   Paddle Lite {version}{replay}")
    if state["previous"]:
        click.echo(f"  previous  {state['previous']}")
    others = [name for name in state["releases"] if name not in (state["current"], state["previous"])]
    if others:
        click.echo(f"  older     {', '.join(others)}")
    if state["lock"]:
        click.echo(f"  locked    by {state['lock']}")
    if state["free_bytes"] >= 0:
        click.echo(f"  disk      {state['free_bytes'] / 1e6:.0f} MB free")


@command()
@fleet_options
@click.option("--to", default="", metavar="HASH", help="Switch to this release; the beginning of its hash is enough.")
@click.option("--wait", default=0.0, metavar="SECONDS", help="How long to wait for a flash of the same board.")
@json_option
@inventory_option
def rollback(
    device: tuple[str, ...], group: tuple[str, ...], to: str, wait: float, as_json: bool, inventory: Path | None
) -> None:
    """Switch a board back to the release that ran before."""
    devices = select_devices(device, group, inventory)

    def back(transport: Transport, root: str) -> tuple[str, str]:
        return roll_back(transport, root, to=to, wait=wait)

    outcomes = run_fleet(devices, lambda item: _on_board(item, back))
    finish(
        outcomes,
        as_json,
        lambda item, done: {"from": done[0], "to": done[1]},
        lambda item, done: click.echo(f"{item.name}: back from {done[0] or 'nothing'} to {done[1]}"),
    )


@command()
@fleet_options
@click.option("--keep", default=2, show_default=True, help="Keep this many releases, the current one among them.")
@click.option("--wait", default=0.0, metavar="SECONDS", help="How long to wait for a flash of the same board.")
@json_option
@inventory_option
def clean(
    device: tuple[str, ...], group: tuple[str, ...], keep: int, wait: float, as_json: bool, inventory: Path | None
) -> None:
    """Remove old releases from a board, and what broken-off attempts left."""
    devices = select_devices(device, group, inventory)

    def remove(transport: Transport, root: str) -> tuple[list[str], BoardState]:
        return clean_board(transport, root, keep, wait=wait), look(transport, root)

    outcomes = run_fleet(devices, lambda item: _on_board(item, remove))
    finish(
        outcomes,
        as_json,
        lambda item, done: {"removed": done[0], "free_bytes": done[1].free},
        lambda item, done: click.echo(
            f"{item.name}: {len(done[0])} releases removed, {max(0, done[1].free) / 1e6:.0f} MB free"
        ),
    )


@command(context_settings={"ignore_unknown_options": True})
@device_option
@inventory_option
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def shell(device: str, inventory: Path | None, command: tuple[str, ...]) -> None:
    """Open a shell on a board, or run COMMAND there (`edge shell --device NAME -- ls -l`)."""
    found = find_device(device, inventory)
    # No folder of the kit is looked for elsewhere: a shell is for boards, too, on which nothing else runs.
    with closing(connect(found)) as transport:
        local = found.transport == "local"
        sys.exit(_local_shell(device_root(transport, found), command) if local else transport.shell(command or None))


def _local_shell(root: str, command: Sequence[str]) -> int:
    folder = Path(root) / "current"
    argv = list(command) or [os.environ.get("SHELL", "/bin/sh")]
    try:
        return subprocess.run(argv, cwd=folder if folder.is_dir() else None, check=False).returncode
    except FileNotFoundError:
        click.echo(f"{argv[0]}: not found", err=True)
        return 127  # As a shell says it.


def _on_board(device: Device, work: Callable[[Transport, str], T]) -> T:
    with on_board(device) as (transport, root):
        return work(transport, root)
