"""Boards for the tests: a real sshd on a loopback port, a test adbd behind the real adb client."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sshd_server import SSHD, SshServer


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
