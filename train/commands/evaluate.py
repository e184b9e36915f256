"""`edge train eval`: accuracy of checkpoints, inference models and `.nb` files."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.base.errors import UsageError
from edge.base.progress import Say
from edge.plate.metrics import DetFigures, EndToEndFigures, Figures, RecFigures
from edge.terminal.commandline import command, given, print_json
from edge.terminal.options import country_option, jobs_option, json_option, one_model_options, settings_option, several

if TYPE_CHECKING:
    from edge.ocr.config import PipelineConfig
    from train.data.dataset import Sample
    from train.evaluate.pipeline import Kinds
    from train.evaluate.sources import Source

SCHEMA = "plate-edge/evaluation/1"
TASKS = {"det": ("det",), "rec": ("rec",), "e2e": ("det", "rec")}


@command("eval")
@click.argument("task", type=click.Choice(list(TASKS)))
@several(
    "--model",
    "paths",
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    help="Model folder (inference or x86 .nb), a fit's run, or .pdparams. e2e: two, or one with det/ and rec/.",
)
@one_model_options("Instead of --model: a set of the kit, such as plate-v1.")
@click.option(
    "--labels",
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="PP-OCR label file, or a folder of CCPD photos.",
)
@settings_option()
@click.option("--first", type=click.IntRange(1), metavar="N", help="Read only the first N photos or crops.")
@jobs_option
@country_option("the recogniser's")
@click.option("--by-kind", is_flag=True, help="Also show small, tilted, blurred and dark plates, and plain ones.")
@click.option(
    "--kinds", "kinds_file", type=click.Path(exists=True, path_type=Path), help="More kinds: `file name<TAB>kind` a line."
)
@click.option("--mistakes", is_flag=True, help="List what was not read exactly.")
@json_option
def evaluate(
    task: str,
    paths: tuple[Path, ...],
    models: str | None,
    precision: str,
    labels: Path,
    settings: tuple[str, ...],
    first: int | None,
    jobs: int,
    country: str | None,
    by_kind: bool,
    kinds_file: Path | None,
    mistakes: bool,
    as_json: bool,
) -> None:
    """Measure a detector (det), a recogniser (rec), or both end to end (e2e).

    det: precision, recall and hmean as ICDAR 2015 counts them. rec: accuracy and 1 - NED on crops, or on plates cut out
    of photos by their labels. e2e: the application note's figures, as PaddleOCR's tools/end2end counts them.
    """
    from edge.ocr.config import PipelineConfig
    from edge.ocr.settings import override
    from edge.plate.country import load_country
    from edge.plate.label_notes import Notes
    from edge.release.install import parse_settings
    from train.evaluate.kinds import all_kinds, plate_kinds, read_kinds
    from train.evaluate.sources import find_sources, source_characters, source_settings
    from train.evaluate.truth import check_measurable, note_unreadable

    notes = Notes()
    sources = find_sources(chosen_models(paths, models, precision, TASKS[task]), TASKS[task])
    config = override(source_settings(PipelineConfig(), sources), parse_settings(settings))
    samples = load_samples(task, labels, notes)[:first]
    check_measurable(task, samples, labels, notes)
    if "rec" in sources:
        rec = sources["rec"]
        note_unreadable(samples, set(source_characters(rec)), config, rec.name, notes, rec.grammar)
    wrong: list[dict[str, Any]] = []
    extra: dict[str, Any] = {}
    more = read_kinds(kinds_file) if kinds_file else {}
    grammar = sources["rec"].grammar if "rec" in sources else None
    if country:
        grammar = load_country(country).grammar

    def kinds(sample: Sample) -> list[str]:
        return [*(all_kinds if by_kind else plate_kinds)(sample, grammar), *more.get(sample.path.name, [])]

    workers = jobs or os.cpu_count() or 1
    figures: Mapping[str, Figures]
    if task == "rec":
        figures, extra = _rec(sources, samples, config, workers, wrong, kinds)
    else:
        figures = _photos(task, sources, samples, config, workers, wrong, kinds)
    if as_json:
        document = {
            "schema": SCHEMA,
            "task": task,
            "models": [source.as_json() for source in sources.values()],
            "labels": str(labels),
            "settings": asdict(config),
            "figures": {kind: asdict(value) for kind, value in figures.items()},
            **extra,
            "notes": notes,
            **({"mistakes": wrong} if mistakes else {}),
        }
        print_json(document)
        return
    names = ", ".join(source.name for source in sources.values())
    show_figures(f"{task}: {names} on {labels}", figures)
    if extra:
        show_figures("read as", {name: RecFigures(**value) for name, value in extra["decodings"].items()})
    for item in wrong if mistakes else ():
        print_json(item)


def chosen_models(paths: Sequence[Path], models: str | None, precision: str, tasks: Sequence[str]) -> Sequence[Path]:
    """Returns the models of `--model`, or those of a set of the kit, made first if needed.

    Raises:
        UsageError: Neither or both, or no such set.
        EdgeError: What making them says.
    """
    if bool(paths) == (models is not None):
        raise UsageError("give either --model or --models, not both.", "--model FOLDER, or --models SET, such as plate-v1.")
    if models is None:
        if given("precision"):
            raise UsageError("--precision needs --models.", "Leave it out: a folder holds a model of one precision.")
        return paths
    from edge.bundle.zoo import ensure_models

    pair = ensure_models(models, [precision], "x86", lambda text: click.echo(text, err=True))[precision]
    return [model.folder for model in (pair.det, pair.rec) if model.card.task in tasks]


def load_samples(task: str, labels: Path, note: Say | None = None) -> list[Sample]:
    """Reads what is evaluated: photos, or for `rec` also a label file of crops.

    Args:
        task: `det`, `rec` or `e2e`.
        labels: Label file or folder of CCPD photos.
        note: Told what is odd about the labels; None for standard error.

    Raises:
        InputError: See `train.data.dataset`.
    """
    from edge.plate.label_notes import tell
    from train.data.dataset import read_labels, read_photos

    if task == "rec" and labels.is_file():
        return read_labels(labels, note or tell)
    return read_photos(labels, note or tell)


def _photos(
    task: str,
    sources: Mapping[str, Source],
    samples: Sequence[Sample],
    config: PipelineConfig,
    jobs: int,
    wrong: list[dict[str, Any]],
    kinds: Kinds,
) -> Mapping[str, Figures]:
    from edge.terminal.bars import bars
    from train.evaluate.pipeline import det_figures, e2e_figures, photo_outputs

    with bars() as show:
        outputs = photo_outputs(
            sources, samples, [config], jobs=jobs, progress=lambda done, total: show("photos", done, total)
        )
    chosen = [output[0] for output in outputs]
    if task == "det":
        return det_figures(samples, chosen, kinds)
    return e2e_figures(samples, chosen, wrong, kinds)


def _rec(
    sources: Mapping[str, Source],
    samples: Sequence[Sample],
    config: PipelineConfig,
    jobs: int,
    wrong: list[dict[str, Any]],
    kinds: Kinds,
) -> tuple[Mapping[str, Figures], dict[str, Any]]:
    """Figures under the chosen settings, and of the ways of decoding, all from the same outputs."""
    from dataclasses import replace

    from edge.terminal.bars import bars
    from train.evaluate.pipeline import DECODINGS, crop_kinds, crop_outputs, rec_figures

    configs = [config, *(replace(config, **keys) for keys in DECODINGS.values())]
    with bars() as show:
        texts, answers = crop_outputs(
            sources, samples, configs, jobs=jobs, progress=lambda done, total: show("crops", done, total)
        )
    read = [[answer[i][0] for answer in answers] for i in range(len(configs))]
    wrong += [
        {"number": i, "truth": text, "read": answer[0][0], "score": round(answer[0][1], 4)}
        for i, (text, answer) in enumerate(zip(texts, answers, strict=True))
        if answer[0][0] != text
    ]
    ways = {name: asdict(rec_figures(texts, read[i])["all"]) for i, name in enumerate(DECODINGS, 1)}
    return rec_figures(texts, read[0], crop_kinds(samples, kinds)), {"decodings": ways}


_PERCENT = {
    DetFigures: ("hmean", "precision", "recall"),
    RecFigures: ("accuracy", "norm_edit"),
    EndToEndFigures: ("fmeasure", "precision", "recall", "character_accuracy"),
}
_PLAIN = {
    DetFigures: ("matched", "found", "truth", "images"),
    RecFigures: ("right", "count"),
    EndToEndFigures: ("edit_distance_field", "edit_distance_image", "hits", "found", "truth", "images"),
}


def _nothing(value: Figures, key: str) -> bool:
    """Whether a ratio has nothing to count: no truth, and for the precision no finds either."""
    return not isinstance(value, RecFigures) and not value.truth and not (key == "precision" and value.found)


def show_figures(title: str, figures: Mapping[str, Figures]) -> None:
    """Prints figures as a table, a row for each name."""
    from rich.table import Table

    from edge.terminal.console import PlainConsole

    kind = type(next(iter(figures.values())))
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in (*_PERCENT[kind], *_PLAIN[kind]):
        table.add_column(name.replace("_", " "), justify="right")
    for name, value in figures.items():
        percent = ["-" if _nothing(value, key) else f"{getattr(value, key) * 100:.2f} %" for key in _PERCENT[kind]]
        plain = [f"{getattr(value, key):.2f}".removesuffix(".00") for key in _PLAIN[kind]]
        table.add_row(name, *percent, *plain)
    PlainConsole(width=None if sys.stdout.isatty() else 120).print(table)
