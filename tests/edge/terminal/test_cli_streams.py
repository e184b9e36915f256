"""The command line where its streams are not a terminal's: closed, full, read by `head`, in another encoding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EDGE = f"{sys.executable} -m edge"


def shell(line: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs a line of bash in which `edge` is the command."""
    script = f'edge() {{ {EDGE} "$@"; }}\nset -o pipefail\n{line}'
    root = str(Path(__file__).resolve().parents[3])
    return subprocess.run(
        ["bash", "-c", script], cwd=cwd, env={**os.environ, "PYTHONPATH": root, **env}, capture_output=True, text=True,
        errors="replace", timeout=600, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("edge device list --profiles | true", 141, ""),
        ("edge --help | true", 141, ""),
        ("edge doctor --no-devices | true", 141, ""),
        ("edge device list --json >/dev/full", 5, "No space left on device"),
        ("edge doctor --json --no-devices >/dev/full", 5, "No space left on device"),
        ("edge device show nobody >&-", 2, "There is no device 'nobody'"),
        ("edge device show nobody 2>/dev/full", 2, ""),
        ("edge device list --profiles >&-", 0, ""),
        ("edge quickstart --dry-run <&-", 0, ""),
        ("edge quickstart --on ssh <&-", 2, "--address USER@HOST"),
    ],
)
def test_streams_that_are_closed_or_full(own_cache: Path, tmp_path: Path, line: str, code: int, words: str) -> None:
    """A code that says what happened, a sentence where one can be written, and never a traceback."""
    done = shell(line, tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert words in done.stderr
    assert words or not done.stderr, done.stderr


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("edge flsh", 2, "Did you mean 'flash'?"),
        ("edge bench rn", 2, "Did you mean 'run'"),
        ("edge train fitt", 2, "Did you mean 'fit'"),
        ("edge convert inspekt x", 2, "Did you mean 'inspect'?"),
        ("edge run --devise local", 2, "--device"),
        ("edge run --device loacl", 2, "Did you mean 'local'?"),
        ("edge runtime get rk339", 2, "Did you mean 'rk3399'?"),
        ("edge quickstart --plan quik --yes", 2, "Did you mean 'quick'?"),
        ("edge quickstart --plan mine.yml --yes", 2, "mine.yml"),
        ("edge run --set threads=x", 2, "threads = 'x': not a whole number"),
        ("edge run --set det_limit_sid=640", 2, "Did you mean 'det_limit_side'"),
        ("edge bundle --out nowhere/x.tar", 3, "There is no folder nowhere"),
        ("edge runtime add .", 3, "no Paddle Lite library in ."),
        ("edge shell --device local -- no-such-program", 127, "no-such-program: not found"),
        ("edge run no.jpg", 3, "no.jpg does not exist"),
        ("edge bench run --device local --plan quik --dry-run", 2, "Did you mean 'quick'?"),
        ("edge bench run --device local --models foo --dry-run", 2, "there is no model set 'foo'"),
        ("edge bench run --device local --set foo=1 --dry-run", 2, "'foo' is not a setting"),
        ("edge bench run --device local --photos no.txt", 3, "no.txt does not exist"),
        ("echo > no.jpg; edge bench run --device local --photos no.jpg", 3, "no.jpg is a text file, not a photo"),
        ("mkdir -p p; printf '\\xff\\xd8\\xff' > p/$(printf 'caf\\xe9').jpg; edge bench run --device local --photos p", 3,
         "is not UTF-8"),
        ("cd /sys; edge bench run --device local", 3, "Nothing can be written to /sys"),
        ("PLATE_EDGE_HISTORY=off edge bench history list", 2, "PLATE_EDGE_HISTORY"),
    ],
)
def test_a_common_mistake_is_answered_by_the_way_on(
    own_cache: Path, tmp_path: Path, line: str, code: int, words: str
) -> None:
    done = shell(line, tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert words in done.stderr


def test_a_usage_error_under_json_is_json_too(own_cache: Path, tmp_path: Path) -> None:
    done = shell("edge run --json --precision int4", tmp_path)
    document = json.loads(done.stdout)
    assert document["code"] == done.returncode == 2
    assert "int4" in document["error"] and "edge run --help" in document["hint"]


def test_a_host_that_is_not_there_is_not_trusted(own_cache: Path, tmp_path: Path) -> None:
    """A name that does not resolve is an error, and not a key that is trusted already."""
    inventory = tmp_path / "config" / "plate-edge" / "devices.yml"
    inventory.parent.mkdir(parents=True)
    text = "schema: plate-edge/devices/1\ndevices:\n  gate:\n    board: rk3399\n    ssh: me@no-such-host.invalid\n"
    inventory.write_text(text, encoding="utf-8")
    done = shell("edge device trust gate", tmp_path)
    assert (done.returncode, done.stdout) == (7, "")
    assert "does not resolve" in done.stderr
