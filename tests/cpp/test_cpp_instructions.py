"""What the kit's own stages cost on ARM, in instructions: equal on every machine, so a gate that no noise opens."""

from __future__ import annotations

from pathlib import Path

import pytest
from cpp_program import count_instructions

from edge.toolchain import build_program

STAGES = ("det_pre", "det_post", "crop", "rec_pre", "rec_post")


@pytest.mark.parametrize(("width", "height", "limit"), [(736, 1184, 60_000_000), (384, 640, 20_000_000)])
def test_own_stages_stay_within_their_budget(
    plugin: Path, width: int, height: int, limit: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A 720x1160 photo with one plate; a steady run, that is the third less the first, halved."""
    tests = build_program("arm64", tests=True).tests
    assert tests is not None
    costs = {}
    for stage in STAGES:
        first, third = (
            count_instructions(plugin, tests, "--stage", stage, repeats, width, height) for repeats in (1, 3)
        )
        costs[stage] = (third - first) // 2
    with capsys.disabled():
        shown = ", ".join(f"{stage} {cost / 1e6:.2f}" for stage, cost in costs.items())
        print(f"\nARM instructions at {width}x{height}, millions: {shown}; in all {sum(costs.values()) / 1e6:.1f}")
    assert all(cost > 0 for cost in costs.values())
    assert sum(costs.values()) <= limit
