"""The virtual ARM64 board: a real sshd in a real ARM userland. Flash, run, go back, and pull its plug."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner
from flashkit import Make, commands_of, make_release, reads, release_maker

from edge.base.errors import DeviceError, HostError, InputError, LinkError, UsageError
from edge.commands.virtual import virtual
from edge.device.board import find_device, load_profile
from edge.protocol.base import Transport
from edge.release.flash import flash
from edge.release.releases import look, rollback
from edge.transport.connect import connect, device_root
from edge.virtual.board import VirtualBoard, down, find_board, up
from edge.virtual.rootfs import ARCHS, check_host, cpuinfo, ensure_root


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    return release_maker(tmp_path_factory.mktemp("releases"), board=load_profile("virtual"), abi="arm64")


@pytest.fixture
def link(use_virtual: VirtualBoard, tmp_path: Path) -> tuple[Transport, str]:
    device = find_device(use_virtual.name)
    transport = connect(device)
    return transport, f"{device_root(transport, device)}/{tmp_path.name}"


def test_it_is_an_arm_board_of_its_own(link: tuple[Transport, str]) -> None:
    transport, _ = link
    script = "uname -m; id -un; cat /proc/cpuinfo; echo $QEMU_CPU; ps -e | wc -l; hostname"
    machine, user, *info, cpu, processes, name = transport.run_check(["sh", "-c", script]).stdout.splitlines()
    assert (machine, user, cpu) == ("aarch64", "board", "cortex-a72")
    assert "CPU part\t: 0xd08" in info
    assert not any("GenuineIntel" in line or "AuthenticAMD" in line for line in info)
    assert int(processes) < 20
    # Paddle Lite sizes its tables by these files and fills them from /proc/cpuinfo.
    counted = transport.run_check(["sh", "-c", "ls /sys/devices/system/cpu/cpu*/uevent"]).stdout.splitlines()
    assert len(counted) == sum("CPU part" in line for line in info)
    assert name.startswith("test-")


def test_flash_run_change_and_go_back(link: tuple[Transport, str], make: Make) -> None:
    transport, root = link
    first, second = make("皖A12345"), make("京B00000")
    done = flash(transport, root, first)
    assert done.sent_bytes == first.manifest.size
    assert reads(root, transport) == "皖A12345"
    # Under emulation a process costs a tenth of a second.
    asked, again = commands_of(transport, lambda: flash(transport, root, first))
    assert again.already and again.sent_files == 0 and asked <= 3
    model = next(item for item in second.manifest.files if item.path.endswith("rec.nb"))
    assert flash(transport, root, second).sent_bytes == model.size
    assert reads(root, transport) == "京B00000"
    rollback(transport, root)
    assert reads(root, transport) == "皖A12345"


def test_a_port_that_was_taken_meanwhile_is_changed(virtual_board: VirtualBoard) -> None:
    """Another's ssh server would be taken for the board, and its key for a changed one."""
    name = f"test-port-{os.getpid()}"
    try:
        up(name, register=False)
        old = down(name, register=False).port
        with socket.create_server(("127.0.0.1", old), backlog=8):
            again = up(name, register=False)
            assert again.running and again.port != old
            assert subprocess.run(again.ssh_command(["id", "-un"]), capture_output=True, check=True).stdout == b"board\n"
    finally:
        down(name, remove=True, register=False)


def test_its_plug_is_pulled_between_verify_and_switch(
    use_virtual: VirtualBoard, link: tuple[Transport, str], make: Make
) -> None:
    transport, root = link
    flash(transport, root, make("皖A12345"))

    def pull(text: str) -> None:
        if text.startswith("publish"):
            down(use_virtual.name, register=False)

    with pytest.raises(LinkError):
        flash(transport, root, make("京B00000"), report=pull)
    with pytest.MonkeyPatch.context() as patch:
        # To make its root anew takes minutes.
        patch.setattr("edge.virtual.rootfs._run", None)
        board = up(use_virtual.name, register=False)
    # The same address and the same host key: nobody has to be told.
    assert board.port == use_virtual.port
    assert look(transport, root).current == make("皖A12345").hash
    assert reads(root, transport) == "皖A12345"
    flash(transport, root, make("京B00000"))
    assert reads(root, transport) == "京B00000"
    assert look(transport, root).lock == ""


def test_a_32_bit_release_is_refused(link: tuple[Transport, str], tmp_path: Path) -> None:
    transport, root = link
    bundle = make_release(tmp_path, board=load_profile("generic-armhf"), abi="armhf")
    with pytest.raises(DeviceError, match=r"The board runs arm64 programs.* the bundle is armhf"):
        flash(transport, root, bundle)


def test_commands_show_it(use_virtual: VirtualBoard) -> None:
    def call(*arguments: str) -> str:
        answer = CliRunner().invoke(virtual, arguments, catch_exceptions=False)
        assert answer.exit_code == 0
        return answer.stdout

    name = use_virtual.name
    boards = {item["name"]: item for item in json.loads(call("status", "--json"))}
    assert boards[name]["running"]
    assert f"port {use_virtual.port}" in call("status")
    # On already: nothing is done.
    assert json.loads(call("up", name, "--json"))["pid"] == use_virtual.pid
    device = find_device(name)
    assert (device.host, device.port, device.user, device.board.name) == (
        "127.0.0.1",
        use_virtual.port,
        "board",
        "virtual",
    )


def test_ssh_by_command(use_virtual: VirtualBoard, capfd: pytest.CaptureFixture[str]) -> None:
    answer = CliRunner().invoke(virtual, ["ssh", use_virtual.name, "uname", "-m"])
    assert answer.exit_code == 0
    assert capfd.readouterr().out == "aarch64\n"
    assert CliRunner().invoke(virtual, ["ssh", use_virtual.name, "--", "exit", "7"]).exit_code == 7


def test_it_leaves_the_inventory_with_its_end(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge.virtual.board import _write

    board = VirtualBoard("gone", "arm64", 54321)
    board.folder.mkdir(parents=True)
    _write(board)
    inventory = own_cache.parent / "devices.yml"
    entry = "  {}:\n    board: virtual\n    ssh: board@127.0.0.1:{}\n"
    text = "schema: plate-edge/devices/1\ndevices:\n" + entry.format("gone", 54321) + entry.format("mine", 22)
    inventory.write_text(text)
    down("gone", remove=True, inventory=inventory)
    assert "gone" not in inventory.read_text()
    assert "mine" in inventory.read_text()
    assert not board.folder.exists()
    with pytest.raises(UsageError, match="no virtual board"):
        find_board("gone")


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HostError, match="needs root") as caught:
        check_host(ARCHS["arm64"])
    assert "sudo" in caught.value.hint


def test_two_at_a_time_make_one_root(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[list[str]] = []
    told: list[str] = []
    waits = threading.Event()

    def run(command: list[str], report: object) -> None:
        made.append(command)
        assert waits.wait(600)
        Path(next(word for word in command if word.startswith(str(own_cache)))).mkdir()

    def report(text: str) -> None:
        told.append(text)
        if "waiting" in text:
            waits.set()

    monkeypatch.setattr("edge.virtual.rootfs._run", run)
    monkeypatch.setattr("edge.virtual.rootfs._prepare", lambda root: None)
    monkeypatch.setattr("edge.virtual.rootfs.shutil.which", lambda name: f"/usr/bin/{name}")
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: ensure_root(ARCHS["arm64"], report), range(2))
    assert first == second and first.is_dir() and len(made) == 1 and any("another process" in text for text in told)
    # What it mounts there ends with it; left behind, this host's /dev/shm would be emptied with the folder.
    assert made[0][:2] == ["unshare", "--mount"] and "mmdebstrap" in made[0]


@pytest.mark.parametrize("name", ["", "../x", "A", "a b", "-x", "a/b", "x" * 60])
def test_odd_names_are_refused(name: str, own_cache: Path) -> None:
    with pytest.raises(InputError):
        up(name)


def test_cpuinfo_is_what_the_runtime_reads() -> None:
    text = cpuinfo(ARCHS["arm64"], 4)
    assert text.count("processor\t:") == 4
    assert text.count("CPU part\t: 0xd08") == 4
    assert "neon" in cpuinfo(ARCHS["armhf"], 1)
