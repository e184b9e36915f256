"""`make bench-self`: runs `bench self` on this host as a board behind a real ssh server on the loopback.

Options are those of `bench self`, such as `--pairs 2`; the outcome goes to out/loop/self.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "boards")]

from sshd_server import SshServer  # noqa: E402


def main() -> int:
    """Starts the server, runs the command, ends the server; returns the command's exit code."""
    with tempfile.TemporaryDirectory(prefix="plate-self-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "sshd").mkdir()
        server = SshServer(folder / "sshd").start()
        try:
            config = folder / "config"
            server.trust(config)
            inventory = config / "plate-edge" / "devices.yml"
            inventory.write_text(f"schema: plate-edge/devices/1\ndevices:\n{server.entry('loop')}", encoding="utf-8")
            code = "import sys; from bench.cli import main; sys.argv[0] = 'bench'; main()"
            command = [sys.executable, "-c", code, "self", "--device", "loop", *sys.argv[1:]]
            return subprocess.call(command, cwd=ROOT, env={**os.environ, "XDG_CONFIG_HOME": str(config)})
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
