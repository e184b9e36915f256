"""`edge bundle`: program, runtime, models and photos for a kind of board in one file, the same bytes every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edge.base.errors import InputError
from edge.bundle.bundle import Bundle, save_bundle
from edge.commands.release_options import choose_bundle, read_choice, release_options
from edge.device.board import find_board
from edge.terminal.commandline import command, print_json
from edge.terminal.options import board_option, examples, force_option, inventory_option, json_option
from edge.terminal.steps import steps


@command(epilog=examples(
    "edge bundle --device rk3399 --out plate.tar",
    "edge flash --device gate --bundle plate.tar",
))
@board_option()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path),
              help="File to write. [default: plate-BOARD-HASH.tar]")  # fmt: skip
@force_option("Replace the file when it exists.", old=("--overwrite",))
@release_options()
@json_option
@inventory_option
def bundle(
    device: str, out: Path | None, force: bool, as_json: bool, inventory: Path | None, **options: Any
) -> None:
    """Pack program, runtime, models and sample photos for a board into one file.

    `edge flash --bundle FILE` installs it, also from a machine that has no compiler and no models.
    """
    if out is not None and not out.parent.is_dir():
        raise InputError(f"There is no folder {out.parent}.", "Make it, or choose another --out.")
    board = find_board(device, inventory)
    choice = read_choice(**options)
    with steps(quiet=as_json) as shown:
        report, _ = shown.board(board.name)
        made = choose_bundle(board, choice, report)
        path = out or Path(f"plate-{board.name}-{made.hash}.tar")
        # A name with the hash in it is the same content by definition.
        if path.exists() and not force and out is not None:
            raise InputError(f"{path} exists already.", "Choose another --out, or replace it with --force.")
        report(f"writing {path}, replacing the old one" if path.exists() else f"writing {path}")
        save_bundle(made, path)
    if as_json:
        print_json(_document(made, path))
        return
    manifest = made.manifest
    click.echo(f"{path}: release {made.hash} for {manifest.abi}, {manifest.size / 1e6:.1f} MB")
    for kind in ("program", "library", "model", "dictionary", "config", "sample"):
        files = [item for item in manifest.files if item.kind == kind]
        click.echo(f"  {kind:<10} {len(files):>2} files  {sum(item.size for item in files):>12,} bytes")
    versions = manifest.requires["versions"].items()
    needs = [*manifest.requires["libraries"], *(f"{family} {version}" for family, version in versions)]
    click.echo(f"  the board must have {', '.join(needs) or 'nothing'}")
    click.echo(f"next: edge flash --bundle {path} --device {device}")


def _document(made: Bundle, path: Path) -> dict[str, Any]:
    manifest = made.manifest
    return {
        "file": str(path),
        "hash": made.hash,
        "abi": manifest.abi,
        "bytes": manifest.size,
        "variants": sorted(manifest.variants),
        "requires": manifest.requires,
        "runtime": manifest.runtime,
    }
