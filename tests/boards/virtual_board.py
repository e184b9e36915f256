"""The virtual board of the tests: one for the session, its root from the user's cache, everything else its own.

The fixtures are in `conftest.py`: a fixture that modules import is a fixture of its own in each of them, so that a
board "for the session" would be made, and removed, once a module.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from edge.base.errors import HostError, UsageError
from edge.virtual.board import VirtualBoard, down, up
from edge.virtual.rootfs import ARCHS, check_host, root_folder


def why_none(arch: str) -> str:
    """Why this host can have no virtual board of an architecture; empty when it can."""
    try:
        check_host(ARCHS[arch])
    except HostError as error:
        return f"no virtual board here: {error.message}"
    if not root_folder(ARCHS[arch]).is_dir() and shutil.which("mmdebstrap") is None:
        return "no virtual board here: mmdebstrap is not installed"
    return ""


@contextmanager
def board_of(arch: str) -> Iterator[VirtualBoard]:
    """A switched-on board that is in no inventory, removed afterwards, also when somebody removed it already."""
    board = up(f"test-{arch}-{os.getpid()}", arch, register=False)
    try:
        yield board
    finally:
        with suppress(UsageError):
            down(board.name, remove=True, register=False)
