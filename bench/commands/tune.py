"""`bench tune`: search for settings that are fast and still read the plates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.base.errors import UsageError
from edge.base.plural import counted
from edge.terminal.commandline import command, print_json
from edge.terminal.options import (
    det_side_option,
    device_option,
    examples,
    force_option,
    inventory_option,
    json_option,
    model_options,
    photos_option,
    recursive_option,
    several,
    threads_option,
)

if TYPE_CHECKING:
    from bench.tune.search import Search


@command(epilog=examples(
    "bench tune --device gate --photos photos --min-f 0.97",
    "bench tune --device gate --photos photos --apply",
))
@device_option
@click.option("--min-f", default=0.95, show_default=True, type=click.FloatRange(0, 1), help="Least end-to-end F to accept.")
@model_options(precisions=("fp32", "int8"))
@threads_option("1 and the board's")
@several("--power-mode", "power_modes", metavar="MODE", help="high, low, full or none. [default: the board's]")
@det_side_option(text="six sizes")
@several("--decode", "decodes", type=click.Choice(["greedy", "plate"]), help="Way of decoding. [default: the set's own]")
@photos_option("Folders of photos with a labels.json. [default: the kit's samples]")
@recursive_option
@click.option("--budget", default=600.0, show_default=True, type=click.FloatRange(1, 86400), metavar="SECONDS",
              help="Time for measuring on the board.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help="Folder for the outcome. [default: out/NAME/tune]")  # fmt: skip
@force_option("Start again, and replace an existing outcome.")
@click.option("--apply", "apply_it", is_flag=True, help="Flash a release whose plate.conf has the chosen settings.")
@json_option
@inventory_option
def tune(
    device: str, min_f: float, models: tuple[str, ...], precisions: tuple[str, ...], threads: tuple[int, ...],
    power_modes: tuple[str, ...], sides: tuple[str, ...], decodes: tuple[str, ...], photos: tuple[Path, ...],
    recursive: bool, budget: float, out: Path | None, force: bool, apply_it: bool, as_json: bool,
    inventory: Path | None,
) -> None:  # fmt: skip
    """Search for settings that are fast and still read the plates.

    Accuracy is measured on this host with all photos, time on the board with a few of them. The settings are chosen for
    these photos, so give your own with --photos.
    """
    from dataclasses import replace

    from bench.measure.opening import close_target, host_reader, open_target, resolve_plan
    from bench.measure.progress import Watch
    from bench.measure.target import find_photos
    from bench.plan.plan import PRESETS
    from bench.tune.front import few_photos, front_page
    from bench.tune.search import DEFAULT_SIDES, candidates, config_lines, measure_on
    from bench.tune.search import tune as run_search
    from edge.base.paths import write_atomic
    from edge.bundle.zoo import check_sets, model_sets
    from edge.device.board import find_device

    models = models or tuple(model_sets()[:1])
    check_sets(models)
    found = find_device(device, inventory)
    board = found.board
    plan = resolve_plan(
        replace(
            PRESETS["quick"], name="tune", models=models, precisions=precisions,
            threads=threads or tuple(sorted({1, board.threads})), power_modes=power_modes,
            det_sides=sides or DEFAULT_SIDES,
        ),
        found,
    )  # fmt: skip
    folder = out or Path("out") / device / "tune"
    outcome = folder / "tune.json"
    if outcome.exists() and not force:
        raise UsageError(f"{outcome} exists.", "Give another folder with --out, or --force to replace it.")
    if force:
        _clear(folder)
    given = find_photos(photos, recursive=recursive) if photos else None
    for note in given.notes if given is not None else ():
        click.echo(f"note: {note}", err=True)
    watch = Watch(quiet=as_json)
    target = open_target(found, plan, photos=given, report=watch.step)
    try:
        field = candidates(plan, decodes)
        watch.step(f"{counted(len(field), 'setting')}, {counted(len(target.photos), 'photo')}")
        known = sum(photo.truth is not None for photo in target.photos)
        host = host_reader(target, plan, watch.step)
        measure = measure_on(target, plan, folder, host=host, min_f=min_f)
        search = run_search(field, measure, min_f, budget_s=budget)
    finally:
        close_target(target)
    write_atomic(outcome, json.dumps({**search.document(), "photos": known}, indent=1) + "\n")
    write_atomic(folder / "tune.html", front_page(search, f"Settings for {device}", known))
    write_atomic(folder / "chosen.conf", config_lines(search))
    chosen = search.trial(search.chosen).candidate
    if apply_it:
        from edge.release.install import ensure_installed

        release = ensure_installed(found, models, precisions, watch.step, settings=chosen.settings())
        watch.step(f"release {release.hash} runs with the chosen settings")
    if as_json:
        files = {"photos": known, "files": [str(outcome), str(folder / "tune.html")]}
        left_out = given.listed.document() if given is not None else {}
        print_json({**search.document(), **files, **left_out})
        return
    _print(search)
    words = " ".join(f"--set {key}={value}" for key, value in chosen.settings().items())
    click.echo(f"chosen: {chosen.key}")
    if few_photos(known):
        click.echo(f"{few_photos(known)}.")
    if not apply_it:
        click.echo(f"to install them: edge flash --device {device} {words}  (or this command with --apply)")
    click.echo(str(folder / "tune.html"))


def _clear(folder: Path) -> None:
    import shutil

    for path in folder.glob("rung-*"):
        shutil.rmtree(path, ignore_errors=True)
    (folder / "tune.json").unlink(missing_ok=True)


def _print(search: Search) -> None:
    from rich.console import Console

    from bench.text.figures import figure
    from bench.text.table import columns

    table = columns("settings", "ms a photo", "F", "n", "", left=(0, 4))
    for trial in search.trials:
        key = trial.candidate.key
        word = "chosen" if key == search.chosen else "front" if key in search.front else trial.why[:40]
        shown = figure(trial.median_ms if trial.n else None)
        if trial.differing:
            word = f"{word}, the board reads {counted(trial.differing, 'photo')} differently".lstrip(", ")
        table.add_row(key, shown, f"{trial.f_measure:.1%}", str(trial.n), word)
    Console(highlight=False, width=120).print(table)
