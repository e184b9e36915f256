"""A network's task and input are read from it, never guessed in silence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from netwriter import CLASSES, conv, detector, dictionary, one, recogniser, write

from convert.graph.edit import Graph
from convert.graph.task import signature
from convert.opt.check import _network as network_findings
from convert.opt.source import find_files, open_convertible
from edge.base.errors import EdgeError, InputError, ModelError
from edge.bundle.zoo import SHIPPED
from edge.model.card import TRIAL, Card, check_feed, load_model, save_model


def _open(folder: Path, tmp_path: Path, task: str | None = None, words: Path | None = None) -> Card:
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    return open_convertible(folder, work, task, words).card


def test_one_map_is_a_detector_and_the_card_says_how_that_was_known(tmp_path: Path) -> None:
    card = _open(detector(tmp_path / "m"), tmp_path)
    assert card.task == "det" and card.charset is None
    assert "one map" in card.source["taken"][0]


@pytest.mark.parametrize("shipped", [False, True])
def test_a_recogniser_without_card_asks_for_its_dictionary(shipped: bool, tmp_path: Path) -> None:
    folder = SHIPPED / "plate-v1" / "rec-fp32" if shipped else recogniser(tmp_path / "m")
    if shipped:
        bare = tmp_path / "bare"
        bare.mkdir()
        for name in ("inference.pdmodel", "inference.pdiparams"):
            (bare / name).write_bytes((folder / name).read_bytes())
        folder = bare
    with pytest.raises(InputError, match="recogniser") as caught:
        _open(folder, tmp_path)
    assert "--task rec --dict FILE" in caught.value.hint and "softmax" in caught.value.message


def test_a_classifier_and_other_networks_ask_for_the_task_with_what_they_give(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weight = {"w": rng.normal(0, 1, (2, 3, 3, 3)).astype(np.float32)}
    classifier = write(
        tmp_path / "classifier",
        [conv("x", "w", "a"), one("flatten2", "a", "b", axis=1), one("softmax", "b", "y", axis=-1)],
        weight, {"x": [-1, 3, 48, 192]}, {"y": [-1, 2]},
    )  # fmt: skip
    both = write(
        tmp_path / "both", [conv("x", "w", "a"), one("sigmoid", "a", "b")], weight, {"x": [-1, 3, -1, -1]},
        {"a": [-1, 2, -1, -1], "b": [-1, 2, -1, -1]},
    )  # fmt: skip
    for folder, said in (
        (classifier, "classifier"), (detector(tmp_path / "three", maps=3), "3 maps"), (both, "2 outputs"),
        (recogniser(tmp_path / "bare", last=None), "without a softmax"),
    ):  # fmt: skip
        with pytest.raises(InputError, match="cannot be told") as caught:
            _open(folder, tmp_path)
        assert said in caught.value.message and "--task" in caught.value.hint
        found = network_findings(Graph.load(*find_files(folder)), folder)
        assert [item.name for item in found] == ["unknown-task"]


def test_a_task_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    words = dictionary(tmp_path / "dict.txt")
    for folder, task, given, hint in (
        (detector(tmp_path / "a"), "rec", words, "--task det"),
        (recogniser(tmp_path / "b"), "det", None, "--task rec --dict"),
    ):
        with pytest.raises(ModelError, match="as --task says") as caught:
            _open(folder, tmp_path, task, given)
        assert hint in caught.value.hint
    with pytest.raises(ModelError, match="as --dict says"):
        _open(detector(tmp_path / "c"), tmp_path, None, words)
    with pytest.raises(InputError, match="has no dictionary"):
        _open(detector(tmp_path / "d"), tmp_path, "det", words)


@pytest.mark.parametrize(("height", "width"), [(32, -1), (48, 320), (64, 200)])
def test_a_recognisers_sides_are_those_of_its_network(height: int, width: int, tmp_path: Path) -> None:
    folder = recogniser(tmp_path / "m", height=height, width=width)
    card = _open(folder, tmp_path, "rec", dictionary(tmp_path / "dict.txt"))
    assert (card.input.height, card.input.width) == (height, max(0, width))


@pytest.mark.parametrize(
    ("shape", "dtype", "said"),
    [
        ([-1, 1, 48, -1], 5, "1 channel; the program feeds 3"),
        ([-1, 4, 48, -1], 5, "4 channels; the program feeds 3"),
        ([-1, 48, 320, 3], 5, "channels last"),
        ([8, 3, 48, 320], 5, "8 pictures at once"),
        ([-1, 3, 48], 5, "feeds pictures"),
        ([-1, 3, 48, 320], 20, "of uint8"),
    ],
)
def test_inputs_that_the_program_cannot_feed_are_refused(
    shape: list[int], dtype: int, said: str, tmp_path: Path
) -> None:
    weight = {"w": np.zeros((1, max(1, shape[1]), 3, 3), np.float32)}
    operators = [conv("x", "w", "a"), one("sigmoid", "a", "y")]
    folder = write(tmp_path / "m", operators, weight, {"x": shape}, {"y": [-1, 1, -1, -1]}, dtype)
    with pytest.raises(ModelError) as caught:
        _open(folder, tmp_path)
    assert said in caught.value.message and caught.value.hint
    found = network_findings(Graph.load(*find_files(folder)), folder)
    assert found[0].level == "error" and said in found[0].message


def test_channels_are_told_by_the_first_convolution_where_the_shape_leaves_them_open(tmp_path: Path) -> None:
    weight = {"w": np.zeros((1, 1, 3, 3), np.float32)}
    operators = [conv("x", "w", "a"), one("sigmoid", "a", "y")]
    folder = write(tmp_path / "m", operators, weight, {"x": [-1, -1, -1, -1]}, {"y": [-1, 1, -1, -1]})
    assert signature(Graph.load(*find_files(folder))).channels == 1
    with pytest.raises(ModelError, match="1 channel"):
        _open(folder, tmp_path)


def test_two_inputs_are_named(tmp_path: Path) -> None:
    weight = {"w": np.zeros((1, 3, 3, 3), np.float32)}
    operators = [conv("x", "w", "a"), one("sigmoid", "a", "y")]
    inputs = {"x": [-1, 3, -1, -1], "im_shape": [-1, 2]}
    with pytest.raises(ModelError, match=r"2 inputs \(x .*im_shape \[-1, 2\]\)"):
        _open(write(tmp_path / "m", operators, weight, inputs, {"y": [-1, 1, -1, -1]}), tmp_path)


def test_a_card_that_says_otherwise_than_its_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    words = dictionary(tmp_path / "dict.txt")
    model = open_convertible(recogniser(tmp_path / "m", height=32), tmp_path / "a", "rec", words)
    files = ["inference.pdmodel", "inference.pdiparams"]
    wrong = replace(model.card, input=replace(model.card.input, height=48))
    save_model(model.folder, wrong, files)
    with pytest.raises(ModelError, match=r"\[-1, 3, 32, -1\], but its card says height 48"):
        open_convertible(model.folder, tmp_path)
    save_model(model.folder, replace(model.card, task="det", charset=None), files)
    with pytest.raises(ModelError, match="not a detector, as its card says"):
        open_convertible(model.folder, tmp_path)


def test_weights_that_are_nan_are_named(tmp_path: Path) -> None:
    folder = detector(tmp_path / "m")
    graph = Graph.load(*find_files(folder))
    value = graph.params["w"].copy()
    value[0, 0, 0, 0] = np.nan
    graph.set_param("w", value)
    graph.save(*find_files(folder))
    with pytest.raises(ModelError, match=r"the weight w \[1, 3, 3, 3\] holds 1 values that are NaN"):
        _open(folder, tmp_path)


def test_a_card_that_was_changed_behind_the_trial_is_refused(tmp_path: Path) -> None:
    card = load_model(SHIPPED / "plate-v1" / "rec-fp32").card
    tried = {"name": TRIAL, "ok": True, "figures": {"input": [1, 3, 48, 160], "output": [1, 20, 75]}, "thresholds": {}}
    good = replace(card, checks=(tried,))
    check_feed(card, "never tried")
    check_feed(good, "tried")
    grey = {**tried, "figures": {"input": [1, 1, 48, 160]}}
    assert card.charset is not None
    for bad, said in (
        (replace(good, input=replace(card.input, height=32)), "height 48, but its card says 32"),
        (replace(good, input=replace(card.input, width=320)), "width 160, but its card says 320"),
        (replace(good, charset=replace(card.charset, classes=70)), "75 classes, but its card says 70"),
        (replace(good, checks=(grey,)), "1 channels, but the program feeds 3"),
    ):
        with pytest.raises(EdgeError, match=said) as caught:
            check_feed(bad, "m")
        assert "Convert it again" in caught.value.hint
    assert json.dumps(tried) and CLASSES == 70
