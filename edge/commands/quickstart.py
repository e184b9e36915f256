"""`edge quickstart`: from nothing to the first report, by four questions or their options."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from edge.base.errors import EdgeError, ExitCode
from edge.device.board import INVENTORY_ENV, list_profiles
from edge.host.process import edge_command
from edge.start.quickstart import PLANS, WAYS, Choices, KitCommand, boards_for, check, default_board, steps
from edge.terminal.commandline import command, print_json
from edge.terminal.options import examples, inventory_option, json_option


@command(epilog=examples(
    "edge quickstart",
    "edge quickstart --on ssh --address pi@192.168.1.30 --board rpi5",
    "edge quickstart --on laptop --yes",
))
@click.option("--on", "way", type=click.Choice(list(WAYS)), help="Where plates are read. [default: laptop]")
@click.option("--address", metavar="ADDRESS", help="ssh: [user@]host[:port]. adb: serial, host:port or any.")
@click.option("--board", metavar="PROFILE", help="Kind of board (`edge device list --profiles`); virtual: arm64 or armhf.")
@click.option("--plan", metavar="PLAN",
              help="How long to measure: quick, default, publish, or a YAML file. [default: quick]")  # fmt: skip
@click.option("--name", default="", help="Name of the device. [default: that of its profile]")
@click.option("--key", default="", metavar="FILE", help="ssh: private key; else agent and ~/.ssh/config.")
@click.option("--fingerprint", default="", metavar="SHA256:...", help="ssh: trust this host key, and do not ask.")
@click.option("--runtime", "library", type=click.Path(exists=True, path_type=Path), metavar="PATH",
              help="Paddle Lite's library for the board, folder or archive, instead of fetching it.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Ask nothing: take the defaults for what is not given.")
@click.option("--dry-run", is_flag=True, help="Only show the commands.")
@json_option
@inventory_option
def quickstart(yes: bool, dry_run: bool, as_json: bool, inventory: Path | None, **given: Any) -> None:
    """Go from nothing to the first report; on a terminal, ask for what is not given.

    Every step is a command of the kit and is shown as one. After a failure, the same answers go on from there.
    """
    choices = read_choices(given, ask=not yes and sys.stdin.isatty())
    way = steps(choices, inventory)
    if dry_run:
        lines = [_shown(step.argv) for step in way]
        click.echo(json.dumps({"device": choices.device, "steps": lines}) if as_json else "\n".join(lines))
        return
    began = time.time()
    again = _shown((*choices.command, *(("--inventory", str(inventory)) if inventory else ())))
    environment = {**os.environ, **({INVENTORY_ENV: str(inventory.resolve())} if inventory else {})}
    for number, step in enumerate(way, 1):
        _run(step, f"{number}/{len(way)}", again, environment, quiet=as_json)
    report = _report_since(choices.device, began)
    if as_json:
        done = {"device": choices.device, "steps": [_shown(step.argv) for step in way]}
        print_json({**done, "report": str(report) if report else None})
        return
    if report:
        click.echo(f"\nYour first report: {report}")
    click.echo(f"next: bench run --device {choices.device} --plan default; edge run --device {choices.device} PHOTO")


def read_choices(given: dict[str, Any], *, ask: bool) -> Choices:
    """Completes the options by asking, or from the defaults.

    Args:
        given: Options; None where not given.
        ask: There is somebody to ask.

    Raises:
        UsageError: They do not fit together, or an address is missing and nobody can be asked.
    """
    asked = dict(given)
    if asked["way"] is None:
        asked["way"] = _ask_way() if ask else "laptop"
    way = asked["way"]
    if asked["address"] is None:
        asked["address"] = _ask_address(way) if ask and way in ("ssh", "adb") else ""
    if asked["board"] is None:
        asked["board"] = _ask_board(way) if ask and way != "laptop" else default_board(way)
    if asked["plan"] is None:
        asked["plan"] = _ask_plan() if ask else PLANS[0]
    choices = Choices(**asked)
    check(choices)
    return choices


def _ask_way() -> str:
    click.echo("Where are plates to be read?", err=True)
    for number, (name, text) in enumerate(WAYS.items(), 1):
        click.echo(f"  {number}  {name:<8} {text}", err=True)
    numbers = {str(number): name for number, name in enumerate(WAYS, 1)}
    known = click.Choice([*numbers, *WAYS])
    answer = str(click.prompt("Number or name", default="1", type=known, show_choices=False, err=True))
    return numbers.get(answer, answer)


def _ask_address(way: str) -> str:
    if way == "adb":
        return str(click.prompt("Its serial (`adb devices` shows it; any: the only one)", default="any", err=True))
    return str(click.prompt("Its address, user@host or user@host:port", err=True)).strip()


def _ask_board(way: str) -> str:
    names = boards_for(way)
    question = "Which architecture" if way == "virtual" else "Which kind of board"
    kinds = click.Choice(names if way == "virtual" else list_profiles())
    click.echo(f"{question}? {', '.join(names)}", err=True)
    return str(click.prompt("Name", default=default_board(way), type=kinds, show_choices=False, err=True))


def _ask_plan() -> str:
    click.echo("How thoroughly? quick (a first look, never VALID), default (minutes), publish (hours)", err=True)
    return str(click.prompt("Plan", default=PLANS[0], type=click.Choice(PLANS), show_choices=False, err=True))


def _shown(argv: tuple[str, ...]) -> str:
    return shlex.join(argv if argv[0] == "bench" else ("edge", *argv))


def _run(step: KitCommand, number: str, again: str, environment: dict[str, str], *, quiet: bool) -> None:
    """Runs a step; `quiet` sends what it prints to standard error, where it is not in the way of a document."""
    click.secho(f"[{number}] {step.why}", bold=True, err=True)
    click.secho(f"      {_shown(step.argv)}", dim=True, err=True)
    sys.stderr.flush()
    interrupted = False
    out = sys.stderr.fileno() if quiet else None
    with subprocess.Popen(edge_command(step.argv), env=environment, stdout=out) as child:
        while True:
            try:
                code = child.wait()
                break
            except KeyboardInterrupt:
                # The step was interrupted too; let it keep what it has and give a board back.
                interrupted = True
    if interrupted or code == ExitCode.INTERRUPTED:
        click.echo(f"Go on with: {again}", err=True)
        sys.exit(int(ExitCode.INTERRUPTED))
    if code:
        error = EdgeError(
            f"step {number} failed: {_shown(step.argv)}",
            f"Its own message is above. Fix that, then go on: {again}",
        )
        error.exit_code = ExitCode(code) if code in set(ExitCode) else ExitCode.INTERNAL
        raise error


def _report_since(device: str, began: float) -> Path | None:
    """The newest report of the device that was written since then."""
    times = {path: path.stat().st_mtime for path in Path("out", device).glob("*/report.html")}
    return max((path for path, time_ in times.items() if time_ >= began - 1), key=times.__getitem__, default=None)
