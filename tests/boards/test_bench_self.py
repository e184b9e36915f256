"""The bench on a real board behind real ssh: equal builds look equal, a build with a slower stage is found and named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sshd_server import SshServer

from bench.opening import close_target, open_target, resolve_plan
from bench.plan import PRESETS
from bench.selfcheck import check_equal, check_slower, with_program
from edge.toolchain import build_program


def test_equal_builds_look_equal_and_a_slower_stage_is_named(ssh_board: SshServer, tmp_path: Path) -> None:
    device = ssh_board.device("selfcheck")
    # `make bench-self` has the default plan, ten pairs and 15 %; here it is short, so what must be found is larger.
    short = replace(
        PRESETS["default"], models=("plate-v1",), precisions=("fp32",), det_sides=("max:320",), warmup=3, warmup_ms=0,
        repeats=14, min_ms=0,
    )  # fmt: skip
    plan = resolve_plan(short, device)
    target = open_target(device, plan)
    try:
        for number in (1, 2):
            check = check_equal(target, plan, tmp_path, number)
            print(check.name, check.text)
            assert check.good, check.text
        slow = build_program("host", slow="kDetInfer:60").program
        slower = with_program(target, slow, f"{device.root}/self")
        assert slower.program != target.program
        check = check_slower(target, slower, plan, tmp_path, "det_infer")
        print(check.name, check.text)
        assert check.data["low"] <= 1.65 and check.data["high"] >= 1.5, f"the interval does not hold 1.6: {check.text}"
        if check.data["high"] < 1.5 * check.data["low"]:
            # Where other programs take the CPU the interval is honest, wide, and names nothing.
            assert "det_infer" in check.data["named"], check.text
        assert set(check.data["named"]) <= {"det_infer", "total"}, check.text
    finally:
        close_target(target)
