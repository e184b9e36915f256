"""Child processes of this host: their output handed on as it arrives, their whole process group ended when told."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

# How often to look whether a program ended while somebody it started still holds its output open (seconds).
LOOK = 0.2
# A program's last words fit into its pipes (at most 1 MiB each, pipe(7)); more comes from somebody it left behind.
MOST_AFTER = 2 << 20
# Takes a stream number (1 output, 2 error) and bytes; returns True when nothing more is wanted.
Feed = Callable[[int, bytes], bool]


class DeadlinePassed(Exception):
    """A program did not end in the time it was given; the transport ends it and says so."""


def pump(process: subprocess.Popen[bytes], feed: Feed, deadline: float | None) -> None:
    """Hands a program's output to `feed` until the program and its output ended, or `feed` has enough.

    Args:
        process: Started with pipes for output and error.
        feed: See `Feed`; what it raises goes through.
        deadline: On the monotonic clock; None for none.

    Raises:
        DeadlinePassed: The deadline passed.
    """
    assert process.stdout is not None and process.stderr is not None
    with selectors.DefaultSelector() as selector:
        after = 0
        selector.register(process.stdout, selectors.EVENT_READ, 1)
        selector.register(process.stderr, selectors.EVENT_READ, 2)
        while selector.get_map():
            wait = LOOK if deadline is None else min(LOOK, max(0.0, deadline - time.monotonic()))
            ready = selector.select(wait)
            if deadline is not None and time.monotonic() >= deadline and process.poll() is None:
                raise DeadlinePassed
            ended = process.poll() is not None
            if ended and (not ready or after > MOST_AFTER):
                return
            for key, _ in ready:
                data = os.read(key.fd, 1 << 16)
                after += len(data) if ended else 0
                if not data:
                    selector.unregister(key.fileobj)
                elif feed(key.data, data):
                    return
    try:
        process.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise DeadlinePassed from None


def end(process: subprocess.Popen[bytes], grace: float = 0.0) -> None:
    """Ends a program's whole process group when the program still runs, and closes its pipes.

    Args:
        process: Started in a session of its own.
        grace: Seconds to let it end by itself, once its input is closed.
    """
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    if process.poll() is None and grace:
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
