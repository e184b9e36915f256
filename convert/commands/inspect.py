"""`edge convert inspect`: what is inside a `.nb` file, or how two differ."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from convert.nbfile.reader import parse_nb
from convert.size.anatomy import Anatomy, Difference, diff, dissect
from edge.base.errors import InputError, UsageError
from edge.model.card import CARD_NAME, load_model
from edge.terminal.commandline import command, print_json
from edge.terminal.console import PlainConsole
from edge.terminal.options import force_option, json_option


def open_nb(path: Path) -> tuple[Anatomy, bytes]:
    """Reads a `.nb` file, or the one in a model folder.

    Returns:
        The file taken apart, and its bytes.

    Raises:
        InputError: Neither a file nor a model folder.
        NbError: Damaged.
    """
    if (path / CARD_NAME).is_file():
        path = load_model(path).file(".nb")
    if not path.is_file():
        raise InputError(f"{path} is not a .nb file.", "Name a .nb file, or a model folder with a card.")
    content = path.read_bytes()
    return dissect(parse_nb(content, path), content), content


@command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE.nb [OTHER.nb]")
@json_option
@click.option("--html", type=click.Path(path_type=Path), help="Write a page with a treemap to this file.")
@click.option("--top", default=12, show_default=True, type=click.IntRange(0), help="List this many weights.")
@force_option("Replace the HTML file.")
def inspect(files: tuple[Path, ...], as_json: bool, html: Path | None, top: int, force: bool) -> None:
    """Show what is inside FILE.nb, or how two files differ. Needs no Paddle."""
    if len(files) > 2:
        raise UsageError(f"{len(files)} files were named.", "Name one file, or two to compare.")
    if html is not None and len(files) > 1:
        raise UsageError("--html draws one file.", "Name one file, or leave --html out.")
    opened = [open_nb(path) for path in files]
    if len(opened) == 2:
        difference = diff(opened[0][0], opened[1][0], (opened[0][1], opened[1][1]))
        if as_json:
            print_json(difference.to_json(), indent=2)
        else:
            _show_difference(difference)
        return
    anatomy = opened[0][0]
    if html is not None:
        from convert.size.page import write_page

        write_page(anatomy, html, force=force)
    if as_json:
        print_json(anatomy.to_json(), indent=2)
    else:
        _show(anatomy, top)
        if html is not None:
            click.echo(f"wrote {html}")


def _show(anatomy: Anatomy, top: int) -> None:
    file = anatomy.file
    console = PlainConsole()
    console.print(
        f"{file.path}: {file.size:,} bytes, opt {file.opt_version}, meta version {file.meta_version}, "
        f"for {file.target}, {'int8' if anatomy.quantised else 'float'}, {anatomy.elements:,} parameters"
    )
    console.print(f"inputs: {', '.join(file.inputs)}   outputs: {', '.join(file.outputs)}")
    sections = Table("section", "offset", "bytes", title="Sections")
    for region in file.regions:
        sections.add_row(region.name, f"{region.offset:,}", f"{region.bytes:,}")
    sections.add_row("file", "", f"{sum(region.bytes for region in file.regions):,}", style="bold")
    console.print(sections)
    operators = Table("operator (target, precision)", "number", title=f"{len(file.operators)} operators")
    for name, count in anatomy.operator_counts.items():
        operators.add_row(name, str(count))
    console.print(operators)
    spent = Table("weights read by", "bytes", title="Bytes by operator")
    for name, size in anatomy.bytes_by_operator.items():
        spent.add_row(name, f"{size:,}")
    spent.add_row("(names and framing)", f"{anatomy.framing:,}")
    console.print(spent)
    console.print("by type: " + ", ".join(f"{name} {size:,} B" for name, size in anatomy.bytes_by_dtype.items()))
    largest = Table("weight", "type and shape", "bytes", "read by", "why still fp32", title=f"Largest {top} weights")
    for use in anatomy.uses[:top]:
        shape = f"{use.tensor.dtype}{list(use.tensor.shape)}"
        largest.add_row(use.tensor.name, shape, f"{use.tensor.record:,}", use.operator, use.reason)
    console.print(largest)
    if anatomy.quantised:
        _show_reasons(console, anatomy)
    for names, size in anatomy.duplicates:
        console.print(f"duplicated content ({size:,} B could go): {', '.join(names)}")


def _show_reasons(console: Console, anatomy: Anatomy) -> None:
    reasons: Counter[str] = Counter()
    for use in anatomy.uses:
        if use.reason:
            reasons[use.reason] += use.tensor.bytes
    table = Table("why", "bytes", title="Still fp32 in this int8 model")
    for reason, size in reasons.most_common():
        table.add_row(reason, f"{size:,}")
    console.print(table)


def _show_difference(difference: Difference) -> None:
    console = PlainConsole()
    if not (difference.facts or difference.operators or difference.tensors):
        console.print("no difference in header, operators and weights")
        return
    for title, rows in (
        ("Facts", difference.facts), ("Operators", difference.operators), ("Weights", difference.tensors),
    ):  # fmt: skip
        if rows:
            table = Table("", "first", "second", title=title)
            for name, (before, after) in rows.items():
                table.add_row(name, str(before), str(after))
            console.print(table)
