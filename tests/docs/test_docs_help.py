"""What `--help` says, of every command: each option explained, in the same words everywhere, and examples that work."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest
from command_lines import check_line

from edge.cli import edge


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group, info_name=path)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


@pytest.fixture(scope="module")
def every() -> list[tuple[str, click.Command]]:
    return list(commands(edge, "edge"))


def options(every: list[tuple[str, click.Command]]) -> Iterator[tuple[str, str]]:
    for path, command in every:
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                yield f"{path} {parameter.opts[-1]}", parameter.help or ""


def test_every_option_is_explained_in_a_sentence(every: list[tuple[str, click.Command]]) -> None:
    said = dict(options(every))
    assert len(said) > 150
    assert [name for name, text in said.items() if not re.match(r"`?\w|-m", text)] == []
    assert [name for name, text in said.items() if not text.endswith((".", "]", ")"))] == []


def test_the_same_thing_is_said_in_the_same_words(every: list[tuple[str, click.Command]]) -> None:
    said = dict(options(every))
    assert {text for name, text in said.items() if name.endswith(" --json")} == {
        "Print one JSON document on standard output."
    }
    assert [name for name, text in said.items() if "(default:" in text or "repeatable" in text] == []
    assert [name for name, text in said.items() if re.search(r"[^.;:)\s]\s\[default", text)] == []


def test_examples_in_help_are_command_lines(every: list[tuple[str, click.Command]]) -> None:
    shown = 0
    for path, command in every:
        head, _, lines = (command.epilog or "").partition("\b\nExamples:\n")
        for line in lines.splitlines():
            assert not head
            assert check_line(tuple(shlex.split(line)), set()) == "", (path, line)
            shown += 1
    assert shown >= 25
