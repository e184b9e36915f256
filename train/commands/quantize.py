"""`edge train quantize`: a float model to int8, by static calibration or by training."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from edge.errors import UsageError
from edge.models import TASKS, Model, load_model


@click.command()
@click.argument("task", type=click.Choice(TASKS))
@click.option(
    "--model",
    "source",
    required=True,
    type=click.Path(path_type=Path),
    help="Float inference model; for qat the folder of a fit's run.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the int8 model.")
@click.option("--method", type=click.Choice(("ptq", "qat")), default="ptq", show_default=True, help="How.")
@click.option("--calibrate", type=click.Path(path_type=Path), help="Folder of photos or crops (default: rendered).")
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses or renders the photos.")
@click.option("--limit", type=float, help="Layers below this signal to noise ratio in dB stay float.")
@click.option("--recipe", help="For qat: name of a recipe of the kit, or a .yml file.")
@click.option("-o", "overrides", multiple=True, metavar="KEY=VALUE", help="For qat: override a setting.")
@click.option("--sensitivity", is_flag=True, help="Only print each layer's ratio.")
@click.option("--force", is_flag=True, help="Replace a model that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def quantize(
    task: str,
    source: Path,
    out: Path,
    method: str,
    calibrate: Path | None,
    seed: int,
    limit: float | None,
    recipe: str | None,
    overrides: tuple[str, ...],
    sensitivity: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Quantise a detector or recogniser to int8 and prove it against the float model."""
    from train.quantize_ptq import PtqOptions, quantize_ptq

    if method == "qat":
        from train.commands.quantize_qat import quantize_by_training

        name = recipe or {"det": "det-plate-qat", "rec": "rec-plate-160-qat"}[task]
        quantize_by_training(task, source, out, name, overrides, force=force, as_json=as_json)
        return
    if recipe or overrides:
        raise UsageError("--recipe and -o are for --method qat.")
    model = load_model(source)
    if model.card.task != task:
        raise UsageError(f"{source} is a {model.card.task} model, not {task}.")
    options = PtqOptions(calibrate, seed, limit, force)
    if sensitivity:
        _show_sensitivity(model, options.seed, calibrate, as_json)
        return

    def report(text: str) -> None:
        if sys.stderr.isatty():
            click.echo(f"{text} ...", err=True)

    made = quantize_ptq(model, out, options, report)
    if as_json:
        card = made.card
        document = {
            "folder": str(made.folder),
            "name": card.name,
            "quantization": card.quantization,
            "checks": card.checks,
        }
        click.echo(json.dumps(document, ensure_ascii=False))
        return
    taken = made.card.quantization or {}
    click.echo(f"{made.folder}: {made.card.name}, {taken['layers']} layers int8, {len(taken['float_layers'])} float")
    for check in made.card.checks:
        figures = ", ".join(f"{key} {value}" for key, value in check["figures"].items())
        click.echo(f"    {check['name']}: {'ok' if check['ok'] else 'FAILED'} ({figures})")


def _show_sensitivity(model: Model, seed: int, calibrate: Path | None, as_json: bool) -> None:
    from train.quantize_ptq import measure_noise
    from train.quantize_ptq_samples import make_samples

    ratios, _ = measure_noise(model, make_samples(model.card, calibrate, seed, 4, 1).calibration)
    if as_json:
        click.echo(json.dumps(ratios))
        return
    for name, ratio in sorted(ratios.items(), key=lambda item: item[1]):
        click.echo(f"{ratio:6.1f} dB  {name}")
