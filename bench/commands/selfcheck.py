"""`bench self`: the bench measures itself on a board."""

from __future__ import annotations

import itertools
import json
import shutil
import time
from pathlib import Path

import click

from edge.base.errors import NotValidError
from edge.terminal.commandline import OneName, command
from edge.terminal.options import device_option, force_option, inventory_option, json_option, one_model_options, renamed


@command(name="self")
@device_option
@one_model_options()
@click.option("--det-side", "side", default="own", show_default=True, type=OneName("size"), metavar="SIDE",
              help="Detector input size: 736, min:736, max:640, or own.")  # fmt: skip
@click.option("--pairs", default=10, show_default=True, type=click.IntRange(0, 1000),
              help="Pairs of equal builds to compare.")  # fmt: skip
@click.option("--plan", "plan_name", default="default", show_default=True, help="Plan of every session.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help="Folder for the outcome. [default: out/NAME/self]")  # fmt: skip
@force_option("Replace what was measured in the folder.")
@renamed("--copy", old=("--record",), type=click.Path(path_type=Path, dir_okay=False),
         help="Also write the outcome to this file.")  # fmt: skip
@json_option
@inventory_option
def selfcheck(
    device: str, models: str | None, precision: str, side: str, pairs: int, plan_name: str, out: Path | None,
    force: bool, copy: Path | None, as_json: bool, inventory: Path | None,
) -> None:  # fmt: skip
    """Measure the measuring: overhead, equal builds that must look equal, and slower ones that must not.

    Takes about a minute a pair. Run it where nothing else runs; what was measured in the folder is not measured again.
    """
    from dataclasses import replace
    from datetime import datetime, timezone

    from bench.compare.selfcheck import SESSIONS, SLOWED, document, run_checks, with_program
    from bench.measure.opening import close_target, kit_facts, open_target, resolve_plan
    from bench.plan.plan import load_plan
    from edge.base.paths import write_atomic
    from edge.bundle.toolchain import build_program
    from edge.bundle.zoo import model_sets
    from edge.device.board import find_device
    from edge.link.connect import device_root
    from edge.runtime.store import runtime_for

    found = find_device(device, inventory)
    sets = (models or model_sets()[0],)
    small = replace(load_plan(plan_name), models=sets, precisions=(precision,), det_sides=(side,), box_s=0)
    plan = resolve_plan(small, found)
    folder = out or Path("out") / device / "self"
    if force:
        for session in itertools.chain.from_iterable(folder.glob(name) for name in SESSIONS):
            shutil.rmtree(session)
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
    for path in filter(None, (folder / "self.json", copy)):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps({**found_all, **stamp}, ensure_ascii=False, indent=1) + "\n")
    if as_json:
        click.echo(json.dumps({**found_all, **stamp}, ensure_ascii=False))
    else:
        click.echo(str(folder / "self.json"))
    bad = [check.name for check in checks if not check.good]
    if bad:
        raise NotValidError(f"not as it must be: {', '.join(bad)}.", "Run it again where nothing else runs.")
