"""`edge quickstart --on adb`, really walked with the real adb client: from no device to its report."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from adbd_services import TestDevice

from edge.base.paths import cache_dir

# Of the user, whose models and builds the walk takes.
CACHE = str(cache_dir("models").parent)
PLAN = "base: quick\nmodels: [plate-v1]\nprecisions: [fp32]\nprocesses: 1\nrepeats: 2\nmax_ms: 500\n"


def walk(cwd: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge", "quickstart", "--on", "adb", *argv], cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


@pytest.fixture
def linux_board(adb_phone: TestDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestDevice:
    """A board with Linux and adb's daemon, as vendors of Rockchip boards ship it; its programs are this host's."""
    home = adb_phone.folder / "home"
    home.mkdir()
    (adb_phone.folder / "system" / "bin" / "getprop").unlink()  # That is Android's.
    plain = adb_phone._environment
    monkeypatch.setattr(adb_phone, "_environment", lambda: {**plain(), "HOME": str(home)})
    monkeypatch.setenv("PLATE_EDGE_CACHE", CACHE)
    (tmp_path / "first.yml").write_text(PLAN, encoding="utf-8")
    return adb_phone


def test_from_an_unknown_board_to_its_report(linux_board: TestDevice, tmp_path: Path) -> None:
    """`adb connect` is done by the kit; the release is installed, plates are read there, and the report is there."""
    words = ["--address", linux_board.serial, "--board", "local", "--plan", "first.yml"]
    done = walk(tmp_path, *words)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "[6/6]" in done.stderr and f"edge device add board --board local --adb {linux_board.serial}" in done.stderr
    assert "is switched on" in done.stdout and "皖A7K392" in done.stdout
    (named,) = [line for line in done.stdout.splitlines() if line.startswith("Your first report: ")]
    assert named.startswith("Your first report: out/board/")
    assert (tmp_path / named.removeprefix("Your first report: ")).is_file()
    assert (linux_board.folder / "home" / ".cache" / "plate-edge" / "boards" / "local" / "current").is_symlink()
    again = walk(tmp_path, *words, "--dry-run").stdout
    assert "edge flash --device board" in again and "device add" not in again


def test_a_phone_is_told_what_this_computer_lacks_first(
    adb_phone: TestDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the NDK nothing is added, fetched or sent, and the command to go on with is named."""
    monkeypatch.setenv("PLATE_EDGE_CACHE", CACHE)
    monkeypatch.delenv("ANDROID_NDK_HOME", raising=False)
    done = walk(tmp_path, "--address", adb_phone.serial)
    assert done.returncode == 5
    assert "step 1/7 failed" in done.stderr and "ANDROID_NDK_HOME" in done.stdout
    assert not (tmp_path / "config").exists()
    assert f"edge quickstart --on adb --address {adb_phone.serial} --board android-arm64" in done.stderr
