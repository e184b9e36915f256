"""How every command reads its line: nothing that was typed is dropped, and old spellings work for one release.

Click silently takes the last of two values. Here a value that is taken once and given twice is refused, and an
option that takes several takes them repeated or separated by commas. Every command of the kit is a `Command` or
`Group` of this module (a test walks them all), so that a new one gets this for nothing.
"""

from __future__ import annotations

import copy
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

# A comma before `KEY=` begins another setting; one within a value (`text_lengths=7,8`) does not.
_NEXT_PAIR = re.compile(r",(?=\s*[A-Za-z][\w.-]*=)")


class Option(click.Option):
    """An option that may have old spellings: they work, with a warning, and are shown nowhere.

    Args:
        old: Spellings of the release before.
        changed: What the warning adds, where more than the name changed.
    """

    def __init__(self, *args: Any, old: Sequence[str] = (), changed: str = "", **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.old, self.changed = tuple(old), changed

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Adds the spellings; a copy of the option stands for each old one, so that `order` tells which was used."""
        super().add_to_parser(parser, ctx)
        for spelling in self.old:
            twin = copy.copy(self)
            twin.opts, twin.secondary_opts, twin.old = [spelling], [], ()
            twin.add_to_parser(parser, ctx)


class ListOption(Option):
    """An option that takes several values: repeated, separated by commas, or both; each value counts once.

    Values of the form KEY=VALUE (`pairs`) are separated by commas before the next KEY=; a path with a comma in its
    name is that path. The parameter is a tuple, in the order of the command line.

    Args:
        pairs: The values are KEY=VALUE; two values for one key are refused.
    """

    def __init__(self, *args: Any, pairs: bool = False, **attributes: Any) -> None:
        super().__init__(*args, multiple=True, **attributes)
        self.pairs = pairs

    def make_metavar(self, *context: Any, **named: Any) -> str:
        """Shows that there may be several; Click 8.1 passes no context."""
        return f"{super().make_metavar(*context, **named)},..."

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """Splits the values, then converts each.

        Raises:
            click.UsageError: Nothing is left, or two values for one key.
        """
        if not isinstance(value, (tuple, list)) or not value:
            return super().type_cast_value(ctx, value)
        parts = [part for item in value for part in (self._split(item) if isinstance(item, str) else [item])]
        if not parts:
            raise click.BadParameter("no value was given.", ctx, self)
        taken = Counter(super().type_cast_value(ctx, parts))
        found = tuple(taken)
        again = [str(part) for part, count in taken.items() if count > 1]
        if again and not ctx.resilient_parsing:
            click.echo(f"note: {longest(self)}: {', '.join(again)} was given more than once and counts once", err=True)
        if self.pairs:
            keys = Counter(str(pair).partition("=")[0].strip().replace("-", "_") for pair in found)
            twice = next((key for key, count in keys.items() if count > 1), None)
            if twice is not None:
                raise click.BadParameter(f"{twice} was given several values.", ctx, self)
        return found

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Completes what stands behind the last comma."""
        head, comma, tail = incomplete.rpartition(",")
        items = super().shell_complete(ctx, tail)
        for item in items if comma else ():
            item.value = f"{head},{item.value}"
        return items

    def _split(self, text: str) -> list[str]:
        if isinstance(self.type, click.Path) and os.path.lexists(text):
            return [text]
        parts = _NEXT_PAIR.split(text) if self.pairs else text.split(",")
        return [part.strip() for part in parts if part.strip()]


class OneName(click.ParamType):  # type: ignore[type-arg]  # Generic since Click 8.5 only.
    """The type of an option that takes one name where others take several: a comma is refused in plain words.

    Args:
        what: What is named, such as `device`.
    """

    name = "text"

    def __init__(self, what: str) -> None:
        self.what = what

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Returns the name."""
        if "," in value:
            self.fail(f"{value!r} names several; `{ctx.command_path if ctx else ''}` takes one {self.what}.", param, ctx)
        return value


class _Line(click.Command):
    """What `Command` and `Group` share: the look at the whole line before Click converts its values."""

    def make_parser(self, ctx: click.Context) -> Any:
        """Returns Click's parser, whose answer is examined."""
        parser = super().make_parser(ctx)
        plain: Callable[[list[str]], tuple[dict[str, Any], list[str], list[Any]]] = parser.parse_args

        def parse_args(args: list[str]) -> tuple[dict[str, Any], list[str], list[Any]]:
            try:
                values, rest, order = plain(args)
            except click.NoSuchOption as error:
                raise self._unknown(ctx, error) from None
            if not ctx.resilient_parsing:
                order = self._examined(ctx, order)
                if rest and not ctx.allow_extra_args:
                    raise self._left_over(ctx, rest)
            return values, rest, order

        parser.parse_args = parse_args  # type: ignore[method-assign]
        return parser

    def _examined(self, ctx: click.Context, order: list[Any]) -> list[Any]:
        """Warns of old spellings and refuses repeats.

        Returns:
            The parameters in the order of the line, old spellings replaced by the options that they stand for.
        """
        own = {parameter.name: parameter for parameter in self.get_params(ctx)}
        found = [own.get(item.name, item) for item in order]
        for item in dict.fromkeys(order):
            if isinstance(item, Option) and item is not own.get(item.name):
                warn_old(item.opts[0], longest(own[item.name]), item.changed)
        for item, count in Counter(found).items():
            if count > 1 and isinstance(item, click.Option) and not repeatable(item):
                raise click.UsageError(f"{spelt(item)} was given {count} times; `{ctx.command_path}` takes one.", ctx)
        return found

    def _unknown(self, ctx: click.Context, error: click.NoSuchOption) -> click.UsageError:
        names = {parameter.name for parameter in self.get_params(ctx)}
        if error.option_name == "--group" and "device" in names:
            return click.UsageError(f"No option --group: `{ctx.command_path}` takes one device, by --device NAME.", ctx)
        return error

    def _left_over(self, ctx: click.Context, rest: Sequence[str]) -> click.UsageError:
        """Returns the error for words that are neither options nor arguments of the command."""
        from edge.photo.listing import PHOTO_SUFFIXES

        options = {name: item for item in self.get_params(ctx) for name in item.opts if isinstance(item, click.Option)}
        word = str(rest[0])
        advice = ""
        if "--photos" in options and (Path(word).suffix.lower() in PHOTO_SUFFIXES or Path(word).exists()):
            advice = f" Photos are given by --photos: --photos {word}"
        elif "--device" in options and re.fullmatch(r"[\w-]+", word) and not Path(word).exists():
            advice = f" A device is given by --device: --device {word}"
        return click.UsageError(f"`{ctx.command_path}` does not take {' '.join(map(repr, rest))}.{advice}", ctx)


class Command(_Line):
    """A command of the kit."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Says what `,...` means where it stands, then writes the examples."""
        if any(isinstance(item, ListOption) and not item.hidden for item in self.get_params(ctx)):
            formatter.write_paragraph()
            formatter.write_text(SEVERAL)
        super().format_epilog(ctx, formatter)


class Group(_Line, click.Group):
    """A group of commands.

    Args:
        old: Name of a command in the release before, to its name now.
    """

    command_class = Command
    group_class = type

    def __init__(self, *args: Any, old: Mapping[str, str] | None = None, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.old = dict(old or {})

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Takes old names too, with a warning."""
        new = self.old.get(args[0])
        if new is not None:
            if not ctx.resilient_parsing:
                warn_old(f"{ctx.command_path} {args[0]}", f"{ctx.command_path} {new}")
            args = [new, *args[1:]]
        return super().resolve_command(ctx, args)


def command(name: str | None = None, **attributes: Any) -> Callable[[Callable[..., Any]], Command]:
    """`click.command` that makes a `Command`."""
    return click.command(name, cls=Command, **attributes)


def group(name: str | None = None, **attributes: Any) -> Callable[[Callable[..., Any]], Group]:
    """`click.group` that makes a `Group`."""
    return click.group(name, cls=Group, **attributes)


SEVERAL = "`,...`: several are separated by commas, or the option is repeated."


def print_json(document: Any, indent: int | None = None) -> None:
    """Prints the one JSON document that `--json` promises."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=indent))


def given(name: str) -> bool:
    """Says whether a parameter of the command that runs was given on its line, and is not a default."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def repeatable(option: click.Option) -> bool:
    """Says whether an option may stand on a line twice: it takes several, or the second changes nothing."""
    return option.multiple or option.count or (option.is_flag and not option.secondary_opts)


def longest(option: click.Parameter) -> str:
    """The spelling by which an option is named: `--out` of `-o, --out`."""
    return max(option.opts, key=len)


def spelt(option: click.Option) -> str:
    """An option as help shows it: `--pack/--no-pack`."""
    return "/".join([longest(option), *option.secondary_opts[:1]])


def warn_old(old: str, new: str, changed: str = "") -> None:
    """Says on standard error that a spelling is old."""
    more = f" {changed}" if changed else ""
    click.echo(f"warning: `{old}` is now `{new}`.{more} The next release takes only the new spelling.", err=True)
