"""Completion in a real bash: commands, options, the values of choices, and the names of one's devices."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

INVENTORY = """schema: plate-edge/devices/1
devices:
  gate-north:
    board: rk3399
    ssh: user@192.168.1.20
"""
# Calls the function that `complete` registered, as bash does when Tab is pressed after the last word.
PROGRAM = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
"_$1_completion" "$1"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`edge` and `bench` on PATH, as an installed kit puts them there, and an inventory with a device."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("edge", "bench"):
        script = folder / name
        script.write_text(f"#!{sys.executable}\nfrom {name}.cli import main\nmain()\n")
        script.chmod(0o755)
    (tmp_path / "devices.yml").write_text(INVENTORY)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[3]))
    monkeypatch.setenv("PLATE_EDGE_INVENTORY", str(tmp_path / "devices.yml"))
    return tmp_path


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["edge", "quick"], {"quickstart"}),
        (["edge", "train", "ev"], {"eval"}),
        (["edge", "run", "--prec"], {"--precision"}),
        (["edge", "run", "--precision", ""], {"fp32", "int8"}),
        (["edge", "flash", "--device", "local,gate"], {"local,gate-north"}),
        (["edge", "run", "--device", "lo"], {"local"}),
        (["bench", "comp"], {"compare"}),
    ],
)
def test_bash_completes(programs: Path, words: list[str], wanted: set[str]) -> None:
    printed = subprocess.run(["edge", "completion", "bash"], capture_output=True, text=True, check=True).stdout
    script = programs / "completion.sh"
    # The registration needs an interactive shell's `complete`; the functions are what is tried here.
    script.write_text(printed)
    command = ["bash", "--norc", "-c", PROGRAM, "bash", str(script), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert wanted <= set(done.stdout.split()), done.stdout + done.stderr


@pytest.mark.parametrize(("shell", "mark"), [("zsh", "compdef"), ("fish", "complete --no-files --command")])
def test_other_shells_get_theirs(programs: Path, shell: str, mark: str) -> None:
    printed = subprocess.run(["edge", "completion", shell], capture_output=True, text=True, check=True).stdout
    assert mark in printed
    for program in ("_EDGE_COMPLETE", "_BENCH_COMPLETE"):
        assert program in printed


def test_an_unknown_shell_is_refused(programs: Path) -> None:
    done = subprocess.run(["edge", "completion", "tcsh"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "bash" in done.stderr
