"""What goes wrong with boards, on purpose. In every row: the release that ran still runs and reads what it read, no
other is switched on, and the same flash succeeds afterwards. docs/faults.md has the figures."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from cutproxy import CutProxy
from flashkit import Make
from sshd_server import SshServer

from edge.base.errors import DeviceError, EdgeError, LinkError, VerifyError
from edge.base.progress import Progress
from edge.link.connect import connect
from edge.link.local import LocalTransport
from edge.release.flash import flash
from edge.release.lock import BusyError
from edge.release.releases import current_release, look
from edge.transport.base import CompletedCommand, Transport

OLD, NEW = "皖A00001", "京B22222"
# The whole table: 20 seeds of 10 cuts. `make test` runs a sample of it, the release's check all.
SEEDS = 20 if os.environ.get("PLATE_EDGE_ALL_FAULTS") == "1" else 3
STEPS = ("look", "lock", "reuse", "preflight", "push", "verify", "smoke", "publish", "switch", "sweep")


@pytest.fixture
def root(tmp_path: Path, make: Make) -> str:
    """A board's folder with the old release switched on."""
    folder = str(tmp_path / "board")
    flash(LocalTransport(), folder, make(OLD))
    return folder


def reads(root: str, transport: Transport | None = None) -> str:
    """What the switched-on release reads, run as a user would."""
    link = transport or LocalTransport()
    release = current_release(link, root)
    assert release is not None
    argv, env = release.command("test-fp32", "run", release.samples[0])
    return str(json.loads(link.run_check(argv, env=env, timeout=600).stdout)["plates"][0]["text"])


def at(step: str, act: Callable[[], object]) -> Callable[[str], None]:
    """A `report` that does something when a step begins."""

    def report(text: str) -> None:
        if text.split(" ")[0].rstrip(":") == step:
            act()

    return report


def recovers(root: str, make: Make, transport: Transport | None = None) -> None:
    """The old release runs, and the same flash now succeeds."""
    link = transport or LocalTransport()
    assert reads(root, link) == OLD
    done = flash(link, root, make(NEW))
    assert not done.already
    assert reads(root, link) == NEW
    assert look(link, root).lock == ""


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


def test_two_flashes_at_once(root: str, make: Make) -> None:
    bundle, third = make(NEW), make("沪C33333")
    reader, writer = os.pipe()
    go_on, allow = os.pipe()
    child = os.fork()
    if child == 0:
        # Holds the lock until the parent's flash was turned away: one that waited for it would wait for ever.
        try:
            flash(LocalTransport(), root, bundle, report=at("push", lambda: (os.write(writer, b"x"), os.read(go_on, 1))))
            os._exit(0)
        except BaseException:
            os._exit(1)
    os.read(reader, 1)
    with pytest.raises(BusyError, match="Another flash is running") as caught:
        flash(LocalTransport(), root, third)
    os.write(allow, b"x")
    assert f"pid={child}" in caught.value.message
    assert os.waitpid(child, 0)[1] == 0
    assert reads(root) == NEW
    # One that waits gets its turn.
    assert flash(LocalTransport(), root, third, wait=30).previous == bundle.hash


def test_many_flashes_at_once_end_in_one_whole_release(root: str, make: Make) -> None:
    bundles = [make(f"苏D0000{number}") for number in range(3)]
    children = []
    for bundle in bundles:
        child = os.fork()
        if child == 0:
            try:
                flash(LocalTransport(), root, bundle, wait=300)
                os._exit(0)
            except BaseException:
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    state = look(LocalTransport(), root)
    assert {bundle.hash for bundle in bundles} <= set(state.releases)
    assert state.lock == ""
    assert reads(root).startswith("苏D0000")


class Clock(LocalTransport):
    """A board whose uptime and boot id are what the test says."""

    def __init__(self, uptime: int, boot: str = "b") -> None:
        self.uptime, self.boot = uptime, boot

    def run(self, argv: Sequence[str], **options: object) -> CompletedCommand:
        command = [word.replace("/proc/uptime", self._file("uptime")) for word in argv]
        command = [word.replace("/proc/sys/kernel/random/boot_id", self._file("boot")) for word in command]
        return super().run(command, **options)  # type: ignore[arg-type]

    def _file(self, name: str) -> str:
        path = Path(os.environ["PYTEST_CLOCK"]) / name
        path.write_text(f"{self.uptime}.5 1\n" if name == "uptime" else f"{self.boot}\n")
        return str(path)


def foreign_lock(root: str, beat: str) -> None:
    """A lock of a process on another host, of which nothing but its signs can be known."""
    lock = Path(root) / "lock"
    lock.mkdir()
    (lock / "owner").write_text("user=ann host=laptop/1234 pid=77 start=5\n")
    (lock / "token").write_text("0123")
    (lock / "beat").write_text(beat + "\n")


@pytest.mark.parametrize("years", [-30, 30])
def test_clock_jump_on_the_board(
    years: int, root: str, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A board without a battery: its wall clock jumps by years, its uptime does not. Nothing may depend on the former.
    monkeypatch.setenv("PYTEST_CLOCK", str(tmp_path))
    monkeypatch.setattr("edge.release.lock.WATCH", 0.2)
    foreign_lock(root, "b 1000 60 push")
    jumped = time.time() + years * 365 * 86400
    for path in Path(root).rglob("*"):
        os.utime(path, (jumped, jumped), follow_symlinks=False)
    with pytest.raises(BusyError, match="ann"):
        flash(Clock(1030), root, make(NEW))
    assert reads(root) == OLD
    # The lease is over and nothing stirs: it is dead.
    done = flash(Clock(1100), root, make(NEW))
    assert done.previous == make(OLD).hash


@pytest.mark.parametrize(
    ("beat", "uptime", "boot"),
    [
        ("other 1000 600 push", 30, "b"),  # restarted since
        ("b 1000 60 push", 30, "b"),  # uptime went back although the boot id is the same
        ("", 30, "b"),  # died between making the lock and signing it
    ],
)
def test_a_lock_does_not_survive_its_holder(
    beat: str, uptime: int, boot: str, root: str, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_CLOCK", str(tmp_path))
    monkeypatch.setattr("edge.release.lock.WATCH", 0.2)
    foreign_lock(root, beat)
    flash(Clock(uptime, boot), root, make(NEW))
    assert reads(root) == NEW


def test_a_silent_holder_whose_files_grow_is_alive(
    root: str, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_CLOCK", str(tmp_path))
    monkeypatch.setattr("edge.release.lock.WATCH", 2.0)
    foreign_lock(root, "b 1000 60 push")
    growing = Path(root) / "staging/abc/file.part"
    growing.parent.mkdir(parents=True)
    writer = subprocess.Popen(["sh", "-c", 'while :; do echo x >> "$1"; sleep 0.1; done', "sh", str(growing)])
    try:
        with pytest.raises(BusyError):
            flash(Clock(5000), root, make(NEW))
    finally:
        writer.kill()
        writer.wait()
    flash(Clock(5000), root, make(NEW))
    assert reads(root) == NEW


def test_a_flash_whose_lock_was_taken_does_not_switch(root: str, make: Make) -> None:
    def steal() -> None:
        flash(LocalTransport(), root, make("沪C33333"), break_lock=True)

    with pytest.raises(DeviceError, match="took over"):
        flash(LocalTransport(), root, make(NEW), report=at("switch", steal))
    assert reads(root) == "沪C33333"


def test_the_lock_can_be_broken_by_hand(root: str, make: Make) -> None:
    uptime = int(float(Path("/proc/uptime").read_text().split()[0]))
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    foreign_lock(root, f"{boot} {uptime} 600 push")
    with pytest.raises(BusyError) as caught:
        flash(LocalTransport(), root, make(NEW))
    assert "--break-lock" in caught.value.hint
    flash(LocalTransport(), root, make(NEW), break_lock=True)
    assert reads(root) == NEW
