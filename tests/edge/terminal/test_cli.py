"""The command line as a person meets it: quick help, every command loads, errors are sentences with codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest
from click.testing import CliRunner

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
# Seconds after which a command is taken to hang, on the busiest machine.
HANGS = 600
COMMANDS = [(*group, name) for group, table in TABLES.items() for name in table]


def call(*argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    program = "import sys; from {0}.cli import main; sys.argv[0] = {0!r}; main()".format(argv[0])
    return subprocess.run(
        [sys.executable, "-c", program, *argv[1:]],
        capture_output=True, text=True, env={**os.environ, **env}, timeout=HANGS, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["edge", "bench"])
def test_help_is_quick(name: str) -> None:
    """It loads little: click, the table of commands, and what Python itself needs for them."""
    lines = f"""
        import sys
        from {name}.cli import main
        sys.argv = ["{name}", "--help"]
        try:
            main()
        except SystemExit as end:
            assert not end.code
        print("loaded:", *sys.modules)
    """
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(lines)], capture_output=True, text=True, check=True, timeout=HANGS
    )
    page, _, loaded = answer.stdout.partition("loaded: ")
    modules = loaded.split()
    assert "Commands" in page
    others = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - {"__main__", "_distutils_hack"}
    # A package's own start-up file (`NAME.pth`) is loaded by every Python of an environment.
    asked = {module for module in others if not module.startswith(("__editable__", "_", "sitecustomize", "pkg_resources"))}
    assert asked <= {"click", "edge", "bench", "convert", "train"}, asked
    assert len(modules) < 160, len(modules)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_in_the_tables_has_help(command: tuple[str, ...]) -> None:
    program = {"edge": edge.cli.edge, "bench": bench.cli.bench}[command[0]]
    answer = CliRunner().invoke(program, [*command[1:], "--help"], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
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
