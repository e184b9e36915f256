"""Several flashes at once, clocks that jump and locks whose holder is gone, on purpose; see test_faults_flash.py."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from flashkit import NEW, OLD, Make, at, reads

from edge.base.errors import DeviceError
from edge.protocol.base import CompletedCommand
from edge.release.flash import flash
from edge.release.lock import BusyError
from edge.release.releases import look
from edge.transport.local import LocalTransport


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
