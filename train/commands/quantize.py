"""`edge train quantize`: a float model to int8, by static calibration or by training."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.base.errors import UsageError
from edge.host.streams import printable, say_watched
from edge.model.card import TASKS, Model, load_model
from edge.terminal.commandline import command, given, print_json
from edge.terminal.options import country_option, force_option, json_option, override_option, several

if TYPE_CHECKING:
    from train.quantize.ptq import PtqOptions


@command()
@click.argument("task", type=click.Choice(TASKS))
@several(
    "--model",
    "sources",
    required=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Float inference model; for qat a fit's run or .pdparams (several: averaged).",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the int8 model; not for --sensitivity.")
@click.option("--method", type=click.Choice(("ptq", "qat")), default="ptq", show_default=True,
              help="ptq: calibrate the trained model; qat: train on with rounding.")  # fmt: skip
@click.option("--calibrate", type=click.Path(path_type=Path), help="Folder of photos or crops. [default: rendered ones]")
@country_option("the model card's")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="Seed that chooses or renders the photos.")  # fmt: skip
@click.option("--limit", type=float, help="Keep layers below this signal to noise ratio (dB) float.")
@click.option("--recipe", help="For qat: name of a recipe of the kit, or a .yml file.")
@override_option("For qat: settings of the recipe to change.")
@click.option("--sensitivity", is_flag=True, help="Only print what rounding costs each layer.")
@force_option("Replace an existing model.")
@json_option
def quantize(
    task: str,
    sources: tuple[Path, ...],
    out: Path | None,
    method: str,
    calibrate: Path | None,
    country: str | None,
    seed: int,
    limit: float | None,
    recipe: str | None,
    overrides: tuple[str, ...],
    sensitivity: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Quantise a detector or recogniser to int8 and prove it against the float model."""
    if limit is not None and not math.isfinite(limit):
        raise UsageError(f"--limit {limit:g} is not a number of decibels.", "16 for det and 20 for rec are the defaults.")
    if out is None and not sensitivity:
        raise UsageError("--out is missing.", "Give a folder for the int8 model.")
    if out is not None and sensitivity:
        raise UsageError("--sensitivity writes no model.", "Leave --out out, or --sensitivity.")
    if method == "qat":
        if sensitivity:
            raise UsageError("--sensitivity looks at an inference model.", "Leave --method qat out; export a run first.")
        void = [f"--{name}" for name in ("calibrate", "country", "limit", "seed") if given(name)]
        if void:
            raise UsageError(f"only --method ptq takes {' and '.join(void)}.", "Set the training with -o.")
        assert out is not None
        from train.commands.quantize_qat import quantize_by_training

        name = recipe or {"det": "det-plate-qat", "rec": "rec-plate-160-qat"}[task]
        quantize_by_training(task, sources, out, name, overrides, force=force, as_json=as_json)
        return
    if recipe or overrides:
        raise UsageError("only --method qat takes --recipe and -o.")
    if len(sources) > 1:
        raise UsageError("only --method qat takes several --model.")
    model = load_model(sources[0])
    if model.card.task != task:
        raise UsageError(f"{sources[0]} is a {model.card.task} model, not {task}.")
    from train.quantize.ptq import PtqOptions, quantize_ptq

    options = PtqOptions(calibrate, seed, limit, force, country or "")
    if sensitivity:
        _show_sensitivity(model, options, as_json)
        return
    assert out is not None

    def warn(text: str) -> None:
        click.echo(f"warning: {printable(text)}.", err=True)

    made = quantize_ptq(model, out, options, say_watched, warn)
    if as_json:
        card = made.card
        document = {
            "folder": str(made.folder),
            "name": card.name,
            "quantization": card.quantization,
            "checks": card.checks,
        }
        print_json(document)
        return
    taken = made.card.quantization or {}
    click.echo(f"{made.folder}: {made.card.name}, {taken['layers']} layers int8, {len(taken['float_layers'])} float")
    for check in made.card.checks:
        figures = ", ".join(f"{key} {value}" for key, value in check["figures"].items())
        click.echo(f"    {check['name']}: {'ok' if check['ok'] else 'FAILED'} ({figures})")


def _show_sensitivity(model: Model, options: PtqOptions, as_json: bool) -> None:
    """Prints how much rounding each layer can bear, the weakest first."""
    from train.quantize.calibration import make_samples
    from train.quantize.ptq import LIMIT_DB, measure_noise

    least = LIMIT_DB[model.card.task] if options.limit is None else options.limit
    samples = make_samples(model.card, options.calibrate, options.seed, 4, 1, options.country)
    for note in samples.notes:
        click.echo(f"warning: {printable(note)}.", err=True)
    ratios, _ = measure_noise(model, samples.calibration)
    ordered = sorted(ratios.items(), key=lambda item: item[1])
    if as_json:
        layers = [{"layer": name, "db": round(ratio, 2), "float": ratio < least} for name, ratio in ordered]
        print_json({"model": model.card.name, "limit_db": least, "layers": layers})
        return
    from rich.table import Table

    from edge.terminal.console import PlainConsole

    title = f"{model.card.name}: signal to rounding noise, layer by layer; below {least:g} dB a layer stays float"
    table = Table("layer", title=title, title_justify="left")
    table.add_column("dB", justify="right")
    table.add_column("becomes")
    for name, ratio in ordered:
        table.add_row(name, f"{ratio:.1f}", "float" if ratio < least else "int8")
    PlainConsole(width=None if sys.stdout.isatty() else 100).print(table)
