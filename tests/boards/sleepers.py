"""Links that freeze: what ran over them on the board is stopped, and goes on at a moment of the test's choice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge.base.errors import LinkError
from edge.base.progress import Progress
from edge.device.board import Device, load_profile
from edge.protocol.base import CompletedCommand
from edge.protocol.transfer import append_command
from edge.transport.adb import AdbTransport
from edge.transport.local import LocalTransport


class Sleepers:
    """Stops one of a link's calls in its midst, and wakes it some calls later.

    Args:
        dice: Decides where a script stops, and how much of a file was written by then.
        freeze: Number of the call that freezes, from 1.
        wake: How many calls later it wakes up; by then it has ended when the next one begins.
    """

    def __init__(self, dice: random.Random, freeze: int, wake: int) -> None:
        self.dice, self.freeze_at, self.wake_at = dice, freeze, freeze + 1 + wake
        self.calls = 0
        self.frozen: subprocess.Popen[bytes] | None = None
        self.rest = b""
        self.froze = False

    def call(self) -> bool:
        """Counts a call; wakes who is to be woken; returns whether this call freezes."""
        self.calls += 1
        if self.calls == self.wake_at:
            self.wake()
        self.froze = self.froze or self.calls == self.freeze_at
        return self.calls == self.freeze_at

    def wake(self) -> None:
        """Lets the frozen process go on, and waits for its end."""
        process, self.frozen = self.frozen, None
        if process is not None:
            os.killpg(process.pid, signal.SIGCONT)
            process.communicate(self.rest, timeout=60)

    def stop_script(self, argv: Sequence[str], at: str = "") -> None:
        """Runs `sh -c SCRIPT ...` up to a line of it, the first with `at` or any; the link freezes there.

        Raises:
            LinkError: Always.
        """
        lines = argv[2].split("\n")
        fits = [number for number, line in enumerate(lines) if at and at in line]
        lines.insert(fits[0] if fits else self.dice.randrange(len(lines) + 1), "kill -STOP $$")
        null = subprocess.DEVNULL
        process = subprocess.Popen(
            [argv[0], "-c", "\n".join(lines), *argv[3:]],
            stdin=subprocess.PIPE, stdout=null, stderr=null, start_new_session=True,
        )  # fmt: skip
        if os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1]):
            self.frozen, self.rest = process, b""
        raise LinkError("frozen", "again")

    def write(self, command: str, data: bytes, grows: Path, *, stop: bool) -> None:
        """Feeds a command of the board; with `stop` a part only, and the link freezes there.

        Raises:
            LinkError: It froze.
        """
        process = subprocess.Popen(["sh", "-c", command], stdin=subprocess.PIPE, start_new_session=True)
        if not stop:
            process.communicate(data, timeout=60)
            return
        before = grows.stat().st_size if grows.exists() else 0
        sent = self.dice.randrange(len(data) + 1)
        assert process.stdin is not None
        process.stdin.write(data[:sent])
        process.stdin.flush()
        while not grows.exists() or grows.stat().st_size < before + sent:
            time.sleep(0.0005)
        os.killpg(process.pid, signal.SIGSTOP)
        self.frozen, self.rest = process, data[sent:]
        raise LinkError("frozen", "again")


class FreezingSsh(LocalTransport):
    """Moves files as ssh does, through the same scripts, to a folder of this host."""

    def __init__(self, sleepers: Sleepers) -> None:
        self.sleepers = sleepers

    def run(self, argv: Sequence[str], **options: Any) -> CompletedCommand:
        if self.sleepers.call():
            self.sleepers.stop_script(argv)
        return super().run(argv, **options)

    def send(self, local: Path, offset: int, remote: str, progress: Progress | None) -> None:
        data = local.read_bytes()[offset:]
        self.sleepers.write(append_command(remote), data, Path(remote), stop=self.sleepers.call())


class FreezingAdb(AdbTransport):
    """Moves files as adb does, in pieces, to a folder of this host."""

    def __init__(self, sleepers: Sleepers) -> None:
        super().__init__(Device("phone", load_profile("android-arm64"), "adb"))
        self.board = FreezingSsh(sleepers)

    def run(self, argv: Sequence[str], **options: Any) -> CompletedCommand:
        return self.board.run(argv, **options)

    def _push(self, local: Path, remote: str) -> None:
        sleepers = self.board.sleepers
        sleepers.write(f"cat >'{remote}'", local.read_bytes(), Path(remote), stop=sleepers.call())
