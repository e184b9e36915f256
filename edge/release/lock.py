"""One flash at a time: a lock on the board that survives neither its holder nor a restart.

The lock is a folder, since making one is atomic everywhere. Whether its holder still lives is told without a wall
clock, which jumps by years when a board without a battery finds the network: by the process (when it was on this
host), by the board's boot id, and by the board's uptime together with signs of life (a step begun, a file growing).
"""

from __future__ import annotations

import getpass
import os
import re
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edge.base.errors import DeviceError, EdgeError
from edge.base.progress import Say
from edge.protocol.base import Transport
from edge.release.scripts import ACQUIRE, BEAT, BREAK, RELEASE, SWEEP, run_script

# Tokens of the locks that this process holds.
_HELD: set[str] = set()
WATCH = 3.0


class BusyError(DeviceError):
    """Another flash is running on the board."""


@dataclass
class Lock:
    """A held lock.

    Attributes:
        transport: The board.
        root: The kit's folder on it.
        token: Random; proves to the scripts who holds the lock.
        seen: What the board's folder looked like when the lock was taken (see `edge.release.releases.parse_look`).
        until: By this host's monotonic clock: how long nobody expects a sign of life.
        given_back: The lock is no longer held.
    """

    transport: Transport
    root: str
    token: str
    seen: list[str]
    until: float = 0.0
    given_back: bool = False

    def run(self, script: str, step: str, *arguments: str, lease: int = 60, timeout: float = 120.0) -> list[str]:
        """Runs a script of `edge.release.scripts` that begins by proving this lock.

        Args:
            script: One of those that hold the lock.
            step: One word for the messages of others.
            arguments: Of the script.
            lease: Seconds for which no further sign of life has to be expected.
            timeout: Seconds.

        Returns:
            The lines that it printed.

        Raises:
            DeviceError: The lock was lost, or the script failed.
        """
        result = run_script(
            self.transport, script, self.root, self.token, str(lease), step, *arguments, timeout=timeout
        )
        self.given_back = script is SWEEP
        # A little less than the board counts, whose clock began earlier.
        self.until = time.monotonic() + lease - 10
        return result.stdout.splitlines()

    def keep(self, step: str, seconds: int) -> None:
        """Makes sure that nobody expects a sign of life for some seconds; asks the board only when it must."""
        if self.until < time.monotonic() + seconds:
            self.run(BEAT, step, lease=seconds + 30)


@contextmanager
def board_lock(
    transport: Transport,
    root: str,
    *,
    wait: float = 0.0,
    force: bool = False,
    report: Say = lambda text: None,
) -> Iterator[Lock]:
    """Holds the lock of a board.

    Args:
        transport: The board.
        root: The kit's folder on it.
        wait: Seconds to wait for another's lock.
        force: Break another's lock whatever it says.
        report: Called with one line when there is something to wait for.

    Raises:
        BusyError: Another one holds it, and lives.
        DeviceError: The folder cannot be written.
    """
    token = secrets.token_hex(8)
    seen = _acquire(transport, root, token, time.monotonic() + wait, force, report)
    _HELD.add(token)
    lock = Lock(transport, root, token, seen)
    try:
        yield lock
    finally:
        _HELD.discard(token)
        # When the link is what broke, the lock stays behind; the next flash sees that nobody holds it.
        if not lock.given_back:
            with suppress(EdgeError):
                run_script(transport, RELEASE, root, token, timeout=20)


def _acquire(
    transport: Transport, root: str, token: str, until: float, force: bool, report: Say
) -> list[str]:
    said = ""
    while True:
        other = _try(transport, root, token)
        if isinstance(other, list):
            return other
        stale = "forced" if force else _stale(transport, root, token, other)
        if stale:
            report(f"breaking the lock of {other.who}: {stale}")
            run_script(transport, BREAK, root, other.token, token)
            force = False
            continue
        if time.monotonic() >= until:
            raise BusyError(
                f"Another flash is running on {transport.name}: {other.who}, at step `{other.step}`.",
                "Wait for it. If it is certainly dead: `edge flash --break-lock`.",
            )
        if said != other.who:
            said = other.who
            report(f"waiting for {other.who}")
        time.sleep(0.5)


@dataclass(frozen=True)
class _Other:
    """What is known of another's lock; `signs` changes as long as it lives."""

    token: str
    owner: str
    boot: str
    beat: int
    lease: int
    step: str
    now_boot: str
    now: int
    signs: str

    @property
    def who(self) -> str:
        """The holder, for people."""
        return self.owner.split(" start=")[0] or "an unknown process"


def _try(transport: Transport, root: str, token: str) -> _Other | list[str]:
    """Takes the lock and returns what the board's folder looks like, or returns whose it is."""
    result = run_script(transport, ACQUIRE, root, token, _owner(), timeout=30)
    lines = result.stdout.splitlines()
    if "acquired" in lines[:1]:
        return lines
    facts = dict(line.split(" ", 1) for line in lines if " " in line and not line.startswith("file "))
    beat = (facts.get("beat", "").split() + [""] * 4)[:4]
    clock = (facts.get("clock", "").split() + [""] * 2)[:2]
    return _Other(
        token=facts.get("token", ""),
        owner=facts.get("owner", ""),
        boot=beat[0],
        beat=_number(beat[1]),
        lease=_number(beat[2]),
        step=beat[3] or "start",
        now_boot=clock[0],
        now=_number(clock[1]),
        signs=facts.get("beat", "") + "\n".join(line for line in lines if line.startswith("file ")),
    )


def _stale(transport: Transport, root: str, token: str, other: _Other) -> str:
    """Says why another's lock is void; empty when its holder may live."""
    verdict = _holder_is_dead(other)
    if verdict:
        return verdict
    if other.boot and other.now_boot and other.boot != other.now_boot:
        return "the board has restarted since"
    # An uptime that went back means a restart that the boot id did not show; the signs of life decide.
    if other.beat and 0 <= other.now - other.beat <= other.lease:
        return ""
    time.sleep(WATCH)
    later = _try(transport, root, token)
    if isinstance(later, list):
        # The holder went away meanwhile and the lock is ours now: give it back, and let the loop take it.
        run_script(transport, RELEASE, root, token)
        return ""
    if later.token == other.token and later.signs == other.signs:
        return f"no sign of life for {max(0, later.now - other.beat)} s"
    return ""


def _holder_is_dead(other: _Other) -> str:
    fields = dict(part.split("=", 1) for part in other.owner.split() if "=" in part)
    if fields.get("host") != _host():
        return ""
    pid = _number(fields.get("pid", ""))
    if pid == os.getpid() and other.token not in _HELD:
        return "it is from an earlier attempt of this process"
    if process_started(pid) != fields.get("start", ""):
        return "its process is gone"
    return ""


def _owner() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    pid = os.getpid()
    return f"user={user} host={_host()} pid={pid} start={process_started(pid)}"


def _host() -> str:
    """Identifies this host: two machines may share a host name, not a boot id."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    except OSError:
        boot = "unknown"
    name = "".join(mark if mark.isalnum() or mark in "-." else "-" for mark in socket.gethostname())
    return f"{name}/{boot}"


def process_started(pid: int) -> str:
    """When a process began, in clock ticks after boot; empty when there is none.

    A process number alone may belong to another process by now.
    """
    try:
        # The name in brackets may hold blanks and brackets of its own.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return "" if fields[0] in ("Z", "X") else fields[19]
    except (OSError, IndexError):
        return ""


def _number(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,15}", text) else 0
