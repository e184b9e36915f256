"""One process at a time in a folder: two fits in one would write over each other's checkpoints."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.base.errors import InputError, UsageError
from edge.base.paths import locked, write_atomic

HOLDER = ".running.json"
"""Beside the lock: which process holds it."""


@contextmanager
def alone_in(folder: Path, command: str) -> Iterator[None]:
    """Keeps other processes out of a folder for the time of a `with` block; a killed process leaves no lock behind.

    The kernel holds the lock and lets it go with the process. `.running.json` only says who that is, and is not asked
    whether there is a lock. Under `paddle.distributed.launch` the first process, which alone writes, locks for all.

    Args:
        folder: Made when missing.
        command: Of the two, such as `edge train fit`, for the message.

    Raises:
        InputError: `folder` is a file.
        UsageError: Another process works there; says which, and what to do.
    """
    if os.environ.get("PADDLE_TRAINER_ID", "0") != "0":
        yield
        return
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is not a folder.", "Give another --out.")
    holder = folder / HOLDER

    def refuse() -> None:
        process, hint = _holder(holder)
        raise UsageError(
            f"{process} is already running `{command}` in {folder}.",
            f"Wait until it has ended, {hint}or give another --out.",
        )

    with locked(folder / "run", refuse):
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        write_atomic(holder, json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "started": started}) + "\n")
        try:
            yield
        finally:
            holder.unlink(missing_ok=True)


def _holder(path: Path) -> tuple[str, str]:
    """Returns who holds a lock, as far as `.running.json` tells, and how to end it."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        pid, host, started = int(found["pid"]), str(found["host"]), str(found["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return "Another process", ""  # It has the lock, and has not said who it is yet.
    if host != socket.gethostname():
        return f"Process {pid} on {host} (since {started})", ""
    if not Path(f"/proc/{pid}").exists():  # What a killed one wrote: the new holder has not written yet.
        return "Another process", ""
    return f"Process {pid} (since {started})", f"stop it with `kill -INT {pid}` (the same command goes on from there), "
