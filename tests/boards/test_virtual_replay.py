"""The real program on virtual ARM boards, from `edge flash` to `edge run`.

An ARM library of Paddle Lite cannot be had everywhere, so that the replay runtime stands in for it: it answers with what
the real one answered on this host. Everything else is real: cross-built program, `.nb` files for ARM, sshd, ARM userland.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from recordings import SAMPLES, SETTINGS
from virtual_board import board_of, why_none

from bench.cli import bench
from edge.commands.flash import status
from edge.commands.run import run
from edge.commands.runtime import runtime
from edge.device.board import find_device
from edge.release import install
from edge.release.flash import flash
from edge.release.install import ensure_installed
from edge.release.releases import Release
from edge.runtime.elf import version_key
from edge.transport.connect import connect
from edge.virtual.board import VirtualBoard, up
from edge.virtual.rootfs import ARCHS, root_folder

TESTS = Path(__file__).resolve().parents[1]
PHOTOS = SAMPLES[:2]
COMPILERS = {"arm64": "aarch64-linux-gnu-g++", "armhf": "arm-linux-gnueabihf-g++"}


@pytest.fixture(params=["arm64", "armhf"])
def board(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualBoard]:
    """A board of each architecture; the 32-bit one only where somebody made its root, which takes minutes."""
    arch = request.param
    if shutil.which(COMPILERS[arch]) is None:
        pytest.skip(f"no cross compiler (Debian: g++-{COMPILERS[arch].removesuffix('-g++')})")
    if arch == "arm64":
        yield request.getfixturevalue("use_virtual")
        return
    if why := why_none(arch):
        pytest.skip(why)
    if not root_folder(ARCHS[arch]).is_dir():
        pytest.skip("there is no 32-bit root yet: edge virtual up armhf --arch armhf")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PLATE_EDGE_INVENTORY", raising=False)
    with board_of(arch) as own:
        yield up(own.name, arch)


def texts(photo: Path) -> list[str]:
    labels = json.loads((PHOTOS[0].parent / "labels.json").read_text(encoding="utf-8"))
    return [plate["text"] for plate in labels[photo.name]]


def test_flash_run_and_measure_on_arm(
    board: VirtualBoard, recorded: dict[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from replay_runtime import build_replay

    replay = build_replay(board.arch, recorded)
    added = CliRunner().invoke(runtime, ["add", str(replay), "--json"], catch_exceptions=False)
    assert json.loads(added.stdout)["replay"] is True

    device = find_device(board.name)
    expected: dict[str, object] = {}
    monkeypatch.setattr(install, "flash", lambda *words, **more: expected.update(more["expected"]) or flash(*words, **more))
    release: Release = ensure_installed(device, ["ppocrv3"], ["fp32"], settings=SETTINGS)
    # The trial run was compared with what this host reads by itself.
    assert list(expected) == ["ppocrv3-fp32"] and expected["ppocrv3-fp32"]
    assert release.manifest.abi == board.arch
    # The program itself would start on a board with an older system than this one.
    assert version_key(release.manifest.program["versions"]["GLIBC"]) <= (2, 17)

    for photo, path in zip(PHOTOS, release.samples, strict=False):
        assert Path(path).name == photo.name
        argv, env = release.command("ppocrv3-fp32", "run", path)
        answer = json.loads(connect(device).run_check(argv, env=env, timeout=600).stdout)
        assert [plate["text"] for plate in answer["plates"]] == texts(photo)

    # What it answers is good for trying; that its times are not is said everywhere.
    shown = CliRunner().invoke(status, ["--device", board.name], catch_exceptions=False).stdout
    assert release.hash in shown and "replay: none of its times is valid" in shown

    answer = CliRunner().invoke(run, ["--device", board.name, "--models", "ppocrv3", str(PHOTOS[1])])
    assert texts(PHOTOS[1])[0] in answer.output, answer.output
    assert "the CPU is emulated: no times" in answer.output and " ms" not in answer.output

    # Measuring works from end to end, and what comes out says that it is no measurement.
    plan = tmp_path / "plan.yml"
    plan.write_text(
        "processes: 1\nwarmup: 0\nwarmup_ms: 0\nrepeats: 1\nmin_ms: 0\nmodels: [ppocrv3]\nprecisions: [fp32]\n"
        "det_sides: ['max:640']\n"
    )
    words = ["--device", board.name, "--installed", "--plan", str(plan), "--photos", str(PHOTOS[1]), "--no-history"]
    answer = CliRunner().invoke(bench, ["run", *words, "--out", str(tmp_path / "out"), "--quiet"])
    assert answer.exit_code == 0, answer.output
    result = json.loads((tmp_path / "out/result.json").read_text(encoding="utf-8"))
    assert result["device"]["kind"] == "replay" and result["summary"]["verdict"] == "INVALID"
    assert result["processes"][0]["answers"]["0"][0]["text"] == texts(PHOTOS[1])[0]
