"""`bench history`: keep and show results over time."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.base.errors import UsageError
from edge.terminal.commandline import group, print_json
from edge.terminal.options import force_option, json_option

if TYPE_CHECKING:
    from bench.compare.history import History, Trend

_BLOCKS = "▁▂▃▄▅▆▇█"


@group()
@click.option(
    "--db", envvar="PLATE_EDGE_HISTORY", metavar="URL",
    help="Database. [default: $PLATE_EDGE_HISTORY, else SQLite in your settings folder]",
)
@click.pass_context
def history(context: click.Context, db: str | None) -> None:
    """Keep and show results over time."""
    context.obj = db


def _open(context: click.Context) -> History:
    from bench.compare.history import OFF, History

    if context.obj == OFF:
        raise UsageError("PLATE_EDGE_HISTORY=off switches the history off.", "Unset it, or name a database with --db.")
    store = History(context.obj)
    context.call_on_close(store.close)
    return store


@history.command(name="add")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
@click.pass_context
def add_results(context: click.Context, results: tuple[Path, ...], as_json: bool) -> None:
    """Add results (result.json files, or their folders)."""
    from bench.compare.history import add_file
    from bench.record.result import RESULT_NAME

    files: list[Path] = []
    for path in results:
        inside = sorted(path.rglob(RESULT_NAME)) if path.is_dir() and not (path / RESULT_NAME).is_file() else [path]
        if not inside:
            raise UsageError(f"{path} holds no {RESULT_NAME}.")
        files += inside
    store = _open(context)
    added = [(str(path), *add_file(store, path)) for path in files]
    if as_json:
        print_json([{"file": name, "id": identity, "new": new} for name, identity, new in added])
        return
    for name, identity, new in added:
        click.echo(f"{identity[:12]}  {'added' if new else 'known'}  {name}")


@history.command(name="list")
@click.option("--device", help="Show only this device.")
@click.option("--board", help="Show only this kind of board.")
@json_option
@click.pass_context
def list_results(context: click.Context, device: str | None, board: str | None, as_json: bool) -> None:
    """List results, the oldest first."""
    entries = _open(context).entries(device=device, board=board)
    if as_json:
        print_json([asdict(entry) for entry in entries])
        return
    for entry in entries:
        click.echo(
            f"{entry.id[:12]}  {entry.created[:19]}  {entry.device}  {entry.verdict}  {entry.plan}  {entry.git[:10]}"
        )
    if not entries:
        click.echo("no results yet; `bench history add FOLDER` adds some", err=True)


@history.command()
@click.option("--device", help="Show only this device.")
@click.option("--cell", help="Show only combinations whose name begins with this, such as ppocrv3-int8.")
@click.option("--stage", default="total", show_default=True, help="Stage of the pipeline.")
@click.option("--all", "everything", is_flag=True, help="Include INVALID figures.")
@json_option
@click.pass_context
def trend(
    context: click.Context, device: str | None, cell: str | None, stage: str, everything: bool, as_json: bool
) -> None:
    """Show medians over time, with the points where the level changed."""
    trends = _open(context).trends(device=device, cell=cell, stage=stage, invalid=everything)
    if as_json:
        print_json([asdict(item) for item in trends])
        return
    for item in trends:
        _print_trend(item)
    if not trends:
        click.echo("nothing to show: no result matches", err=True)


@history.command()
@click.argument("identity")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File to write.")
@force_option("Replace the file.")
@json_option
@click.pass_context
def export(context: click.Context, identity: str, out: Path, force: bool, as_json: bool) -> None:
    """Write the result whose id begins with IDENTITY as result.json; `bench history add` reads it back."""
    from bench.judge.summary import summarise_result
    from bench.record.result import save_result

    result = _open(context).get(identity)
    if out.exists() and not force:
        raise UsageError(f"{out} exists.", "Give another file, or --force to replace it.")
    save_result(out, result, summary=summarise_result(result).document())
    click.echo(json.dumps({"id": result.identity, "file": str(out)}) if as_json else str(out))


@history.command()
@click.argument("identity")
@json_option
@click.pass_context
def remove(context: click.Context, identity: str, as_json: bool) -> None:
    """Remove the result whose id begins with IDENTITY."""
    gone = _open(context).remove(identity)
    click.echo(json.dumps({"removed": gone}) if as_json else gone)


def _print_trend(item: Trend) -> None:
    medians = [point.median for point in item.points]
    click.echo(f"{item.device}  {item.cell}  {item.stage}  (photos {item.photos[:8]}): {spark(medians)}")
    for number, point in enumerate(item.points):
        interval = f" [{point.low:.2f}, {point.high:.2f}]" if point.low is not None and point.high is not None else ""
        mark = ""
        if point.change:
            before = sorted(medians[max(0, number - 5) : number])
            mark = f"  <- level changed, x{point.median / before[len(before) // 2]:.3f}"
        click.echo(
            f"  {point.created[:19]}  {point.median:.2f} ms{interval}  n={point.n}  {point.verdict}  "
            f"{point.release[:8]}{mark}"
        )
    sys.stdout.flush()


def spark(values: list[float]) -> str:
    """Draws values as a row of blocks."""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return "".join(_BLOCKS[min(7, int(8 * (value - low) / span))] for value in values)
