"""Checkpoints: whole or not at all, and never of another network or another run."""

from __future__ import annotations

import json
import re
import resource
from pathlib import Path

import numpy as np
import pytest

from edge.base.errors import HostError, InputError, ModelError
from train.fit.log import RunLog
from train.recipes.recipe import load_recipe, recipe_document
from train.weights.checkpoint import (
    SCHEMA,
    Checkpoint,
    begin_run,
    check_fits,
    check_settings,
    load_state,
    save_best,
    save_state,
)


def _state(step: int = 7) -> Checkpoint:
    rng = np.random.default_rng(step)
    weights = {"a.weight": rng.normal(size=(300, 400)).astype(np.float32), "a.bias": np.float32([1, np.nan, -0.0])}
    return Checkpoint(
        {"task": "rec", "optim": {"rate": 0.1}, "data": {"root": "here"}, "threads": 1},
        step,
        weights,
        {"a.weight": weights["a.weight"] * 2},
        {"m/1": np.array([0.5], np.float64), "pow": np.float32(3)},
        {"step": 5, "accuracy": 0.5},
    )


def test_round_trip_is_exact_to_the_bit(tmp_path: Path) -> None:
    path, state = tmp_path / "last.ckpt", _state()
    save_state(path, state)
    back = load_state(path)
    assert (back.step, back.recipe, back.best) == (state.step, state.recipe, state.best)
    for group in ("weights", "average", "optimiser"):
        old, new = getattr(state, group), getattr(back, group)
        assert set(old) == set(new)
        for name, value in old.items():
            assert np.asarray(value).tobytes() == new[name].tobytes() and np.asarray(value).dtype == new[name].dtype


def test_full_disk_leaves_the_old_checkpoint_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    save_state(path, _state(7))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(HostError, match=r"last\.ckpt cannot be written.*MiB wanted") as caught:
            save_state(path, _state(8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "goes on from the last whole checkpoint" in caught.value.hint
    assert load_state(path).step == 7
    assert [item.name for item in tmp_path.iterdir()] == ["last.ckpt"], "a part of the new one was left behind"


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "text", "npy", "other archive", "no settings"])
def test_damaged_checkpoints_are_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "last.ckpt"
    save_state(path, _state())
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("not a checkpoint")
    elif damage == "npy":
        with path.open("wb") as stream:
            np.save(stream, np.zeros(3))
    elif damage == "no settings":
        np.savez(path.with_suffix(".npz"), meta=np.frombuffer(json.dumps({"schema": SCHEMA}).encode(), np.uint8))
        path.with_suffix(".npz").rename(path)
    else:
        with path.open("wb") as stream:
            np.savez(stream, a=np.zeros(3))
    with pytest.raises(InputError, match=r"last\.ckpt"):
        load_state(path)


def test_log_of_a_killed_run_keeps_whole_lines_alone(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.csv", 0)
    for step in (1, 2, 30):
        log.write({"step": step, "rate": 0.1, "loss": 2.0})
    path = tmp_path / "log.csv"
    path.write_text(path.read_text() + "3")  # "31,..." cut by the kill after its first digit
    RunLog(path, 30)
    assert [line.split(",")[0] for line in path.read_text().splitlines()[1:]] == ["1", "2", "30"]


def test_missing_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a checkpoint"):
        load_state(tmp_path / "last.ckpt")


def test_another_architecture_is_named(tmp_path: Path) -> None:
    state = _state()
    good = dict(state.weights)
    check_fits(state, good, state.recipe, tmp_path)
    with pytest.raises(ModelError, match=r"another architecture.*b\.weight"):
        check_fits(state, {**good, "b.weight": np.zeros(1)}, state.recipe, tmp_path)
    with pytest.raises(ModelError, match=r"another architecture.*a\.weight"):
        check_fits(state, {**good, "a.weight": np.zeros((300, 401))}, state.recipe, tmp_path)


def test_other_settings_are_named_but_data_may_move(tmp_path: Path) -> None:
    state = _state()
    with pytest.raises(InputError, match=r"optim\.rate 0\.1 -> 0\.2"):
        check_fits(state, state.weights, {**state.recipe, "optim": {"rate": 0.2}}, tmp_path)
    moved = {**state.recipe, "data": {"root": "/elsewhere"}, "threads": 2}
    check_fits(state, state.weights, moved, tmp_path)


def test_a_run_of_the_first_release_is_told_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text("task: rec\n", encoding="utf-8")
    for name in ("rec-note", "det-note"):
        new = recipe_document(load_recipe(name))
        data = {key: value for key, value in new["data"].items() if key not in ("kind_share", "country")}
        check_settings({**new, "data": {**data, "green_share": 0.2}}, new, tmp_path)
    new = recipe_document(load_recipe(str(tmp_path / "mine.yml")))
    old = {**new, "data": {"green_share": 0.2}}
    with pytest.raises(InputError, match=r"data\.kind_share\.green 0\.2 -> None") as error:
        check_settings(old, new, tmp_path)
    (setting,) = re.findall(r"`-o (\S+)`", error.value.hint)
    check_settings(old, recipe_document(load_recipe(str(tmp_path / "mine.yml"), (setting,))), tmp_path)
    with pytest.raises(InputError, match=r"green 0\.2 -> None") as error:  # Of this release: other settings.
        check_settings({**new, "data": {"kind_share": {"green": 0.2}}}, new, tmp_path)
    assert "0.1" not in error.value.hint


def test_a_run_that_is_refused_keeps_its_settings_and_characters(tmp_path: Path) -> None:
    recipe = {"task": "rec", "optim": {"rate": 0.1}}
    begin_run(tmp_path, recipe, ["A", "B"])
    save_state(tmp_path / "last.ckpt", Checkpoint(recipe, 1, {}))
    before = [(tmp_path / name).read_text() for name in ("recipe.yml", "dict.txt")]
    with pytest.raises(InputError, match=r"optim\.rate 0\.1 -> 0\.2"):
        begin_run(tmp_path, {**recipe, "optim": {"rate": 0.2}}, ["A", "B"])
    with pytest.raises(InputError, match="other characters"):
        begin_run(tmp_path, recipe, ["B", "A"])
    assert [(tmp_path / name).read_text() for name in ("recipe.yml", "dict.txt")] == before
    (tmp_path / ".last.ckpt.123.7f.tmp").write_bytes(b"what a killed run left")
    begin_run(tmp_path, recipe, ["A", "B"])
    assert not list(tmp_path.glob(".last*"))


@pytest.mark.paddle
def test_best_weights_are_a_paddle_checkpoint(tmp_path: Path) -> None:
    pytest.importorskip("paddle")
    from train.weights.assign import load_checkpoint

    weights = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}
    save_best(tmp_path, weights, {"step": 3, "accuracy": 1.0})
    back = load_checkpoint(tmp_path / "best.pdparams")
    assert list(back) == ["a.weight"]
    np.testing.assert_array_equal(back["a.weight"], weights["a.weight"])


@pytest.mark.parametrize(("name", "text"), [("recipe.yml", "task: ["), ("recipe.yml", "- 1"), ("best.json", "{")])
def test_a_damaged_file_beside_the_weights_is_named(tmp_path: Path, name: str, text: str) -> None:
    from train.evaluate.sources import find_sources
    from train.weights.trained import read_trained

    (tmp_path / "best.pdparams").write_bytes(b"not asked for yet")
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=name):
        read_trained([tmp_path])
    if name == "recipe.yml":
        with pytest.raises(InputError, match=name):
            find_sources([tmp_path], ("rec",))
