"""`edge train fit`: fine-tune a detector or a recogniser by a recipe."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click
import yaml

from edge.base.errors import UsageError
from edge.terminal.commandline import command, print_json
from edge.terminal.options import json_option, override_option


@command()
@click.argument("task", type=click.Choice(["det", "rec"]))
@click.option("--recipe", "recipe_name", required=True, help="Name of a recipe of the kit, or a .yml file.")
@override_option()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run; a run in it is resumed.")
@click.option("--stop", type=click.IntRange(1), help="Stop after this step with a checkpoint, as if interrupted.")
@click.option("--visualdl", type=click.Path(path_type=Path), help="Also log for VisualDL into this folder.")
@json_option
def fit(
    task: str,
    recipe_name: str,
    overrides: tuple[str, ...],
    out: Path,
    stop: int | None,
    visualdl: Path | None,
    as_json: bool,
) -> None:
    """Fine-tune a detector or a recogniser by a recipe.

    Kill it whenever you like: the same command goes on from the last checkpoint and gives the same weights.
    """
    from train.recipes.recipe import load_recipe

    recipe = load_recipe(recipe_name, overrides)
    if recipe.task != task:
        raise UsageError(f"{recipe_name} is a recipe for {recipe.task}, not for {task}.")
    from edge.base.alone import alone_in
    from edge.plate.label_notes import Notes
    from train.fit.start import start_fit

    notes = Notes()
    with alone_in(out, "edge train fit"), FitProgress(visualdl, quiet=as_json) as progress:
        run = start_fit(recipe, out, progress.row, notes)
        best = run.run(stop)
    if as_json:
        print_json({"out": str(out), "step": run.step, "best": best, "notes": notes})
    elif best and not best["samples"]:
        click.echo(f"nothing was held out to measure; the weights of step {best['step']} of {run.step} are in {out}")
    else:
        click.echo(f"best of {run.step} steps: {yaml.safe_dump(best, default_flow_style=True).strip()} in {out}")


class FitProgress:
    """A progress bar on a terminal, a line now and then elsewhere."""

    def __init__(self, visualdl: Path | None, quiet: bool) -> None:
        self.every = 10.0
        self.shown = 0.0
        self.bar: Any = None
        self.job: Any = None
        self.writer: Any = None
        self.quiet = quiet
        if visualdl is not None:
            try:
                from visualdl import LogWriter
            except ImportError as error:
                raise UsageError(
                    "VisualDL is not installed.", "Run `pip install visualdl`, or leave --visualdl out."
                ) from error
            self.writer = LogWriter(logdir=str(visualdl))

    def __enter__(self) -> FitProgress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self.bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.bar is not None:
            self.bar.stop()
        if self.writer is not None:
            self.writer.close()

    def row(self, row: dict[str, Any]) -> None:
        """Shows one logged row."""
        step, steps = int(row["step"]), int(row["steps"])
        judged = [f"{key} {row[key]:.4f}" for key in ("accuracy", "hmean", "val_loss") if key in row]
        text = " ".join([f"loss {row['loss']:.4f}", *judged])
        if self.writer is not None:
            for key, value in row.items():
                self.writer.add_scalar(f"fit/{key}", value, step)
        if self.bar is not None:
            if self.job is None:
                self.job = self.bar.add_task(text, total=steps, completed=step)
            self.bar.update(self.job, completed=step, description=text)
        elif judged or time.monotonic() - self.shown > self.every:
            self.shown = time.monotonic()
            left = row["seconds_a_step"] * (steps - step)
            click.echo(f"step {step}/{steps} {text} rate {row['rate']:.2e} left {left / 60:.0f} min", err=True)
