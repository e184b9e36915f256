"""`bench self`: the bench measures itself on a board."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from edge.commandline import command
from edge.commands.options import json_option
from edge.errors import NotValidError


@command(name="self")
@click.option("--device", required=True, metavar="NAME", help="A device of your inventory, or `local`.")
@click.option("--models", default="plate-v1", show_default=True, metavar="SET", help="Model set.")
@click.option("--det-side", "side", default="own", show_default=True, metavar="SIDE",
              help="Detector input size: 736, min:736, max:640, or own.")  # fmt: skip
@click.option("--pairs", default=10, show_default=True, type=click.IntRange(0, 1000),
              help="Pairs of equal builds to compare.")  # fmt: skip
@click.option("--plan", "plan_name", default="default", show_default=True, help="Plan of every session.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help="Folder for the outcome. [default: out/NAME/self]")  # fmt: skip
@click.option("--record", type=click.Path(path_type=Path, dir_okay=False), help="Also write the outcome to this file.")
@json_option
def selfcheck(
    device: str, models: str, side: str, pairs: int, plan_name: str, out: Path | None, record: Path | None, as_json: bool
) -> None:
    """Measure the measuring: overhead, equal builds that must look equal, and slower ones that must not.

    Takes about a minute a pair. Run it where nothing else runs; what was measured in the folder is not measured again.
    """
    from dataclasses import replace
    from datetime import datetime, timezone

    from bench.opening import close_target, kit_facts, open_target, resolve_plan
    from bench.plan import load_plan
    from bench.selfcheck import SLOWED, document, run_checks, with_program
    from edge.board import find_device
    from edge.paths import write_atomic
    from edge.runtime import runtime_for
    from edge.toolchain import build_program
    from edge.transport import device_root

    found = find_device(device)
    small = replace(load_plan(plan_name), models=(models,), precisions=("fp32",), det_sides=(side,), box_s=0)
    plan = resolve_plan(small, found)
    folder = out or Path("out") / device / "self"
    began = time.monotonic()

    def say(text: str) -> None:
        click.echo(text, err=True)

    target = open_target(found, plan, report=say)
    try:
        runtime = runtime_for(found.board)
        library = None if runtime.source == "wheel" else runtime.folder
        root = device_root(target.transport, found)
        slower = {}
        for stage, name in SLOWED.items():
            say(f"building plate_ocr with a {stage} that takes 15 % longer")
            built = build_program(found.board.abi, runtime_dir=library, cpu=found.board.cpu or None, slow=f"{name}:15")
            slower[stage] = with_program(target, built.program, f"{root}/self/{stage}")
        checks = run_checks(target, plan, folder, slower, pairs=pairs, say=say)
        found_all = document(checks, target, plan, time.monotonic() - began)
    finally:
        close_target(target)
    stamp = {"created": datetime.now(timezone.utc).isoformat(timespec="seconds"), "kit": kit_facts()}
    for path in filter(None, (folder / "self.json", record)):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps({**found_all, **stamp}, ensure_ascii=False, indent=1) + "\n")
    if as_json:
        click.echo(json.dumps({**found_all, **stamp}, ensure_ascii=False))
    else:
        click.echo(str(folder / "self.json"))
    bad = [check.name for check in checks if not check.good]
    if bad:
        raise NotValidError(f"not as it must be: {', '.join(bad)}.", "Run it again where nothing else runs.")
