"""The bench measures itself: a slower stage is found and named, and the script behind `make bench-self` starts."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fake_board import PROGRAM, fake_plan, fake_target

from bench.compare.selfcheck import check_equal, check_slower, with_program

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("stage", ["det_pre", "det_infer"])
def test_a_slower_stage_is_named(tmp_path: Path, stage: str) -> None:
    """The stand-in program's times are invented; `make bench-self` does it with real builds on a quiet machine."""
    build = tmp_path / "plate_ocr"
    build.write_text(f"#!/bin/sh\nFAKE_STAGE={stage}:1.5 exec {sys.executable} -S '{PROGRAM}' \"$@\"\n")
    target = fake_target(tmp_path)

    def command(*words: str) -> tuple[list[str], dict[str, str]]:
        # As on a board, the program is the first word.
        argv, env = target.command(*words)
        return argv[2:], env

    plan = fake_plan(processes=6, repeats=12, precisions=("fp32",))
    slower = with_program(replace(target, command=command), build, str(tmp_path / "board" / "self"))
    assert slower.program != target.program
    check = check_slower(target, slower, plan, tmp_path, stage)
    assert check.good and stage in check.data["named"] and check.data["ratio"] == pytest.approx(1.5, rel=0.1), check.text
    equal = check_equal(target, plan, tmp_path, 1)
    assert equal.good and not equal.data["alarms"], equal.text


def test_the_script_behind_make_bench_self_starts() -> None:
    """It takes the tests' ssh server without pytest, which would find the modules beside it."""
    script = ROOT / "scripts" / "bench_self.py"
    answer = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, check=False, cwd="/")
    assert answer.returncode == 0, answer.stderr
    assert "--pairs" in answer.stdout
