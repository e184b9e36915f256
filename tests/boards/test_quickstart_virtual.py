"""`edge quickstart --on virtual`, really walked on an emulated ARM64 board: from no device to its report."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge.virtual.board import VirtualBoard

PLAN = """base: quick
models: [plate-v1]
precisions: [fp32]
processes: 1
warmup: 0
repeats: 1
max_ms: 500
"""
needs_compiler = pytest.mark.skipif(
    shutil.which("aarch64-linux-gnu-g++") is None, reason="no cross compiler (Debian: g++-aarch64-linux-gnu)"
)


@needs_compiler
def test_from_nothing_to_its_report(
    virtual_board: VirtualBoard, recorded: dict[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The board gets its name and library, all samples are read by ARM programs, and the report says what it is."""
    from replay_runtime import build_replay

    library = build_replay("arm64", recorded)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PLATE_EDGE_INVENTORY", raising=False)
    (tmp_path / "first.yml").write_text(PLAN, encoding="utf-8")
    words = ["--on", "virtual", "--name", virtual_board.name, "--runtime", str(library), "--plan", "first.yml"]

    def walk(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "edge", "quickstart", *words, *more], cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip

    done = walk()
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "[6/6]" in done.stderr and f"edge virtual up {virtual_board.name} --arch arm64" in done.stderr
    # Both precisions were tried before they were switched on, and read what this host reads.
    assert done.stdout.count("皖A7K392 as on the host") == 2
    assert "7 plates in 7 photos; the CPU is emulated: no times" in done.stdout
    (named,) = [line for line in done.stdout.splitlines() if line.startswith("Your first report: ")]
    assert named.startswith(f"Your first report: out/{virtual_board.name}/")
    assert "INVALID" in (tmp_path / named.removeprefix("Your first report: ")).read_text(encoding="utf-8")
    assert walk("--dry-run").stdout.splitlines()[-1].startswith(f"bench run --device {virtual_board.name}")
