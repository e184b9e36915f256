"""The bench measures itself: its overhead, equal builds that must look equal, and slower ones that must not.

`make bench-self` runs it on this host as a board behind a real ssh server on the loopback; `--device` names another.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# The ssh server is the tests' own, which lies beside modules that only pytest would find.
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "boards")]

import click  # noqa: E402

from bench.compare.selfcheck import SESSIONS, SLOWED, document, run_checks, with_program  # noqa: E402
from bench.measure.opening import close_target, kit_facts, open_target, resolve_plan  # noqa: E402
from bench.plan.plan import Plan, load_plan  # noqa: E402
from edge.base.errors import NotValidError  # noqa: E402
from edge.base.paths import write_atomic  # noqa: E402
from edge.bundle.toolchain import build_program  # noqa: E402
from edge.bundle.zoo import model_sets  # noqa: E402
from edge.device.board import Device, find_device  # noqa: E402
from edge.runtime.store import runtime_for  # noqa: E402
from edge.terminal.commandline import OneName, command  # noqa: E402
from edge.terminal.exits import run_cli  # noqa: E402
from edge.terminal.options import force_option, inventory_option, json_option, one_model_options  # noqa: E402
from edge.transport.connect import device_root  # noqa: E402

LOOP = "loop"


@command()
@click.option("--device", type=OneName("device"), default=LOOP, metavar="NAME",
              help="A device of your inventory. [default: this host behind an ssh server]")  # fmt: skip
@one_model_options()
@click.option("--det-side", "side", default="own", show_default=True, type=OneName("size"), metavar="SIDE",
              help="Detector input size: 736, min:736, max:640, or own.")  # fmt: skip
@click.option("--pairs", default=10, show_default=True, type=click.IntRange(0, 1000),
              help="Pairs of equal builds to compare.")  # fmt: skip
@click.option("--plan", "plan_name", default="default", show_default=True, help="Plan of every session.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help="Folder for the outcome. [default: out/NAME/self]")  # fmt: skip
@force_option("Replace what was measured in the folder.")
@click.option("--copy", type=click.Path(path_type=Path, dir_okay=False), help="Also write the outcome to this file.")
@json_option
@inventory_option
def bench_self(
    device: str, models: str | None, precision: str, side: str, pairs: int, plan_name: str, out: Path | None,
    force: bool, copy: Path | None, as_json: bool, inventory: Path | None,
) -> None:  # fmt: skip
    """Measure the measuring: overhead, equal builds that must look equal, and slower ones that must not.

    Takes about a minute for each pair. Run it where nothing else runs; what the folder already holds is not measured again.
    """
    sets = (models or model_sets()[0],)
    plan = replace(load_plan(plan_name), models=sets, precisions=(precision,), det_sides=(side,), box_s=0)
    folder = out or Path("out") / device / "self"
    if force:
        for session in [path for name in SESSIONS for path in folder.glob(name)]:
            shutil.rmtree(session)
    with _loop() if device == LOOP else nullcontext():
        found = measure(find_device(device, inventory), plan, folder, pairs)
    text = json.dumps(found, ensure_ascii=False, indent=1) + "\n"
    for path in filter(None, (folder / "self.json", copy)):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text)
    click.echo(json.dumps(found, ensure_ascii=False) if as_json else str(folder / "self.json"))
    bad = [check["name"] for check in found["checks"] if not check["good"]]
    if bad:
        raise NotValidError(f"not as it should be: {', '.join(bad)}.", "Run it again where nothing else runs.")


def measure(device: Device, plan: Plan, folder: Path, pairs: int) -> dict[str, Any]:
    """Builds the slower programs and runs every check on a board.

    Args:
        device: The board.
        plan: Of every session.
        folder: For the sessions.
        pairs: A/A pairs.

    Returns:
        The outcome as JSON.
    """
    began = time.monotonic()
    plan = resolve_plan(plan, device)
    target = open_target(device, plan, report=_say)
    try:
        runtime = runtime_for(device.board)
        library = None if runtime.source == "wheel" else runtime.folder
        root = device_root(target.transport, device)
        slower = {}
        for stage, name in SLOWED.items():
            _say(f"building plate_ocr with a {stage} that takes 15 % longer")
            built = build_program(device.board.abi, runtime_dir=library, cpu=device.board.cpu or None, slow=f"{name}:15")
            slower[stage] = with_program(target, built.program, f"{root}/self/{stage}")
        checks = run_checks(target, plan, folder, slower, pairs=pairs, say=_say)
        found = document(checks, target, plan, time.monotonic() - began)
    finally:
        close_target(target)
    return {**found, "created": datetime.now(timezone.utc).isoformat(timespec="seconds"), "kit": kit_facts()}


@contextmanager
def _loop() -> Iterator[None]:
    """This host as the board `loop`, in an inventory of its own, for the duration of a `with` block."""
    from sshd_server import SshServer

    with tempfile.TemporaryDirectory(prefix="plate-self-") as name:
        place = Path(name)
        place.chmod(0o755)
        (place / "sshd").mkdir()
        server = SshServer(place / "sshd").start()
        try:
            config = place / "config"
            server.trust(config)
            inventory = config / "plate-edge" / "devices.yml"
            inventory.write_text(f"schema: plate-edge/devices/1\ndevices:\n{server.entry(LOOP)}", encoding="utf-8")
            os.environ["XDG_CONFIG_HOME"] = str(config)
            yield
        finally:
            server.stop()


def _say(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    run_cli(bench_self, "bench_self")
