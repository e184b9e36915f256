"""What `edge convert` says of damaged, cut and hostile files: which one, why and what to do, and nothing to the terminal."""

from __future__ import annotations

import json
import math
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from nbwriter import FLOAT, write_v2

import edge
from convert.graph.edit import Graph
from convert.graph.task import check_finite, check_input, signature
from convert.opt.source import output_classes
from convert.rewrite.apply import rewrite
from convert.rewrite.fuse import fuse_pieces
from edge.base.errors import EdgeError, InputError
from edge.cli import main
from edge.model.folder import new_folder

FILES = Path(__file__).parents[1] / "opt-files"
SHIPPED = Path(edge.__file__).resolve().parent / "zoo" / "plate-v1"
EVIL = "\x1b]0;owned\x07\x9b2J\u202ew"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `edge ...` in this process; returns exit code, standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["edge", *map(str, arguments)])
        # With paddle loaded, `edge` ends its process without unwinding.
        monkeypatch.setattr("os._exit", sys.exit)
        with pytest.raises(SystemExit) as stop:
            main()
        printed = capsys.readouterr()
        return int(stop.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shipped detector as `.nb`; to be copied."""
    from convert.opt.convert import Options, convert_model
    from edge.model.card import load_model

    pytest.importorskip("paddlelite")
    out = tmp_path_factory.mktemp("converted") / "det"
    convert_model(load_model(SHIPPED / "det-fp32"), out, Options("arm"))
    return out


def _cut(folder: Path) -> None:
    path = folder / "det.nb"
    path.write_bytes(path.read_bytes()[:1000])


def _other_hash(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text())
    card["files"][0]["sha256"] = "0" * 64
    (folder / "card.json").write_text(json.dumps(card))


def _half_a_card(folder: Path) -> None:
    (folder / "card.json").write_text((folder / "card.json").read_text()[:200])


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (_cut, "det.nb is not the file that card.json describes (1000 bytes, not "),
        (_other_hash, "det.nb is not the file that card.json describes (another SHA-256)"),
        (_half_a_card, "card.json is not valid JSON"),
    ],
)
def test_a_damaged_model_in_the_way_is_named(
    damage: Callable[[Path], None], why: str, converted: Path, tmp_path: Path, command: Run
) -> None:
    out = tmp_path / "det-arm"
    shutil.copytree(converted, out)
    again = ("convert", "nb", SHIPPED / "det-fp32", "--target", "arm", "--out", out)
    assert command(*again)[0] == 0, "a whole one is left alone"
    damage(out)
    prune = ("convert", "charset", SHIPPED / "rec-fp32", "--charset", "plate", "--out", out)
    for line in (again, prune):
        code, shown, told = command(*line, "--json")
        document = json.loads(shown)
        assert code == 3 == document["code"], told
        assert "the model there is damaged" in document["error"] and why in document["error"], document
        assert "Run the same command with --force" in document["hint"]
    for line in (("convert", "size", out), ("convert", "inspect", out), ("convert", "verify", out)):
        code, shown, told = command(*line, "--json")
        assert code in (3, 9) and why in json.loads(shown)["error"], told
        assert damage is _half_a_card or f"`edge convert nb MODEL --target arm --out {out} --force`" in told


def test_an_interrupted_replacement_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "model"
    out.mkdir()
    (out / "card.json").write_text("old")

    def interrupted(path: Path, target: Path, rename: Callable[[Path, Path], Path] = Path.rename) -> Path:
        if target == out and (path / "card.json").read_text() == "new":
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), new_folder(out, force=True) as folder:
        (folder / "card.json").write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["model"] and (out / "card.json").read_text() == "old"
    monkeypatch.undo()
    with new_folder(out, force=True) as folder:
        (folder / "card.json").write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["model"] and (out / "card.json").read_text() == "new"


def test_a_file_cut_anywhere_is_named_with_its_name(converted: Path, tmp_path: Path, command: Run) -> None:
    whole = (converted / "det.nb").read_bytes()
    path, folder = tmp_path / "cut.nb", tmp_path / "model"
    shutil.copytree(converted, folder)
    for sixteenth in range(16):
        path.write_bytes(whole[: len(whole) * sixteenth // 16])
        (folder / "det.nb").write_bytes(path.read_bytes())
        for line in (("inspect", path), ("inspect", converted, path), ("size", path)):
            code, shown, _ = command("convert", *line, "--json")
            assert code == 4 and str(path) in json.loads(shown)["error"], (sixteenth, shown)
        code, shown, _ = command("convert", "verify", folder, "--json")
        assert code == 9 and "det.nb" in json.loads(shown)["error"]
        code, shown, _ = command("convert", "check", path, "--target", "arm", "--json")
        assert code == 3 and f"{path} is converted already" in json.loads(shown)["error"]


def test_a_folder_in_the_place_of_a_program_is_named(tmp_path: Path, command: Run) -> None:
    (tmp_path / "inference.pdmodel").mkdir()
    (tmp_path / "inference.pdiparams").write_bytes(b"")
    for line in (("check", tmp_path), ("nb", tmp_path, "--out", tmp_path / "out")):
        code, shown, _ = command("convert", *line, "--target", "arm", "--json")
        assert code == 3 and "inference.pdmodel is a folder" in json.loads(shown)["error"]


def test_names_in_a_file_cannot_steer_the_terminal(tmp_path: Path, command: Run) -> None:
    first, second = tmp_path / "a.nb", tmp_path / "b.nb"
    weights = [(f"{EVIL}{index}", FLOAT, (64,), bytes(256)) for index in range(2)]
    conv = ("conv" + EVIL, {"Filter": [weights[0][0]]}, {"Output": [EVIL]}, {"Input0_scale": math.nan})
    feed, fetch = ("feed", {}, {"Out": [EVIL]}, {"col": 0}), ("fetch", {"X": [EVIL]}, {}, {"col": 0})
    first.write_bytes(write_v2([feed, conv, fetch], [], weights, opt="v2\x1b[2J"))
    second.write_bytes(write_v2([feed, fetch], [], weights[1:]))
    cut = tmp_path / f"{EVIL}.nb"
    cut.write_bytes(first.read_bytes()[:-10])
    for line in (("inspect", first), ("inspect", first, second), ("size", first, second), ("inspect", cut)):
        _, shown, told = command("convert", *line)
        assert "owned" in shown + told or line[0] == "size"
        strange = {letter for letter in shown + told if not letter.isprintable()} - {"\n"}
        assert not strange, (line, strange)
    document = json.loads(command("convert", "inspect", first, "--json")[1], parse_constant=_no_json)
    assert document["operators"][1] == {
        "index": 1, "type": f"conv{EVIL}", "kernel": "unknown/unknown/unknown", "scales": {"Input0_scale": None},
    }  # fmt: skip


def _no_json(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def test_damaged_programs_end_in_a_sentence(tmp_path: Path) -> None:
    """A thousand mutations of a program or of its parameters: each is read, or refused by an error of the kit's."""
    rng = random.Random(5)
    program, parameters = ((FILES / f"inference.{kind}").read_bytes() for kind in ("pdmodel", "pdiparams"))
    paths = tmp_path / "a.pdmodel", tmp_path / "a.pdiparams"
    refused = 0
    for number in range(1000):
        damaged = bytearray(parameters if number % 3 == 0 else program)
        for _ in range(rng.choice((1, 1, 2, 5))):
            place = rng.randrange(min(len(damaged), 500) if number % 3 == 0 else len(damaged))
            how = rng.random()
            if how < 0.6:
                damaged[place] = rng.randrange(256)
            elif how < 0.8:
                del damaged[place : place + rng.randrange(1, 40)]
            else:
                damaged[place:place] = rng.randbytes(rng.randrange(1, 9))
        paths[0].write_bytes(program if number % 3 == 0 else damaged)
        paths[1].write_bytes(damaged if number % 3 == 0 else parameters)
        try:
            graph = Graph.load(*paths)
            output_classes(graph)
            check_input(signature(graph), "a")
            check_finite(graph, "a")
            rewrite(graph, rng.choice(("arm", "x86")), "2.13rc0", integers=True)
        except EdgeError as error:
            assert error.message and "\n" not in error.message
            refused += 1
    assert refused > 300


def test_a_program_that_leads_in_circles_ends() -> None:
    graph = Graph.load(FILES / "inference.pdmodel", FILES / "inference.pdiparams")
    first = graph.block.ops[1]
    result = next(name for item in first.outputs for name in item.arguments)
    for source, target in ((result, "loop"), ("loop", result)):
        operator = graph.block.ops.add(type="scale")
        operator.inputs.add(parameter="X", arguments=[source])
        operator.outputs.add(parameter="Out", arguments=[target])
        operator.attrs.add(name="scale", type=1, f=2.0)
    fetch = graph.block.ops.add(type="fetch")
    fetch.inputs.add(parameter="X", arguments=["loop"])
    fuse_pieces(graph)


def test_a_model_without_card_is_not_replaced_even_by_force(tmp_path: Path) -> None:
    (tmp_path / "det.nb").write_bytes(b"x")
    for force in (False, True):
        with pytest.raises(InputError, match="not a model folder"), new_folder(tmp_path, force):
            pass
    assert (tmp_path / "det.nb").read_bytes() == b"x"


def test_an_interrupted_command_says_so_in_one_document(
    tmp_path: Path, command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("convert.commands.inspect.open_nb", interrupt)
    code, shown, told = command("convert", "inspect", tmp_path, "--json")
    assert code == 130 == json.loads(shown)["code"] and "goes on from there" in told
