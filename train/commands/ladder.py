"""`edge train ladder`: the application note's ladder, ours beside the note's."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.base.plural import counted
from edge.terminal.commandline import OneName, command, print_json
from edge.terminal.options import jobs_option, json_option, renamed

if TYPE_CHECKING:
    from train.evaluate.ladder import Row
    from train.evaluate.sources import Source

SCHEMA = "plate-edge/ladder/1"
MODELS = click.Path(exists=True, file_okay=False, path_type=Path)


@command()
@click.option(
    "--labels",
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="Folder of CCPD photos, or a PP-OCR detection label file.",
)
@renamed("--det-side", "side", old=("--limit",), type=OneName("size"), default="min:736", show_default=True,
         metavar="SIDE", help="Detector input size of models whose cards name none: 736, min:736 or max:640.")  # fmt: skip
@click.option("--published", type=MODELS, help="Folder with det/ and rec/. [default: PP-OCRv3 as x86 .nb]")
@click.option("--fine-tuned", type=MODELS, help="Likewise. [default: the kit's own set, when it ships one]")
@click.option("--quantised", type=MODELS, help="Likewise.")
@click.option("--first", type=click.IntRange(1), metavar="N", help="Read only the first N photos.")
@jobs_option
@json_option
def ladder(
    labels: Path,
    side: str,
    published: Path | None,
    fine_tuned: Path | None,
    quantised: Path | None,
    first: int | None,
    jobs: int,
    as_json: bool,
) -> None:
    """Print the application note's ladder, ours beside the note's.

    Rows: the published models raw, with '·' removed, with all separators removed, with the plate grammar, fine-tuned,
    quantised. Columns: base, A (keep 7 or 8 characters), B (dilation), C (box flip and grow), all three. F in percent.
    """
    from edge.plate.label_notes import Notes
    from edge.terminal.bars import bars
    from train.data.dataset import read_photos
    from train.evaluate.ladder import climb
    from train.evaluate.truth import check_measurable

    kind, pixels = parse_side(side)
    notes = Notes()
    samples = read_photos(labels, notes)[:first]
    check_measurable("e2e", samples, labels, notes)
    folders = {"published": published, "fine-tuned": fine_tuned, "quantised": quantised}
    models = find_models(folders)
    with bars() as show:
        rows = climb(models, samples, (kind, pixels), jobs=jobs or os.cpu_count() or 1, progress=show)
    if as_json:
        document = {
            "schema": SCHEMA,
            "labels": str(labels),
            "photos": len(samples),
            "limit": {"type": kind, "side": pixels},
            "models": {name: [source.as_json() for source in pair.values()] for name, pair in models.items()},
            "rows": [row.as_json() for row in rows],
            "notes": notes,
        }
        print_json(document)
        return
    title = f"F in %, {counted(len(samples), 'photo')} of {labels}, detector {kind} side {pixels}; in brackets the note's"
    show_rows(title, rows)
    missing = [name for name in folders if name not in models]
    if missing:
        click.echo(f"not shown, since models are missing: {', '.join(missing)} (give --{missing[0]} DIR)")


def parse_side(text: str) -> tuple[str, int]:
    """Reads `736`, `min:736` or `max:640`.

    Raises:
        UsageError: Not of that form.
    """
    from edge.base.errors import UsageError

    kind, _, side = text.rpartition(":")
    kind = kind or "min"
    if kind not in ("min", "max") or not side.isdecimal() or not 32 <= int(side) <= 4096:
        raise UsageError(f"--det-side {text!r} is none of 736, min:736, max:640 (32 to 4096 pixels).")
    return kind, int(side)


def find_models(folders: dict[str, Path | None]) -> dict[str, dict[str, Source]]:
    """Finds the pairs of models of each kind of row: those given, else the published and the kit's own.

    Raises:
        EdgeError: What making or loading a model says.
    """
    from edge.bundle.zoo import PUBLISHED, ensure_models, model_sets
    from train.evaluate.sources import find_sources

    tasks = ("det", "rec")
    found: dict[str, dict[str, Source]] = {}
    own = [name for name in model_sets() if name != PUBLISHED][:1]
    defaults = {"published": (PUBLISHED, "fp32")}
    if own:
        defaults |= {"fine-tuned": (own[0], "fp32"), "quantised": (own[0], "int8")}
    for name, folder in folders.items():
        if folder is not None:
            found[name] = find_sources([folder], tasks)
        elif name in defaults:
            set_name, precision = defaults[name]
            pair = ensure_models(set_name, [precision], "x86", lambda text: click.echo(text, err=True))[precision]
            found[name] = find_sources([pair.det.folder, pair.rec.folder], tasks)
    return found


def show_rows(title: str, rows: Sequence[Row]) -> None:
    """Prints the ladder as a table."""
    from rich.table import Table

    from edge.terminal.console import PlainConsole
    from train.evaluate.ladder import COLUMNS

    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in COLUMNS:
        table.add_column(name, justify="right")
    for row in rows:
        note = [f" ({value:.2f})" for value in row.rung.note] or [""] * len(COLUMNS)
        cells = [f"{row.figures[name].fmeasure * 100:.2f}" for name in COLUMNS]
        table.add_row(row.rung.name, *(f"{cell}{other}" for cell, other in zip(cells, note, strict=True)))
    PlainConsole(width=None if sys.stdout.isatty() else 120).print(table)
