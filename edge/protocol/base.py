"""The protocol between the kit and a board: four verbs, after labgrid's command and file-transfer protocols."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypedDict

from edge.base.errors import DeviceError, InputError, LinkError
from edge.base.progress import Progress, Say
from edge.host.ending import ended_by
from edge.protocol.capture import Capture, OutputOverflow
from edge.protocol.child import DeadlinePassed

if TYPE_CHECKING:
    from typing_extensions import Unpack


class RunOptions(TypedDict, total=False):
    """Options of `Transport.run`; see `Call`."""

    timeout: float | None
    env: Mapping[str, str] | None
    cwd: str | None
    on_stdout: Say | None
    max_output: int


@dataclass(frozen=True)
class Call:
    """One program to be run on a board.

    Attributes:
        argv: Program and arguments, passed as they are.
        timeout: Seconds; then the program on the board is ended too. None waits for ever.
        env: Added to the board's environment.
        cwd: Folder on the board.
        on_stdout: Called with every line of standard output (without its end) as it arrives.
        max_output: Bytes of output kept at most; with more, the program is ended.
        started: On the monotonic clock.
    """

    argv: tuple[str, ...]
    timeout: float | None = None
    env: Mapping[str, str] | None = None
    cwd: str | None = None
    on_stdout: Say | None = None
    max_output: int = 64 << 20
    started: float = field(default_factory=time.monotonic)

    @property
    def deadline(self) -> float | None:
        """When the time is up, on the monotonic clock; None for never."""
        return None if self.timeout is None else self.started + self.timeout

    def capture(self) -> Capture:
        """Returns what takes the program's output."""
        return Capture(self.on_stdout, self.max_output)

    def completed(self, code: int, capture: Capture, signal: int | None) -> CompletedCommand:
        """Returns the answer of a program that has just ended."""
        return CompletedCommand(self.argv, code, *capture.finish(), signal, time.monotonic() - self.started)


@dataclass(frozen=True)
class CompletedCommand:
    """What a program on a board answered.

    Attributes:
        argv: The command as it was asked for.
        code: Exit code 0..255; 128 + signal when it was killed by one.
        stdout: Everything it printed, up to the transport's cap (then the last part is missing and a
            `DeviceError` says so).
        stderr: Likewise.
        signal: Number of the signal that ended it, None when it ended by itself.
        seconds: Wall time, link included.
    """

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str
    signal: int | None
    seconds: float


class CommandError(DeviceError):
    """A program on a board failed; keeps its `CompletedCommand`."""

    def __init__(self, message: str, hint: str = "", result: CompletedCommand | None = None) -> None:
        super().__init__(message, hint)
        self.result = result


class AccessError(LinkError):
    """A board cannot be reached, and asking again without changing something will not help."""

    transient = False


class Transport(Protocol):
    """Runs programs and moves files on one board. Paths on the board are absolute POSIX strings.

    Every transport quotes `argv` itself; nothing a caller passes is evaluated by a shell. The kit's own inherit from this
    class, implement `_run`, and get `run` and `run_check` so.
    """

    name: str

    def run(self, argv: Sequence[str], **options: Unpack[RunOptions]) -> CompletedCommand:
        """Runs a program; a non-zero exit is an answer, not an error.

        Args:
            argv: Program and arguments, passed as they are.
            **options: See `Call`.

        Raises:
            LinkError: The board cannot be reached or the link broke.
            DeviceError: Timeout, or more output than `max_output`.
        """
        call = Call(check_argv(argv), **options)
        try:
            return self._run(call)
        except OutputOverflow:
            message = f"`{argv[0]}` on {self.name} printed more than {call.max_output} bytes and was ended."
            raise DeviceError(message, "Is it in debug mode?") from None
        except DeadlinePassed:
            message = f"`{argv[0]}` on {self.name} did not end within {call.timeout:g} s and was ended."
            raise DeviceError(message, "Give it more time, or see why it hangs.") from None

    def _run(self, call: Call) -> CompletedCommand:
        """Runs one program; see `run`.

        Raises:
            OutputOverflow: More output than may be kept; the program was ended.
            DeadlinePassed: The time was up; likewise.
        """

    def run_check(self, argv: Sequence[str], **options: Unpack[RunOptions]) -> CompletedCommand:
        """As `run`, but a non-zero exit raises `CommandError` with the end of its standard error."""
        return check(self.run(argv, **options))

    def put(self, local: Path, remote: str, *, mode: int = 0o644, progress: Progress | None = None) -> bool:
        """Brings one file to the board: atomic, verified there by SHA-256, skipped when it is already there.

        Returns:
            True when content was transferred, False when the board already had it.
        """

    def get(self, remote: str, local: Path, *, progress: Progress | None = None) -> None:
        """Brings one file from the board, atomic and verified by SHA-256."""

    def shell(self, argv: Sequence[str] | None = None) -> int:
        """Opens an interactive shell on this terminal, or runs a command in it; returns the exit code."""

    def close(self) -> None:
        """Ends the connection; further calls open it again."""


def check(result: CompletedCommand) -> CompletedCommand:
    """Returns `result` when its program succeeded.

    Raises:
        CommandError: With the exit code or signal and the last lines of standard error.
    """
    if result.code == 0:
        return result
    how = ended_by(result.signal) if result.signal else f"ended with exit code {result.code}"
    tail = "\n".join(result.stderr.strip().splitlines()[-5:])
    raise CommandError(f"`{' '.join(result.argv)[:200]}` {how}" + (f":\n{tail}" if tail else "."), result=result)


def check_argv(argv: Sequence[str]) -> tuple[str, ...]:
    """Returns the command as a tuple.

    Raises:
        InputError: Empty, or holds a NUL character, which no system can pass to a program.
    """
    command = tuple(argv)
    if not command or not command[0]:
        raise InputError("There is no program to run.")
    if any("\0" in word for word in command):
        raise InputError("A NUL character cannot be passed to a program.")
    return command


def check_remote_path(path: str) -> str:
    """Returns a path on a board as it is.

    Raises:
        InputError: Not absolute, holds a NUL character, or names no file.
    """
    if not path.startswith("/") or "\0" in path or path.endswith("/"):
        raise InputError(f"{path!r} is not an absolute file name on a board.")
    return path
