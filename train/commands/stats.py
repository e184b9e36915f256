"""`edge train stats`: what a data set holds, as a table and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edge.base.errors import UsageError
from edge.base.paths import write_atomic
from edge.base.plural import counted
from edge.terminal.commandline import command, print_json
from edge.terminal.options import country_option, force_option, json_option


@command()
@click.argument("source", required=False, type=click.Path(path_type=Path))
@click.option("--labels", type=click.Path(path_type=Path), metavar="SOURCE", help="SOURCE, named as in `eval`.")
@country_option()
@json_option
@click.option("--png", type=click.Path(path_type=Path), help="Draw the figures and some plates into this file.")
@force_option("Replace the file of --png.")
def stats(
    source: Path | None, labels: Path | None, country: str | None, as_json: bool, png: Path | None, force: bool
) -> None:
    """Show what SOURCE holds: kinds of plates, characters, provinces, sizes, tilt, blur.

    SOURCE is a folder of CCPD photos, a folder made by `edge train labels` or `edge train synth`, a det.txt or a
    rec.txt.
    """
    from edge.plate.country import DEFAULT, load_country
    from edge.plate.label_notes import Notes
    from train.data.stats import collect, summarise

    if source is not None and labels is not None:
        raise UsageError("SOURCE and --labels name the same thing.", "Give one of them.")
    source = source or labels
    if source is None:
        raise UsageError("no data set is named.", "Name a folder or a label file: edge train stats SOURCE")
    if png is not None and png.exists() and not force:
        raise UsageError(f"{png} exists.", "Use --force to replace it.")
    plates = load_country(country or DEFAULT)
    notes = Notes()
    collection = collect(source, notes)
    summary = summarise(collection, plates)
    if png is not None:
        import cv2

        from train.data.stats_picture import draw_stats

        write_atomic(png, cv2.imencode(".png", draw_stats(collection, summary, plates))[1].tobytes())
    if as_json:
        print_json(summary | {"notes": notes, **({"png": str(png)} if png else {})})
        return
    _print(summary)
    if png is not None:
        click.echo(f"picture: {png}")


def _print(summary: dict[str, Any]) -> None:
    from rich import box
    from rich.table import Table

    from edge.terminal.console import PlainConsole

    console = PlainConsole(highlight=False)
    lengths = "; " + ", ".join(f"{count} with {length} characters" for length, count in summary["lengths"].items())
    lengths = lengths if summary["lengths"] else ", none with a text"
    plates = counted(summary["plates"], "plate")
    console.print(f"{summary['source']}: {plates}, {summary['distinct']} distinct{lengths}", soft_wrap=True)
    for reason, count in summary["skipped"].items():
        places = summary["places"].get(reason, [])
        named = ", ".join([*places, *(["..."] if count > len(places) else [])])
        console.print(f"skipped: {count} x {reason} ({named})", soft_wrap=True)
    if kinds := "  ".join(f"{name} {count}" for name, count in summary["kinds"].items() if count):
        console.print(f"kinds: {kinds}", soft_wrap=True)
    for title, key, known in (("provinces", "provinces", ()), ("characters", "characters", summary["provinces"])):
        counts = {mark: count for mark, count in summary[key].items() if mark not in known}
        ranked = sorted(counts.items(), key=lambda item: -item[1])
        console.print(f"{title}: " + "  ".join(f"{mark} {count}" for mark, count in ranked if count), soft_wrap=True)
        absent = "".join(mark for mark, count in counts.items() if not count)
        if absent:
            console.print(f"    none of: {absent}", soft_wrap=True)
    table = Table(box=box.SIMPLE)
    table.add_column("measure")
    columns = ("count", "min", "p5", "p50", "p95", "max")
    for name in columns:
        table.add_column(name, justify="right")
    for name, values in summary["measures"].items():
        table.add_row(name.replace("_", " "), *(f"{values[column]:.5g}" for column in columns))
    console.print(table)
