"""One run of a new `.nb` before it is called converted: what aborts or answers nonsense is named, what can be is mended."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from netwriter import Operator, constant, detector, dictionary, one, recogniser, two
from numpy.typing import NDArray

from convert.commands.nb import nb
from convert.commands.verify import _opened
from convert.graph.edit import Graph, attribute
from convert.opt.check import _scalars as scalar_findings
from convert.opt.environment import DEFAULT_VERSION
from convert.opt.refused import first_refused
from convert.opt.source import find_files, open_convertible
from convert.proof.children import Job, run_network
from convert.proof.trial import _judge, _look_inside, trial_inputs
from convert.proof.verify import static_checks
from convert.rewrite.apply import rewrite
from edge.base.errors import ModelError
from edge.model.card import TRIAL, load_model

pytest.importorskip("paddlelite")


def _convert(folder: Path, *words: object, target: str = "x86") -> Path:
    out = folder.with_name(f"{folder.name}-{target}")
    arguments = [str(folder), "--target", target, "--out", str(out), "--force", *map(str, words)]
    done = CliRunner().invoke(nb, arguments)
    if done.exception is not None:
        assert not out.exists(), "nothing is left of what was refused"
        raise done.exception
    return out


@pytest.fixture(autouse=True)
def _cache(own_cache: Path) -> None:
    """Trials that earlier runs of the tests passed are not asked."""


def test_a_good_model_is_tried_and_the_card_says_so_and_is_not_tried_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = detector(tmp_path / "det")
    for target in ("x86", "arm"):
        card = load_model(_convert(folder, target=target)).card
        check = next(check for check in card.checks if check["name"] == TRIAL)
        assert check["figures"] == {"input": [1, 3, 160, 224], "output": [1, 1, 160, 224]}
        assert ("x86 form" in check.get("note", "")) == (target == "arm")
    monkeypatch.setattr("convert.proof.trial.run_network", lambda *rest: pytest.fail("tried again"))
    _convert(folder, target="arm")


# What follows `map` of a detector, its end, and the factor that the mended network must have.
MENDED: dict[str, tuple[list[Operator], float]] = {
    "factor": ([constant("k", 0.5), two("elementwise_mul", "map", "k", "out", axis=-1)], 0.5),
    "first": ([constant("k", 0.5), two("elementwise_mul", "k", "map", "out", axis=-1)], 0.5),
    "two": (
        [constant("k", 0.5), constant("l", 0.5), two("elementwise_mul", "k", "l", "kl", axis=-1),
         two("elementwise_mul", "map", "kl", "out", axis=-1)],
        0.25,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MENDED)
def test_constants_without_dimensions_get_one_where_that_is_the_same(name: str, tmp_path: Path) -> None:
    behind, factor = MENDED[name]
    folder = detector(tmp_path / name, behind=behind, end="out")
    graph = Graph.load(*find_files(folder))
    assert [item.level for item in scalar_findings(graph)] == ["warning"]
    rewrite(graph, "arm")
    assert all(attribute(operator, "shape") == [1] for operator in graph.of_type("fill_constant"))
    if name != "two":
        return
    weights = graph.params["w"]
    x = np.random.default_rng(1).normal(0, 1, (1, 3, 32, 64)).astype(np.float32)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))[0]  # type: ignore[call-overload]
    wanted = factor / (1 + np.exp(-np.einsum("chwij,cij->hw", windows, weights[0])))
    (got,) = run_network(Job("lite", (_convert(folder) / "det.nb",)), [x])
    assert np.abs(got[0, 0] - wanted).max() < 1e-5


def test_a_constant_that_cannot_be_mended_is_named_with_what_reads_it(tmp_path: Path) -> None:
    stack: Operator = ("stack", {"X": ["k"]}, {"Y": ["ks"]}, {"axis": 0})
    behind = [constant("k", 0.5), stack, two("elementwise_mul", "map", "ks", "out", axis=-1)]
    folder = detector(tmp_path / "m", behind=behind, end="out")
    (finding,) = scalar_findings(Graph.load(*find_files(folder)))
    assert finding.level == "error" and "stack -> ks" in finding.message
    with pytest.raises(ModelError) as caught:
        _convert(folder, target="arm")
    assert "fill_constant -> k (" in caught.value.message and "shape []" in caught.value.message
    assert "no valid out_shape" in caught.value.message
    assert "paddle.full([1]" in caught.value.hint and "stack -> ks reads it" in caught.value.hint


def test_a_flatten_without_xshape_converts(tmp_path: Path) -> None:
    folder, words = recogniser(tmp_path / "m", flat="flatten_contiguous_range"), dictionary(tmp_path / "dict.txt")
    made = load_model(_convert(folder, "--task", "rec", "--dict", words))
    assert (made.card.opt or {})["rewrites"]["xshape"] == 1
    # What was made is verified against the bare folder that it was made of, and no other.
    with ExitStack() as stack:
        static = static_checks(made, _opened(folder, made, stack))
        assert [check["name"] for check in static if check["ok"]] == ["verify-weights", "verify-card"]
        with pytest.raises(ModelError, match="60 classes"):
            _opened(recogniser(tmp_path / "other", classes=60), made, stack)
    flatten = Graph.load(*find_files(folder))
    rewrite(flatten, "arm", "2.12")
    assert flatten.of_type("flatten_contiguous_range")[0].outputs[1].parameter == "XShape", "for each opt"


def test_an_operator_with_which_opt_ends_is_named(tmp_path: Path) -> None:
    folder = recogniser(tmp_path / "m", flat="flatten_contiguous_range")
    assert first_refused(*find_files(folder), "x86", DEFAULT_VERSION) == "flatten_contiguous_range -> d"


def test_a_network_with_fixed_sizes_inside_is_named(tmp_path: Path) -> None:
    reshape: Operator = ("reshape2", {"X": ["map"]}, {"Out": ["out"], "XShape": ["s"]}, {"shape": [1, 1, 64, 96]})
    folder = detector(tmp_path / "m", sides=(64, 96), behind=[reshape], end="out")
    with pytest.raises(ModelError, match=r"reshape2 -> out \(shape \[1, 1, 64, 96\]\)") as caught:
        _convert(folder)
    assert "exported for 64x96 only" in caught.value.hint


def _rows(*values: float) -> NDArray[np.float32]:
    return np.tile(np.array(values, np.float32), (1, 20, 1))


@pytest.mark.parametrize(
    ("task", "output", "said", "hint"),
    [
        ("rec", _rows(3.5, -2.0, *[0.0] * 68), "not probabilities", "softmax"),
        ("rec", _rows(*[0.5] * 70), "is 35 to 35, not 1", "softmax"),
        ("rec", _rows(*[-4.2] * 70), "not probabilities", "softmax"),
        ("rec", _rows(*[1 / 70] * 70).transpose(1, 0, 2), "answers [20, 1, 70]", "transpose"),
        ("rec", _rows(*[1 / 60] * 60), "answers [1, 20, 60]", "dictionary"),
        ("det", np.full((1, 1, 160, 224), 7.0, np.float32), "not probabilities", "sigmoid"),
        ("det", np.full((1, 1, 40, 56), 0.5, np.float32), "answers [1, 1, 40, 56]", "head"),
        ("det", np.full((1, 2, 160, 224), 0.5, np.float32), "answers [1, 2, 160, 224]", "head"),
    ],
)
def test_outputs_that_mean_nothing_are_refused(
    task: str, output: NDArray[np.float32], said: str, hint: str, tmp_path: Path
) -> None:
    folder = detector(tmp_path / "m") if task == "det" else recogniser(tmp_path / "m")
    words = None if task == "det" else dictionary(tmp_path / "dict.txt")
    (tmp_path / "work").mkdir()
    model = open_convertible(folder, tmp_path / "work", task, words)
    with pytest.raises(ModelError) as caught:
        _judge(model, trial_inputs(model.card)[0], output, True)
    assert said in caught.value.message and hint in caught.value.hint, caught.value


@pytest.mark.paddle
def test_nan_is_found_behind_which_operator_so_ever_it_is_hidden(tmp_path: Path) -> None:
    pytest.importorskip("paddle")
    behind = [one("scale", "map", "m", scale=-1.0, bias=0.0, bias_after_scale=True), one("sqrt", "m", "n"),
              one("relu", "n", "out")]  # fmt: skip
    (tmp_path / "work").mkdir()
    model = open_convertible(detector(tmp_path / "m", behind=behind, end="out"), tmp_path / "work")
    with pytest.raises(ModelError, match="first in sqrt -> n"):
        _look_inside(model, trial_inputs(model.card)[0])


def test_without_paddle_lite_the_card_says_that_nothing_was_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convert.proof.trial.importlib.util.find_spec", lambda name: None)
    card = load_model(_convert(detector(tmp_path / "m"))).card
    assert "not tried" in next(check["note"] for check in card.checks if check["name"] == TRIAL)
