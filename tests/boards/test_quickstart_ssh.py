"""`edge quickstart --on ssh`, really walked on an sshd with this host as the board: from no device to its report."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sshd_server import SshServer

from edge.base.paths import cache_dir

# Of the user, whose models and builds the walk takes; the fixture gives the test a home of its own.
CACHE = str(cache_dir("models").parent)
PLAN = "base: quick\nmodels: [plate-v1]\nprecisions: [fp32]\nprocesses: 1\nrepeats: 2\nmax_ms: 500\n"


def test_from_an_unknown_board_to_its_report(
    ssh_board: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is trusted by its fingerprint, the release is installed, and a second walk would not add it again."""
    monkeypatch.setenv("PLATE_EDGE_CACHE", CACHE)
    (tmp_path / "first.yml").write_text(PLAN, encoding="utf-8")
    address = f"{ssh_board.user}@127.0.0.1:{ssh_board.port}"
    command = [sys.executable, "-m", "edge", "quickstart", "--on", "ssh", "--address", address, "--board", "local"]
    command += ["--key", str(ssh_board.key), "--fingerprint", ssh_board.fingerprint, "--plan", "first.yml"]

    def walk(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *more], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip

    done = walk()
    assert done.returncode == 0, done.stderr[-2000:]
    assert "[7/7]" in done.stderr
    assert "is switched on" in done.stdout and "皖A7K392" in done.stdout
    (named,) = [line for line in done.stdout.splitlines() if line.startswith("Your first report: ")]
    assert (tmp_path / named.removeprefix("Your first report: ")).is_file()
    assert named.startswith("Your first report: out/board/")
    again = walk("--dry-run").stdout
    assert "edge flash --device board" in again and "device add" not in again
