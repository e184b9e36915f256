"""What the kit's own stages cost on ARM, in instructions: equal on every machine, so a gate that no noise opens."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from cpp_program import count_instructions

from edge.bundle.toolchain import build_program
from edge.bundle.zoo import detector_limit
from edge.ocr.config import PipelineConfig
from edge.ocr.detect import jpeg_scale
from edge.ocr.image import load_photo
from edge.photo.listing import SAMPLES
from train.synth.samples import render_sample

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


def frame_1080p(path: Path) -> Path:
    """Three samples side by side, cut to 1920x1080, as sharp and as noisy as each."""
    wide = np.hstack([render_sample(name).image for name in ("blue-day", "blue-night", "green-day")])
    cv2.imwrite(str(path), wide[40:1120, :1920], [cv2.IMWRITE_JPEG_QUALITY, 82])
    return path


@pytest.mark.parametrize(("name", "limit"), [("blue-day.jpg", 12_000_000), ("1080p", 40_000_000)])
def test_decoding_stays_within_its_budget(
    plugin: Path, name: str, limit: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the fraction of its sides that plate-v1's detector lets a photo be decoded at."""
    kind, side = detector_limit("plate-v1")
    config = PipelineConfig(det_limit_type=kind, det_limit_side=side)
    photo = frame_1080p(tmp_path / "frame.jpg") if name == "1080p" else SAMPLES / name
    scale = load_photo(photo, partial(jpeg_scale, config=config)).scale
    tests = build_program("arm64", tests=True).tests
    assert tests is not None
    first, third = (
        count_instructions(plugin, tests, "--decode", "-", "--scale", scale, *[photo] * times) for times in (1, 3)
    )
    cost = (third - first) // 2
    with capsys.disabled():
        print(f"\nARM instructions to decode {name} at 1/{scale}, millions: {cost / 1e6:.2f}")
    assert scale == 2 and 0 < cost <= limit
