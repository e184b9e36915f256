"""`edge doctor`: what works here, what does not, and the next step."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from edge.base.errors import ExitCode
from edge.base.finding import Finding
from edge.host.processor import host_processor
from edge.start.doctor import LEVELS, PURPOSES, examine, install_command
from edge.terminal.commandline import command, print_json
from edge.terminal.options import examples, inventory_option, json_option, several

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@command(epilog=examples("edge doctor", "edge doctor --for arm64,ssh --brief"))
@json_option
@click.option("--brief", is_flag=True, help="Show only what fails.")
@click.option("--devices/--no-devices", default=True, show_default=True, help="Connect to your devices and check them.")
@several("--for", "purposes", type=click.Choice(PURPOSES),
         help="Fail unless building for this, or reaching boards this way, works.")  # fmt: skip
@inventory_option
def doctor(as_json: bool, brief: bool, devices: bool, purposes: tuple[str, ...], inventory: Path | None) -> None:
    """Check this host, your devices and the cache; every line is ok, warn or fail, with the next step.

    What `--for` needs and does not find is a failure; anything else that is missing is a warning. Exits with 5 when a
    line says fail.
    """
    findings = []
    rows = []
    console = Console(highlight=False)
    for area, finding in examine(devices=devices, inventory=inventory, purposes=purposes):
        findings.append(finding)
        rows.append({"area": area, **finding.as_json(("level", "name", "detail", "hint"))})
        if not as_json and (finding.level == "fail" or not brief):
            _show(console, area, finding)
    counts = {level: sum(finding.level == level for finding in findings) for level in LEVELS}
    wanted = [finding for finding in findings if finding.level == "fail" or not brief]
    install = install_command(wanted)
    if as_json:
        document = {
            "schema": "plate-edge/doctor/1",
            "counts": counts,
            "install": install,
            "processor": host_processor().document(),
            "findings": rows,
        }
        print_json(document, indent=2)
    else:
        console.print(", ".join(f"{count} {level}" for level, count in counts.items()))
        if install:
            console.print(f"all missing Debian packages: {install}", soft_wrap=True)
    if counts["fail"]:
        sys.exit(int(ExitCode.ENVIRONMENT))


def _show(console: Console, area: str, finding: Finding) -> None:
    line = Text.assemble(
        (f"{finding.level:5}", _STYLES[finding.level]), f"{area:8} {finding.name:24} {finding.message}"
    )
    if finding.hint:
        line.append(f"\n{'':14} -> {finding.hint}", style="dim")
    console.print(line, soft_wrap=True)
