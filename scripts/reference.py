"""Writes the command reference of the documentation from the commands themselves, while MkDocs builds (`hooks:`).

Nothing is kept in docs/: a page says what `--help` says, in the version that is documented.
"""

from __future__ import annotations

import html
import inspect
import logging
from collections.abc import Iterator

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from edge.cli import edge
from edge.terminal.commandline import SEVERAL, ListOption

log = logging.getLogger("mkdocs.hooks.reference")
# Groups whose pages have a name of their own; what is directly under `edge` is on one page.
FOLDER = "reference"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds a page for `edge` and one for each group below it."""
    for name, text in pages().items():
        files.append(File.generated(config, f"{FOLDER}/{name}.md", content=text))
    return files


def pages() -> dict[str, str]:
    """Returns page name to Markdown: `edge` with its own commands, and each group."""
    made = {"edge": [f"# `edge`\n\n{_help(edge)}\n\n`edge --version` shows the versions of kit, runtime and models.\n"]}
    for name, command in _commands(edge, "edge"):
        if isinstance(command, click.Group):
            shown = "bench" if name == "bench" else f"edge {name}"
            also = "\n\n`edge bench` is the same." if name == "bench" else ""
            made[name] = [f"# `{shown}`\n\n{_help(command)}{also}\n"]
            made[name] += [_section(f"{shown} {sub}", item) for sub, item in _commands(command, shown)]
        else:
            made["edge"].append(_section(f"edge {name}", command))
    return {name: "\n".join(parts) for name, parts in made.items()}


def _commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group, info_name=path)
    for name in group.list_commands(context):
        try:
            command = group.get_command(context, name)
        except ImportError as error:
            log.warning("`%s %s` is listed and cannot be imported: %s", path, name, error)
            continue
        if command is not None and not command.hidden:
            yield name, command


def _section(path: str, command: click.Command) -> str:
    context = click.Context(command, info_name=path)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    lines = [f"## `{path}`", "", _help(command), "", "```text", usage, "```", ""]
    rows = [row for parameter in command.params if (row := _row(parameter, context))]
    if rows:
        lines += ["| option | what it does |", "| --- | --- |", *rows, ""]
    if any(isinstance(parameter, ListOption) for parameter in command.params):
        lines += [SEVERAL, ""]
    _, _, examples = (command.epilog or "").partition("\b\nExamples:\n")
    if examples:
        lines += ["```text", *(line.strip() for line in examples.splitlines()), "```", ""]
    return "\n".join(lines)


def _row(parameter: click.Parameter, context: click.Context) -> str:
    record = parameter.get_help_record(context)
    if record is None:
        return ""
    names, text = (html.escape(part, quote=False).replace("|", "&#124;") for part in record)
    return f"| <code>{names}</code> | {text} |"


def _help(command: click.Command) -> str:
    text = inspect.cleandoc(command.help or "").replace("\b\n", "").partition("\f")[0]
    return html.escape(text, quote=False)
