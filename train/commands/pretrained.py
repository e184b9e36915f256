"""`edge train pretrained`: the published PP-OCRv3 as two inference models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from edge.base.errors import EdgeError
from edge.model.card import TASKS, Model, load_model
from edge.terminal.commandline import command, print_json
from edge.terminal.options import force_option, json_option


@command()
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for det/ and rec/.")
@force_option("Replace existing models.")
@json_option
def pretrained(out: Path, force: bool, as_json: bool) -> None:
    """Write the published PP-OCRv3 detector and recogniser as inference models.

    The weights come from the ONNX files in rapidocr-onnxruntime 1.2.3. Existing models that are unchanged are kept.
    """
    models = [_existing(task, out / task, force) or _write(task, out / task, force) for task in TASKS]
    if as_json:
        cards = {model.card.task: {"folder": str(model.folder), "bytes": model.card.bytes} for model in models}
        print_json(cards)
        return
    for model in models:
        classes = f", {model.card.charset.classes} classes" if model.card.charset else ""
        click.echo(f"{model.folder}: {model.card.name}, {model.card.bytes:,} bytes{classes}")


def _name(task: str) -> str:
    return f"ppocrv3-{task}-fp32"


def _existing(task: str, folder: Path, force: bool) -> Model | None:
    from train.arch.architecture import find_architecture
    from train.weights.published import published_file

    if force or not folder.exists():
        return None
    try:
        model = load_model(folder)
    except EdgeError:
        return None
    wanted, source = published_file(find_architecture("", task)), model.card.source
    same = (source.get("package"), source.get("version")) == (wanted.package, wanted.version)
    return model if same and model.card.name == _name(task) else None


def _write(task: str, folder: Path, force: bool) -> Model:
    from train.arch.architecture import find_architecture
    from train.export.write import export_layer
    from train.weights.published import load_published

    published = load_published(find_architecture("", task))
    card = replace(published.arch.card(_name(task)), source=published.source)
    return export_layer(published.arch, published.net, folder, card, characters=published.characters, force=force)
