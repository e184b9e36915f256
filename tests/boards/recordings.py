"""Recordings of the real runtime on this host, for the stand-in that answers on virtual boards (tests/replay)."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from edge.bundle.toolchain import build_program
from edge.bundle.zoo import ensure_models
from edge.plate.country import samples_of
from edge.release.install import ensure_installed

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "replay"))
SAMPLES = sorted(samples_of("cn").glob("*.jpg"))
# Of the published models two photos are read, at a size that is not theirs; of plate-v1 all, as it comes.
SETTINGS = {"det_limit_type": "max", "det_limit_side": "640"}
SETS = {"ppocrv3": (("fp32",), SAMPLES[:2], SETTINGS), "plate-v1": (("fp32", "int8"), SAMPLES, {})}


def record_sets(folder: Path) -> dict[Path, Path]:
    """Runs the samples through all sets on this host; returns each set's ARM model and what it answered."""
    for name in ("paddle", "rapidocr_onnxruntime"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"the published models need {name}")
    from replay_runtime import record

    program = build_program("host").program
    found: dict[Path, Path] = {}
    for name, (precisions, photos, settings) in SETS.items():
        host = ensure_installed("local", [name], list(precisions))
        arm = ensure_models(name, list(precisions), "arm")
        options = [word for key, value in settings.items() for word in (f"--{key}", value)]
        for precision, pair in arm.items():
            config = Path(host.path) / f"models/{name}-{precision}/plate.conf"
            runs = record(program, config, photos, folder / f"{name}-{precision}", *options)
            found |= {pair.det.file(".nb"): runs["det"], pair.rec.file(".nb"): runs["rec"]}
    return found
