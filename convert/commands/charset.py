"""`edge convert charset`: a recogniser with fewer characters."""

from __future__ import annotations

from pathlib import Path

import click

from edge.model.card import load_model
from edge.terminal.commandline import command, print_json
from edge.terminal.options import force_option, json_option


@command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--charset", required=True, help="`plate` (mainland China), a country's code or folder, or a dictionary file.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to make.")
@force_option("Replace an existing model.")
@json_option
def charset(model: Path, charset: str, out: Path, force: bool, as_json: bool) -> None:
    """Keep only some characters of a recogniser; the scores of the kept ones do not change."""
    from convert.rewrite.charset import prune_charset, wanted_characters

    source = load_model(model)
    characters, country = wanted_characters(charset)
    made = prune_charset(source, characters, out, country, force=force)
    before, after = source.card, made.card
    assert before.charset and after.charset
    if as_json:
        document = {
            "folder": str(made.folder),
            "classes": [before.charset.classes, after.charset.classes],
            "bytes": [before.bytes, after.bytes],
            "unknown": after.source["pruned"]["unknown"],
        }
        print_json(document)
        return
    click.echo(
        f"{made.folder}: {before.charset.classes:,} -> {after.charset.classes:,} classes, "
        f"{before.bytes:,} -> {after.bytes:,} bytes"
    )
    if after.source["pruned"]["unknown"]:
        click.echo(f"    not known to the model: {''.join(after.source['pruned']['unknown'])}")
