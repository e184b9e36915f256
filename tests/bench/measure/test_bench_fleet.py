"""`bench run` on several boards at once: each has its result, one that fails does not stop the others."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fake_board import fake_target

from bench.cli import bench
from bench.measure.fleet import on_this_host
from bench.measure.target import SystemUnderTest
from edge.base.errors import EdgeError, ExitCode, LinkError, UsageError
from edge.device.board import Device, find_device, load_inventory

INVENTORY = """schema: plate-edge/devices/1
devices:
  gate: {board: rk3399, ssh: a@10.255.0.1, groups: [lab]}
  yard: {board: rpi4, ssh: a@10.255.0.2, groups: [lab]}
  barn: {board: rk3588, ssh: a@10.255.0.3}
  virt: {board: virtual, ssh: a@127.0.0.1:2222}
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `bench run` with an inventory whose boards are stand-ins, but for `barn`, which cannot be reached."""
    monkeypatch.setenv("PLATE_EDGE_HISTORY", "off")
    monkeypatch.setenv("PLATE_EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    meeting = threading.Barrier(2)

    def open_target(device: Device, *args: Any, **options: Any) -> SystemUnderTest:
        if device.name == "barn":
            raise LinkError("barn cannot be reached.", "Is it on?")
        # Boards that were measured one after another would never meet here.
        meeting.wait(timeout=600)
        folder = tmp_path / f"board-{device.name}"
        folder.mkdir(exist_ok=True)
        return fake_target(folder)

    monkeypatch.setattr("bench.measure.opening.open_target", open_target)
    (tmp_path / "small.yml").write_text(
        "processes: 1\nwarmup: 1\nwarmup_ms: 0\nrepeats: 4\nmin_ms: 0\nmodels: [ppocrv3]\nprecisions: [fp32]\n"
    )
    (tmp_path / "devices.yml").write_text(INVENTORY)

    def invoke(*words: str) -> Result:
        line = ["run", "--plan", "small.yml", "--no-report", "--inventory", "devices.yml", *words]
        return CliRunner().invoke(bench, line)

    return invoke


def test_boards_of_a_group_are_measured_at_once(command: Any, tmp_path: Path) -> None:
    answer = command("--group", "lab", "--out", "here")
    assert answer.exit_code == 0, (answer.stdout, answer.stderr, answer.exception)
    for name in ("gate", "yard"):
        assert json.loads((tmp_path / "here" / name / "result.json").read_text())["complete"]
        assert f"{name}: here/{name}/result.json" in answer.stdout
        assert f"{name}: process 1 of 1" in answer.stderr
    assert "ppocrv3-fp32" in answer.stdout or "ppocrv3" in answer.stdout


def test_one_that_fails_does_not_stop_the_others(command: Any, tmp_path: Path) -> None:
    answer = command("--device", "gate,barn,yard", "--quiet")
    assert answer.exit_code == ExitCode.PARTIAL
    assert "FAILED" in answer.stdout and "barn cannot be reached" in answer.stdout and "Is it on?" in answer.stderr
    assert len(list((tmp_path / "out" / "gate").glob("*/result.json"))) == 1
    assert not (tmp_path / "out" / "barn").exists() or not list((tmp_path / "out" / "barn").rglob("result.json"))
    answer = command("--device", "gate,barn,yard", "--quiet", "--json", "--out", "again")
    assert answer.exit_code == ExitCode.PARTIAL
    gate, barn, yard = json.loads(answer.stdout)
    assert (gate["device"], yard["device"]) == ("gate", "yard") and gate["complete"] and gate["verdict"]
    assert barn["error"] == "barn cannot be reached." and barn["code"] == ExitCode.CONNECTION


def test_what_is_asked_for_must_be_clear(command: Any, tmp_path: Path) -> None:
    for words in (["--device", "gate", "--group", "lab"], ["--group", "nobody"], ["--device", "gate,nobody"]):
        answer = command(*words)
        assert isinstance(answer.exception, UsageError), words
        assert answer.exception.hint
    for words in (["--threads", "0"], ["--precision", "int4"]):
        refused = command("--dry-run", *words)
        assert refused.exit_code == ExitCode.USAGE and f"Invalid value for '{words[0]}'" in refused.stderr
    for words in (["--det-side", "abc"], ["--set", "det_thresh=abc"], ["--precision", "fp16"]):
        refusal = command("--dry-run", *words).exception
        assert isinstance(refusal, EdgeError) and refusal.hint, words
    # As `edge flash` and its kin: nothing asked for is this computer.
    assert json.loads(command("--dry-run", "--json").stdout)["device"] == "local"
    plans = json.loads(command("--group", "lab", "--dry-run", "--json").stdout)
    # What nobody asked for is the board's own.
    assert [item["device"] for item in plans] == ["gate", "yard"]
    assert plans[0]["plan"]["threads"] == [load_inventory(tmp_path / "devices.yml")["gate"].board.threads]


def test_boards_that_are_this_computer_take_turns(command: Any, tmp_path: Path) -> None:
    devices = load_inventory(tmp_path / "devices.yml")
    assert on_this_host(devices["virt"]) and on_this_host(find_device("local"))
    assert not on_this_host(devices["gate"])
