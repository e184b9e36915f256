"""Whole fits through the command line: killed and resumed to the bit, stopped by NaN, quantised, exported, measured."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("paddle")
pytestmark = pytest.mark.paddle

RECIPE = """\
about: A few steps on rendered plates.
task: rec
steps: 6
batch: 4
eval_every: 3
save_every: 2
threads: 1
model: {init: random, width: 96}
data: {crops: [rec.txt], crops_share: 1.0, synth_share: 1.0, holdout: 0.3}
optim: {rate: 0.001, warmup: 2, ema: 0.9}
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, rendered_crops: Path) -> Path:
    """Rendered crops with labels, and a recipe."""
    folder = tmp_path_factory.mktemp("fit") / "data"
    shutil.copytree(rendered_crops, folder)
    (folder / "recipe.yml").write_text(RECIPE)
    return folder


def _command(data: Path, out: Path, *more: str) -> list[str]:
    options = ["--recipe", str(data / "recipe.yml"), "-o", f"data.root={data}", "--out", str(out)]
    return [sys.executable, "-m", "edge", "train", "fit", "rec", *options, *more]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


def _steps(log: Path) -> list[int]:
    lines = log.read_text().splitlines() if log.is_file() else []
    return [int(line.split(",")[0]) for line in lines[1:] if line.split(",")[0].isdigit()]


def test_killed_run_goes_on_to_the_same_bits(data: Path, tmp_path: Path) -> None:
    from train.weights.assign import load_checkpoint
    from train.weights.checkpoint import load_state

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    done = _run(_command(data, whole, "--json"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["step"] == 6

    child = subprocess.Popen(_command(data, broken), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    # After step 3 the checkpoint of step 2 is there, and a step that must be done again.
    while 3 not in _steps(broken / "log.csv") and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGSTOP)
    second = _run(_command(data, broken, "--json"))
    assert second.returncode == 2, second
    told = json.loads(second.stdout)
    assert f"Process {child.pid} " in told["error"] and f"kill -INT {child.pid}" in told["hint"], told
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert load_state(broken / "last.ckpt").step < 6, "it was killed too late to show anything"
    assert _run(_command(data, broken)).returncode == 0

    ours, theirs = load_state(broken / "last.ckpt"), load_state(whole / "last.ckpt")
    assert ours.step == theirs.step == 6
    assert ours.best == theirs.best
    for group in ("weights", "average", "optimiser"):
        one, other = getattr(ours, group), getattr(theirs, group)
        assert set(one) == set(other) and one
        differ = [name for name, value in one.items() if value.tobytes() != other[name].tobytes()]
        assert not differ, (group, differ[:5])
    assert _steps(broken / "log.csv") == list(range(1, 7))
    # Compared as values: the file also holds Paddle's running number of each tensor, which differs between processes.
    best = [load_checkpoint(folder / "best.pdparams") for folder in (broken, whole)]
    assert set(best[0]) == set(best[1]) and all(best[0][name].tobytes() == best[1][name].tobytes() for name in best[0])

    settings = (whole / "recipe.yml").read_bytes()
    again = _run(_command(data, whole, "-o", "optim.rate=0.5"))
    assert again.returncode == 3 and "optim.rate" in again.stderr and "Traceback" not in again.stderr
    assert (whole / "recipe.yml").read_bytes() == settings, "the run's own settings are gone"


def test_checkpoint_of_another_architecture_is_refused(
    data: Path, tmp_path: Path, edge_here: Callable[..., str]
) -> None:
    from edge.base.errors import ModelError
    from train.recipes.recipe import load_recipe, recipe_document
    from train.weights.checkpoint import Checkpoint, save_state

    recipe = recipe_document(load_recipe(str(data / "recipe.yml"), (f"data.root={data}",)))
    save_state(tmp_path / "last.ckpt", Checkpoint(recipe, 3, {"backbone.conv.weight": np.zeros((3, 3), np.float32)}))
    with pytest.raises(ModelError, match="another architecture"):
        edge_here(*_command(data, tmp_path)[3:])


def test_missing_image_and_wrong_task_end_in_a_sentence(
    data: Path, tmp_path: Path, edge_here: Callable[..., str]
) -> None:
    from edge.base.errors import InputError, UsageError

    (tmp_path / "rec.txt").write_text("gone.png\t皖A12345\n", encoding="utf-8")
    command = _command(data, tmp_path / "out")
    elsewhere = [f"data.root={tmp_path}" if part == f"data.root={data}" else part for part in command]
    with pytest.raises(InputError, match=r"gone\.png is missing"):
        edge_here(*elsewhere[3:])
    wrong = [part if part != "rec" else "det" for part in command]
    with pytest.raises(UsageError, match="recipe for rec, not for det"):
        edge_here(*wrong[3:])


def test_loss_that_is_no_number_stops_with_the_batch_saved(data: Path, tmp_path: Path) -> None:
    import paddle

    from edge.base.errors import ModelError
    from train.fit.loop import Fit
    from train.fit.start import start_fit
    from train.recipes.recipe import load_recipe
    from train.weights.checkpoint import load_state

    run = start_fit(load_recipe(str(data / "recipe.yml"), (f"data.root={data}",)), tmp_path)
    run.run(stop=1)
    weight = run.state["head.ctc_head.fc.weight"]
    weight.set_value(paddle.full_like(weight, float("nan")))
    run.save = lambda: None  # type: ignore[method-assign]
    run.resume = lambda: None  # type: ignore[method-assign]
    with pytest.raises(ModelError, match="not finite"):
        run.run()
    saved = np.load(tmp_path / "bad-batch-1.npz")
    assert saved["images"].shape == (4, 3, 48, 96)
    assert np.isnan(saved["weights/head.ctc_head.fc.weight"]).all()
    (tmp_path / "bad-batch-1.npz").unlink()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # As on a full disk.
    try:
        with pytest.raises(ModelError, match="loss of step 2 is not finite; the batch could not be saved"):
            run.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.glob("*bad-batch*"))
    # A gradient that spoils the weights after a good loss: what was kept before stays.
    with pytest.raises(ModelError, match=r"After step 1, 1 parameters are not finite, such as head\.ctc_head"):
        Fit.save(run)
    assert np.isfinite(load_state(tmp_path / "last.ckpt").weights["head.ctc_head.fc.weight"]).all()


def test_a_fit_learns_what_it_is_shown(data: Path, tmp_path: Path) -> None:
    """Starting from the published weights, 14 steps on one small set lower its own loss."""
    from train.fit.start import start_fit
    from train.recipes.recipe import load_recipe

    pytest.importorskip("rapidocr_onnxruntime")
    changes = ("model.init=published", "steps=14", "data.strength=0.0", "data.synth_share=0.0", "data.holdout=0.0")
    rows: list[dict[str, float]] = []
    settings = (*changes, "optim.rate=0.001", "eval_every=100", f"data.root={data}")
    start_fit(load_recipe(str(data / "recipe.yml"), settings), tmp_path, rows.append).run()
    losses = [row["loss"] for row in rows]
    assert sum(losses[-3:]) < 0.7 * sum(losses[:3])
