"""`edge convert verify` passes what is right and names what is wrong (field notes' pains 6, 8 and 13)."""

from __future__ import annotations

import hashlib
import json
import shutil
import zlib  # noqa: F401
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from convert.commands.verify import verify as command
from convert.graph.edit import Graph, all_arguments, arguments
from convert.opt.convert import Options, convert_model
from convert.proof.children import Job, run_network
from convert.proof.photos import LabelledPhoto, load_photos
from convert.proof.verify import record, static_checks, verify
from convert.rewrite import apply as rewrite
from convert.size.shrink import _open, _write
from edge.base.errors import InputError, ModelError
from edge.base.paths import sha256_file
from edge.bundle.zoo import SHIPPED
from edge.model.card import Model, load_model, save_model
from edge.model.dictionary import read_dictionary
from edge.photo.listing import SAMPLES

pytest.importorskip("paddle")
pytestmark = pytest.mark.paddle


def _zoo(name: str) -> Model:
    return load_model(SHIPPED / "plate-v1" / name)


@pytest.fixture(scope="module")
def photos() -> list[LabelledPhoto]:
    return load_photos([SAMPLES], 3)


@pytest.fixture(scope="module", autouse=True)
def _runs_once() -> Iterator[None]:
    """The same network on the same inputs is run once: what is right there does not change from test to test."""
    known: dict[str, Any] = {}

    def run(job: Job, inputs: list[Any]) -> list[Any]:
        digest = hashlib.sha256(repr((job.kind, job.threads, job.fresh, job.every)).encode())
        for path in job.files:
            digest.update(path.read_bytes())
        for tensor in inputs:
            digest.update(repr(tensor.shape).encode() + np.ascontiguousarray(tensor).tobytes())
        key = digest.hexdigest()
        if key not in known:
            known[key] = run_network(job, inputs)
        return [output.copy() for output in known[key]]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("convert.proof.verify.run_network", run)
        yield


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Model]:
    made: dict[tuple[str, str], Model] = {}

    def convert(name: str, target: str) -> Model:
        if (name, target) not in made:
            out = tmp_path_factory.mktemp("nb") / name
            made[name, target] = convert_model(_zoo(name), out, Options(target))
        return made[name, target]

    return convert


def _copy(model: Model, folder: Path, **changes: Any) -> Model:
    """Copies a model folder; the card is written anew, with changes and the right hashes."""
    shutil.copytree(model.folder, folder)
    card = replace(model.card, **changes)
    if card.charset is not None:
        card = replace(card, charset=replace(card.charset, sha256=sha256_file(folder / card.charset.file)))
    return save_model(folder, card, [item.path for item in model.card.files])


def _edit(model: Model, folder: Path, edit: Callable[[Graph], None]) -> Model:
    """Copies an inference model with its program edited."""
    shutil.copytree(model.folder, folder)
    graph = Graph.load(folder / "inference.pdmodel", folder / "inference.pdiparams")
    edit(graph)
    graph.save(folder / "inference.pdmodel", folder / "inference.pdiparams")
    return save_model(folder, model.card, [item.path for item in model.card.files])


def _failed(checks: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {check["name"]: check["figures"] for check in checks if not check["ok"]}


def test_good_int8_model_passes_and_its_card_says_so(
    converted: Callable[[str, str], Model], tmp_path: Path
) -> None:
    model = _copy(converted("rec-int8", "arm"), tmp_path / "rec")
    assert model.card.verdict == "not verified"
    folders = [str(SHIPPED / "plate-v1" / name) for name in ("rec-int8", "rec-fp32")]
    options = ["--source", folders[0], "--against", folders[1], "--first", "3", "--threads", "1,2", "--json"]
    answer = CliRunner().invoke(command, [str(model.folder), *options])
    assert answer.exit_code == 0, answer.output
    document = json.loads(answer.stdout)
    assert document["ok"] and {check["name"] for check in document["checks"]} == {
        f"verify-{kind}" for kind in (
            "weights", "card", "finite", "outputs", "saturation", "threads", "shape-change", "plates", "against-fp32")
    }  # fmt: skip
    again = load_model(model.folder)
    assert again.card.verdict == "passed"
    plain = ("verify-card", "verify-finite")
    assert all(check["thresholds"] for check in again.card.checks if check["name"] not in plain)
    assert "x86 form" in next(check["note"] for check in again.card.checks if check["name"] == "verify-outputs")
    bad = record(again, [{"name": "verify-finite", "ok": False, "figures": {}, "thresholds": {}}])
    ours = [check for check in bad.card.checks if check["name"].startswith("verify-")]
    assert bad.card.verdict == "failed" and len(ours) == 1, "a new verdict takes the place of the old one"


def test_one_weight_tensor_zeroed(
    converted: Callable[[str, str], Model], photos: list[LabelledPhoto], tmp_path: Path
) -> None:
    for target in ("x86", "arm"):
        good = converted("rec-fp32", target)
        contents = _open(good.file(".nb").read_bytes())
        victim = next(p for p in contents.params if p["name"] == "conv2d_37.w_0")
        victim["variable"]["data"] = bytes(len(victim["variable"]["data"]))
        folder = tmp_path / target
        shutil.copytree(good.folder, folder)
        (folder / "rec.nb").write_bytes(_write(contents))
        model = save_model(folder, good.card, ["rec.nb"])
        # Arm code does not run here, but the file's weights are read.
        source = _zoo("rec-fp32")
        checks = verify(model, source, photos[:1], threads=[1]) if target == "x86" else static_checks(model, source)
        failed = _failed(checks)
        assert failed["verify-weights"]["all_zero"] == ["conv2d_37.w_0"]
        assert ("verify-outputs" in failed) == (target == "x86")


def test_pain_13_swapped_dictionary_lines(
    converted: Callable[[str, str], Model], photos: list[LabelledPhoto], tmp_path: Path
) -> None:
    source = _zoo("rec-fp32")
    nb = _copy(converted("rec-fp32", "x86"), tmp_path / "nb")
    lines = nb.dictionary.read_text(encoding="utf-8").splitlines()  # type: ignore[union-attr]
    i, j = (lines.index(character) for character in "67")
    lines[i], lines[j] = lines[j], lines[i]
    nb.dictionary.write_text("\n".join(lines) + "\n", encoding="utf-8")  # type: ignore[union-attr]
    nb = _copy(nb, tmp_path / "swapped")
    failed = _failed(verify(nb, source, photos, source, threads=[1]))
    assert failed["verify-card"]["differences"] == [f"dictionary: 2 lines differ, the first is line {min(i, j) + 1}"]
    assert failed["verify-plates"]["share"] == failed["verify-against-fp32"]["same_texts"] == 0.0

    # The same swap in the source: card and source agree, the known plates do not.
    both = tmp_path / "source"
    shutil.copytree(source.folder, both)
    (both / "dict.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    charset = replace(source.card.charset, sha256=sha256_file(both / "dict.txt"))  # type: ignore[type-var]
    wrong = save_model(both, replace(source.card, charset=charset), ["inference.pdmodel", "inference.pdiparams"])
    assert read_dictionary(both / "dict.txt")[i] == "7"
    failed = _failed(verify(nb, wrong, photos, threads=[1]))
    assert set(failed) == {"verify-plates"}


def test_wrong_mean_in_the_card(converted: Callable[[str, str], Model], photos: list[LabelledPhoto], tmp_path: Path) -> None:
    source = _zoo("det-fp32")
    # Of pixels 0 to 255, where the card's scale makes them 0 to 1: a common mistake.
    wrong = replace(source.card.input, mean=(103.53, 116.28, 123.675), std=(57.375, 57.12, 58.395))
    nb = _copy(converted("det-fp32", "x86"), tmp_path / "nb", input=wrong)
    failed = _failed(verify(nb, source, photos[:1], source, threads=[1]))
    first, second = failed["verify-card"]["differences"]
    assert first.startswith("input.mean: (103.53, 116.28, 123.675) here") and second.startswith("input.std")
    assert failed["verify-plates"]["share"] == 0.0 and "verify-against-fp32" in failed
    # The same mistake in the source's card: the known plates show it.
    both = _copy(source, tmp_path / "source", input=wrong)
    assert set(_failed(verify(nb, both, photos[:1], threads=[1]))) == {"verify-plates"}


def test_matmul_of_int8_bytes_is_nan_and_is_traced(
    photos: list[LabelledPhoto], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the x86 form of a statically quantised model with matmul does when the kit leaves the matmul as it is."""
    monkeypatch.setattr(rewrite, "matmul_to_mul", lambda graph: 0)
    nb = convert_model(_zoo("rec-int8"), tmp_path / "nb", Options("x86"))
    failed = _failed(verify(nb, _zoo("rec-int8"), photos, threads=[1]))
    assert failed["verify-finite"]["not_finite"] == len(photos)
    # The matmul reads beyond its bytes, so what it finds there differs from run to run: not a number at once, or such a
    # large one that an operator behind it is the first to overflow (seen: the bias of its layer, a later reshape).
    kind, result = failed["verify-finite"]["first_operator"].split(" -> ")
    operators = Graph.load(*(_zoo("rec-int8").file(end) for end in (".pdmodel", ".pdiparams"))).operators
    found = next(i for i, op in enumerate(operators) if op.type == kind and result in all_arguments(op.outputs))
    first = next(i for i, op in enumerate(operators) if op.type.startswith("matmul"))
    assert first <= found < len(operators)
    assert record(nb, [{"name": "verify-finite", "ok": False}]).card.failed_checks == ("verify-finite",)


def test_saturated_activation_is_traced(
    converted: Callable[[str, str], Model], photos: list[LabelledPhoto], tmp_path: Path
) -> None:
    source = _zoo("rec-int8")

    def too_small(graph: Graph) -> None:
        quantize = graph.of_type("quantize_linear")
        activations = [op for op in quantize if arguments(op.inputs, "X")[0] not in graph.params]
        name = arguments(activations[4].inputs, "Scale")[0]
        graph.set_param(name, graph.params[name] / 20)

    bad = _edit(source, tmp_path / "source", too_small)
    nb = _copy(converted("rec-int8", "x86"), tmp_path / "nb", source={})
    failed = _failed(verify(nb, bad, photos, threads=[1]))
    assert failed["verify-saturation"]["share"] > 0.2 and "conv2d_" in failed["verify-saturation"]["first_operator"]


def test_pain_8_answers_that_depend_on_the_shape_before(photos: list[LabelledPhoto], tmp_path: Path) -> None:
    plain = convert_model(_zoo("det-fp32"), tmp_path / "nb", Options("x86", rewrite=False))
    failed = _failed(verify(plain, None, photos, threads=[1]))
    figures = failed["verify-shape-change"]
    assert figures["shapes"] == [[512, 320], [256, 160], [512, 320]]
    # Wrong numbers, or the end of the process: the kernels write behind their buffers.
    assert "was ended by" in figures.get("reason", "") or figures["difference"] > 1e-3


def test_models_that_do_not_belong_together(converted: Callable[[str, str], Model], photos: list[LabelledPhoto]) -> None:
    with pytest.raises(InputError, match="was not made from"):
        verify(converted("rec-fp32", "x86"), _zoo("rec-int8"), photos)
    with pytest.raises(InputError, match="not an inference model of a rec network"):
        verify(converted("rec-fp32", "x86"), _zoo("det-fp32"), photos)
    with pytest.raises(InputError, match="which this host cannot run"):
        verify(converted("rec-fp32", "arm"), None, photos)


def test_figures_that_are_no_numbers_fail_and_stay_json() -> None:
    from convert.proof.verify import _judged

    for value in (float("inf"), float("nan")):
        check = _judged("threads", {"threads": [1, 2], "difference": value}, "threads")
        assert not check["ok"] and json.loads(json.dumps(check, allow_nan=False))["figures"]["difference"] is None


def test_a_file_without_any_weight_of_its_source_fails(
    converted: Callable[[str, str], Model], tmp_path: Path
) -> None:
    good = converted("rec-fp32", "arm")
    contents = _open(good.file(".nb").read_bytes())
    for param in contents.params:
        param["name"] = f"other_{param['name']}"
    folder = tmp_path / "nb"
    shutil.copytree(good.folder, folder)
    (folder / "rec.nb").write_bytes(_write(contents))
    failed = _failed(static_checks(save_model(folder, good.card, ["rec.nb"]), _zoo("rec-fp32")))
    assert failed["verify-weights"]["compared"] == 0


def test_a_network_that_ends_its_process_is_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A file of the user's with the name of a package of ours is not run in its place.
    (tmp_path / "convert.py").write_text("open('taken', 'w')")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.nb").write_bytes(b"\0" * 100)
    with pytest.raises(ModelError, match=r"Paddle Lite, with x\.nb, was ended by"):
        run_network(Job("lite", (Path("x.nb"),)), [np.zeros((1, 3, 32, 32), np.float32)])
    assert not (tmp_path / "taken").exists()
