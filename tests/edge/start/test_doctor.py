"""The doctor names what is missing and the next step, and fails only when the main job cannot work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def doctor(*argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge", "doctor", *argv]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **env}, check=False)


def test_healthy_machine(own_cache: Path) -> None:
    answer = doctor("--json")
    document = json.loads(answer.stdout)
    levels = {finding["name"]: finding["level"] for finding in document["findings"]}
    assert answer.returncode == 0 and document["counts"]["fail"] == 0
    assert levels["paddlelite"] == levels["cmake"] == levels["CPython"] == "ok"


def test_missing_compiler_fails_and_names_its_package(own_cache: Path, tmp_path: Path) -> None:
    answer = doctor("--json", PATH=str(tmp_path))
    findings = {finding["name"]: finding for finding in json.loads(answer.stdout)["findings"]}
    assert answer.returncode == 5
    assert findings["g++"]["level"] == "fail" and findings["g++"]["hint"] == "apt-get install g++"
    assert findings["adb"]["level"] == "warn" and "Android" in findings["adb"]["detail"]


def test_a_purpose_makes_what_it_needs_a_failure(own_cache: Path, tmp_path: Path) -> None:
    """What `edge doctor --for` names must be there, and one command brings all of it."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("g++", "cmake", "ninja", "ssh"):
        (tools / name).symlink_to("/bin/true")
    plain = doctor("--no-devices", "--json", PATH=str(tools))
    assert plain.returncode == 0, plain.stdout
    answer = doctor("--no-devices", "--json", "--for", "virtual", "--for", "arm64", PATH=str(tools))
    document = json.loads(answer.stdout)
    failed = {finding["name"] for finding in document["findings"] if finding["level"] == "fail"}
    assert answer.returncode == 5
    # binfmt-support's program lies where only root's PATH leads.
    assert failed - {"update-binfmts"} == {"aarch64-linux-gnu-g++", "qemu-aarch64-static", "arch-test", "mmdebstrap"}
    assert document["install"].startswith("apt-get install ")
    assert {"g++-aarch64-linux-gnu", "qemu-user-static", "mmdebstrap"} <= set(document["install"].split())
    shown = doctor("--no-devices", "--for", "virtual", PATH=str(tools)).stdout
    assert document["install"] in shown


def test_the_ndk_is_asked_for_where_android_is_meant(own_cache: Path) -> None:
    """A Linux board over adb needs the client only; a phone needs the NDK, and is told where it comes from."""
    levels = {}
    for purpose in ("adb", "android"):
        answer = doctor("--no-devices", "--json", "--for", purpose, ANDROID_NDK_HOME="/nonexistent")
        (finding,) = [item for item in json.loads(answer.stdout)["findings"] if item["name"] == "ANDROID_NDK_HOME"]
        levels[purpose] = finding["level"]
        assert "developer.android.com/ndk" in finding["hint"]
    assert levels == {"adb": "warn", "android": "fail"}


def test_an_opencv_that_cannot_be_loaded_is_named(own_cache: Path, tmp_path: Path) -> None:
    """A wheel that needs libGL, on a computer without a desktop: neither a bug of the kit nor "ok"."""
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')\n")
    answer = doctor("--no-devices", "--json", PYTHONPATH=str(tmp_path))
    (finding,) = [f for f in json.loads(answer.stdout)["findings"] if "opencv" in f["name"]]
    assert answer.returncode == 5
    assert (finding["level"], "libGL" in finding["detail"]) == ("fail", True)
    assert "opencv-python-headless" in finding["hint"]
    command = [sys.executable, "-m", "edge", "train", "synth", "--crops", "--out", str(tmp_path / "o"), "--count", "1"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    used = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert used.returncode == 5, used.stderr
    assert "libGL" in used.stderr and "edge doctor" in used.stderr and "bug" not in used.stderr


DEAD_BOARD = """schema: plate-edge/devices/1
devices:
  bench:
    board: rk3399
    ssh: nobody@127.0.0.1:9
"""


@pytest.mark.parametrize(
    ("text", "level", "words"), [("devices: [", "fail", "devices.yml"), (DEAD_BOARD, "warn", "127.0.0.1")]
)
def test_devices_are_asked(own_cache: Path, tmp_path: Path, text: str, level: str, words: str) -> None:
    inventory = tmp_path / "devices.yml"
    inventory.write_text(text)
    answer = doctor("--json", "--inventory", str(inventory))
    (finding,) = [f for f in json.loads(answer.stdout)["findings"] if f["area"] == "device"]
    assert finding["level"] == level and words in finding["detail"]
    assert "Traceback" not in answer.stderr
