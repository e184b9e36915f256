"""How a command line is read: repeats, commas, old spellings, and what is said of words that nobody takes."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from edge.terminal.commandline import Command, Group, ListOption, OneName, Option, command


@command()
@click.argument("words", nargs=-1)
@click.option("--plan", cls=Option, old=("--way",), changed="Plans are files now.")
@click.option("--device", type=OneName("device"))
@click.option("--models", cls=ListOption)
@click.option("--threads", cls=ListOption, type=int)
@click.option("--photos", cls=ListOption, old=("--photo",), type=click.Path())
@click.option("--set", "settings", cls=ListOption, pairs=True)
@click.option("--kind", cls=ListOption, type=click.Choice(["blue", "green"]))
@click.option("--pack/--no-pack", default=True)
@click.option("--json", "as_json", is_flag=True)
def show(**values: object) -> None:
    """Show what was understood."""
    click.echo(repr({name: value for name, value in values.items() if value not in (None, (), True, False)}))


@click.group(cls=Group, old={"display": "show"})
@click.option("--db")
def program(db: str | None) -> None:
    """A program."""


program.add_command(show)


def call(*words: str) -> Result:
    return CliRunner().invoke(program, ["show", *words])


@pytest.mark.parametrize("words", [("--plan", "a", "--plan", "b"), ("--plan", "a", "--way", "a"), ("--pack", "--no-pack")])
def test_a_value_that_is_taken_once_is_refused_twice(words: tuple[str, ...]) -> None:
    done = call(*words)
    assert done.exit_code == 2
    assert (
        f"{words[0]}{'/--no-pack' if '--pack' in words else ''} was given 2 times; `program show` takes one." in done.output
    )


def test_groups_refuse_repeats_too_and_a_flag_may_stand_twice() -> None:
    done = CliRunner().invoke(program, ["--db", "a", "--db", "b", "show"])
    assert (done.exit_code, "--db was given 2 times" in done.output) == (2, True)
    assert call("--json", "--json").exit_code == 0


@pytest.mark.parametrize(
    "words",
    [("--models", "a", "--models", "b"), ("--models", "a,b"), ("--models", "a, b,", "--models", "a")],
)
def test_repeated_and_separated_by_commas_are_the_same(words: tuple[str, ...]) -> None:
    done = call(*words)
    assert done.stdout == "{'models': ('a', 'b')}\n"
    assert ("note: --models: a was given more than once and counts once" in done.stderr) == (
        len(words) > 2 and "," in words[1]
    )


def test_values_are_converted_one_by_one() -> None:
    assert call("--threads", "1,2", "--threads", "4").output == "{'threads': (1, 2, 4)}\n"
    assert "'x' is not a valid integer" in call("--threads", "1,x").output
    assert "'red' is not one of 'blue', 'green'" in call("--kind", "blue,red").output
    done = call("--models", ",")
    assert (done.exit_code, "no value was given" in done.output) == (2, True)


def test_commas_within_values_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("--set", "lengths=7,8,decode=plate").output == "{'settings': ('lengths=7,8', 'decode=plate')}\n"
    monkeypatch.chdir(tmp_path)
    Path("one,two").mkdir()
    assert call("--photos", "one,two").output == "{'photos': ('one,two',)}\n"
    assert call("--photos", "one,three").output == "{'photos': ('one', 'three')}\n"


def test_two_values_for_one_key_are_refused() -> None:
    done = call("--set", "det-side=1", "--set", "det_side=2")
    assert (done.exit_code, "det_side was given several values" in done.output) == (2, True)
    assert call("--set", "a=1", "--set", "a=1").stdout == "{'settings': ('a=1',)}\n"


def test_old_spellings_work_with_a_warning_and_are_shown_nowhere() -> None:
    done = call("--way", "quick", "--photo", "a", "--photos", "b")
    assert done.exit_code == 0
    assert done.stdout == "{'plan': 'quick', 'photos': ('a', 'b')}\n"
    assert "warning: `--way` is now `--plan`. Plans are files now." in done.stderr
    assert "warning: `--photo` is now `--photos`." in done.stderr
    help_text = call("--help").output
    assert "--way" not in help_text and "--photos PATH,..." in help_text
    assert "several are separated by commas" in help_text


def test_old_names_of_commands_work_with_a_warning() -> None:
    done = CliRunner().invoke(program, ["display", "--plan", "quick"])
    assert done.stdout == "{'plan': 'quick'}\n"
    assert "warning: `program display` is now `program show`." in done.stderr
    assert "display" not in CliRunner().invoke(program, ["--help"]).output


def test_one_name_is_one() -> None:
    done = call("--device", "gate,barn")
    assert (done.exit_code, "'gate,barn' names several; `program show` takes one device" in done.output) == (2, True)
    done = call("--group", "lab")
    assert "takes one device, by --device NAME" in done.output


@pytest.mark.parametrize(("word", "advice"), [("a.jpg", "--photos a.jpg"), ("gate", "--device gate"), ("x/y", "")])
def test_a_word_for_which_there_is_no_argument_is_explained(word: str, advice: str) -> None:
    bare = Command("bare", params=[parameter for parameter in show.params if isinstance(parameter, click.Option)])
    done = CliRunner().invoke(bare, [word])
    assert done.exit_code == 2
    assert f"`bare` does not take '{word}'." in done.output and done.output.rstrip().endswith(advice or "'.")
