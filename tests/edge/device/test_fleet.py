"""Several boards at once: side by side, one failure stays one failure."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.base.errors import DeviceError, ExitCode, LinkError, UsageError
from edge.commands.device import probe
from edge.device.board import Device, load_profile
from edge.device.fleet import fleet_exit, run_fleet, select_devices

INVENTORY = """schema: plate-edge/devices/1
devices:
  a: {board: rpi4, ssh: 127.0.0.1:1, groups: [lab]}
  b: {board: rpi5, ssh: h, groups: [lab, yard]}
  c: {board: local, groups: [yard]}
"""


@pytest.fixture
def inventory(tmp_path: Path, own_cache: Path) -> Path:
    path = tmp_path / "devices.yml"
    path.write_text(INVENTORY)
    return path


def boards(count: int) -> list[Device]:
    return [Device(f"b{number}", load_profile("rpi4"), "ssh", "h") for number in range(count)]


def test_devices_by_name_and_group(inventory: Path) -> None:
    assert [device.name for device in select_devices(("c", "a", "c", "local"), (), inventory)] == ["c", "a", "local"]
    assert [device.name for device in select_devices((), ("lab",), inventory)] == ["a", "b"]
    assert [device.name for device in select_devices((), ("lab", "yard"), inventory)] == ["a", "b", "c"]
    assert [device.name for device in select_devices((), (), inventory)] == ["local"]
    for names, groups in ((("a",), ("lab",)), ((), ("nope",)), (("nope",), ())):
        with pytest.raises(UsageError) as refusal:
            select_devices(names, groups, inventory)
        assert refusal.value.hint
    with pytest.raises(UsageError, match="Groups: lab, yard"):
        select_devices((), ("nope",), inventory)


def test_boards_work_side_by_side_and_answers_keep_their_order() -> None:
    # Boards that took turns would never meet; the first is the last to end.
    meeting, others = threading.Barrier(8), threading.Semaphore(0)

    def work(device: Device) -> str:
        meeting.wait(timeout=600)
        if device.name == "b0":
            assert all(others.acquire(timeout=600) for _ in range(7))
        others.release()
        return device.name.upper()

    outcomes = run_fleet(boards(8), work)
    assert [outcome.value for outcome in outcomes] == [f"B{number}" for number in range(8)]
    assert fleet_exit(outcomes) == ExitCode.OK


def test_one_failing_board_does_not_stop_the_rest() -> None:
    def work(device: Device) -> str:
        if device.name == "b1":
            raise LinkError("b1 is away.", "Plug it in.")
        if device.name == "b2":
            raise RuntimeError("surprise")
        return "fine"

    outcomes = run_fleet(boards(4), work)
    assert [outcome.ok for outcome in outcomes] == [True, False, False, True]
    assert fleet_exit(outcomes) == ExitCode.PARTIAL
    documents = [outcome.document(lambda device, value: {"it is": value}) for outcome in outcomes]
    assert len(documents) == 4 and documents[0] == {"device": "b0", "board": outcomes[0].device.board.name, "it is": "fine"}
    assert documents[1]["hint"] == "Plug it in." and "bug of the kit" in documents[2]["hint"]


def test_exit_code_when_all_fail() -> None:
    def away(device: Device) -> str:
        raise LinkError("away")

    def mixed(device: Device) -> str:
        raise LinkError("away") if device.name == "b0" else DeviceError("crashed")

    assert fleet_exit(run_fleet(boards(2), away)) == ExitCode.CONNECTION
    assert fleet_exit(run_fleet(boards(2), mixed)) == ExitCode.PARTIAL


def test_probe_of_a_group(inventory: Path) -> None:
    inventory.write_text(INVENTORY.replace("ssh: h,", "ssh: 127.0.0.1:1,"))
    answer = CliRunner().invoke(probe, ["--device", "a,c", "--json", "--inventory", str(inventory)])
    assert answer.exit_code == ExitCode.PARTIAL
    first, second = json.loads(answer.output)
    assert first["code"] == ExitCode.CONNECTION and "refuses" in first["error"]
    assert second["probe"]["cores"]
    answer = CliRunner().invoke(probe, ["--group", "lab", "--inventory", str(inventory)])
    assert answer.exit_code == ExitCode.CONNECTION and "a: error: a ([" in answer.output
