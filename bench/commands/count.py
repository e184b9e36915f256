"""`bench count`: ARM instructions of each stage under emulation."""

from __future__ import annotations

import itertools
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.base.errors import NotValidError, UsageError
from edge.terminal.commandline import command, print_json
from edge.terminal.options import (
    board_option,
    det_side_option,
    examples,
    inventory_option,
    json_option,
    model_options,
    photos_option,
    recursive_option,
)

if TYPE_CHECKING:
    from edge.bundle.bundle import Bundle


@command(epilog=examples("bench count --models plate-v1 --det-side own --runtime lib"))
@board_option("virtual", " Only ARM is counted.")
@click.option("--cpu", default="cortex-a72", show_default=True, metavar="NAME", help="CPU model of QEMU.")
@model_options(models="ppocrv3", precisions=("fp32",))
@det_side_option(("min:736", "max:640"))
@click.option("--runtime", "library", type=click.Path(path_type=Path), metavar="PATH",
              help="Folder or archive with Paddle Lite's library for the ABI. [default: the board's]")  # fmt: skip
@photos_option("Photos or folders. [default: one of the samples]", old=("--photo",))
@recursive_option
@click.option("--fail-above", metavar="COUNT",
              help="Exit with 10 when the kit's own stages need more instructions, such as 60M.")  # fmt: skip
@json_option
@inventory_option
def count(
    device: str, cpu: str, models: tuple[str, ...], precisions: tuple[str, ...], sides: tuple[str, ...],
    library: Path | None, photos: tuple[Path, ...], recursive: bool, fail_above: str | None, as_json: bool,
    inventory: Path | None,
) -> None:  # fmt: skip
    """Count ARM instructions of each stage under emulation.

    The figures are the same on every machine, for one build of Paddle Lite's library: another compiler or other flags
    change them. They are not times: an instruction may take a quarter of a cycle or a hundred cycles.
    """
    from bench.counting.build import read_build
    from bench.counting.count import document, run_counted
    from bench.plan.plan import Cell, side_of
    from edge.bundle.bundle import elf_abi
    from edge.bundle.zoo import check_sets
    from edge.device.board import find_board
    from edge.photo.listing import SAMPLES, list_photos
    from edge.release.install import build_bundle
    from edge.runtime.store import NAMES

    limit = parse_count(fail_above) if fail_above else None
    board = find_board(device, inventory)
    abi = elf_abi(board)
    if abi not in ("arm64", "armhf"):
        raise UsageError(f"{device} is {abi}; only arm64 and armhf Linux can be emulated.", "Use --device virtual.")
    sets = models or ("ppocrv3",)
    check_sets(sets)
    listed = list_photos(photos or (min(SAMPLES.glob("*.jpg")),), recursive=recursive)
    if listed.note:
        click.echo(f"note: {listed.note}", err=True)
    scratch = Path(click.get_current_context().with_resource(tempfile.TemporaryDirectory(prefix="plate-edge-")))
    pictures = {str(path): decodable(path, scratch / f"{number}") for number, path in enumerate(listed.photos)}
    runtime = None
    if library is not None:
        from edge.runtime.store import add_runtime

        runtime = add_runtime(library, build=f"count-{abi}", update=True)
    bundle = build_bundle(board, list(sets), list(precisions), lambda text: click.echo(text, err=True), runtime=runtime)
    folder = unpack(bundle)
    replay = bool(bundle.manifest.runtime.get("replay"))
    library_file = next(item.path for item in bundle.manifest.files if Path(item.path).name in NAMES)
    builds = {"library": read_build(folder / library_file), "program": read_build(folder / "bin" / "plate_ocr")}
    hashes = {f"{name}_sha256": build.sha256 for name, build in builds.items()}
    rows: list[dict[str, Any]] = []
    cells = [Cell(name, precision, 1, "none", side_of(side, name))
             for name in sets for side in sides for precision in precisions]  # fmt: skip
    for cell, (name, picture) in itertools.product(dict.fromkeys(cells), pictures.items()):
        config = folder / str(bundle.manifest.variants[cell.variant]["config"])
        words = ["bench", "--config", str(config), *cell.options(), "--warmup", "1", "--repeats", "2"]
        found = run_counted(
            abi, cpu, folder / "bin" / "plate_ocr", folder / "lib", [*words, str(picture.resolve())], timeout=1800
        )
        head = {"models": cell.model, "precision": cell.precision, "side": str(cell.side), "cpu": cpu, "file": name}
        rows.append({**head, **hashes, **document(found, replay=replay)})
    if as_json:
        facts = {"runtime": bundle.manifest.runtime.get("version"), "replay": replay}
        facts |= {name: build.to_json() for name, build in builds.items()}
        print_json({"device": device, "abi": abi, "photos": list(pictures), **facts, "rows": rows})
    else:
        _print(rows, replay)
        version = bundle.manifest.runtime.get("version") or "version unknown"
        click.echo(f"Paddle Lite {version}: {builds['library']}")
        click.echo(f"Program: {builds['program']}")
        click.echo("The counts hold for these builds only.")
    worst = max(row["ours"] for row in rows)
    if limit is not None and worst > limit:
        raise NotValidError(
            f"the kit's own stages need {worst / 1e6:.1f} million instructions, more than {limit / 1e6:g} million.",
            "The table shows which stage grew.",
        )


def parse_count(text: str) -> float:
    """Reads `60M`, `1.5G` or `60000000`.

    Raises:
        UsageError: Anything else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kMG]?)", text.strip())
    if not match:
        raise UsageError(f"--fail-above {text!r} is not a count.", "Write 60M or 60000000.")
    return float(match[1]) * {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}[match[2]]


def decodable(photo: Path, folder: Path) -> Path:
    """Returns a photo that the board's program decodes: itself, or a PNG made of it in `folder`."""
    from edge.photo.decode import to_png
    from edge.photo.listing import check_photo

    kind = check_photo(photo)
    if kind.reader == "board":
        return photo
    folder.mkdir()
    made = folder / f"{photo.name}.png"
    made.write_bytes(to_png(photo, kind))
    click.echo(f"note: {photo}: {kind.name} was converted to PNG for the board's program; `decode` counts the PNG", err=True)
    return made


def unpack(bundle: Bundle) -> Path:
    """Lays a bundle out as a release on this host, in the cache under its hash."""
    from edge.base.paths import cache_dir

    folder = cache_dir("count") / bundle.hash
    for item in bundle.manifest.files:
        place = folder / item.path
        if not place.is_file() or place.stat().st_size != item.size:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.sources[item.path], place)
            place.chmod(item.mode)
    return folder


def _print(rows: list[dict[str, Any]], replay: bool) -> None:
    from rich.console import Console

    from bench.record.events import STAGES
    from bench.text.figures import STAGE_TITLES
    from bench.text.table import columns

    several = len({row["file"] for row in rows}) > 1
    names = [f"\n{Path(row['file']).name}" if several else "" for row in rows]
    heads = (
        f"{row['models']} {row['precision']}\n{row['side']}\n{row['cpu']}{name}"
        for row, name in zip(rows, names, strict=True)
    )
    table = columns("", *heads, title="million instructions, first photo / steady")
    for stage in STAGES:
        table.add_row(STAGE_TITLES[stage], *(_pair(row["first"][stage], row["steady"][stage]) for row in rows))
    table.add_row("ours (steady)", *(f"{row['ours'] / 1e6:.2f}" for row in rows), style="bold")
    if not replay:
        table.add_row("the photo (steady)", *(f"{row['photo'] / 1e6:.1f}" for row in rows), style="bold")
    console = Console(highlight=False)
    console.print(table)
    console.print("Ours: all but decode and the two inferences. Instructions, not times.", style="dim")
    if replay:
        console.print("The replay runtime stands in for Paddle Lite, so inference is not counted.", style="dim")


def _pair(first: int | None, steady: int | None) -> str:
    return "-" if first is None or steady is None else f"{first / 1e6:.2f} / {steady / 1e6:.2f}"
