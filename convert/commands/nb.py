"""`edge convert nb`: an inference model to a Paddle Lite `.nb` with its card."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edge.models import TARGETS, Model, load_model


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--target", type=click.Choice(TARGETS), required=True, help="What it will run on.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to make (default: MODEL-TARGET beside MODEL).")
@click.option("--fp16", is_flag=True, help="Half precision.")
@click.option("--force", is_flag=True, help="Replace a model that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def nb(model: Path, target: str, out: Path | None, fp16: bool, force: bool, as_json: bool) -> None:
    """Convert an inference model to a Paddle Lite `.nb` file."""
    from convert.nb import Options, convert_model, existing

    source = load_model(model)
    folder = out or source.folder.with_name(f"{source.folder.name}-{target}")
    options = Options(target, fp16=fp16)
    made = (None if force else existing(source, folder, options)) or convert_model(source, folder, options, force=force)
    _show(made, as_json)


def _show(made: Model, as_json: bool) -> None:
    opt = made.card.opt or {}
    if as_json:
        click.echo(json.dumps({"folder": str(made.folder), "name": made.card.name, "bytes": made.card.bytes, "opt": opt}))
        return
    click.echo(f"{made.file('.nb')}: {made.card.name}, {opt['bytes_before']:,} -> {opt['bytes_after']:,} bytes")
