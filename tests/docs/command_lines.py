"""The command lines of the documentation: found in fenced `sh` blocks, and checked against Click without running them.

A comment on a line of its own directly above a block says what kind of block it is (docs/writing.md).
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import click

from bench.cli import bench
from edge.cli import edge

REPO = Path(__file__).resolve().parents[2]
# run: as it stands. small: page by page, on little data. tested FILE...: in one of these files. hardware: nowhere.
KINDS = ("run", "small", "tested", "hardware")
PROGRAMS = {"edge": edge, "bench": bench}


@dataclass(frozen=True)
class Line:
    """One command line: where it stands, its words, the kind of its block (empty: none) and the files that it names."""

    file: Path
    number: int
    words: tuple[str, ...]
    kind: str
    named: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.file.relative_to(REPO)}:{self.number}"


def documents() -> list[Path]:
    """All documents that hold command lines for users."""
    return [REPO / "README.md", REPO / "CONTRIBUTING.md", *sorted((REPO / "docs").rglob("*.md"))]


def find_lines(file: Path, text: str) -> list[Line]:
    """Returns the lines of all `sh` blocks that start with `edge`, `bench` or `make`.

    Raises:
        ValueError: A line cannot be split into words.
    """
    found: list[Line] = []
    kind, inside, start, pending = "", False, 0, ""
    named: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not inside:
            if comment := re.fullmatch(r"<!-- commands: (\S+)((?: \S+)*) -->", stripped):
                kind, named = comment[1], tuple(comment[2].split())
            elif stripped in ("```sh", "```console", "```bash", "```shell"):
                inside = True
            elif stripped:
                kind = ""
            continue
        if stripped == "```":
            inside, kind, pending, named = False, "", "", ()
            continue
        start = start if pending else number
        pending += stripped
        if pending.endswith("\\"):
            pending = pending[:-1]
            continue
        words = shlex.split(pending, comments=True)
        pending = ""
        while words and re.match(r"^[A-Z_]+=", words[0]):
            words.pop(0)
        if words and words[0].startswith(".venv/bin/"):
            words[0] = words[0].removeprefix(".venv/bin/")
        if words and words[0] in (*PROGRAMS, "make"):
            found.append(Line(file, start, tuple(words), kind, named))
    return found


def check_line(words: tuple[str, ...], targets: set[str]) -> str:
    """Returns what is wrong with a command line, or an empty string.

    Args:
        words: The words of the line, without variables in front.
        targets: Of the Makefile.
    """
    for mark in ("|", ">", "&&", ";", "2>"):
        if mark in words:
            words = words[: words.index(mark)]
    if words[0] == "make":
        unknown = [word for word in words[1:] if "=" not in word and not word.startswith("-") and word not in targets]
        return f"no target {unknown[0]!r}" if unknown else ""
    command: click.Command = PROGRAMS[words[0]]
    path, rest = words[0], list(words[1:])
    try:
        while True:
            context = click.Context(command, info_name=path)
            values, rest, _ = command.make_parser(context).parse_args(rest)
            if not isinstance(command, click.Group):
                break
            if not rest:
                return "" if values.get("help") or values.get("version") else f"{path}: which command?"
            below = command.get_command(context, rest[0])
            if below is None:
                return f"there is no `{path} {rest[0]}`"
            command, path, rest = below, f"{path} {rest[0]}", rest[1:]
        if rest:
            return f"{path} takes no {rest[0]!r}"
        return _check_values(command, context, values)
    except (click.UsageError, click.BadParameter) as error:
        return f"{path}: {error.format_message()}"


def _check_values(command: click.Command, context: click.Context, values: dict[str, object]) -> str:
    if values.get("help"):
        return ""
    for parameter in command.get_params(context):
        value = values.get(parameter.name or "")
        given = value not in (None, (), []) and type(value).__name__ != "Sentinel"
        if parameter.required and not given:
            return f"{context.info_name}: {parameter.get_error_hint(context)} is missing"
        if given and isinstance(parameter.type, (click.Choice, click.types.IntParamType, click.types.FloatParamType)):
            parameter.type_cast_value(context, value)
    return ""


def make_targets() -> set[str]:
    """Names of the Makefile's targets."""
    return set(re.findall(r"^([a-z][\w-]*):", (REPO / "Makefile").read_text(), re.M))
