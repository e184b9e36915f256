"""Boards for the tests: a real sshd on a loopback port, a test adbd behind the real adb client."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from adbd_services import TestDevice
from flashkit import OLD, Make, release_maker
from free_port import free_port
from recordings import record_sets
from sshd_server import SSHD, SshServer
from virtual_board import board_of, why_none

from edge.release.flash import flash
from edge.transport.local import LocalTransport
from edge.virtual.board import VirtualBoard, up


@pytest.fixture(scope="session")
def ssh_server() -> Iterator[SshServer]:
    """A running OpenSSH server with this host as the board; one for the whole session. See `ssh_board`."""
    if not os.access(SSHD, os.X_OK) or shutil.which("ssh-keygen") is None:
        pytest.skip("OpenSSH's server is not installed (Debian: openssh-server)")
    with tempfile.TemporaryDirectory(prefix="plate-sshd-") as folder:
        server = SshServer(Path(folder)).start()
        yield server
        server.stop()


@pytest.fixture
def ssh_board(ssh_server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SshServer:
    """The server, trusted, with an empty configuration, home and cache of this test's own, and an empty agent."""
    home = tmp_path / "user"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    ssh_server.trust(tmp_path / "config")
    return ssh_server


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Makes the small release of this host that reads a given text."""
    return release_maker(tmp_path_factory.mktemp("releases"))


@pytest.fixture
def root(tmp_path: Path, make: Make) -> str:
    """A board's folder with the old release switched on."""
    folder = str(tmp_path / "board")
    flash(LocalTransport(), folder, make(OLD))
    return folder


@pytest.fixture(scope="session")
def adb_server() -> Iterator[dict[str, str]]:
    """An adb server of the tests' own, with its own key; yields the environment that leads the client to it."""
    if shutil.which("adb") is None:
        pytest.skip("the adb client is not installed (Debian: adb)")
    with tempfile.TemporaryDirectory(prefix="plate-adb-") as folder:
        environment = {"ANDROID_ADB_SERVER_PORT": str(free_port()), "HOME": folder}
        quiet = subprocess.DEVNULL
        subprocess.run(["adb", "start-server"], env=os.environ | environment, stdout=quiet, stderr=quiet, check=True)
        yield environment
        subprocess.run(["adb", "kill-server"], env=os.environ | environment, stdout=quiet, stderr=quiet, check=False)


@pytest.fixture
def adb_phone(adb_server: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestDevice]:
    """A phone of this test's own, not connected to the adb server yet."""
    for name, value in adb_server.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    phone = TestDevice(tmp_path / "phone")
    yield phone
    phone.close()
    subprocess.run(["adb", "disconnect", phone.serial], capture_output=True, check=False)


@pytest.fixture(scope="session")
def virtual_board() -> Iterator[VirtualBoard]:
    """A switched-on ARM64 board that is in no inventory, one for the whole session; see `use_virtual`."""
    if why := why_none("arm64"):
        pytest.skip(why)
    with board_of("arm64") as board:
        yield board


@pytest.fixture
def use_virtual(virtual_board: VirtualBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VirtualBoard:
    """The board, on and registered in an inventory of this test's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PLATE_EDGE_INVENTORY", raising=False)
    return up(virtual_board.name)


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Path]:
    """What the real runtime says on this host: ARM model to the recording of the same model; see `recordings`.

    One for all tests on virtual boards, since a library is built of it and the program linked with that library.
    """
    return record_sets(tmp_path_factory.mktemp("replay"))
