"""`edge doctor`: what works here, what does not, and the next step."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from edge.doctor import LEVELS, Finding, examine
from edge.errors import ExitCode

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--devices/--no-devices", default=True, show_default=True, help="Connect to your devices.")
@click.option("--inventory", type=click.Path(path_type=Path), help="Your devices; else the usual devices.yml.")
def doctor(as_json: bool, devices: bool, inventory: Path | None) -> None:
    """Check this host, your devices and the cache; every line is ok, warn or fail, with the next step.

    Exits with 5 when a line says fail.
    """
    findings = []
    console = Console(highlight=False)
    for finding in examine(devices=devices, inventory=inventory):
        findings.append(finding)
        if not as_json:
            _show(console, finding)
    counts = {level: sum(finding.level == level for finding in findings) for level in LEVELS}
    if as_json:
        document = {"schema": "plate-edge/doctor/1", "counts": counts, "findings": [f.to_json() for f in findings]}
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        console.print(", ".join(f"{count} {level}" for level, count in counts.items()))
    if counts["fail"]:
        sys.exit(int(ExitCode.ENVIRONMENT))


def _show(console: Console, finding: Finding) -> None:
    line = Text.assemble(
        (f"{finding.level:5}", _STYLES[finding.level]), f"{finding.area:8} {finding.name:24} {finding.detail}"
    )
    if finding.hint:
        line.append(f"\n{'':14} -> {finding.hint}", style="dim")
    console.print(line)
