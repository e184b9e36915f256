"""The bench on a real board behind real ssh: a build with a slower stage is found and named."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from sshd_server import SshServer

from bench.opening import close_target, open_target, resolve_plan
from bench.plan import PRESETS
from bench.selfcheck import check_slower, with_program
from edge.toolchain import build_program

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.alone
def test_a_slower_stage_is_named(ssh_board: SshServer, tmp_path: Path) -> None:
    device = ssh_board.device("selfcheck")
    # `make bench-self` has the default plan, ten pairs of equal builds and 15 %; this is short and may share its machine,
    # so what must be found is large. With three processes a side, one that a neighbour disturbed took the interval from
    # 0.9 to 4.6; among twelve it does not.
    short = replace(
        PRESETS["default"], models=("plate-v1",), precisions=("fp32",), det_sides=("max:320",), warmup=2, warmup_ms=0,
        repeats=5, min_ms=0, processes=12,
    )  # fmt: skip
    plan = resolve_plan(short, device)
    target = open_target(device, plan)
    try:
        slow = build_program("host", slow="kDetInfer:300").program
        slower = with_program(target, slow, f"{device.root}/self")
        assert slower.program != target.program
        check = check_slower(target, slower, plan, tmp_path, "det_infer")
        print(check.name, check.text)
        assert "det_infer" in check.data["named"] and check.data["ratio"] > 1.5, check.text
    finally:
        close_target(target)


def test_the_script_behind_make_bench_self_starts() -> None:
    """It takes the tests' ssh server without pytest, which would find the modules beside it."""
    script = ROOT / "scripts" / "bench_self.py"
    answer = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, check=False, cwd="/")
    assert answer.returncode == 0, answer.stderr
    assert "--pairs" in answer.stdout
