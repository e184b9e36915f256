"""The same work on several boards at once: one that fails does not stop the others."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from edge.base.errors import EdgeError, ExitCode, UsageError
from edge.device.board import Device, find_device, load_inventory

T = TypeVar("T")
# At most this many at once: boards work, and this host mostly waits for them.
WORKERS = 16


@dataclass(frozen=True)
class BoardOutcome(Generic[T]):
    """What became of the work on one board.

    Attributes:
        device: The board.
        value: What the work returned; None when it failed.
        error: Why it failed; None when it did not.
        seconds: Wall time.
    """

    device: Device
    value: T | None
    error: EdgeError | None
    seconds: float

    @property
    def ok(self) -> bool:
        """The work succeeded."""
        return self.error is None

    def document(self, describe: Callable[[Device, T], Mapping[str, Any]]) -> dict[str, Any]:
        """Returns the outcome as a JSON object: the board, and what `describe` says of the value, or the error."""
        head = {"device": self.device.name, "board": self.device.board.name}
        if self.error is not None:
            return {**head, "error": self.error.message, "hint": self.error.hint, "code": int(self.error.exit_code)}
        assert self.value is not None
        return {**head, **describe(self.device, self.value)}


def select_devices(names: Sequence[str], groups: Sequence[str], inventory: Path | None = None) -> list[Device]:
    """Returns the devices of `--device` or `--group`, each once, in the order given; with neither this computer.

    Raises:
        UsageError: Both are given, an unknown device, or a group without devices.
    """
    if names and groups:
        raise UsageError(
            "Give either --device NAME,... or --group NAME,..., not both.", "`edge device list` shows names and groups."
        )
    if not groups:
        return [find_device(name, inventory) for name in dict.fromkeys(names or ("local",))]
    devices = load_inventory(inventory)
    known = sorted({name for device in devices.values() for name in device.groups})
    for group in groups:
        if group not in known:
            raise UsageError(f"No device is in group {group!r}.", f"Groups: {', '.join(known) or 'none'}.")
    return [device for device in devices.values() if set(groups) & set(device.groups)]


def run_fleet(devices: Sequence[Device], work: Callable[[Device], T]) -> list[BoardOutcome[T]]:
    """Does `work` on every device, in parallel.

    Args:
        devices: The boards.
        work: Called in a thread of its own; an `EdgeError` it raises becomes the outcome, and so does an unexpected
            exception, as an internal error.

    Returns:
        One outcome a device, in the order of `devices`.
    """
    waiting: queue.SimpleQueue[tuple[int, Device]] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, BoardOutcome[T]]] = queue.SimpleQueue()
    for item in enumerate(devices):
        waiting.put(item)

    def loop() -> None:
        while True:
            try:
                index, device = waiting.get_nowait()
            except queue.Empty:
                return
            done.put((index, _try(device, work)))

    # Daemon threads: Ctrl-C ends the command at once, and the links with it, which ends what runs on the boards.
    for _ in range(min(WORKERS, len(devices))):
        threading.Thread(target=loop, daemon=True).start()
    outcomes: dict[int, BoardOutcome[T]] = {}
    while len(outcomes) < len(devices):
        index, outcome = done.get()
        outcomes[index] = outcome
    return [outcomes[index] for index in range(len(devices))]


def _try(device: Device, work: Callable[[Device], T]) -> BoardOutcome[T]:
    started = time.monotonic()
    try:
        return BoardOutcome(device, work(device), None, time.monotonic() - started)
    except EdgeError as error:
        return BoardOutcome(device, None, error, time.monotonic() - started)
    except Exception as error:
        wrapped = EdgeError(f"internal error: {type(error).__name__}: {error}", "This is a bug of the kit; report it.")
        return BoardOutcome(device, None, wrapped, time.monotonic() - started)


def fleet_exit(outcomes: Sequence[BoardOutcome[T]]) -> ExitCode:
    """Returns the exit code: OK, PARTIAL when some failed, and the kind of failure when all failed alike."""
    failed = [outcome.error for outcome in outcomes if outcome.error is not None]
    if not failed:
        return ExitCode.OK
    codes = {error.exit_code for error in failed}
    return codes.pop() if len(failed) == len(outcomes) and len(codes) == 1 else ExitCode.PARTIAL
