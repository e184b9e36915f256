"""The one grammar, asked of every command of both programs: what is called the same is taken in the same way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bench.cli import bench
from edge.base.errors import UsageError
from edge.cli import edge
from edge.terminal.commandline import Command, Group, ListOption, OneName, Option, longest, repeatable, spelt

# Their output is somebody else's: a shell's, or a script for one.
WITHOUT_JSON = {"edge shell", "edge virtual ssh", "edge completion"}
# What is built for no device at all is for this host; what is counted is ARM's.
OTHER_DEVICE = {"edge build": None, "bench count": "virtual", "edge bench count": "virtual"}


def walk(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from walk(below, f"{path} {name}")


EVERY = dict([*walk(edge, "edge"), *walk(bench, "bench")])
OPTIONS = [
    (path, command, item) for path, command in EVERY.items() for item in command.params if isinstance(item, click.Option)
]
LISTS = [(path, command, item) for path, command, item in OPTIONS if isinstance(item, ListOption)]
RENAMED = [(path, command, item, old) for path, command, item in OPTIONS if isinstance(item, Option) for old in item.old]


def parse(path: str, command: click.Command, *words: str) -> dict[str, object]:
    """What the options of a line are before they are converted; nothing is run."""
    values, _, _ = command.make_parser(click.Context(command, info_name=path)).parse_args(list(words))
    return values


def named(entries: list[tuple[str, click.Command, click.Option]], name: str) -> dict[str, click.Option]:
    return {path: item for path, _, item in entries if name in item.opts}


def words_of(option: click.Option, value: str) -> list[str]:
    return [longest(option)] if option.is_flag else [longest(option), value]


def test_every_command_is_read_by_the_one_reader() -> None:
    assert len(EVERY) > 60 and len(OPTIONS) > 300
    assert [path for path, command in EVERY.items() if not isinstance(command, (Command, Group))] == []
    plain = [f"{path} {item.opts}" for path, _, item in OPTIONS if item.multiple and not isinstance(item, ListOption)]
    assert plain == [], "an option that takes several is a ListOption"


def test_no_option_drops_a_value_without_a_word() -> None:
    tried = 0
    for path, command, item in OPTIONS:
        if repeatable(item) or item.is_eager:
            continue
        with pytest.raises(click.UsageError, match="was given 2 times") as refusal:
            parse(path, command, *words_of(item, "1"), *words_of(item, "1"))
        assert spelt(item) in refusal.value.format_message()
        tried += 1
    assert tried > 150


def test_a_comma_and_a_repeat_are_the_same_everywhere(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert len(LISTS) > 40
    for path, command, item in LISTS:
        pair = ["1", "2"]
        if isinstance(item.type, click.Choice):
            pair = [str(choice) for choice in item.type.choices][:2]
        elif isinstance(item.type, click.Path):
            pair = [str(tmp_path / "a"), str(tmp_path / "b")]
        elif item.pairs:
            pair = ["a=1", "b=2"]
        context = click.Context(command, info_name=path)
        assert item.type_cast_value(context, (",".join(pair),)) == item.type_cast_value(context, tuple(pair)), (
            path,
            item.opts,
        )
        # What is asked for twice is done once.
        assert item.type_cast_value(context, (pair[0], ",".join(pair))) == item.type_cast_value(context, tuple(pair))


@pytest.mark.parametrize(
    "name",
    ["--device", "--group", "--models", "--precision", "--threads", "--det-side", "--power-mode", "--photos", "--set"],
)
def test_what_takes_one_where_others_take_several_says_so(name: str) -> None:
    """An option is a list, or refuses a comma; never a name with a comma in it."""
    for path, item in named(OPTIONS, name).items():
        if "history" in path:  # There it only filters what is shown.
            continue
        one = isinstance(item.type, (OneName, click.Choice, click.types.IntParamType))
        assert isinstance(item, ListOption) or one, path


def test_force_replaces_files_and_does_nothing_else() -> None:
    found = named(OPTIONS, "--force")
    assert len(found) > 15
    assert [path for path, item in found.items() if "eplace" not in (item.help or "")] == []
    assert "edge flash" not in found
    assert set(named(OPTIONS, "--accept-failed")) == {"edge bundle", "edge flash"}


def test_json_is_there_for_every_command_whose_output_is_its_own() -> None:
    leaves = {path for path, command in EVERY.items() if not isinstance(command, click.Group)}
    assert leaves - set(named(OPTIONS, "--json")) == WITHOUT_JSON


def test_the_same_option_has_the_same_default_and_meaning() -> None:
    for path, item in named(OPTIONS, "--device").items():
        if "history" not in path and not isinstance(item, ListOption):
            assert (item.required, item.default) == (False, OTHER_DEVICE.get(path, "local")), path
    jobs = named(OPTIONS, "--jobs")
    assert len(jobs) == 4
    for item in jobs.values():
        assert isinstance(item.type, click.IntRange) and (item.type.min, item.default) == (0, 0)
    for name in ("--record", "--limit", "--photo"):
        assert len(named(OPTIONS, name)) <= 1, f"{name} has one meaning"
    for name in ("--inventory", "--json", "--models", "--jobs"):
        flags = {(item.is_flag, item.type.name) for item in named(OPTIONS, name).values()}
        assert len(flags) == 1, name


def test_old_spellings_work_with_a_warning_and_are_shown_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    known = {(path.removeprefix("edge ") if "bench" in path else path, old) for path, _, _, old in RENAMED}
    assert {("edge flash", "--force"), ("edge bundle", "--overwrite"), ("bench count", "--photo"),
            ("edge train ladder", "--limit")} <= known  # fmt: skip
    for path, command, item, old in RENAMED:
        values = parse(path, command, old, *([] if item.is_flag else ["x"]))
        assert values[item.name] in (True, "x", ["x"])
        assert f"warning: `{old}` is now `{longest(item)}`." in capsys.readouterr().err
        assert old not in item.opts, "completion and help would show it"
        shown = [word for other in command.params for word in other.opts]
        assert old not in shown, f"{path}: {old} has a new meaning"


def test_flash_does_not_take_force_for_leave_to_overwrite(capsys: pytest.CaptureFixture[str]) -> None:
    """It never replaced files; who knew it as that of `bundle` is told."""
    assert parse("edge flash", EVERY["edge flash"], "--force")["accept_failed"] is True
    assert "`--accept-failed`. It never replaced files." in capsys.readouterr().err
    assert "accept_failed" not in parse("edge bundle", EVERY["edge bundle"], "--force")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("edge train quantize rec --model . --out x --sensitivity", "--sensitivity writes no model"),
        ("edge train quantize rec --model . --out x --method qat --limit 20", "only --method ptq takes --limit"),
        ("edge build --device rk3399 --abi arm64", "--device and --abi cannot be given together"),
        ("bench run --resume --force", "--resume continues a session, --force replaces it"),
        ("bench run --dry-run --precision fp16", "the kit's models are fp32 or int8, not fp16"),
        ("edge run --models plate_v1", "Did you mean 'plate-v1'?"),
    ],
)
def test_of_two_options_that_exclude_each_other_none_is_dropped(line: str, says: str) -> None:
    program, *words = line.split()
    done = CliRunner().invoke({"edge": edge, "bench": bench}[program], words)
    assert isinstance(done.exception, UsageError) and says in done.exception.message


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("edge run --models plate-v1,ppocrv3", "`edge run` takes one set of models"),
        ("edge run --device one,two", "`edge run` takes one device"),
        ("edge run --group lab", "`edge run` takes one device, by --device NAME"),
        ("edge run --precision fp16", "the kit's models are fp32 or int8. fp16 is for your own"),
        ("bench tune --device one --device two", "--device was given 2 times; `bench tune` takes one"),
        ("bench run photo.jpg", "Photos are given by --photos: --photos photo.jpg"),
        ("edge status gate", "A device is given by --device: --device gate"),
    ],
)
def test_what_a_command_does_not_take_is_answered_with_what_it_takes(line: str, says: str) -> None:
    program, *words = line.split()
    done = CliRunner().invoke({"edge": edge, "bench": bench}[program], words)
    assert (done.exit_code, says in done.stderr) == (2, True), done.stderr


def test_the_page_names_every_old_spelling() -> None:
    """`docs/options.md` says what each became."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "options.md").read_text(encoding="utf-8")
    rows = dict(line.strip("| ").split(" | ", 1) for line in page.splitlines() if line.startswith("| `"))
    for path, _, item, old in RENAMED:
        if not path.startswith("edge bench"):
            assert longest(item) in rows[f"`{path} {old}`"]
    for path, command in EVERY.items():
        for old, new in command.old.items() if isinstance(command, Group) else ():
            assert f"`{path} {new}`" in rows[f"`{path} {old}`"]
