"""What the kit's own stages cost on ARM, in instructions: equal on every machine, so a gate that no noise opens."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edge.toolchain import build_program

STAGES = ("det_pre", "det_post", "crop", "rec_pre", "rec_post")


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("qemu-aarch64") is None or shutil.which("aarch64-linux-gnu-g++") is None:
        pytest.skip("needs Debian's qemu-user and g++-aarch64-linux-gnu")
    out = tmp_path_factory.mktemp("plugin") / "count.so"
    source = Path(__file__).with_name("count_insns.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(out), str(source)], check=True)
    return out


def count(tests: Path, plugin: Path, stage: str, repeats: int, width: int, height: int) -> int:
    argv = ["qemu-aarch64", "-cpu", "cortex-a72", "-L", "/usr/aarch64-linux-gnu", "-plugin", str(plugin), str(tests)]
    argv += ["--stage", stage, str(repeats), str(width), str(height)]
    result = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    if "unknown option" in result.stderr or "plugin" in result.stderr:
        pytest.skip(f"this qemu has no plugins: {result.stderr[:100]}")
    assert result.returncode == 0, result.stderr
    return int(result.stderr.split()[-1])


@pytest.mark.parametrize(("width", "height", "limit"), [(736, 1184, 60_000_000), (384, 640, 20_000_000)])
def test_own_stages_stay_within_their_budget(
    plugin: Path, width: int, height: int, limit: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A 720x1160 photo with one plate; a steady run, that is the third less the first, halved."""
    tests = build_program("arm64", tests=True).tests
    assert tests is not None
    costs = {}
    for stage in STAGES:
        first, third = (count(tests, plugin, stage, repeats, width, height) for repeats in (1, 3))
        costs[stage] = (third - first) // 2
    with capsys.disabled():
        shown = ", ".join(f"{stage} {cost / 1e6:.2f}" for stage, cost in costs.items())
        print(f"\nARM instructions at {width}x{height}, millions: {shown}; in all {sum(costs.values()) / 1e6:.1f}")
    assert all(cost > 0 for cost in costs.values())
    assert sum(costs.values()) <= limit
