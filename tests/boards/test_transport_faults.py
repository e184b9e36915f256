"""Links that break in the middle: what arrives is whole or not there, and the same call ends the job."""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from adbd_services import TestDevice
from cutproxy import CutProxy
from sshd_server import SshServer

from edge.base.errors import DeviceError, LinkError
from edge.base.paths import sha256_file
from edge.device.board import Device, load_profile
from edge.protocol import transfer
from edge.protocol.base import CompletedCommand
from edge.transport.connect import connect
from edge.transport.local import LocalTransport

SIZE = 1_500_000
CUTS = 10


@pytest.mark.parametrize("seed", range(20))
def test_link_cut_at_ten_random_points_of_a_push(ssh_board: SshServer, tmp_path: Path, seed: int) -> None:
    """The old file stays until the new one is whole; nothing is sent twice beyond what was in flight."""
    rng = random.Random(seed)
    # Most cuts within the content, some within the first 3 kB, which are key exchange and authentication.
    cuts = [rng.randrange(3_000) if rng.random() < 0.15 else rng.randrange(3_000, 140_000) for _ in range(CUTS)]
    proxy = CutProxy(ssh_board.port, cuts)
    device = dataclasses.replace(ssh_board.device(), port=proxy.port)
    known = tmp_path / "config" / "plate-edge" / "known_hosts"
    known.write_text(known.read_text() + f"[127.0.0.1]:{proxy.port} {ssh_board.host_key}\n")
    source = tmp_path / "model.nb"
    source.write_bytes(rng.randbytes(SIZE))
    folder = ssh_board.home / f"cut-{seed}"
    folder.mkdir()
    (folder / "model.nb").write_bytes(b"old")
    transport = connect(device)
    steps: list[int] = []
    for _ in range(CUTS + 1):
        try:
            assert transport.put(source, f"{folder}/model.nb", progress=lambda done, total: steps.append(done)) is True
            break
        except LinkError as error:
            assert error.transient and error.hint
            assert (folder / "model.nb").read_bytes() == b"old", "a part of the new file was let in"
    transport.close()
    proxy.close()
    assert (folder / "model.nb").read_bytes() == source.read_bytes()
    assert [path.name for path in folder.iterdir()] == ["model.nb"]
    assert proxy.done == CUTS
    shutil.rmtree(folder)


def test_board_that_loses_power_in_a_push(ssh_board: SshServer, tmp_path: Path) -> None:
    source = tmp_path / "model.nb"
    source.write_bytes(os.urandom(8 << 20))
    transport = connect(ssh_board.device())
    fallen: list[int] = []

    def progress(done: int, total: int) -> None:
        if done > total // 2 and not fallen:
            fallen.append(done)
            ssh_board.stop()

    target = ssh_board.home / "power" / "model.nb"
    try:
        with pytest.raises(LinkError):
            transport.put(source, str(target), progress=progress)
        assert not target.exists()
    finally:
        ssh_board.start()
    steps: list[int] = []
    assert transport.put(source, str(target), progress=lambda done, total: steps.append(done)) is True
    assert target.read_bytes() == source.read_bytes()
    assert steps[0] > 0, "began from the start although a part had arrived"
    transport.close()


def test_link_that_freezes_does_not_hold_us_for_ever(
    ssh_board: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.transport.ssh.DEAD_AFTER", 3.0)
    source = tmp_path / "model.nb"
    source.write_bytes(os.urandom(8 << 20))
    others = connections(ssh_board)
    transport = connect(ssh_board.device())
    frozen: list[int] = []

    def progress(done: int, total: int) -> None:
        if done > total // 4 and not frozen:
            frozen.extend(freeze(ssh_board, others))

    try:
        # The frozen server answers nothing; a new connection to it works, and the rest is sent over that.
        assert transport.put(source, str(ssh_board.home / "frozen"), progress=progress) is True
    finally:
        wake(frozen)
    assert frozen
    assert (ssh_board.home / "frozen").read_bytes() == source.read_bytes()
    transport.close()


def connections(server: SshServer) -> set[int]:
    """Lists the server's processes, one a connection; other tests may have left some."""
    assert server.process is not None
    listing = subprocess.run(["pgrep", "-P", str(server.process.pid)], capture_output=True, text=True, check=False)
    return {int(pid) for pid in listing.stdout.split()}


def freeze(server: SshServer, others: set[int]) -> list[int]:
    """Stops the server's processes of all connections but `others`."""
    pids = sorted(connections(server) - others)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    return pids


def wake(pids: list[int]) -> None:
    """Lets the servers of frozen connections go on, and waits for their end: nobody is there any more."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        time.sleep(0.01)


def test_program_on_a_link_that_froze_is_not_waited_for(
    ssh_board: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence alone is no sign of it: a server that answers is asked again and again."""
    monkeypatch.setattr("edge.transport.ssh.DEAD_AFTER", 0.3)
    monkeypatch.setattr("edge.transport.ssh.CONNECT_TIMEOUT", 1.0)
    others = connections(ssh_board)
    transport = connect(ssh_board.device())
    assert transport.run(["sh", "-c", "sleep 1.5; echo done"]).stdout == "done\n"
    frozen: list[int] = []
    try:
        with pytest.raises(LinkError, match="no longer answers"):
            transport.run(
                ["sh", "-c", "echo begun; sleep 60"], on_stdout=lambda line: frozen.extend(freeze(ssh_board, others))
            )
        assert frozen
    finally:
        transport.close()
        wake(frozen)


@pytest.mark.parametrize(
    ("options", "words"), [("size=1m", "disk of .* is full"), ("ro", "cannot write"), ("size=900k", "is full")]
)
def test_disk_that_is_full_or_read_only(ssh_board: SshServer, tmp_path: Path, options: str, words: str) -> None:
    if not ssh_board.own_users:
        pytest.skip("only root can mount a small disk")
    source = tmp_path / "model.nb"
    source.write_bytes(os.urandom(2 << 20))
    transport = connect(ssh_board.device("gate"))
    disk = ssh_board.home / "disk"
    ssh_board.mount(disk, options)
    try:
        with pytest.raises(DeviceError, match=words) as failure:
            transport.put(source, f"{disk}/model.nb")
        assert failure.value.hint
        left = transport.run_check(["ls", "-A", str(disk)]).stdout
        assert left == "", "what did not fit was left on the full disk"
    finally:
        transport.close()
        ssh_board.unmount(disk)


def test_adb_cut_at_ten_random_points_of_a_push(adb_phone: TestDevice, tmp_path: Path) -> None:
    rng = random.Random(7)
    transport = connect(Device("phone", load_profile("android-arm64"), "adb", serial=adb_phone.serial))
    target = adb_phone.path("/data/local/tmp/kit/model.nb")
    target.parent.mkdir()
    target.write_bytes(b"old")
    source = tmp_path / "model.nb"
    before = target.read_bytes()
    for _ in range(10):
        source.write_bytes(rng.randbytes(6 << 20))
        # Too little for one piece of the file, or enough for some: then the transport goes on by itself.
        adb_phone.settings.cut_after = rng.randrange(20_000, 8 << 20)
        try:
            transport.put(source, "/data/local/tmp/kit/model.nb")
        except LinkError as error:
            assert error.hint
            assert target.read_bytes() == before
            adb_phone.settings.cut_after = 0
            transport.put(source, "/data/local/tmp/kit/model.nb")
        assert target.read_bytes() == source.read_bytes()
        assert [path.name for path in target.parent.iterdir()] == ["model.nb"]
        before = target.read_bytes()
    assert adb_phone.listener.accepted > 10, "the link was not cut"
    transport.close()


@pytest.mark.parametrize("says", ["wc: applet not found", "²", "9" * 5000])
def test_board_whose_wc_prints_no_number(says: str, tmp_path: Path) -> None:
    class OddBoard(LocalTransport):
        """Finds a `wc` of its own before the system's."""

        def run(self, argv: Sequence[str], **options: Any) -> CompletedCommand:
            return super().run(argv, **{**options, "env": {"PATH": f"{tmp_path}:{os.environ['PATH']}"}})

    (tmp_path / "wc").write_text(f"#!/bin/sh\necho '{says}'\n")
    (tmp_path / "wc").chmod(0o755)
    local, target = tmp_path / "here", tmp_path / "there"
    local.write_bytes(b"content")
    Path(transfer.part_name(str(target), sha256_file(local), "12345678")).write_bytes(b"con")
    with pytest.raises(DeviceError, match="wc -c"):
        transfer.put(OddBoard(), local, str(target), 0o644, None)  # type: ignore[arg-type]
    with pytest.raises(DeviceError, match="wc -c"):
        transfer.get(OddBoard(), str(local), tmp_path / "back", None)  # type: ignore[arg-type]
