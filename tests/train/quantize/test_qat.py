"""Quantisation-aware training: from a float run to an int8 model that answers as the trained network did."""

from __future__ import annotations

import json
import zlib  # noqa: F401
from pathlib import Path

import numpy as np
import pytest

from edge.photo.listing import SAMPLES

pytest.importorskip("paddleslim")
pytestmark = pytest.mark.paddle


def _recipe(task: str, **changes: object):  # type: ignore[no-untyped-def]
    from train.recipes.recipe import parse_recipe

    plain = {
        "task": task,
        "steps": 2,
        "batch": 2,
        "eval_every": 1,
        "threads": 1,
        "model": {"init": "published", "width": 96, "freeze_norm": True},
        "data": {"synth_share": 1.0, "holdout": 0.0, "size": 64, "scale": [200, 300]},
        "optim": {"rate": 0.00001, "warmup": 0},
        **changes,
    }
    return parse_recipe(plain, "test")


@pytest.mark.parametrize("task", ["rec", "det"])
def test_qat_run_exports_to_the_model_that_was_trained(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rapidocr_onnxruntime")
    import paddle

    from edge.runtime.paddle_inference import InferenceNetwork
    from train.fit.start_network import start_network
    from train.quantize.qat import export_quantised, start_qat
    from train.weights.checkpoint import save_best
    from train.weights.trained import read_trained

    # Twelve batches take a while; moving averages need them, this comparison does not.
    monkeypatch.setattr("train.quantize.qat.CALIBRATION", 3)
    data = {"holdout": 0.0, "size": 64, "scale": [200, 300]}
    if task == "det":
        # Whole scenes take a second each to render; the kit's samples are some.
        labels = json.loads((SAMPLES / "labels.json").read_text(encoding="utf-8"))
        lines = [
            f"{SAMPLES / name}\t{json.dumps([{'points': p['box'], 'transcription': p['text']} for p in plates])}\n"
            for name, plates in labels.items()
        ]
        (tmp_path / "det.txt").write_text("".join(lines), encoding="utf-8")
        data |= {"root": str(tmp_path), "photos": ["det.txt"]}
    recipe = _recipe(task, data=data | ({"synth_share": 1.0} if task == "rec" else {}))
    net, characters = start_network(recipe)
    weights = {name: value.numpy() for name, value in net.state_dict().items()}
    save_best(tmp_path / "float", weights, {"step": 0})
    if characters:
        (tmp_path / "float" / "dict.txt").write_text("".join(f"{mark}\n" for mark in characters), encoding="utf-8")

    run = start_qat(recipe, tmp_path / "float", tmp_path / "qat")
    run.run()
    rng = np.random.default_rng(1)
    x = rng.normal(0, 0.7, (1, 3, 48, 96) if task == "rec" else (1, 3, 64, 96)).astype(np.float32)
    net.eval()
    with run.averaged() as trained:
        fake = trained(paddle.to_tensor(x)).numpy()
    floating = net(paddle.to_tensor(x)).numpy()

    best = read_trained([tmp_path / "qat"])
    card = best.arch.card(f"test-{task}-int8")
    model = export_quantised(best.values, recipe, best.characters, tmp_path / "int8", card)
    assert model.card.precision == "int8" and model.card.quantization["method"] == "qat"
    out = InferenceNetwork(model.file(".pdmodel"), model.file(".pdiparams")).run(x)
    assert out.shape == fake.shape == floating.shape
    # Rounding may fall to the other side here and there; a missing or wrong scale would be far off.
    assert np.abs(out - fake).mean() < 0.02
    assert 0 < np.abs(out - floating).mean() < 0.1
    assert model.card.bytes > 0


def test_folder_without_best_weights_is_refused(tmp_path: Path) -> None:
    from edge.base.errors import InputError
    from train.quantize.qat import start_qat

    with pytest.raises(InputError, match=r"best\.pdparams"):
        start_qat(_recipe("rec"), tmp_path, tmp_path / "out")


def test_skipped_layers_stay_float() -> None:
    from train.arch.architecture import find_architecture
    from train.quantize.qat import quantised_network
    from train.recipes.recipe import QatPart

    net, _ = quantised_network(find_architecture("", "rec"), list("ABC"), QatPart(skip=("head.ctc_head", "svtr_block.1")))
    names = [name for name in net.state_dict() if "_fake_quant" in name]
    assert names
    assert not [name for name in names if "ctc_head" in name or "svtr_block.1" in name]
    assert [name for name in names if "svtr_block.0" in name]
