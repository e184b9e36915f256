"""From a few steps to an `.nb`: fit, quantisation-aware training, export, conversion, evaluation, as a user types them."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.base.errors import InputError, ModelError, UsageError

pytest.importorskip("paddleslim")
pytestmark = pytest.mark.paddle

RECIPE = """\
task: rec
steps: 3
batch: 2
eval_every: 3
save_every: 3
threads: 1
model: {init: random, width: 96}
data: {crops: [rec.txt], crops_share: 1.0, synth_share: 1.0, holdout: 0.4}
optim: {rate: 0.0001, warmup: 0, ema: 0.0}
qat: {layers: [Conv2D, Linear], skip: [block_list.0._depthwise], pact: PACT}
export: {float_layers: [_depthwise], settings: [rec_resize=stretch, decode=plate]}
"""


def edge(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Runs a command; one that does its work and then hangs or crashes at its end fails here."""
    command = [sys.executable, "-m", "edge", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == code and "Traceback" not in done.stderr, (done.returncode, done.stderr[-2000:])
    return done


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, rendered_crops: Path) -> Path:
    """Rendered crops with labels, a recipe, and the run of a fit."""
    folder = tmp_path_factory.mktemp("chain") / "data"
    shutil.copytree(rendered_crops, folder)
    (folder / "recipe.yml").write_text(RECIPE.replace("pact: PACT", "pact: false"))
    (folder / "pact.yml").write_text(RECIPE.replace("pact: PACT", "pact: true, scales: moving"))
    where = ("--recipe", folder / "recipe.yml", "-o", f"data.root={folder}")
    edge("train", "fit", "rec", *where, "--out", folder / "run")
    return folder


def card(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "card.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def test_from_a_fit_to_an_int8_nb(data: Path, tmp_path: Path, edge_here: Callable[..., str]) -> None:
    where = ("--recipe", data / "recipe.yml", "-o", f"data.root={data}")
    out = tmp_path / "int8"
    done = edge("train", "quantize", "rec", "--method", "qat", "--model", data / "run", "--out", out, *where, "--json")
    document = json.loads(done.stdout)
    assert document["precision"] == "int8" and document["checks"][0]["name"] == "export"
    made = card(out)
    assert made["quantization"]["float_layers"] == ["_depthwise"] and made["pipeline"]["decode"] == "plate"
    assert made["input"]["width"] == 96
    figures = made["checks"][0]["figures"]
    assert figures["samples"] >= 2 and made["metrics"]["validation"]["figures"]["all"]["accuracy"] == figures["after"]

    again = tmp_path / "again"
    edge_here("train", "export", tmp_path / "int8-run", "--out", again, "--labels", data / "rec.txt")
    for name in ("inference.pdmodel", "inference.pdiparams", "dict.txt"):
        assert (again / name).read_bytes() == (out / name).read_bytes(), name
    assert card(again)["metrics"]["rec"]["figures"]["all"]["count"] == 12
    assert b"/tmp" not in (again / "inference.pdmodel").read_bytes() and str(tmp_path) not in json.dumps(card(again))

    nb = tmp_path / "nb"
    edge_here("convert", "nb", again, "--target", "x86", "--out", nb)
    figures = json.loads(edge_here("train", "eval", "rec", "--model", nb, "--labels", data / "rec.txt", "--json"))
    assert figures["figures"]["all"]["count"] == 12 and figures["settings"]["rec_width"] == 96

    with pytest.raises(InputError, match="exists already"):
        edge_here("train", "quantize", "rec", "--method", "qat", "--model", data / "run", "--out", out, *where)


def _no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two batches for the scales of activations in place of twelve: these tests do not look at what is read."""
    monkeypatch.setattr("train.quantize.qat.CALIBRATION", 2)


@pytest.mark.usefixtures("short")
def test_pact_trains_and_exports(data: Path, tmp_path: Path, edge_here: Callable[..., str]) -> None:
    where = ("--recipe", data / "pact.yml", "-o", f"data.root={data}", "-o", "steps=2")
    start = ("--method", "qat", "--model", data / "run/best.pdparams")
    printed = edge_here("train", "quantize", "rec", *start, "--out", tmp_path / "p", *where)
    assert "int8" in printed and "export: ok" in printed
    made = card(tmp_path / "p")
    assert made["quantization"]["pact"] is True and made["quantization"]["activations"] == "moving_average_abs_max"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published recogniser as PaddleOCR's distillation checkpoints hold it: a student beside a teacher."""
    pytest.importorskip("rapidocr_onnxruntime")
    import zlib  # noqa: F401

    import paddle

    from train.arch.architecture import find_architecture
    from train.weights.published import load_published

    state = load_published(find_architecture("", "rec")).net.state_dict()
    both = {f"Student.{name}": value for name, value in state.items()}
    both |= {f"Teacher.{name}": value * 0 for name, value in state.items()}
    path = tmp_path_factory.mktemp("ocr") / "best_accuracy.pdparams"
    paddle.save(both, str(path))
    return path


def test_a_paddleocr_checkpoint_is_exported(published: Path, tmp_path: Path, edge_here: Callable[..., str]) -> None:
    from edge.runtime.paddle_inference import InferenceNetwork
    from train.arch.architecture import find_architecture
    from train.weights.published import load_published

    printed = edge_here("train", "export", published, "--out", tmp_path / "rec", "--set", "rec_width=240")
    assert "fp32" in printed and "not measured" in printed
    made = card(tmp_path / "rec")
    assert made["charset"]["classes"] == 6625 and made["input"]["width"] == 0
    assert made["pipeline"] == {"rec_width": "240"}
    import paddle

    net = load_published(find_architecture("", "rec")).net
    net.eval()
    x = np.random.default_rng(3).uniform(-1, 1, (1, 3, 48, 64)).astype(np.float32)
    written = InferenceNetwork(tmp_path / "rec/inference.pdmodel", tmp_path / "rec/inference.pdiparams").run(x)
    assert np.abs(written - net(paddle.to_tensor(x)).numpy()).max() < 1e-5


def test_checkpoints_are_averaged_and_told_apart(
    data: Path, published: Path, tmp_path: Path, edge_here: Callable[..., str]
) -> None:
    import paddle

    from train.weights.assign import load_checkpoint
    from train.weights.trained import read_trained

    values = load_checkpoint(data / "run" / "best.pdparams")
    other = tmp_path / "other.pdparams"
    paddle.save({name: paddle.to_tensor(value + 1) for name, value in values.items()}, str(other))
    mean = read_trained([data / "run", other])
    assert mean.recipe is not None and mean.names == ("run", f"{tmp_path.name}/other.pdparams")
    assert all(np.allclose(mean.values[name], value + 0.5, atol=1e-6) for name, value in values.items())
    marks = (data / "run" / "dict.txt").read_text(encoding="utf-8").splitlines()
    (tmp_path / "dict.txt").write_text("\n".join([*marks[1:], marks[0], ""]), encoding="utf-8")
    with pytest.raises(ModelError, match="has other characters"):
        read_trained([data / "run", other])
    for error, said, arguments in (
        (ModelError, "another network", (data / "run", published)),
        (UsageError, "no_such", (data / "run", "--set", "no_such=1")),
        (UsageError, "rec checkpoint, not det", (data / "run", "--task", "det")),
        (InputError, r"holds no best\.pdparams", (data,)),
        (InputError, r"recipe\.yml, line 1", (data / "run", "--labels", data / "recipe.yml")),
    ):
        with pytest.raises(error, match=said):
            edge_here("train", "export", *arguments, "--out", tmp_path / "no")
        assert not (tmp_path / "no").exists()
        assert not (tmp_path / "no").exists()


def test_sensitivity_names_every_layer(data: Path, tmp_path: Path, edge_here: Callable[..., str]) -> None:
    edge_here("train", "export", data / "run", "--out", tmp_path / "fp32")
    ask = ("train", "quantize", "rec", "--model", tmp_path / "fp32", "--sensitivity")
    table = json.loads(edge_here(*ask, "--json"))
    decibels = [layer["db"] for layer in table["layers"]]
    assert len(decibels) > 40 and decibels == sorted(decibels)
    assert {layer["float"] for layer in table["layers"] if layer["db"] < table["limit_db"]} <= {True}
    with pytest.raises(UsageError, match="--out is missing"):
        edge_here("train", "quantize", "rec", "--model", tmp_path / "fp32")
    with pytest.raises(UsageError, match="--limit nan is not a number"):
        edge_here(*ask, "--limit", "nan")
    with pytest.raises(AssertionError, match="Invalid value for '--seed'"):
        edge_here(*ask, "--seed", "-1")


@pytest.mark.usefixtures("short")
def test_a_pruned_recogniser_is_fitted_exported_and_quantised(
    data: Path, tmp_path: Path, edge_here: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ("-o", f"data.root={data}", "--recipe", data / "recipe.yml")
    ask = ("train", "prune", "rec", "--model", data / "run", "--out", tmp_path / "pruned", "--ratio", 0.25, "--json")
    with monkeypatch.context() as full, pytest.raises(OSError, match="No space"):
        full.setattr("edge.base.paths.write_atomic", _no_space)  # The weights are written by then, the dictionary is not.
        edge_here(*ask)
    assert not list(tmp_path.iterdir()), "half a network was left"
    sizes = json.loads(edge_here(*ask))["parameters"]
    assert sizes["after"] < 0.9 * sizes["before"]
    start = ("-o", f"model.init={tmp_path}/pruned/best.pdparams", "-o", "steps=2")
    edge_here("train", "fit", "rec", *where, *start, "--out", tmp_path / "run")
    assert "export: ok" in edge_here("train", "export", tmp_path / "run", "--out", tmp_path / "fp32")
    assert (tmp_path / "fp32" / "inference.pdiparams").stat().st_size < 4 * sizes["after"]
    ask = ("train", "quantize", "rec", "--method", "qat", "--model", tmp_path / "run", "--out", tmp_path / "int8")
    edge_here(*ask, *where)
    assert card(tmp_path / "int8")["checks"][0]["ok"]
    with pytest.raises(InputError, match="pruned already"):
        edge_here("train", "prune", "rec", "--model", tmp_path / "pruned", "--out", tmp_path / "no")
