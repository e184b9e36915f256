"""`edge device add|list|show|remove|trust` and `edge probe`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from edge.base.errors import InputError, UsageError, VerifyError
from edge.base.finding import Finding
from edge.base.suggest import did_you_mean
from edge.device.board import (
    Board,
    Cluster,
    Device,
    find_device,
    inventory_path,
    list_profiles,
    load_inventory,
    load_profile,
)
from edge.device.fleet import run_fleet, select_devices
from edge.device.inventory import add_device, remove_device
from edge.device.probe import Probe
from edge.release.preflight import examine
from edge.terminal.boards import finish
from edge.terminal.commandline import command, group, print_json
from edge.terminal.options import examples, fleet_options, force_option, inventory_option, json_option, several
from edge.transport.connect import on_board

STYLES = {"advice": "cyan", "warning": "yellow", "error": "red"}


@group()
def device() -> None:
    """Manage your boards: a name, a profile and an address each, in devices.yml."""


@device.command("add", epilog=examples(
    "edge device add gate --board rk3399 --ssh user@192.168.1.20",
    "edge device add phone --board android-arm64 --adb any",
))
@click.argument("name")
@click.option("--board", metavar="PROFILE",
              help="Kind of board (`edge device list --profiles`). [default: the profile called NAME]")  # fmt: skip
@click.option("--ssh", metavar="[USER@]HOST[:PORT]", help="Reach it by ssh; HOST may be an alias of ~/.ssh/config.")
@click.option("--adb", metavar="SERIAL|HOST:PORT|any", help="Reach it by adb.")
@click.option("--key", metavar="FILE", help="ssh: private key; else agent, ~/.ssh/config and the usual files.")
@click.option("--jump", metavar="[USER@]HOST[:PORT],...", help="ssh: jump hosts, as ssh -J.")
@click.option("--root", metavar="FOLDER", help="Folder for the releases on the board. [default: the profile's]")
@several("--group", "groups", metavar="NAME", help="Put it into these groups.")
@force_option("Replace a device of that name.")
@json_option
@inventory_option
def add(
    name: str, board: str | None, groups: tuple[str, ...], force: bool, as_json: bool,
    inventory: Path | None, **address: Any,
) -> None:
    """Add the device NAME to your inventory."""
    if board is None and name not in list_profiles():
        raise UsageError(f"Which kind of board is {name!r}?", f"Add --board with one of: {', '.join(list_profiles())}.")
    if board is not None and board not in list_profiles():
        guess = did_you_mean(board, list_profiles())
        raise UsageError(f"There is no board profile {board!r}.{guess}", "`edge device list --profiles` shows them all.")
    if not address["ssh"] and not address["adb"]:
        raise UsageError(f"Where is {name!r}?", "Add --ssh USER@HOST, or --adb SERIAL (--adb any: the only one attached).")
    fields = {"board": board or name, "groups": list(groups), **{key: value or "" for key, value in address.items()}}
    added = add_device(name, fields, inventory=inventory, replace=force)
    if added.key:
        _warn_of_key(added)
    if as_json:
        return print_json(_device_json(added), indent=2)
    click.echo(f"{added.name}: {added.board.title}, {added.address} ({added.where})")
    click.echo(f"next: edge probe --device {added.name}")
    return None


def _warn_of_key(added: Device) -> None:
    """Says what is wrong with a device's key file; it may be fixed, or appear, before the board is asked."""
    from edge.transport.ssh_connection import check_key

    try:
        check_key(added)
    except InputError as error:
        click.echo(f"warning: {error}", err=True)


@device.command("list")
@click.option("--profiles", is_flag=True, help="List the board profiles instead.")
@json_option
@inventory_option
def list_(profiles: bool, as_json: bool, inventory: Path | None) -> None:
    """List your devices, or all board profiles."""
    if profiles:
        boards = [load_profile(name) for name in list_profiles()]
        if as_json:
            return print_json([asdict(board) for board in boards], indent=2)
        return _table([(board.name, board.abi, _cluster_words(board.clusters), board.title) for board in boards])
    devices = load_inventory(inventory)
    devices.setdefault("local", find_device("local", inventory))
    if as_json:
        return print_json([_device_json(item) for item in devices.values()], indent=2)
    _table([(item.name, item.board.name, item.address, ",".join(item.groups)) for item in devices.values()])
    if len(devices) == 1:
        path = inventory_path(inventory)
        click.echo(
            f"No board of your own in {path} yet: edge device add NAME --board PROFILE --ssh USER@HOST", err=True
        )
    return None


@device.command("show")
@click.argument("name")
@json_option
@inventory_option
def show(name: str, as_json: bool, inventory: Path | None) -> None:
    """Show a device, or a board profile, with everything the kit knows about it."""
    devices = load_inventory(inventory)
    if name not in devices and name != "local" and name in list_profiles():
        board = load_profile(name)
        if as_json:
            return print_json(asdict(board), indent=2)
        return _show_board(board)
    item = find_device(name, inventory)
    if as_json:
        return print_json(_device_json(item), indent=2)
    _table([("device", item.name), ("address", item.address), ("root", item.root), ("groups", ", ".join(item.groups))])
    _table([("key", item.key or "agent, ~/.ssh/config"), ("jump", item.jump or "-")] if item.transport == "ssh" else [])
    return _show_board(item.board)


@device.command("remove")
@click.argument("name")
@json_option
@inventory_option
def remove(name: str, as_json: bool, inventory: Path | None) -> None:
    """Remove the device NAME from your inventory; nothing on the board changes."""
    gone = remove_device(name, inventory=inventory)
    if as_json:
        return print_json({"removed": _device_json(gone), "file": str(inventory_path(inventory))}, indent=2)
    click.echo(f"removed {gone.name} ({gone.address}) from {inventory_path(inventory)}")
    return None


@device.command("trust")
@click.argument("name")
@click.option("--fingerprint", metavar="SHA256:...", help="Trust the key if it has this fingerprint, and do not ask.")
@json_option
@inventory_option
def trust(name: str, fingerprint: str | None, as_json: bool, inventory: Path | None) -> None:
    """Trust the ssh host key that the device NAME (or a jump host on the way to it) shows now."""
    from edge.transport import host_keys as hostkeys
    from edge.transport.ssh import refusal_of

    item = find_device(name, inventory)
    if item.transport != "ssh":
        raise UsageError(f"{name} is reached by {item.transport}; only ssh has host keys.")
    taken: list[dict[str, str]] = []
    # One for the board and one for each jump host on the way.
    while len(taken) <= item.jump.count(",") + 9 and (refusal := refusal_of(item)) is not None:
        print_ = hostkeys.fingerprint(refusal.key)
        where = hostkeys.label(refusal.host, refusal.port)
        if refusal.expected is not None:
            known = hostkeys.fingerprint(refusal.expected)
            click.echo(f"{where}: the trusted key {known} would be REPLACED.", err=True)
        if fingerprint is not None and print_ != fingerprint:
            raise VerifyError(
                f"{where} shows {print_}, not {fingerprint}.",
                "Somebody may be in between. Compare again: ssh-keygen -lf /etc/ssh/ssh_host_*.pub on the board.",
            )
        if fingerprint is None:
            _confirm(name, where, refusal.key.get_name(), print_)
        path = hostkeys.remember(refusal.host, refusal.port, refusal.key, item.where)
        taken.append({"host": where, "type": refusal.key.get_name(), "fingerprint": print_, "file": str(path)})
        if not as_json:
            click.echo(f"trusted {where} {refusal.key.get_name()} {print_} ({path})")
    if as_json:
        print_json({"device": name, "trusted": taken}, indent=2)
    elif not taken:
        click.echo(f"the host key of {name} is trusted already")


def _confirm(name: str, where: str, kind: str, print_: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            f"{where} shows the {kind} host key {print_}; there is no terminal to ask whether that is right.",
            f"Compare with `ssh-keygen -lf /etc/ssh/ssh_host_*.pub` on the board; then: "
            f"edge device trust {name} --fingerprint {print_}",
        )
    click.echo(f"{where} shows the {kind} host key\n    {print_}", err=True)
    click.confirm("Is it the same as `ssh-keygen -lf /etc/ssh/ssh_host_*.pub` says on the board?", abort=True, err=True)


@command()
@fleet_options
@json_option
@inventory_option
def probe(device: tuple[str, ...], group: tuple[str, ...], as_json: bool, inventory: Path | None) -> None:
    """Read from a board what it is, and say where it differs from its profile."""
    devices = select_devices(device, group, inventory)
    finish(run_fleet(devices, _probe), as_json, _probe_json, _show_probe)


def _probe(item: Device) -> tuple[Probe, list[Finding]]:
    with on_board(item) as (transport, root):
        return examine(transport, item, root)


def _probe_json(item: Device, found: tuple[Probe, list[Finding]]) -> dict[str, Any]:
    truth, findings = found
    rows = [finding.as_json(("level", "check", "message", "hint")) for finding in findings]
    return {"probe": truth.to_json(), "findings": rows}


def _show_probe(item: Device, found: tuple[Probe, list[Finding]]) -> None:
    truth, findings = found
    click.secho(f"{item.name} ({item.board.title})", bold=True)
    governors = sorted({core.governor for core in truth.cores if core.governor})
    android = truth.android.get("build.version.release", "")
    system = f"Android {android} (API {truth.android.get('build.version.sdk', '?')})" if android else truth.system
    rows = [
        ("model", truth.model),
        ("chip", ", ".join(truth.soc)),
        ("system", f"{system}, kernel {truth.kernel} ({truth.machine}), programs {truth.abi}, {truth.libc}"),
        ("cores", _cluster_words(truth.clusters)),
        ("features", ", ".join(truth.features)),
        ("governor", ", ".join(governors)),
        ("clock now", " ".join(f"{core.now_mhz}" for core in truth.cores if core.now_mhz) or ""),
        ("temperature", ", ".join(f"{name} {value:.0f} °C" for name, value in truth.temperatures.items())),
        ("battery", truth.battery),
        ("memory", f"{truth.memory_free_mb} of {truth.memory_mb} MiB free, load {truth.load:.1f}"),
        ("disk", f"{truth.disk_free_mb} MiB free in {truth.disk_path}"),
        ("libraries", ", ".join([*truth.libraries, *(f"{key} {value}" for key, value in truth.versions.items())])),
        ("user", truth.user),
    ]
    _table([(f"  {key}", value) for key, value in rows if value])
    for finding in findings:
        click.secho(f"  {finding.level}: ", fg=STYLES[finding.level], nl=False)
        click.echo(str(finding))
    if not findings:
        click.echo("  nothing to complain about")
    click.echo()


def _show_board(board: Board) -> None:
    runtime = board.runtime.build or "the paddlelite wheel"
    _table(
        [
            ("profile", f"{board.name}: {board.title}"),
            ("chip", board.soc),
            ("cores", _cluster_words(board.clusters)),
            ("features", ", ".join(board.features) or "-"),
            ("builds for", f"{board.abi}{f' (-mcpu={board.cpu})' if board.cpu else ''}"),
            ("runtime", runtime),
            ("advice", f"{board.threads} threads, power mode {board.power_mode}"),
        ]
    )
    for note in board.notes:
        click.echo(f"  - {note}")


def _cluster_words(clusters: tuple[Cluster, ...]) -> str:
    words = [
        f"{item.count}x {item.core or 'core'}{f' @ {item.max_mhz} MHz' if item.max_mhz else ''}" for item in clusters
    ]
    return " + ".join(words) or "-"


def _device_json(item: Device) -> dict[str, Any]:
    return {**asdict(item), "board": item.board.name, "address": item.address}


def _table(rows: list[tuple[str, ...]]) -> None:
    if not rows:
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
