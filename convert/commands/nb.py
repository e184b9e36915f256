"""`edge convert nb`: an inference model to a Paddle Lite `.nb` with its card."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from edge.host.streams import printable, say_watched
from edge.model.card import TARGETS, TASKS, TRIAL, Model
from edge.terminal.commandline import command, print_json
from edge.terminal.options import examples, force_option, json_option

WEIGHTS = ("keep", "int16", "int8")


@command(epilog=examples(
    "edge convert nb models/rec --target arm",
    "edge convert nb models/rec --target arm --board rk3399 --out models/rec-arm",
))
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--target", type=click.Choice(TARGETS), required=True, help="Convert for this target.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to make. [default: MODEL-TARGET beside MODEL]")
@click.option("--board", help="Board profile: takes the opt that fits its runtime, and refuses fp16 where it must.")
@click.option("--opt-version", help="Converter: 2.10, 2.12 or 2.13rc0; fetched once. [default: the installed one]")
@click.option("--fp16", is_flag=True, help="Compute in half precision, for cores with asimdhp.")
@click.option("--rewrite/--no-rewrite", default=True, help="Fuse decomposed operators and repair attributes first.")
@click.option("--weights", type=click.Choice(WEIGHTS), help="How to store float weights. [default: int8 in int8 models]")
@click.option("--pack/--no-pack", default=True, help="Store equal parts of the file only once.")
@click.option("--task", type=click.Choice(TASKS), help="Task of a model that has no card.")
@click.option("--dict", "dictionary", type=click.Path(path_type=Path), help="Dictionary of a recogniser that has no card.")
@force_option("Replace an existing model.")
@json_option
def nb(
    model: Path,
    target: str,
    out: Path | None,
    board: str | None,
    opt_version: str | None,
    fp16: bool,
    rewrite: bool,
    weights: str | None,
    pack: bool,
    task: str | None,
    dictionary: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Convert an inference model to a Paddle Lite `.nb` file.

    MODEL is a model folder of the kit, or any folder with inference.pdmodel and inference.pdiparams. A finished
    conversion is left alone.
    """
    from convert.opt.convert import Options, convert_model, existing, fitting_options, speed_note
    from convert.opt.environment import DEFAULT_VERSION, opt_environment
    from convert.opt.source import open_convertible
    from convert.proof.trial import try_model

    asked = Options(target, fp16, rewrite, opt_version or DEFAULT_VERSION, weights or "", pack)
    options = fitting_options(asked, board)
    if opt_version:
        options = asked
    with tempfile.TemporaryDirectory(prefix="plate-source-") as work:
        source = open_convertible(model, Path(work), task, dictionary)
        origin = model if model.is_dir() else model.parent
        folder = out or origin.resolve().with_name(f"{origin.resolve().name}-{target}")
        made = None if force else existing(source, folder, options)
        if made is None:
            opt_environment(options.version, say_watched)
            made = convert_model(source, folder, options, force=force, trial=try_model)
    notes = [*source.card.source.get("taken", []), *_trial_notes(made), speed_note(made.card.precision, board)]
    _show(made, [note for note in notes if note], as_json)


def _trial_notes(made: Model) -> list[str]:
    """What the trial run says beyond success."""
    usual = "the x86 form"
    return [
        str(check["note"]) for check in made.card.checks
        if check.get("name") == TRIAL and check.get("note") and not str(check["note"]).startswith(usual)
    ]  # fmt: skip


def _show(made: Model, notes: list[str], as_json: bool) -> None:
    opt = made.card.opt or {}
    if as_json:
        document = {"folder": str(made.folder), "name": made.card.name, "bytes": made.card.bytes, "opt": opt}
        document |= {"notes": notes}
        print_json(document)
        return
    click.echo(f"{made.file('.nb')}: {printable(made.card.name)}, {opt['bytes_before']:,} -> {opt['bytes_after']:,} bytes")
    changes = ", ".join(f"{name} x{count}" for name, count in opt["rewrites"].items())
    click.echo(f"    opt {opt['version']}; {changes or 'no rewrites'}")
    click.echo("    " + ", ".join(f"{step['name']}: {step['bytes']:,}" for step in opt["steps"]))
    for note in notes:
        click.echo(printable(f"note: {note}"))
