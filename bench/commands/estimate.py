"""`bench estimate`: what a board that you do not have might need, with the error of such estimates."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.base.errors import InputError, UsageError
from edge.terminal.commandline import command, print_json
from edge.terminal.options import (
    board_option,
    det_side_option,
    examples,
    inventory_option,
    json_option,
    model_options,
    renamed,
)

if TYPE_CHECKING:
    from edge.device.board import Board


@command(epilog=examples(
    "bench estimate --device rk3399",
    "bench estimate --device rpi4 --photo-size 1920x1080 --det-side max:640",
))
@board_option()
@model_options(models="all sets", precisions=("fp32", "int8"))
@det_side_option(("own",))
@renamed("--photo-size", old=("--photo",), default="720x1160", show_default=True, metavar="WxH",
         help="Size of the photos in pixels.")  # fmt: skip
@click.option("--rec-width", type=click.IntRange(8, 4096), help="Recogniser's input width in pixels. [default: the set's]")
@click.option("--classes", type=click.IntRange(2, 100_000), help="Classes of the recogniser. [default: the set's]")
@json_option
@inventory_option
def estimate(
    device: str, models: tuple[str, ...], sides: tuple[str, ...], photo_size: str, rec_width: int | None,
    classes: int | None, precisions: tuple[str, ...], as_json: bool, inventory: Path | None,
) -> None:  # fmt: skip
    """Estimate times on a board you do not have, with their error.

    One thread on the fastest core, inference only. These are estimates from Paddle Lite's published table of other
    networks on other chips, never measurements; the error beside them is that of the same method on chips that it was
    not fitted to.
    """
    from bench.plan.plan import side_of
    from edge.bundle.zoo import check_sets, model_sets

    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", photo_size)
    if not match:
        raise UsageError(f"--photo-size {photo_size!r} is not WIDTHxHEIGHT.", "For example 720x1160.")
    check_sets(models)
    board = _board(device, inventory)
    size = (int(match[1]), int(match[2]))
    dots = {"fp32": (False,), "int8": (True, False) if "asimddp" in board.clusters[0].features else (False,)}
    rows = [
        _row(board, name, precision, dot, str(side_of(side, name)), size, rec_width, classes)
        for name in models or model_sets()
        for side in sides
        for precision in precisions
        for dot in dots[precision]
    ]
    if as_json:
        print_json({"kind": "estimate", "board": board.name, "soc": board.soc, "rows": rows})
        return
    core = board.clusters[0]
    click.echo(
        f"ESTIMATE, not a measurement: {board.title}, one thread on {core.core} at {core.max_mhz} MHz, inference only"
    )
    for row in rows:
        name = f"{row['models']} {row['precision']}{', dot product' if row['dot'] else ''}"
        click.echo(
            f"  {name}  {row['side']}  det {row['det_input']}: {row['det_ms']:.0f} ms   "
            f"rec {row['rec_input']}: {row['rec_ms']:.1f} ms a plate   "
            f"error on unseen chips {row['error']:.0%} on average, {row['worst']:.0%} at worst"
        )
    if True in dots["int8"] and "int8" in precisions:
        click.echo(
            "Paddle Lite v2.13-rc turns the dot product on by the chip's name, not by the CPU's features; where it "
            "does not know the chip, the line without dot product applies (see `edge probe` and --soc-alias)."
        )
    click.echo(
        "Calibrated on Paddle Lite's docs/performance/benchmark.md (8 chips, MobileNetV1/V2/V3 and ResNet50). PP-OCRv3 "
        "is not in it, so its own error may be larger. Decoding, resizing, boxes and text are not included."
    )


def _board(name: str, inventory: Path | None) -> Board:
    from edge.device.board import find_board

    board = find_board(name, inventory)
    if not board.clusters or not board.clusters[0].max_mhz:
        raise InputError(
            f"the profile {board.name} has no cores and clock to estimate from.",
            "Name a kind of board, such as --device rk3399; `bench run --device local` measures this computer.",
        )
    return board


def _row(
    board: Board, models: str, precision: str, dot: bool, side: str, size: tuple[int, int], rec_width: int | None,
    classes: int | None,
) -> dict[str, Any]:  # fmt: skip
    from bench.estimate.networks import ppocr
    from bench.estimate.roofline import calibrate, leave_one_out, mean_error
    from bench.plan.model_sets import other_architecture, recogniser_size
    from edge.ocr.detect import det_size

    other = other_architecture(models)
    if other:
        raise UsageError(
            f"{models} is of the architecture {other}, and only PP-OCRv3's layers are known here.",
            "What is at hand is measured: `bench run --device local`.",
        )
    own_width, own_classes = recogniser_size(models)
    width_asked, classes = rec_width or own_width, classes or own_classes
    core = board.clusters[0]
    isa = "armv7" if board.abi in ("armhf", "android-armv7") else "armv8"
    height, width = det_size(size[1], size[0], side[:3], int(side[3:]))
    model = calibrate(precision, isa, dot)
    misses = leave_one_out(precision, isa, None if precision == "fp32" else dot)
    return {
        "models": models,
        "precision": precision,
        "dot": dot,
        "side": side,
        "isa": isa,
        "det_input": f"{width}x{height}",
        "rec_input": f"{width_asked}x48",
        "det_ms": model.milliseconds(ppocr("det", height, width), core.core, core.max_mhz),
        "classes": classes,
        "rec_ms": model.milliseconds(ppocr("rec", 48, width_asked, classes), core.core, core.max_mhz),
        "error": mean_error(misses),
        "worst": max(abs(miss.error) for miss in misses),
    }
