"""Quantisation-aware training by PaddleSlim: short fine-tuning with int8 rounding in the loop, then an int8 model.

It starts from the best weights of a float run, in the deployed form (`Architecture.deployed`), so that what is trained is
exactly what is exported. Weights are scaled by a channel's largest value, activations as `qat.scales` says.

In the forward pass a value x becomes s / 127 * clip(round(127 * x / s), -127, 127); the gradient passes the rounding as if
it were not there (the straight-through estimator; Jacob et al. 2018, arXiv 1712.05877, section 3). The scale s is

- of a weight: the largest absolute value of each output channel, taken anew in every step (`channel_wise_abs_max`);
- of an activation under `moving`: sum / count of each batch's largest absolute value, where at each batch
  sum = 0.9 * sum + value and count = 0.9 * count + 1 (`moving_average_abs_max`, Paddle's rate);
- of an activation under `mse`: what `train.quantize.scales` finds before the first step, held from then on;
- with `pact` the activation is clipped to a learned -alpha..alpha first (PACT, Choi et al. 2018, arXiv 1805.06085).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge.base.errors import ModelError
from edge.model.card import Card, Input, Model
from train.arch.architecture import Architecture, class_count
from train.arch.border import Array, Arrays, Layer
from train.quantize.scales import best_scales
from train.recipes.recipe import QatPart, Recipe, recipe_architecture, recipe_document
from train.weights.checkpoint import LAST, begin_run

if TYPE_CHECKING:
    from train.fit.loop import Fit, Report

CALIBRATION = 12
"""Batches run through the network before the first step, to find the scales of activations."""
UNSEEN = 10_000_000
"""Number of the first calibration batch: training, which begins at 0, does not see it."""


def prepare_qat(net: Layer, qat: QatPart) -> Layer:
    """Puts fake quantisation into a network, in place.

    Args:
        net: A float32 network in the deployed form.
        qat: Which layers, and PACT. Its `scales` is not asked for here: every activation gets a moving average, which
            `start_qat` sets and holds for `mse`.

    Returns:
        PaddleSlim's `QAT` object, which can export the network.
    """
    import zlib  # noqa: F401

    from paddleslim.dygraph.quant import QAT

    for name, layer in net.named_sublayers():
        if any(part in name for part in qat.skip):
            layer.skip_quant = True
    config = {
        "weight_quantize_type": "channel_wise_abs_max",
        "activation_quantize_type": "moving_average_abs_max",
        "activation_preprocess_type": "PACT" if qat.pact else None,
        "quantizable_layer_type": list(qat.layers),
    }
    quantiser = QAT(config)
    quantiser.quantize(net)
    return quantiser


def quantised_network(
    arch: Architecture, characters: list[str] | None, qat: QatPart, like: Arrays | None = None
) -> tuple[Layer, Layer]:
    """Builds a network ready for quantisation-aware training, with fresh weights; `like` as for `Architecture.build`.

    Returns:
        The network in training mode, and PaddleSlim's `QAT` object.
    """
    net = arch.deployed(arch.build(class_count(characters), like=like))
    quantiser = prepare_qat(net, qat)
    net.train()
    return net, quantiser


def start_qat(recipe: Recipe, run: Path | Sequence[Path], out: Path, report: Report = lambda row: None) -> Fit:
    """Makes a QAT run ready to be started or resumed.

    Args:
        recipe: `model` is ignored but for the charset and width; `qat` says what is quantised.
        run: Folder of the float run, or a checkpoint; several are averaged (`train.weights.trained`).
        out: Folder of this run.
        report: Called with each logged row.

    Raises:
        InputError: `run` holds no best weights; a run of other settings or characters lies in `out`.
        ModelError: They are of another architecture.
        UsageError: They are of the other task.
    """
    from train.accel.native import prepare_fit

    prepare_fit(recipe.threads)
    import cv2
    import paddle

    from train.accel.depthwise import accelerate
    from train.fit.loop import Fit
    from train.fit.start import check_precision
    from train.fit.tasks import open_task
    from train.weights.trained import read_trained

    check_precision(recipe)
    cv2.setNumThreads(1)
    paddle.seed(recipe.seed)
    trained = read_trained([run] if isinstance(run, Path) else run, recipe=recipe)
    net = trained.arch.deployed(trained.network())
    task = open_task(recipe, trained.characters)
    begin_run(out, recipe_document(recipe), trained.characters)
    fresh = not (out / LAST).is_file()
    batches = [task.arrays(task.batch(UNSEEN + index))["images"] for index in range(CALIBRATION)] if fresh else []
    scales = best_scales(net, batches) if recipe.qat.scales == "mse" else {}
    prepare_qat(net, recipe.qat)
    accelerate(net)
    fit = Fit(recipe, net, task, out, report)
    _settle(fit, batches, scales)
    return fit


def _settle(fit: Fit, batches: list[Array], scales: dict[str, float]) -> None:
    """Gives every scale its first value, and holds those that training must not move.

    Args:
        fit: A QAT run before its first step, or before it is resumed.
        batches: float32 [N, 3, H, W] each, for the moving averages; none when it is resumed.
        scales: Layer name to the absolute value that becomes 127, as `best_scales` finds it.
    """
    import paddle
    from paddle.nn.quant.quant_layers import FakeQuantMovingAverageAbsMax, MovingAverageAbsMaxScale

    norms = [layer for layer in fit.net.sublayers() if isinstance(layer, paddle.nn.BatchNorm2D)]
    fit.net.train()
    for layer in norms:
        layer.eval()
    with paddle.no_grad():
        for images in batches:
            fit.net(paddle.to_tensor(images))
    for name, scale in scales.items():
        for inside in (f"{name}._layer", name):
            value = fit.state.get(f"{inside}._fake_quant_input._scale")
            if value is not None:
                value.set_value(np.array([scale], np.float32).reshape(value.shape))
    if batches:
        for name, value in fit.average.items():
            value.set_value(fit.state[name])
    if fit.recipe.qat.scales == "mse":
        kinds = (FakeQuantMovingAverageAbsMax, MovingAverageAbsMaxScale)
        fit.held = [layer for layer in fit.net.sublayers() if isinstance(layer, kinds)]


def export_quantised(
    values: Arrays, recipe: Recipe, characters: list[str] | None, out: Path, card: Card, *, force: bool = False
) -> Model:
    """Writes weights of quantisation-aware training as an int8 inference model.

    Args:
        values: Names and arrays of the checkpoint.
        recipe: Its `qat` part says what was quantised, its `export` part what is exported as float.
        characters: Of a recogniser.
        out: Folder to make.
        card: As `Architecture.card` begins it; `precision` and `quantization` are filled in.
        force: Replace an existing model.

    Raises:
        ModelError: The weights do not fit the recipe's quantised network, or are not finite.
    """
    from train.export.program_order import order_program
    from train.export.write import PREFIX, input_spec, write_model

    arch = recipe_architecture(recipe)
    floats = recipe.export.float_layers
    kept = replace(recipe.qat, skip=(*recipe.qat.skip, *floats))

    def save(folder: Path) -> None:
        import paddle
        from paddle.utils import unique_name

        # The same names, so the same bytes, whatever the process did before.
        with unique_name.guard(), tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            net, quantiser = quantised_network(arch, characters, kept, values)
            _assign_all(net, float_again(values, floats), "the checkpoint")
            net.eval()
            _refresh_weight_scales(net, arch.taken(recipe.model.width))
            prefix = Path(scratch) / PREFIX
            quantiser.save_quantized_model(net, str(prefix), input_spec=[input_spec(card.input)])
            paddle.disable_static()  # With PACT, PaddleSlim leaves the static mode on.
            order_program(prefix.with_suffix(".pdmodel"))
            for suffix in (".pdmodel", ".pdiparams"):
                (folder / (PREFIX + suffix)).write_bytes(prefix.with_suffix(suffix).read_bytes())

    quantization = {
        "method": "qat",
        "weights": "channel_wise_abs_max",
        "activations": {"mse": "fixed, least squared error", "moving": "moving_average_abs_max"}[recipe.qat.scales],
        "layers": list(recipe.qat.layers),
        "skip": list(recipe.qat.skip),
        "float_layers": list(floats),
        "pact": recipe.qat.pact,
        "steps": recipe.steps,
    }
    complete = replace(card, precision="int8", quantization=quantization)
    return write_model(save, out, complete, characters=characters, force=force)


def network_as_trained(values: Arrays, recipe: Recipe, characters: list[str] | None) -> Layer:
    """Builds the network of a QAT checkpoint as it was trained, in evaluation mode.

    Raises:
        ModelError: The weights do not fit the recipe's quantised network, or are not finite.
    """
    net, _ = quantised_network(recipe_architecture(recipe), characters, recipe.qat, values)
    _assign_all(net, values, "the checkpoint")
    net.eval()
    return net


def float_again(values: Arrays, parts: Sequence[str]) -> Arrays:
    """Turns some quantised layers of a QAT checkpoint back into float layers with the weights that QAT gave them.

    Args:
        values: Names and arrays of the checkpoint.
        parts: Of the layers' names.

    Returns:
        The same, without the scales of those layers.
    """
    result = {}
    for name, value in values.items():
        if any(part in name for part in parts):
            if any(mark in name for mark in ("_fake_quant", "_ma_output_scale", "_preprocess")):
                continue
            name = name.replace("._layer.", ".")
        result[name] = value
    return result


def _refresh_weight_scales(net: Layer, taken: Input) -> None:
    """Makes the scales of weights those of the weights as they are: the export takes them from the state as found."""
    import paddle

    with paddle.no_grad():
        net(paddle.zeros([1, 3, taken.height or 64, taken.width or 64]))


def _assign_all(net: Layer, values: Arrays, where: str) -> None:
    state = net.state_dict()
    differ = sorted(set(state) ^ set(values)) or [
        name for name, value in values.items() if list(value.shape) != list(state[name].shape)
    ]
    if differ:
        raise ModelError(
            f"{where} does not fit the quantised network: {', '.join(differ[:5])}.",
            "Was the recipe's qat part changed?",
        )
    broken = [name for name, value in values.items() if not np.isfinite(value).all()]
    if broken:
        raise ModelError(f"{where}: not finite: {', '.join(broken[:5])}.")
    for name, value in values.items():
        state[name].set_value(value)
