"""`edge convert check`: what would stop or slow a conversion."""

from __future__ import annotations

from pathlib import Path

import click

from edge.base.errors import ExitCode
from edge.host.streams import printable
from edge.model.card import TARGETS
from edge.terminal.commandline import command, print_json
from edge.terminal.options import json_option


@command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--target", type=click.Choice(TARGETS), required=True, help="Check for this target.")
@click.option("--opt-version", help="Converter: 2.10, 2.12 or 2.13rc0. [default: the installed one]")
@json_option
@click.pass_context
def check(context: click.Context, model: Path, target: str, opt_version: str | None, as_json: bool) -> None:
    """Find what would stop or slow a conversion, before it starts.

    Ends with code 4 when something would stop it.
    """
    from convert.opt.check import check_convertible
    from convert.opt.environment import DEFAULT_VERSION

    findings = check_convertible(model, target, opt_version or DEFAULT_VERSION)
    stopped = any(finding.level == "error" for finding in findings)
    if as_json:
        rows = [finding.as_json(("severity", "code", "message", "fix")) for finding in findings]
        print_json({"ok": not stopped, "findings": rows})
    else:
        for finding in findings:
            click.echo(printable(f"{finding.level}: {finding.message} [{finding.name}]"))
            click.echo(printable(f"    {finding.hint}"))
        click.echo(f"{model}: {'would not convert' if stopped else 'converts'} for {target}")
    if stopped:
        context.exit(int(ExitCode.MODEL))
