"""What goes wrong with boards, on purpose. In every row: the release that ran still runs and reads what it read, no
other is switched on, and the same flash succeeds afterwards. docs/faults.md has the figures."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cutproxy import CutProxy
from flashkit import NEW, OLD, Make, at, reads, recovers
from sshd_server import SshServer

from edge.base.errors import DeviceError, EdgeError, LinkError, VerifyError
from edge.base.progress import Progress
from edge.release.flash import flash
from edge.release.releases import look
from edge.transport.connect import connect
from edge.transport.local import LocalTransport

# The whole table: 20 seeds of 10 cuts. `make test` runs a sample of it, the release's check all.
SEEDS = 20 if os.environ.get("PLATE_EDGE_ALL_FAULTS") == "1" else 3
STEPS = ("look", "lock", "reuse", "preflight", "push", "verify", "smoke", "publish", "switch", "sweep")


@pytest.mark.parametrize("seed", range(SEEDS))
def test_link_cut_at_ten_random_points(
    seed: int, ssh_board: SshServer, root: str, make: Make, tmp_path: Path
) -> None:
    dice = random.Random(seed)
    # From within the handshake (some 3 kB) on; the new model has 0.2 MB, so that each cut hits the push somewhere.
    proxy = CutProxy(ssh_board.port, [dice.randint(1_000, 30_000) for _ in range(10)])
    known = tmp_path / "config/plate-edge/known_hosts"
    known.write_text(f"[127.0.0.1]:{proxy.port} {ssh_board.host_key}\n")
    transport = connect(ssh_board.device(port=proxy.port))
    attempts = 0
    try:
        while True:
            attempts += 1
            assert attempts <= 12
            try:
                flash(transport, root, make(NEW))
                break
            except LinkError:
                assert reads(root) in (OLD, NEW)
    finally:
        transport.close()
        proxy.close()
    assert proxy.done >= 8
    assert reads(root) == NEW
    assert flash(LocalTransport(), root, make(NEW)).already


@pytest.mark.parametrize("step", STEPS)
def test_host_process_killed_at_each_step(step: str, root: str, make: Make) -> None:
    bundle = make(NEW)
    child = os.fork()
    if child == 0:
        flash(LocalTransport(), root, bundle, report=at(step, lambda: os.kill(os.getpid(), signal.SIGKILL)))
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    if step == "sweep":  # everything that matters was done
        assert reads(root) == NEW
        return
    recovers(root, make)


def test_board_restarts_between_verify_and_switch(ssh_board: SshServer, root: str, make: Make) -> None:
    def restart() -> None:
        ssh_board.stop()
        ssh_board.start()

    transport = connect(ssh_board.device())
    reads(root, transport)
    try:
        flash(transport, root, make(NEW), report=at("publish", restart))
    except LinkError:
        assert reads(root) == OLD
    # Either the transport came back by itself and finished, or the same flash does.
    flash(transport, root, make(NEW))
    assert reads(root, transport) == NEW
    assert look(transport, root).lock == ""


def test_board_off_between_verify_and_switch(ssh_board: SshServer, root: str, make: Make) -> None:
    transport = connect(ssh_board.device())
    try:
        with pytest.raises(LinkError):
            flash(transport, root, make(NEW), report=at("publish", ssh_board.stop))
    finally:
        ssh_board.start()
    assert look(transport, root).lock != ""
    recovers(root, make, transport)


@pytest.fixture
def small_disk(tmp_path: Path, make: Make) -> Iterator[Path]:
    """A board's folder on a disk of its own, of 40 MB, with the old release switched on."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)], check=False)
    if mounted.returncode != 0:
        pytest.skip("mounting is not possible here")
    try:
        flash(LocalTransport(), str(folder / "board"), make(OLD))
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, leave: int) -> Path:
    """Fills a disk but for some bytes."""
    free = os.statvfs(folder)
    size = free.f_bavail * free.f_frsize - leave
    path = folder / "filler"
    with path.open("wb") as out:
        while size > 0:
            size -= out.write(bytes(min(size, 1 << 20)))
    return path


def test_disk_full_is_seen_before_the_push(small_disk: Path, make: Make) -> None:
    filler = fill(small_disk, 2 << 20)
    with pytest.raises(DeviceError, match=r"has \d MiB free; \d+ are needed") as caught:
        flash(LocalTransport(), str(small_disk / "board"), make(NEW))
    assert "edge clean" in caught.value.hint
    filler.unlink()
    recovers(str(small_disk / "board"), make)


@pytest.mark.parametrize("over", ["local", "ssh"])
def test_disk_fills_up_during_the_push(over: str, ssh_board: SshServer, small_disk: Path, make: Make) -> None:
    root = str(small_disk / "board")
    if over == "ssh":
        # The server looks at mounts of its own, made before this disk was.
        ssh_board.stop()
        ssh_board.start()
    transport = LocalTransport() if over == "local" else connect(ssh_board.device())
    with pytest.raises(DeviceError, match="is full") as caught:
        flash(transport, root, make(NEW), report=at("push", lambda: fill(small_disk, 100_000)))
    assert "edge clean" in caught.value.hint
    # What the attempt had brought was taken back.
    assert [path for path in (small_disk / "board/staging").rglob("*") if path.is_file()] == []
    (small_disk / "filler").unlink()
    recovers(root, make)


@pytest.mark.parametrize("step", ["lock", "push", "publish", "switch"])
def test_disk_turns_read_only(step: str, small_disk: Path, make: Make) -> None:
    def remount(how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(small_disk)], check=True)

    root = str(small_disk / "board")
    with pytest.raises(EdgeError) as caught:
        flash(LocalTransport(), root, make(NEW), report=at(step, lambda: remount("ro")))
    assert "read-only" in caught.value.message.lower() or "cannot write" in caught.value.message.lower()
    assert reads(root) == OLD
    remount("rw")
    recovers(root, make)


def test_a_byte_is_corrupted_after_the_push(root: str, make: Make) -> None:
    def corrupt() -> None:
        (path,) = Path(root).glob(f"staging/{make(NEW).hash}.*/models/test-fp32/rec.nb")
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2] ^= 0x10
        path.write_bytes(raw)

    done = flash(LocalTransport(), root, make(NEW), report=at("verify", corrupt))
    assert "sent again" in done.notes[-1]
    assert reads(root) == NEW


class Tampering(LocalTransport):
    """A board whose disk flips a bit in every large file."""

    def put(self, local: Path, remote: str, *, mode: int = 0o644, progress: Progress | None = None) -> bool:
        sent = super().put(local, remote, mode=mode, progress=progress)
        if remote.endswith(("rec.nb", ".pack.tar")):
            path = Path(remote)
            raw = bytearray(path.read_bytes())
            raw[-100_000] ^= 1
            path.write_bytes(raw)
        return sent


def test_a_disk_that_corrupts_is_not_trusted(root: str, make: Make) -> None:
    with pytest.raises(VerifyError, match="arrived damaged"):
        flash(Tampering(), root, make(NEW))
    recovers(root, make)


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("HANG", DeviceError, "did not end within"),
        ("CRASH", DeviceError, "on local was ended by SIGSEGV .a segmentation fault"),
        ("GARBAGE", VerifyError, "printed nonsense"),
        ("FLOOD", DeviceError, "printed more than"),
    ],
)
def test_a_program_that_misbehaves_is_never_switched_on(
    text: str, kind: type[EdgeError], says: str, root: str, make: Make
) -> None:
    with pytest.raises(kind, match=says):
        flash(LocalTransport(), root, make(text), smoke_timeout=1.5 if text == "HANG" else 600)
    assert look(LocalTransport(), root).releases == (make(OLD).hash,)
    recovers(root, make)


@pytest.mark.parametrize("text", ["HANG", "FLOOD"])
def test_a_wild_program_is_ended_over_ssh_too(text: str, ssh_board: SshServer, root: str, make: Make) -> None:
    transport = connect(ssh_board.device())
    with pytest.raises(DeviceError):
        flash(transport, root, make(text), smoke_timeout=2)
    deadline = time.monotonic() + 600
    look_for = ["pgrep", "-f", f"{root}/staging"]
    while left := subprocess.run(look_for, capture_output=True, text=True, check=False).stdout:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
    recovers(root, make, transport)
