"""`edge train labels`: PP-OCR label files and crops from CCPD photos."""

from __future__ import annotations

from pathlib import Path

import click

from edge.plate.country import load_country
from edge.terminal.bars import bars
from edge.terminal.commandline import command, print_json
from edge.terminal.options import force_option, jobs_option, json_option
from train.labels.make import BACKENDS, LabelOptions, make_labels


@command()
@click.option("--ccpd", "root", required=True, type=click.Path(path_type=Path), help="Folder of CCPD photos.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Where labels and crops go.")
@jobs_option
@click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    default="threading",
    show_default=True,
    help="What runs the jobs: joblib's own, or a dask or ray cluster.",
)
@click.option("--strict", is_flag=True, help="Stop at the first bad photo instead of skipping it.")
@force_option("Replace labels that were made from other photos.")
@json_option
def labels(root: Path, out: Path, jobs: int, backend: str, strict: bool, force: bool, as_json: bool) -> None:
    """Make det.txt, rec.txt, crops and a table from CCPD2019 or CCPD2020 photos.

    An interrupted run continues where it stopped; a finished one is left alone.
    """
    with bars() as progress:
        summaries = make_labels(root, out, LabelOptions(jobs, backend, strict, force), progress)
    if as_json:
        print_json({"out": str(out), "phases": summaries})
        return
    for summary in summaries:
        folder = out / summary["phase"] if summary["phase"] else out
        skipped = f", {summary['skipped']} skipped" if summary["skipped"] else ""
        counts = [(summary.get(kind.name, 0), kind.name) for kind in load_country().kinds]
        kinds = f" ({', '.join(f'{count} {name}' for count, name in counts if count)})" if summary["labelled"] else ""
        was = " (made before)" if summary["resumed"] == summary["photos"] else ""
        click.echo(
            f"{folder}: {summary['labelled']} labelled{kinds}{skipped}{was}"
        )
        for reason, count in summary["reasons"].items():
            click.echo(f"    {count} x {reason}; see {folder / 'skipped.csv'}")
