"""The virtual board of the tests: one for the session, its root from the user's cache, everything else its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.errors import HostError
from edge.virtual import VirtualBoard, down, up
from edge.virtual_root import ARCHS, check_host, root_folder

# Made in minutes and read only: shared with the user's boards, wherever the tests' own caches are.
ROOTS = os.environ.get("PLATE_EDGE_CACHE")


@pytest.fixture(scope="session")
def virtual_board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualBoard]:
    """A switched-on ARM64 board that is in no inventory; see `use_virtual`."""
    arch = ARCHS["arm64"]
    try:
        check_host(arch)
    except HostError as error:
        pytest.skip(f"no virtual board here: {error.message}")
    if not root_folder(arch).is_dir() and shutil.which("mmdebstrap") is None:
        pytest.skip("no virtual board here: mmdebstrap is not installed")
    board = up(f"test-{os.getpid()}", register=False)
    yield board
    down(board.name, remove=True, register=False)


@pytest.fixture
def use_virtual(virtual_board: VirtualBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VirtualBoard:
    """The board, on and registered in an inventory of this test's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PLATE_EDGE_INVENTORY", raising=False)
    return up(virtual_board.name)
