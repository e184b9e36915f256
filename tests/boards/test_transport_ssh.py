"""ssh to a real OpenSSH server: trust, ways in, and what its errors say."""

from __future__ import annotations

import time

from sshd_server import SshServer

from edge.transport import connect


def test_runs_as_the_user_and_keeps_the_connection(ssh_board: SshServer) -> None:
    transport = connect(ssh_board.device())
    assert transport.run_check(["sh", "-c", "echo $HOME"]).stdout.strip() == str(ssh_board.home)
    started = time.monotonic()
    for _ in range(10):
        transport.run_check(["true"])
    assert time.monotonic() - started < 10, "a new connection for every program"
