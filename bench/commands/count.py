"""`bench count`: ARM instructions of each stage under emulation."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.commandline import command
from edge.commands.options import examples, json_option
from edge.errors import NotValidError, UsageError

if TYPE_CHECKING:
    from edge.bundle import Bundle


@command(epilog=examples("bench count --models plate-v1 --det-side own --runtime lib"))
@click.option("--device", default="virtual", show_default=True, metavar="NAME", help="A board profile or device.")
@click.option("--cpu", default="cortex-a72", show_default=True, help="CPU model of QEMU.")
@click.option("--models", "sets", multiple=True, default=("ppocrv3",), show_default=True, metavar="SET",
              help="Model set; may be repeated.")  # fmt: skip
@click.option("--precision", "precisions", multiple=True, default=("fp32",), show_default=True,
              metavar="NAME", help="Precision of the models; may be repeated.")  # fmt: skip
@click.option("--det-side", "sides", multiple=True, default=("min:736", "max:640"), show_default=True,
              metavar="SIDE", help="Detector input size: 736, min:736, max:640, or own; may be repeated.")  # fmt: skip
@click.option("--runtime", "library", type=click.Path(path_type=Path), metavar="DIR",
              help="Folder or archive with Paddle Lite's library for the ABI. [default: the board's]")  # fmt: skip
@click.option("--photo", type=click.Path(path_type=Path), help="Photo to read. [default: one of the samples]")
@click.option("--fail-above", metavar="COUNT",
              help="Exit with 10 when the kit's own stages need more instructions, such as 60M.")  # fmt: skip
@json_option
def count(
    device: str, cpu: str, sets: tuple[str, ...], precisions: tuple[str, ...], sides: tuple[str, ...],
    library: Path | None, photo: Path | None, fail_above: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Count ARM instructions of each stage under emulation.

    The figures are the same on every machine. They are not times: an instruction may take a quarter of a cycle or a
    hundred cycles.
    """
    from bench.counting.count import document, run_counted
    from bench.plan import Cell, side_of
    from edge.board import find_device, list_profiles, load_profile
    from edge.bundle import elf_abi
    from edge.install import build_bundle
    from edge.photodecode import to_png
    from edge.photolist import SAMPLES, check_photo

    limit = parse_count(fail_above) if fail_above else None
    board = load_profile(device) if device in list_profiles() else find_device(device).board
    abi = elf_abi(board)
    if abi not in ("arm64", "armhf"):
        raise UsageError(f"{device} is {abi}; only arm64 and armhf Linux can be emulated.", "Use --device virtual.")
    picture = photo or SAMPLES / "blue-day.jpg"
    kind = check_photo(picture)
    if kind.reader != "board":
        scratch = click.get_current_context().with_resource(tempfile.TemporaryDirectory(prefix="plate-edge-"))
        picture = Path(scratch) / f"{picture.name}.png"
        picture.write_bytes(to_png(photo or picture, kind))
        click.echo(f"note: {kind.name} was converted to PNG for the board's program; `decode` is the PNG's", err=True)
    runtime = None
    if library is not None:
        from edge.runtime import add_runtime

        runtime = add_runtime(library, build=f"count-{abi}", update=True)
    bundle = build_bundle(board, list(sets), list(precisions), lambda text: click.echo(text, err=True), runtime=runtime)
    folder = unpack(bundle)
    replay = bool(bundle.manifest.runtime.get("replay"))
    rows: list[dict[str, Any]] = []
    cells = [Cell(name, precision, 1, "none", side_of(side, name))
             for name in sets for side in sides for precision in precisions]  # fmt: skip
    for cell in dict.fromkeys(cells):
        config = folder / str(bundle.manifest.variants[cell.variant]["config"])
        words = ["bench", "--config", str(config), *cell.options(), "--warmup", "1", "--repeats", "2"]
        found = run_counted(
            abi, cpu, folder / "bin" / "plate_ocr", folder / "lib", [*words, str(picture.resolve())], timeout=1800
        )
        head = {"models": cell.model, "precision": cell.precision, "side": str(cell.side), "cpu": cpu}
        rows.append({**head, **document(found, replay=replay)})
    if as_json:
        named = {"photo": picture.name, "runtime": bundle.manifest.runtime.get("version"), "replay": replay}
        click.echo(json.dumps({"device": device, "abi": abi, **named, "rows": rows}))
    else:
        _print(rows, replay)
    worst = max(row["ours"] for row in rows)
    if limit is not None and worst > limit:
        raise NotValidError(
            f"our own stages need {worst / 1e6:.1f} million instructions, more than {limit / 1e6:g} million.",
            "The table shows which stage grew.",
        )


def parse_count(text: str) -> float:
    """Reads `60M`, `1.5G` or `60000000`.

    Raises:
        UsageError: Anything else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kMG]?)", text.strip())
    if not match:
        raise UsageError(f"--fail-above {text!r} is no count.", "Write 60M or 60000000.")
    return float(match[1]) * {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}[match[2]]


def unpack(bundle: Bundle) -> Path:
    """Lays a bundle out as a release on this host, in the cache under its hash."""
    from edge.paths import cache_dir

    folder = cache_dir("count") / bundle.hash
    for item in bundle.manifest.files:
        place = folder / item.path
        if not place.is_file() or place.stat().st_size != item.size:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.sources[item.path], place)
            place.chmod(item.mode)
    return folder


def _print(rows: list[dict[str, Any]], replay: bool) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from bench.events import STAGES
    from bench.table import STAGE_TITLES

    table = Table(box=box.SIMPLE_HEAD, title="million instructions, first photo / steady", title_justify="left")
    table.add_column("")
    for row in rows:
        table.add_column(f"{row['models']} {row['precision']}\n{row['side']}\n{row['cpu']}", justify="right")
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
