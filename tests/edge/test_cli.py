"""The command line as a person meets it: quick help, every command loads, errors are sentences with codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

import bench.cli
import convert.cli
import edge.cli
import train.cli

TABLES = {
    ("edge",): edge.cli.COMMANDS,
    ("edge", "convert"): convert.cli.COMMANDS,
    ("edge", "train"): train.cli.COMMANDS,
    ("bench",): bench.cli.COMMANDS,
}
COMMANDS = [(*group, name) for group, table in TABLES.items() for name in table]


def call(*argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    program = "import sys; from {0}.cli import main; sys.argv[0] = {0!r}; main()".format(argv[0])
    return subprocess.run(
        [sys.executable, "-c", program, *argv[1:]],
        capture_output=True, text=True, env={**os.environ, **env}, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.alone
@pytest.mark.parametrize("name", ["edge", "bench"])
def test_help_is_quick(name: str) -> None:
    seconds: list[float] = []
    # A busy machine gets more tries: it only ever adds to a time.
    while len(seconds) < 5 or (len(seconds) < 40 and min(seconds) >= 0.3):
        start = time.monotonic()
        answer = call(name, "--help")
        seconds.append(time.monotonic() - start)
        assert answer.returncode == 0 and "Commands" in answer.stdout
    assert min(seconds) < 0.3, f"{name} --help took {min(seconds):.2f} s at best"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_in_the_tables_has_help(command: tuple[str, ...]) -> None:
    answer = call(*command, "--help")
    assert answer.returncode == 0, answer.stderr
    assert "Usage:" in answer.stdout


def test_unknown_command_is_a_usage_error() -> None:
    answer = call("edge", "fly")
    assert answer.returncode == 2 and "No such command" in answer.stderr


def test_error_is_a_sentence_a_hint_and_a_code() -> None:
    answer = call("edge", "convert", "nb", "/nonexistent/model", "--target", "arm", "--out", "/nonexistent/out")
    assert answer.returncode == 3
    assert answer.stderr.startswith("error: /nonexistent/model ")
    assert "hint: " in answer.stderr and "Traceback" not in answer.stderr


def test_error_under_json_is_json() -> None:
    answer = call("edge", "convert", "inspect", "/nonexistent", "--json")
    document = json.loads(answer.stdout)
    assert document["code"] == answer.returncode == 3 and document["error"]
