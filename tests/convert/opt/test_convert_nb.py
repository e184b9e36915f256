"""From inference model to `.nb`: same answers, same bytes, clear errors (field notes' pains 1 to 5, 7 and 13)."""

from __future__ import annotations

import json
import zlib  # noqa: F401
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from invented import write_invented
from netwriter import insert_before

from convert.graph.edit import Graph, arguments
from convert.opt.convert import Options, convert_model, existing, fitting_options
from convert.opt.failures import explain
from convert.rewrite.apply import rewrite
from edge.base.errors import InputError, ModelError, UsageError
from edge.model.card import Model, load_model

pytest.importorskip("paddle")
pytest.importorskip("rapidocr_onnxruntime")
pytestmark = pytest.mark.paddle


@pytest.fixture(scope="module")
def inference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    from train.arch.architecture import find_architecture
    from train.export.write import export_layer
    from train.weights.published import load_published

    folder = tmp_path_factory.mktemp("inference")
    models = {}
    for task in ("det", "rec"):
        found = load_published(find_architecture("", task))
        card = found.arch.card(f"ppocrv3-{task}-fp32")
        models[task] = export_layer(found.arch, found.net, folder / task, card, characters=found.characters)
    return models


def _graph(model: Model) -> Graph:
    return Graph.load(model.file(".pdmodel"), model.file(".pdiparams"))


def _save(graph: Graph, model: Model, folder: Path) -> Model:
    """Writes an edited graph as a model folder."""
    from edge.model.card import save_model

    folder.mkdir()
    graph.save(folder / "inference.pdmodel", folder / "inference.pdiparams")
    if model.dictionary:
        (folder / "dict.txt").write_bytes(model.dictionary.read_bytes())
    return save_model(folder, model.card, ["inference.pdmodel", "inference.pdiparams"])


@pytest.mark.parametrize(("task", "most"), [("det", 2_509_398), ("rec", 10_770_990)])
def test_arm_sizes_do_not_exceed_the_clean_graphs(
    task: str, most: int, inference: dict[str, Model], tmp_path: Path
) -> None:
    made = convert_model(inference[task], tmp_path / "arm", Options("arm"))
    content = made.file(".nb").read_bytes()
    assert len(content) <= most
    assert b"/tmp" not in content and str(tmp_path).encode() not in content
    assert load_model(made.folder).card == made.card
    again = convert_model(inference[task], tmp_path / "again", Options("arm"))
    assert again.file(".nb").read_bytes() == content
    assert existing(inference[task], made.folder, Options("arm")) is not None
    assert existing(inference[task], made.folder, Options("arm", packed=False)) is None


@pytest.mark.parametrize(
    ("task", "sizes"), [("det", [(64, 96), (320, 256), (64, 96)]), ("rec", [(48, 160), (48, 320), (48, 160)])]
)
def test_x86_answers_right_after_a_change_of_shape(
    task: str, sizes: list[tuple[int, int]], inference: dict[str, Model], tmp_path: Path
) -> None:
    """Pain 8: without the rewrite Paddle Lite's x86 kernels keep the first input's sizes."""
    from edge.runtime.engines import open_network
    from edge.runtime.paddle_lite import LiteNetwork

    made = convert_model(inference[task], tmp_path / "x86", Options("x86"))
    network, exact = LiteNetwork(made.file(".nb"), trusted=True), open_network(inference[task])
    plain = convert_model(inference[task], tmp_path / "plain", replace(Options("x86"), rewrite=task == "rec"))
    rng = np.random.default_rng(0)
    for height, width in sizes:
        x = rng.uniform(-1.5, 1.5, (1, 3, height, width)).astype(np.float32)
        assert np.abs(network.run(x) - exact.run(x)).max() < 1e-4
    assert plain.card.opt is not None
    assert ("x86-direct-conv" in plain.card.opt["rewrites"]) == (task == "rec")


def test_pain_2_missing_attribute_is_repaired_or_explained(inference: dict[str, Model], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="swish lacks the attribute beta") as caught:
        convert_model(inference["rec"], tmp_path / "a", Options("arm", rewrite=False))
    assert "edge convert nb" in caught.value.hint
    assert not (tmp_path / "a").exists()
    assert not list(tmp_path.iterdir())  # nothing half-made is left


def test_pain_3_output_scales_of_qat_are_removed(inference: dict[str, Model], tmp_path: Path) -> None:
    graph = _graph(inference["rec"])
    last = graph.of_type("softmax")[-1]
    name = arguments(last.inputs, "X")[0]

    def fill(operator: Any) -> None:
        operator.type = "moving_average_abs_max_scale"
        operator.inputs.add(parameter="X", arguments=[name])
        operator.outputs.add(parameter="Out", arguments=[f"{name}.scaled"])

    insert_before(graph, last, fill)
    graph.declare_like(name, f"{name}.scaled")
    softmax = graph.of_type("softmax")[-1]
    for item in softmax.inputs:
        item.arguments[0] = f"{name}.scaled"
    model = _save(graph, inference["rec"], tmp_path / "qat")
    made = convert_model(model, tmp_path / "nb", Options("arm"))
    assert made.card.opt is not None and made.card.opt["rewrites"]["output-scales"] == 1
    with pytest.raises(ModelError, match=r"moving_average_abs_max_scale|swish"):
        convert_model(model, tmp_path / "raw", Options("arm", rewrite=False))


def test_pain_4_paddle_3_models_are_named(tmp_path: Path) -> None:
    from convert.opt.source import open_convertible

    (tmp_path / "inference.json").write_text('{"base_code": {"magic": "pir"}}')
    (tmp_path / "inference.pdiparams").write_bytes(b"x")
    with pytest.raises(ModelError, match="Paddle 3 program in JSON") as caught:
        open_convertible(tmp_path, tmp_path / "work")
    assert "FLAGS_enable_pir_api=0" in caught.value.hint


def test_pain_7_int8_is_not_made_fp16(inference: dict[str, Model], tmp_path: Path) -> None:
    int8 = replace(inference["rec"], card=replace(inference["rec"].card, precision="int8"))
    with pytest.raises(ModelError, match="int8 model cannot be converted to fp16"):
        convert_model(int8, tmp_path / "a", Options("arm", fp16=True))


def test_pain_9_fp16_is_refused_where_the_cores_lack_it() -> None:
    with pytest.raises(ModelError, match="cortex-a72 and cortex-a53 without asimdhp"):
        fitting_options(Options("arm", fp16=True), "rk3399")
    assert fitting_options(Options("arm", fp16=True), "rk3588").fp16
    with pytest.raises(UsageError, match="x86 has no fp16"):
        fitting_options(Options("x86", fp16=True), None)


def test_pain_1_opt_follows_the_boards_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    from convert.opt.environment import version_for_runtime

    assert version_for_runtime("v2.13-rc") == "2.13rc0"
    assert version_for_runtime("v2.10") == "2.10"
    with pytest.raises(UsageError, match="No opt is known"):
        version_for_runtime("v1.9")
    monkeypatch.setattr("convert.opt.convert._runtime_version", lambda profile: "v2.12")
    assert fitting_options(Options("arm"), "rk3399").version == "2.12"


def test_pain_5_no_python_for_a_version(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    from convert.opt import environment as opt_environment
    from edge.base.errors import HostError

    monkeypatch.setattr(opt_environment, "find_python", lambda wanted: None)
    monkeypatch.setattr(opt_environment.shutil, "which", lambda name: None)
    with pytest.raises(HostError, match=r"opt 2\.12 needs CPython 3\.7") as caught:
        opt_environment.opt_environment("2.12")
    assert "uv" in caught.value.hint
    with pytest.raises(UsageError, match="no opt 9"):
        opt_environment.opt_environment("9")


def test_pain_13_wrong_dictionary_length_is_found(inference: dict[str, Model], tmp_path: Path) -> None:
    from convert.opt.source import open_convertible

    bare = tmp_path / "bare"
    bare.mkdir()
    for suffix in (".pdmodel", ".pdiparams"):
        source = inference["rec"].file(suffix)
        (bare / source.name).write_bytes(source.read_bytes())
    dictionary = inference["rec"].dictionary
    assert dictionary is not None
    lines = dictionary.read_text(encoding="utf-8").splitlines(keepends=True)
    short = tmp_path / "short.txt"
    short.write_text("".join(lines[:100]), encoding="utf-8")
    work = tmp_path / "work"
    work.mkdir()
    with pytest.raises(ModelError, match="6625 classes, but its dictionary has 101 characters"):
        open_convertible(bare, work, None, short)
    without_space = tmp_path / "ppocr_keys.txt"
    without_space.write_text("".join(lines[:-1]), encoding="utf-8")
    model = open_convertible(bare, work, "rec", without_space)  # PaddleOCR's own dictionaries leave the space out
    assert model.card.charset is not None and model.card.charset.classes == 6625


def test_a_head_without_a_class_for_the_space_takes_its_dictionary_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recogniser trained with use_space_char: false, named from within its folder."""
    from convert.opt.source import open_convertible
    from edge.bundle.zoo import SHIPPED

    shipped = SHIPPED / "plate-v1" / "rec-fp32"
    bare, work = tmp_path / "mine", tmp_path / "work"
    bare.mkdir()
    work.mkdir()
    for name in ("inference.pdmodel", "inference.pdiparams", "dict.txt"):
        (bare / name).write_bytes((shipped / name).read_bytes())
    monkeypatch.chdir(bare)
    model = open_convertible(Path("inference.pdmodel"), work, "rec", Path("dict.txt"))
    assert model.card.name == "mine-fp32" and model.dictionary is not None
    assert model.dictionary.read_bytes() == (shipped / "dict.txt").read_bytes()
    with pytest.raises(InputError, match="does not exist"):
        open_convertible(shipped / "no_such.pdmodel", work)  # not the model beside which it does not lie


def test_cut_or_foreign_parameters_are_explained(inference: dict[str, Model], tmp_path: Path) -> None:
    raw = inference["det"].file(".pdiparams").read_bytes()
    for content, expected in ((raw[:-100], "is cut short or damaged at byte"), (raw + b"xx", "2 bytes more")):
        path = tmp_path / "p.pdiparams"
        path.write_bytes(content)
        with pytest.raises(ModelError, match=expected):
            Graph.load(inference["det"].file(".pdmodel"), path)
    (tmp_path / "x.pdmodel").write_bytes(b"\xff" * 100)
    with pytest.raises(ModelError, match="not a Paddle program"):
        Graph.load(tmp_path / "x.pdmodel", inference["det"].file(".pdiparams"))


def test_saved_graph_is_the_same_file(inference: dict[str, Model], tmp_path: Path) -> None:
    model = inference["rec"]
    _graph(model).save(tmp_path / "a.pdmodel", tmp_path / "a.pdiparams")
    assert (tmp_path / "a.pdiparams").read_bytes() == model.file(".pdiparams").read_bytes()
    assert (tmp_path / "a.pdmodel").read_bytes() == model.file(".pdmodel").read_bytes()


@pytest.mark.parametrize("task", ["det", "rec"])
def test_decomposed_activations_and_norms_become_one_operator(
    task: str, inference: dict[str, Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decomposed = _decomposed(task, tmp_path / "pieces", monkeypatch)
    pieces, clean = _graph(decomposed), _graph(inference[task])
    assert Counter(operator.type for operator in pieces.block.ops)["clip"] > 20
    changes = rewrite(pieces, "arm")
    rewrite(clean, "arm")
    assert Counter(o.type for o in pieces.block.ops) == Counter(o.type for o in clean.block.ops)
    assert changes["fuse-hard_swish"] == {"det": 20, "rec": 27}[task]

    from edge.runtime.engines import open_network
    from edge.runtime.paddle_lite import LiteNetwork

    made = convert_model(decomposed, tmp_path / "nb", Options("x86"))
    x = np.random.default_rng(0).uniform(-1.5, 1.5, (1, 3, 48 if task == "rec" else 64, 96)).astype(np.float32)
    got = LiteNetwork(made.file(".nb"), trusted=True).run(x)
    assert np.abs(got - open_network(inference[task]).run(x)).max() < 1e-4


def _decomposed(task: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """Exports a network whose activations and layer norms are written in pieces, as ONNX converters do."""
    import paddle
    import paddle.nn.functional as functional
    from paddle import nn

    from train.arch import blocks
    from train.arch.architecture import find_architecture
    from train.export.write import export_layer
    from train.weights.published import load_published

    def in_pieces(x: Any, name: str | None) -> Any:
        if name == "hard_swish":
            return x * paddle.clip(x + 3.0, 0.0, 6.0) / 6.0
        if name == "swish":
            return x * functional.sigmoid(x)
        return functional.relu(x) if name == "relu" else x

    def norm(self: Any, x: Any) -> Any:
        centred = x - x.mean(-1, keepdim=True)
        variance = (centred**2).mean(-1, keepdim=True)
        return centred / paddle.sqrt(variance + self._epsilon) * self.weight + self.bias

    def hard_sigmoid(x: Any, slope: float = 1 / 6, offset: float = 0.5) -> Any:
        return paddle.clip(x * slope + offset, 0.0, 1.0)

    monkeypatch.setattr(blocks, "activate", in_pieces)
    monkeypatch.setattr(nn.LayerNorm, "forward", norm)
    monkeypatch.setattr(functional, "hardsigmoid", hard_sigmoid)
    monkeypatch.setattr(functional, "swish", lambda x: x * functional.sigmoid(x))
    found = load_published(find_architecture("", task))
    return export_layer(found.arch, found.net, folder, found.arch.card(f"x-{task}-fp32"), characters=found.characters)


def test_pruned_recogniser_keeps_the_scores_of_its_characters(inference: dict[str, Model], tmp_path: Path) -> None:
    from convert.rewrite.charset import prune_charset, wanted_characters
    from edge.model.dictionary import read_dictionary
    from edge.plate.country import load_country
    from edge.runtime.engines import open_network

    characters, country = wanted_characters("plate")
    small = prune_charset(inference["rec"], characters, tmp_path / "plate", country)
    assert small.dictionary is not None and inference["rec"].dictionary is not None
    old, new = read_dictionary(inference["rec"].dictionary), read_dictionary(small.dictionary)
    assert set(new) > set("京ABC0123456789警学") and "·" in new
    assert (small.card.country, small.card.grammar) == ("cn", load_country("cn").grammar.lines())
    invented, other = wanted_characters(str(write_invented(tmp_path)))
    assert set(invented) == {*"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-"} and other is not None and other.code == "invented"
    columns = [0, *(old.index(character) + 1 for character in new)]
    x = np.random.default_rng(0).uniform(-1, 1, (1, 3, 48, 160)).astype(np.float32)
    full = open_network(inference["rec"]).run(x)[0][:, columns].astype(np.float64)
    got = open_network(load_model(small.folder)).run(x)[0].astype(np.float64)
    # Softmax of fewer classes: the ratios of what is kept, which are the differences of scores, stay.
    assert np.abs(full / full.sum(1, keepdims=True) - got).max() < 1e-5
    made = convert_model(small, tmp_path / "nb", Options("arm"))
    assert made.card.bytes < 6_700_000
    with pytest.raises(InputError, match="only a recogniser has characters"):
        prune_charset(inference["det"], ["A"], tmp_path / "no")
    with pytest.raises(InputError, match="knows none"):
        prune_charset(inference["rec"], ["\u0001"], tmp_path / "no")


@pytest.mark.parametrize(
    ("log", "code", "expected"),
    [
        ("[F x] Check failed: No attributes called fix_seed found for dropout", -6, "dropout lacks .* fix_seed"),
        ("no Op found for fancy_op", -6, "has no operator fancy_op"),
        ("something odd\n[F 1/1 file.cc:1 F] Check failed: x != y: boom", -6, "SIGABRT.*model: Check failed: x != y: boom"),
        ("", -11, "ended by SIGSEGV"),
    ],
)
def test_failures_of_opt_become_sentences(log: str, code: int, expected: str) -> None:
    import re

    error = explain(log, code, "2.13rc0", "arm")
    assert re.search(expected, error.message)
    assert error.hint and "file.cc" not in error.message


def test_command_line_speaks_json_and_names_errors(
    inference: dict[str, Model], tmp_path: Path, run_edge_json: Callable[..., Any]
) -> None:
    source, out = str(inference["det"].folder), str(tmp_path / "o")
    document = run_edge_json("convert", "nb", source, "--target", "arm", "--out", out)
    assert Path(document["folder"]) == tmp_path / "o"
    assert json.loads((tmp_path / "o" / "card.json").read_text())["opt"]["version"] == "2.13rc0"


@pytest.fixture
def run_edge_json() -> Callable[..., Any]:
    import subprocess
    import sys

    def run(*arguments: str) -> Any:
        command = [sys.executable, "-m", "edge", *arguments, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    return run
