"""`edge convert size`: where the bytes go, and how far a file is from its floor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from convert.commands.inspect import open_nb
from convert.size.anatomy import Anatomy
from edge.model.card import CARD_NAME, load_model
from edge.terminal.commandline import command, print_json
from edge.terminal.console import PlainConsole
from edge.terminal.options import force_option, json_option


@command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE.nb ...")
@json_option
@click.option("--html", type=click.Path(path_type=Path), help="Write a treemap of the first file to this page.")
@force_option("Replace the HTML file.")
def size(files: tuple[Path, ...], as_json: bool, html: Path | None, force: bool) -> None:
    """Show where the bytes of FILE.nb go, and the floor: one byte a parameter.

    For a model folder, also show what each step of the conversion saved.
    """
    anatomies = [open_nb(path)[0] for path in files]
    if html is not None:
        from convert.size.page import write_page

        write_page(anatomies[0], html, force=force)
    rows = [{**_row(anatomy), "steps": _steps(path)} for path, anatomy in zip(files, anatomies, strict=True)]
    if as_json:
        print_json({"schema": "plate-edge/nb-size/1", "files": rows}, indent=2)
        return
    table = Table("file", "bytes", "int8", "fp32", "other", "topology", "framing", "floor", "bytes / floor")
    for row in rows:
        ratio = f"{row['over_floor']:.2f}" if row["over_floor"] else "-"
        numbers = [f"{row[key]:,}" for key in ("bytes", "int8", "float32", "other", "topology", "framing", "floor")]
        table.add_row(str(row["file"]), *numbers, ratio)
    PlainConsole().print(table)
    for row in rows:
        if row["steps"]:
            _show_steps(str(row["file"]), row["steps"])


def _steps(path: Path) -> list[dict[str, Any]]:
    """Returns bytes before and after each step of a conversion, from its card; empty for a bare file."""
    if not (path / CARD_NAME).is_file():
        return []
    opt = load_model(path, verify=False).card.opt or {}
    before = opt.get("bytes_before")
    steps = []
    for step in opt.get("steps", []):
        steps.append({"step": step["name"], "before": before, "after": step["bytes"], "count": step.get("count", 0)})
        before = step["bytes"]
    return steps


def _show_steps(name: str, steps: list[dict[str, Any]]) -> None:
    table = Table("step", "bytes before", "bytes after", "change", title=name)
    for step in steps:
        what = f"{step['step']} ({step['count']})" if step["count"] else str(step["step"])
        change = 100 * (step["after"] / step["before"] - 1)
        table.add_row(what, f"{step['before']:,}", f"{step['after']:,}", f"{change:+.1f} %")
    first, last = steps[0]["before"], steps[-1]["after"]
    table.add_row("all", f"{first:,}", f"{last:,}", f"{100 * (last / first - 1):+.1f} %", style="bold")
    PlainConsole().print(table)


def _row(anatomy: Anatomy) -> dict[str, Any]:
    by_dtype = anatomy.bytes_by_dtype
    known = by_dtype.get("int8", 0) + by_dtype.get("float32", 0)
    floor = anatomy.elements
    return {
        "file": str(anatomy.file.path),
        "bytes": anatomy.file.size,
        "int8": by_dtype.get("int8", 0),
        "float32": by_dtype.get("float32", 0),
        "other": sum(by_dtype.values()) - known,
        "topology": sum(r.bytes for r in anatomy.file.regions if r.name in ("header", "topology")),
        "framing": anatomy.framing,
        "floor": floor,
        "over_floor": anatomy.file.size / floor if floor else None,
    }
