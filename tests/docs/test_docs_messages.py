"""What the kit says when something goes wrong, collected by `scripts/messages.py` and held to docs/writing.md."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

REPO = Path(__file__).resolve().parents[2]

SOURCE = '''
"""A module."""
HINT = "Give another one."
KNOWN = (("no such file", "The file is not there any more."),)

class LateError(InputError):
    """Of its own."""

def check(path, found):
    message = f"{path.name} is late"
    if found:
        raise LateError(message + f" by {found - 1} s.", HINT)
    click.echo(f"note: {path} is as it was left", err=True)
    click.echo("three plates were read")
    raise refused("it holds two cameras")

def refused(why):
    return UsageError(f"It cannot be: {why}.", "Look again." if why else "Look there.")
'''
ERRORS = '''
class ExitCode(IntEnum):
    INPUT = 3
    USAGE = 2

class InputError(EdgeError):
    exit_code = ExitCode.INPUT

class UsageError(EdgeError):
    exit_code = ExitCode.USAGE
'''


@pytest.fixture
def messages() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("messages", REPO / "scripts" / "messages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["messages"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["messages"]


def test_messages_are_found_where_they_are_made(
    messages: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "edge" / "door").mkdir(parents=True)
    (tmp_path / "edge" / "errors.py").write_text(ERRORS)
    (tmp_path / "edge" / "door" / "bell.py").write_text(SOURCE)
    monkeypatch.setattr(messages, "ROOT", tmp_path)
    assert [(item.line, item.kind, item.text) for item in messages.messages()] == [
        (4, "text", "The file is not there any more."),
        (4, "text", "no such file"),
        (12, "LateError 3", "{name} is late by {...} s. Give another one."),
        (13, "note", "note: {path} is as it was left"),
        (15, "UsageError 2", "it holds two cameras"),
        (18, "UsageError 2", "It cannot be: {why}. Look again. / Look there."),
    ]
    assert "## `edge/door`" in messages.page()


def test_every_message_of_the_kit_is_plain(messages: ModuleType) -> None:
    """`python scripts/messages.py` shows them all."""
    found = messages.messages()
    assert {item.module.split("/")[0] for item in found} == set(messages.PACKAGES)
    patterns = {row: re.compile(pattern, re.I) for row, pattern in messages.AVOID.items() if pattern}
    assert [
        f"{item.module}:{item.line}: {item.text!r} (see {row!r} in docs/writing.md)"
        for row, pattern in patterns.items()
        for item in found
        if pattern.search(item.text)
    ] == []


def test_what_to_avoid_is_the_table_of_the_page(messages: ModuleType) -> None:
    page = (REPO / "docs" / "writing.md").read_text(encoding="utf-8")
    table = page.partition("| avoid | write |\n| --- | --- |\n")[2].partition("\n\n")[0]
    assert [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()] == list(messages.AVOID)
    for row, pattern in messages.AVOID.items():
        assert not pattern or re.search(pattern, row, re.I), row
