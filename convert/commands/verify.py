"""`edge convert verify`: does a `.nb` match the model it was made from, and does it read plates?"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from edge.base.errors import ExitCode, InputError
from edge.host.streams import say_watched
from edge.model.card import CARD_NAME, Model, load_model
from edge.plate.country import samples_of
from edge.terminal.commandline import command, print_json
from edge.terminal.console import PlainConsole
from edge.terminal.options import examples, json_option, photos_option, recursive_option, several

_FOLDER = click.Path(path_type=Path)


@command(epilog=examples("edge convert verify models/rec-x86 --source models/rec"))
@click.argument("model", type=click.Path(path_type=Path), metavar="NB_MODEL")
@click.option("--source", type=_FOLDER, help="Inference model that it was made from.")
@click.option("--against", type=_FOLDER, help="Float inference model to compare an int8 one with.")
@photos_option("Photos with CCPD names, or folders with them or a labels.json. [default: the kit's samples]")
@recursive_option
@click.option("--first", default=16, show_default=True, type=click.IntRange(min=1), help="Use at most this many photos.")
@several("--threads", type=click.IntRange(1, 64), default=(1, 2, 4), show_default=True, metavar="N",
         help="Check that these thread counts give the same answers.")  # fmt: skip
@click.option("--record/--no-record", "recorded", default=True, help="Write the verdict into the model's card.")
@json_option
@click.pass_context
def verify(
    context: click.Context,
    model: Path,
    source: Path | None,
    against: Path | None,
    photos: tuple[Path, ...],
    recursive: bool,
    first: int,
    threads: tuple[int, ...],
    recorded: bool,
    as_json: bool,
) -> None:
    """Prove a `.nb` against the model it was made from, on photos with known plates.

    NB_MODEL is a model folder made by `edge convert nb`. The verdict goes into its card, and a bundle refuses a model
    that failed. Ends with code 9 when a check fails.
    """
    from convert.proof.photos import load_photos
    from convert.proof.verify import record
    from convert.proof.verify import verify as run

    found = load_model(model)
    paths = photos or (samples_of(found.card.country),)
    if not photos and not paths[0].is_dir():
        said = f"{found.card.name} reads plates of {found.card.country}, of which the kit has no sample photos."
        raise InputError(said, "Give --photos.")
    chosen = load_photos(paths, first, recursive=recursive, say=lambda line: click.echo(f"note: {line}", err=True))
    with ExitStack() as stack:
        # A folder without a card is opened as `edge convert nb` opened it.
        origin, other = (_opened(path, found, stack) if path else None for path in (source, against))
        checks = run(found, origin, chosen, other, threads=threads, report=say_watched)
    made = record(found, checks) if recorded else found
    passed = all(check["ok"] for check in checks)
    if as_json:
        document = {"model": found.card.name, "folder": str(found.folder), "ok": passed, "checks": checks}
        print_json(document)
    else:
        _show(checks)
        where = f", written into {made.folder / 'card.json'}" if recorded else ""
        click.echo(f"{found.card.name}: {'passed' if passed else 'FAILED'}{where}")
    if not passed:
        context.exit(int(ExitCode.VERIFY))


def _opened(path: Path, made: Model, stack: ExitStack) -> Model:
    """Opens an inference model; one without a card gets the task and dictionary of the model made from it."""
    from convert.opt.source import open_convertible

    folder = path if path.is_dir() else path.parent
    if (folder / CARD_NAME).is_file() or not path.exists():
        return load_model(path)
    work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plate-source-")))
    return open_convertible(path, work, made.card.task, made.dictionary)


def _show(checks: list[dict[str, Any]]) -> None:
    table = Table("check", "verdict", "figures", "limits")
    for check in checks:
        limits = ", ".join(
            f"{key.removeprefix('most_')} {'<=' if key.startswith('most_') else '>='} {value:g}"
            for key, value in check["thresholds"].items()
        )
        figures = ", ".join(f"{key} {_plain(value)}" for key, value in check["figures"].items())
        verdict = Text("ok", "green") if check["ok"] else Text("FAILED", "bold red")
        table.add_row(check["name"], verdict, figures, limits)
    PlainConsole().print(table)
    for note in sorted({check["note"] for check in checks if check.get("note")}):
        click.echo(f"note: {note}")


def _plain(value: object) -> str:
    return "; ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
