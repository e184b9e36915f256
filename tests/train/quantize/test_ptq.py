"""Static quantisation: the right layers stay float, the result is proved, and the sensitivity formula holds."""

from __future__ import annotations

import zlib  # noqa: F401
from pathlib import Path

import numpy as np
import pytest

from edge.base.errors import InputError
from edge.model.card import load_model

pytest.importorskip("paddleslim")
pytest.importorskip("rapidocr_onnxruntime")
pytestmark = pytest.mark.paddle


def test_quantised_recogniser_keeps_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from train.arch.architecture import find_architecture
    from train.export.write import export_layer
    from train.quantize.ptq import PtqOptions, quantize_ptq
    from train.weights.published import load_published

    monkeypatch.setattr("train.quantize.ptq.CALIBRATION", {"det": 2, "rec": 12})
    monkeypatch.setattr("train.quantize.ptq.CHECK", {"det": 1, "rec": 8})
    found = load_published(find_architecture("", "rec"))
    card = found.arch.card("ppocrv3-rec-fp32")
    model = export_layer(found.arch, found.net, tmp_path / "rec", card, characters=found.characters)
    made = quantize_ptq(model, tmp_path / "int8", PtqOptions(seed=1))

    card = load_model(tmp_path / "int8").card
    assert card == made.card
    assert card.precision == "int8" and not card.failed_checks
    assert {check["name"] for check in card.checks} == {"int8-against-fp32", "nb-arm", "nb-x86"}
    assert card.quantization is not None
    # Without these depthwise layers in float the published recogniser reads nothing.
    assert {"conv2d_1.w_0", "conv2d_3.w_0", "conv2d_5.w_0"} <= set(card.quantization["float_layers"])
    sizes = {check["name"]: check["figures"] for check in card.checks}
    assert sizes["nb-arm"]["bytes"] < 2_700_000
    with pytest.raises(InputError, match="starts from fp32"):
        quantize_ptq(made, tmp_path / "again", PtqOptions())


def test_noise_ratio_of_an_even_layer_is_int8s_own() -> None:
    from train.quantize.noise import QuantLayer, noise_ratio

    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (1, 16, 40, 40)).astype(np.float32)
    weight = rng.choice([-1.0, 1.0], (8, 16, 1, 1)).astype(np.float32)  # rounds to itself
    y = np.einsum("oi,nihw->nohw", weight[:, :, 0, 0], x)
    ratio = noise_ratio(QuantLayer("conv2d", "x", "w", "y"), weight, [x], [y])
    # Uniform noise of one step: 20 log10(127 * 2) dB for a uniform signal.
    assert ratio == pytest.approx(20 * np.log10(254), abs=1.0)


def test_noise_ratio_of_groups_is_that_of_its_groups() -> None:
    """Two groups with one kernel are worth one: rounding of inputs and of weights counts in both forms."""
    from train.quantize.noise import QuantLayer, noise_ratio

    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (1, 8, 40, 40)).astype(np.float32)
    # Weights far below a channel's largest round to nothing: the loss of weights is what counts here.
    weight = np.where(rng.random((4, 8, 1, 1)) < 0.2, 1.0, 0.003).astype(np.float32)
    weight[:, 0] = 1.0
    y = np.einsum("oi,nihw->nohw", weight[:, :, 0, 0], x)
    layer = QuantLayer("conv2d", "x", "w", "y")
    twice = [np.concatenate([part, part], 1) for part in (x, y)]
    grouped = noise_ratio(layer, np.concatenate([weight, weight]), [twice[0]], [twice[1]])
    assert grouped == pytest.approx(noise_ratio(layer, weight, [x], [y]), abs=0.01)


def test_noise_ratio_of_channels_that_differ_a_thousandfold_is_low() -> None:
    from train.quantize.noise import QuantLayer, noise_ratio

    rng = np.random.default_rng(0)
    ranges = np.array([1000.0, 1.0, 1.0, 1.0]).reshape(1, 4, 1, 1)
    x = (rng.uniform(-1, 1, (1, 4, 40, 40)) * ranges).astype(np.float32)
    weight = np.ones((4, 1, 1, 1), np.float32)
    assert noise_ratio(QuantLayer("depthwise_conv2d", "x", "w", "y"), weight, [x], [x]) < 3


def test_calibration_folder_without_photos(tmp_path: Path) -> None:
    from edge.model.card import Card, Input
    from train.quantize.calibration import make_samples

    card = Card("d", "det", "", "inference", "fp32", Input("x", 0, 0, 32, 1 / 255, (0, 0, 0), (1, 1, 1)))
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    with pytest.raises(InputError, match="0 readable photos"):
        make_samples(card, tmp_path, 0, 2, 1)
    with pytest.raises(InputError, match="not a folder"):
        make_samples(card, tmp_path / "none", 0, 2, 1)


def test_photos_with_ccpd_names_are_cut_at_their_plates(tmp_path: Path) -> None:
    import cv2

    from edge.ocr.crop import crop_plate
    from edge.plate.country import load_country
    from train.quantize.calibration import _from_folder
    from train.synth.scene import render_scene

    for seed in range(2):
        scene = render_scene(np.random.default_rng(seed), load_country())
        cv2.imwrite(str(tmp_path / scene.file_name), scene.image)
    images, names, plain = _from_folder("rec", tmp_path, 0, 2)
    assert not plain
    assert len(images) == len(names) == 2
    assert all(image.shape[1] < 500 and image.shape[1] > image.shape[0] for image in images)
    assert crop_plate is not None
