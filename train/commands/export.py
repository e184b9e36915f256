"""`edge train export`: a run or checkpoint as an inference model, measured after it was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.base.errors import UsageError
from edge.model.card import TASKS, Model
from edge.plate.metrics import Figures
from edge.terminal.commandline import command, print_json
from edge.terminal.options import force_option, json_option, override_option, settings_option

if TYPE_CHECKING:
    from train.data.dataset import Sample


@command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the inference model.")
@click.option("--name", help="Name for its card. [default: the folder's]")
@click.option("--last", is_flag=True, help="Take the average of a run's last checkpoint, not its best weights.")
@click.option("--recipe", "recipe_name", help="Take data and export settings from this recipe, not the run's own.")
@override_option()
@settings_option("Settings of plate.conf for the card.")
@click.option("--labels", type=click.Path(exists=True, path_type=Path), help="Also measure on this set, as `eval` does.")
@click.option("--task", type=click.Choice(TASKS), help="Task of a checkpoint that does not name it.")
@click.option(
    "--dict",
    "dictionary",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Dictionary of a checkpoint without dict.txt beside it. [default: the published one]",
)
@force_option("Replace an existing model.")
@json_option
def export(
    sources: tuple[Path, ...],
    out: Path,
    name: str | None,
    last: bool,
    recipe_name: str | None,
    overrides: tuple[str, ...],
    settings: tuple[str, ...],
    labels: Path | None,
    task: str | None,
    dictionary: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write a run or checkpoint as an inference model and measure it as written.

    SOURCES are runs of `fit` or `quantize --method qat`, or `.pdparams` files, the kit's or PaddleOCR's; several of the
    same network are averaged. Weights of quantisation-aware training give an int8 model. The held-out part of the
    recipe's data is read before and after the export; both figures go into the card.
    """
    from edge.release.install import parse_settings
    from train.accel.native import prepare_fit

    prepare_fit()
    from edge.plate.label_notes import tell
    from train.commands.evaluate import load_samples
    from train.evaluate.delivery import deliver
    from train.evaluate.truth import check_measurable
    from train.recipes.recipe import changed, load_recipe
    from train.weights.trained import read_trained

    given = load_recipe(recipe_name) if recipe_name else None
    trained = read_trained(sources, last=last, task=task, recipe=given, dictionary=dictionary)
    recipe = given or trained.recipe
    if overrides:
        if recipe is None:
            raise UsageError("-o changes a recipe, but none is given.", "Give --recipe too, or a run's folder.")
        recipe = changed(recipe, overrides)
    # Read before the work: a fault in them would leave a model in the way of the next try.
    samples = load_samples(trained.task, labels) if labels is not None else []
    if labels is not None:
        check_measurable(trained.task, samples, labels, tell)
    model = deliver(trained, out, name=name, recipe=recipe, settings=parse_settings(settings), force=force)
    if labels is not None:
        model = add_figures(model, labels, samples)
    show_delivered(model, as_json)


def add_figures(model: Model, labels: Path, samples: Sequence[Sample]) -> Model:
    """Measures a model as `edge train eval` does and keeps the figures in its card.

    Args:
        model: An inference model.
        labels: Where the samples are from, for the card.
        samples: As `load_samples` reads them.
    """
    from dataclasses import asdict, replace

    from edge.model.card import save_model
    from edge.ocr.config import PipelineConfig
    from train.evaluate.pipeline import crop_outputs, det_figures, photo_outputs, rec_figures
    from train.evaluate.sources import find_sources, source_settings

    task = model.card.task
    sources = find_sources([model.folder], (task,))
    config = source_settings(PipelineConfig(), sources)
    figures: Mapping[str, Figures]
    if task == "det":
        figures = det_figures(samples, [output[0] for output in photo_outputs(sources, samples, [config])])
    else:
        texts, answers = crop_outputs(sources, samples, [config])
        figures = rec_figures(texts, [answer[0][0] for answer in answers])
    entry = {"data": labels.name, "figures": {kind: asdict(value) for kind, value in figures.items()}}
    card = replace(model.card, metrics={**model.card.metrics, task: entry})
    return save_model(model.folder, card, [item.path for item in card.files])


def show_delivered(model: Model, as_json: bool) -> None:
    """Prints what was written and how it measured."""
    card = model.card
    if as_json:
        document = {"folder": str(model.folder), "name": card.name, "precision": card.precision, "bytes": card.bytes}
        print_json({**document, "checks": card.checks, "metrics": card.metrics})
        return
    click.echo(f"{model.folder}: {card.name}, {card.precision}, {card.bytes:,} bytes")
    for check in card.checks:
        figures = ", ".join(f"{key} {value}" for key, value in check["figures"].items())
        click.echo(f"    {check['name']}: {'ok' if check['ok'] else 'FAILED'} ({figures})")
    for name, entry in card.metrics.items():
        figures = ", ".join(f"{key} {value:.4g}" for key, value in entry["figures"]["all"].items())
        click.echo(f"    {name}, {entry['data']}: {figures}")
    if not card.metrics:
        click.echo("    not measured: the recipe's data was not found; give --labels, or -o data.root=DIR")
