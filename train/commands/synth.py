"""`edge train synth`: rendered photos with CCPD names, or rendered crops."""

from __future__ import annotations

from pathlib import Path

import click

from edge.plate.country import DEFAULT
from edge.terminal.bars import bars
from edge.terminal.commandline import command, print_json
from edge.terminal.options import country_option, force_option, jobs_option, json_option, several
from train.synth.folder import SynthOptions, label_file, make_synth
from train.synth.scene import WEATHERS


@command()
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the rendered set.")
@click.option("--count", required=True, type=click.IntRange(1), help="Render this many photos (or crops).")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The same seed makes the same files.")
@click.option("--crops", is_flag=True, help="Render crops and rec.txt for the recogniser, not photos.")
@country_option()
@several("--kind", "kinds", metavar="KIND", help="Render only these kinds of the country's plates.")
@several("--weather", "weathers", type=click.Choice(WEATHERS), help="Render only these kinds of weather.")
@jobs_option
@force_option("Replace a set that was rendered with other options.")
@json_option
def synth(
    out: Path,
    count: int,
    seed: int,
    crops: bool,
    country: str | None,
    kinds: tuple[str, ...],
    weathers: tuple[str, ...],
    jobs: int,
    force: bool,
    as_json: bool,
) -> None:
    """Render plates in street scenes of 720 x 1160, annotated in CCPD file names or, where those cannot, in det.txt.

    An interrupted run continues where it stopped; a finished one is left alone.
    """
    options = SynthOptions(count, seed, crops, kinds, weathers, jobs, country or DEFAULT)
    with bars() as progress:
        state = make_synth(out, options, force, progress)
    if as_json:
        print_json({"out": str(out), **state["options"], "done": state["done"]})
        return
    listed = label_file(options)
    where = f", listed in {out / listed}" if listed else " with CCPD names"
    click.echo(f"{out}: {state['done']} rendered {'crops' if crops else 'photos'}{where} (seed {seed})")
