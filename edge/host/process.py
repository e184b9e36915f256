"""Processes of the kit: settings that must be made before Paddle or Paddle Lite computes in one, and starting another."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TypeVar

from edge.base.paths import KIT_ROOT
from edge.host.processor import host_processor

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
# `python -m edge` looks for modules in the working directory first, where a `train.py` would be taken for the kit's.
_START = "import sys; sys.path[0] = sys.argv.pop(1); from edge.cli import main; main()"


def edge_command(arguments: Sequence[str]) -> list[str]:
    """Returns the command line that runs `edge ARGUMENTS` with this interpreter, whatever lies in the working directory."""
    return [sys.executable, "-c", _START, str(KIT_ROOT), *arguments]

T = TypeVar("T")
# What a process that quantises or verifies takes at its peak, and as much again to spare.
_ROOM_KIB = 4 << 20
_here = threading.local()


class _Crew:
    """The children of one `side_by_side`."""

    def __init__(self) -> None:
        self.children: set[subprocess.Popen[str]] = set()
        self.ended = False

    def end(self) -> None:
        self.ended = True
        for child in tuple(self.children):
            child.terminate()


def run_child(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Runs a command with no standard input and returns what it printed; `side_by_side` can end it early."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as child:
        crew: _Crew = getattr(_here, "crew", None) or _Crew()
        crew.children.add(child)
        try:
            if crew.ended:
                child.terminate()
            out, err = child.communicate()
        except BaseException:
            child.kill()
            raise
        finally:
            crew.children.discard(child)
    return subprocess.CompletedProcess(command, child.returncode, out, err)


def side_by_side(work: Callable[[str], T], items: Sequence[str]) -> list[T]:
    """Does some work for each item, with child processes of its own, for two at a time where this computer has room.

    Returns:
        The results, in the order of the items.

    Raises:
        BaseException: What the work raised first, or an interrupt; children of `run_child` are ended then.
    """
    if not _room_for_two():
        return [work(item) for item in items]
    crew = _Crew()
    with ThreadPoolExecutor(2, initializer=lambda: setattr(_here, "crew", crew)) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            crew.end()
            raise
    return [future.result() for future in futures]


def _room_for_two() -> bool:
    try:
        found = re.search(r"^MemAvailable:\s*(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return False
    return len(os.sched_getaffinity(0)) > 1 and found is not None and int(found[1]) >= _ROOM_KIB


def prepare_process() -> None:
    """Makes them; harmless where they do nothing, and a user's own environment wins.

    * `MKL_DEBUG_CPU_TYPE=5` lets the MKL inside both libraries use AVX2 on AMD processors (2.2x on a matrix product); where
      there is none, it would make MKL execute it all the same.
    * glibc keeps freed memory: both return every tensor to the system and take it back, zeroed page by page, at the
      next step (batch norm 35 -> 8 ms, hard-swish 28 -> 13 ms on a [16, 256, 12, 80] tensor).
    """
    if "avx2" in host_processor().flags:
        os.environ.setdefault("MKL_DEBUG_CPU_TYPE", "5")
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, -1)  # Never.
        libc.mallopt(_M_TOP_PAD, 256 << 20)
