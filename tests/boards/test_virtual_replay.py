"""The real program on the virtual ARM64 board, from `edge flash` to `edge run`.

An ARM library of Paddle Lite cannot be had everywhere, so that the replay runtime stands in for it: it answers with what
the real one answered on this host. Everything else is real: cross-built program, `.nb` files for ARM, sshd, ARM userland.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.board import Device, find_device, load_profile
from edge.commands.flash import status
from edge.commands.run import run
from edge.commands.runtime import runtime
from edge.install import ensure_installed
from edge.prepare import ensure_models
from edge.release import Release
from edge.toolchain import build_program
from edge.transport import connect
from edge.virtual import VirtualBoard

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "replay"))
SAMPLES = sorted((TESTS.parent / "edge/samples").glob("*.jpg"))[:2]
SETTINGS = {"det_limit_type": "max", "det_limit_side": "640"}


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the stand-in for the ARM board, with what the real runtime says to two photos."""
    for name in ("paddle", "rapidocr_onnxruntime"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"the published models need {name}")
    if shutil.which("aarch64-linux-gnu-g++") is None:
        pytest.skip("no cross compiler (Debian: g++-aarch64-linux-gnu)")
    from replay_runtime import build_replay, record

    folder = tmp_path_factory.mktemp("replay")
    local = Device("local", load_profile("local"), "local", root=str(folder / "board"))
    host = ensure_installed(local, ["ppocrv3"], ["fp32"], settings=SETTINGS)
    config = Path(host.path) / "models/ppocrv3-fp32/plate.conf"
    runs = record(build_program("host").program, config, SAMPLES, folder / "runs")
    pair = ensure_models("ppocrv3", ["fp32"], "arm")["fp32"]
    return build_replay("arm64", {pair.det.file(".nb"): runs["det"], pair.rec.file(".nb"): runs["rec"]})


def texts(photo: Path) -> list[str]:
    labels = json.loads((TESTS.parent / "edge/samples/labels.json").read_text(encoding="utf-8"))
    return [plate["text"] for plate in labels[photo.name]]


def test_flash_and_run_on_arm(use_virtual: VirtualBoard, replay: Path) -> None:
    added = CliRunner().invoke(runtime, ["add", str(replay), "--json"], catch_exceptions=False)
    assert json.loads(added.stdout)["replay"] is True

    device = find_device(use_virtual.name)
    steps: list[str] = []
    release: Release = ensure_installed(device, ["ppocrv3"], ["fp32"], steps.append, settings=SETTINGS)
    # The trial run was compared with what this host reads by itself.
    assert any(step.startswith("reading the trial photo on this host") for step in steps)
    assert release.manifest.abi == "arm64"

    for photo, path in zip(SAMPLES, release.samples, strict=False):
        assert Path(path).name == photo.name
        argv, env = release.command("ppocrv3-fp32", "run", path)
        answer = json.loads(connect(device).run_check(argv, env=env, timeout=120).stdout)
        assert [plate["text"] for plate in answer["plates"]] == texts(photo)

    # What it answers is good for trying; that its times are not is said everywhere.
    shown = CliRunner().invoke(status, ["--device", use_virtual.name], catch_exceptions=False).stdout
    assert release.hash in shown and "replay: no times of it are valid" in shown

    answer = CliRunner().invoke(run, ["--device", use_virtual.name, "--models", "ppocrv3", "--json", str(SAMPLES[1])])
    assert texts(SAMPLES[1])[0] in answer.output, answer.output
