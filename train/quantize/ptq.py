"""Static post-training quantisation by PaddleSlim, with layers that cannot bear it left in float, and proof.

1. Network inputs are made from photos (`train.quantize.calibration`).
2. Every operator with weights gets a signal to rounding noise ratio (`train.quantize.noise`); those below the
   limit stay float. Products of two activations stay float too: their int8 kernels buy no bytes, and cost accuracy.
3. PaddleSlim's `quant_post_static` calibrates and writes the model.
4. It is compared with the float model on other photos, and converted for both targets; where it falls short, the limit
   is raised by 4 dB and it all begins again. What was found goes into the model card.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.base.errors import InputError, ModelError, VerifyError
from edge.base.progress import Say
from edge.host.ending import ended_here, signal_number
from edge.model.card import Card, Model, load_model
from edge.model.dictionary import read_dictionary
from edge.model.folder import check_free
from train.arch import load_paddle
from train.export.write import PREFIX, write_model
from train.quantize.calibration import Samples, Tensor, make_samples
from train.quantize.judge import judge, sees
from train.quantize.noise import QuantLayer, noise_ratio, weighted_layers
from train.quantize.paddle_static import silence, static_mode

CALIBRATION = {"det": 8, "rec": 32}
CHECK = {"det": 3, "rec": 24}
# Chosen on the published models by accuracy on real training photos; below these limits accuracy falls, above them
# only bytes are lost.
LIMIT_DB = {"det": 16.0, "rec": 20.0}
STEP_DB = 4.0
TRIES = 3
# What must hold against the float model on rendered or given photos.
LEAST = {"det": {"mask_iou": 0.90}, "rec": {"same_steps": 0.96}}
# The proof counts inputs in which the float model sees a plate; two models that see nothing agree on nothing.
LEAST_TELLING = {"det": 2, "rec": 6}


@dataclass(frozen=True)
class PtqOptions:
    """How a model is quantised.

    Attributes:
        calibrate: Folder of photos, or None to render them.
        seed: Chooses or renders photos.
        limit: Operators below this SQNR in decibels stay float; None for the task's default.
        force: Replace an existing model.
        country: Code or folder of the country of rendered plates and sample photos; "" for the card's.
    """

    calibrate: Path | None = None
    seed: int = 0
    limit: float | None = None
    force: bool = False
    country: str = ""


def quantize_ptq(
    model: Model,
    out: Path,
    options: PtqOptions,
    report: Say = lambda text: None,
    warn: Say = lambda text: None,
) -> Model:
    """Quantises a float inference model to int8.

    Args:
        model: Inference model with precision fp32.
        out: Folder to make.
        options: See `PtqOptions`.
        report: Called with one line before each step.
        warn: Called with one sentence for what is doubtful about the photos.

    Returns:
        The int8 inference model.

    Raises:
        InputError: It is not a float inference model, `out` is taken, the folder holds no usable photos, or
            the card's country is not at hand to render it.
        UsageError: There is no country `options.country`.
        VerifyError: The int8 model stays too far from the float one, however many layers are left float; or the float
            model sees a plate in too few inputs for any proof.
        HostError: paddle or paddleslim is not installed.
    """
    card = model.card
    if card.format != "inference" or card.precision != "fp32":
        raise InputError(
            f"{model.folder} is an {card.precision} model in format {card.format}; quantisation starts from fp32.",
            "Give an fp32 inference model, such as `edge train pretrained` writes.",
        )
    check_free(out, options.force)
    report("making calibration inputs")
    counts = (CALIBRATION[card.task], CHECK[card.task])
    samples = make_samples(card, options.calibrate, options.seed, *counts, options.country)
    if options.calibrate is not None:
        report("looking at what the photos hold")
        review = judge(model, samples.calibration, samples.known, str(options.calibrate))
        samples.source.update(review.figures)
        for sentence in (*samples.notes, *review.warnings):
            warn(sentence)
    report("measuring how much rounding each layer bears")
    ratios, products = measure_noise(model, samples.calibration[:4])
    limit = LIMIT_DB[card.task] if options.limit is None else options.limit
    for attempt in range(TRIES):
        kept = {name: round(value, 1) for name, value in ratios.items() if value < limit}
        with tempfile.TemporaryDirectory(prefix="plate-ptq-") as name:
            folder = Path(name)
            report(f"quantising {len(ratios) - len(kept)} of {len(ratios)} layers")
            _run_slim(model, folder, samples, [*kept, *products])
            report("comparing with the float model")
            checks = [_compare(model, folder, samples)]
            _check_telling(model, checks[0]["figures"])
            if not checks[0]["ok"] and attempt + 1 < TRIES:
                limit += STEP_DB
                continue
            if not checks[0]["ok"]:
                break
            made = _write(
                model, folder, out, _card(model, samples, kept, len(ratios), limit, checks), options.force
            )
        return made
    raise VerifyError(
        f"int8 stays too far from fp32: {checks[0]['figures']}, wanted at least {LEAST[card.task]}.",
        "Calibrate with photos like those it will see (--calibrate DIR), or use --method qat.",
    )


def measure_noise(model: Model, inputs: list[Tensor]) -> tuple[dict[str, float], list[str]]:
    """Returns the SQNR in decibels of every operator with weights, and the inputs of products of activations.

    Args:
        model: A float inference model.
        inputs: Network inputs.
    """
    with static_mode() as (paddle, executor):
        program, feeds, _ = paddle.static.load_inference_model(str(model.folder / PREFIX), executor)
        layers, products = weighted_layers(program)
        names = sorted({name for layer in layers for name in (layer.input, layer.output)})
        runs = [dict(zip(names, executor.run(program, {feeds[0]: x}, names), strict=True)) for x in inputs]
        scope = paddle.static.global_scope()

        def ratio(layer: QuantLayer) -> float:
            weight = np.array(scope.find_var(layer.weight).get_tensor())
            return noise_ratio(layer, weight, [run[layer.input] for run in runs], [run[layer.output] for run in runs])

        return {layer.weight: ratio(layer) for layer in layers}, products


def _run_slim(model: Model, folder: Path, samples: Samples, skip: list[str]) -> None:
    quant = load_paddle("paddleslim.quant")
    with static_mode() as (paddle, executor), silence():
        feed = paddle.static.data(model.card.input.name, [None, 3, None, None], "float32")
        loader = paddle.io.DataLoader(
            [(tensor[0],) for tensor in samples.calibration],
            feed_list=[feed],
            places=paddle.CPUPlace(),
            batch_size=1,
            return_list=False,
        )
        quant.quant_post_static(
            executor,
            str(model.folder),
            str(folder),
            data_loader=loader,
            model_filename=model.file(".pdmodel").name,
            params_filename=model.file(".pdiparams").name,
            save_model_filename=f"{PREFIX}.pdmodel",
            save_params_filename=f"{PREFIX}.pdiparams",
            batch_size=1,
            batch_nums=len(samples.calibration),
            algo="avg",
            quantizable_op_type=["conv2d", "depthwise_conv2d", "conv2d_transpose", "matmul_v2"],
            weight_quantize_type="channel_wise_abs_max",
            onnx_format=False,  # Paddle Lite has no quantize_linear
            skip_tensor_list=skip,
        )


def _compare(model: Model, folder: Path, samples: Samples) -> dict[str, Any]:
    from edge.runtime.paddle_inference import InferenceNetwork

    exact = InferenceNetwork(model.file(".pdmodel"), model.file(".pdiparams"))
    rounded = InferenceNetwork(folder / f"{PREFIX}.pdmodel", folder / f"{PREFIX}.pdiparams")
    pairs = [(exact.run(tensor), rounded.run(tensor)) for tensor in samples.check]
    figures: dict[str, Any] = likeness(model.card.task, pairs)
    finite = bool(figures["finite"])
    ok = finite and all(figures[key] >= least for key, least in LEAST[model.card.task].items())
    return {"name": "int8-against-fp32", "ok": ok, "figures": figures, "thresholds": LEAST[model.card.task]}


def _check_telling(model: Model, figures: dict[str, Any]) -> None:
    task = model.card.task
    if figures["telling"] < LEAST_TELLING[task]:
        verb = "finds a plate in" if task == "det" else "reads a text in"
        raise VerifyError(
            f"int8 cannot be proven against fp32: the float model {verb} {figures['telling']} of "
            f"{figures['inputs']} pictures; {LEAST_TELLING[task]} are needed.",
            "Train the float model until it reads sample photos, then quantise it.",
        )


def likeness(task: str, pairs: list[tuple[Tensor, Tensor]]) -> dict[str, Any]:
    """Compares outputs of two models of the same task.

    Args:
        task: `det` or `rec`.
        pairs: Outputs of the first and of the second for each input.

    Returns:
        `finite`; for a detector `mask_iou` (of the maps above 0.3, all inputs together), for a recogniser `same_steps`
        (share of CTC steps with the same likeliest class) and `same_texts` (share of inputs read alike), both over the
        inputs in which the first model sees a plate; `inputs`, and `telling`, how many of them those are.
    """
    finite = all(np.isfinite(second).all() for _, second in pairs)
    telling = [pair for pair in pairs if sees(task, pair[0])]
    counts = {"inputs": len(pairs), "telling": len(telling)}
    if task == "det":
        masks = [(first > 0.3, second > 0.3) for first, second in pairs]
        both = sum(int((first & second).sum()) for first, second in masks)
        either = sum(int((first | second).sum()) for first, second in masks)
        return {"finite": finite, "mask_iou": round(both / either, 4) if either else 1.0, **counts}
    if not telling:
        return {"finite": finite, "same_steps": 0.0, "same_texts": 0.0, **counts}
    paths = [(first[0].argmax(-1), second[0].argmax(-1)) for first, second in telling]
    return {
        "finite": finite,
        "same_steps": round(float(np.mean([(first == second).mean() for first, second in paths])), 4),
        "same_texts": round(float(np.mean([_text(first) == _text(second) for first, second in paths])), 4),
        **counts,
    }


def _text(path: NDArray[np.int64]) -> list[int]:
    return [int(now) for before, now in zip([0, *path[:-1]], path, strict=True) if now not in (0, before)]


def _card(
    model: Model, samples: Samples, kept: dict[str, float], layers: int, limit: float, checks: list[dict[str, Any]]
) -> Card:
    card = model.card
    quantization = {
        "method": "ptq",
        "algorithm": "paddleslim quant_post_static, avg",
        "weights": "channel_wise_abs_max",
        "calibration": samples.source,
        "layers": layers - len(kept),
        "float_layers": kept,
        "limit_db": limit,
    }
    source = {**card.source, "float": {"name": card.name, "files": {item.path: item.sha256 for item in card.files}}}
    name = f"{card.name.removesuffix('-fp32')}-int8"
    # Of the float model's card stays what is as true of this one: task, architecture, input, settings, country.
    return replace(
        card, name=name, precision="int8", source=source, quantization=quantization, checks=tuple(checks), metrics={}
    )


def _write(model: Model, folder: Path, out: Path, card: Card, force: bool) -> Model:
    """Writes the model where its checks may run, adds their verdict, and moves it into place."""
    characters = read_dictionary(model.dictionary) if model.dictionary else None

    def save(target: Path) -> None:
        for suffix in (".pdmodel", ".pdiparams"):
            (target / (PREFIX + suffix)).write_bytes((folder / (PREFIX + suffix)).read_bytes())

    trial = write_model(save, folder / "model", card, characters=characters)
    checks = (*card.checks, *(_converts(trial, target) for target in ("arm", "x86")))
    return write_model(save, out, replace(card, checks=checks), characters=characters, force=force)


def _converts(model: Model, target: str) -> dict[str, Any]:
    """Converts a model in a child process, and on this host's target runs it: finite and like the inference model."""
    from edge.runtime.paddle_inference import InferenceNetwork
    from edge.runtime.paddle_lite import LiteNetwork

    folder = model.folder.with_name(f"{model.folder.name}-{target}")
    options = ["--target", target, "--out", str(folder)]
    command = [sys.executable, "-m", "edge", "convert", "nb", str(model.folder), *options]
    # In a folder of ours: Python looks there first, and it must not find a `train.py` or `convert.py` of the user's.
    done = subprocess.run(
        command, cwd=folder.parent, capture_output=True, text=True, errors="replace", check=False
    )
    name = f"nb-{target}"
    number = signal_number(done.returncode)
    if number:
        raise ended_here(f"`edge convert nb --target {target}`", number, library="Paddle Lite")
    if done.returncode != 0:
        reason = next((line for line in done.stderr.splitlines() if line.startswith("error:")), "no reason given")
        raise ModelError(f"The int8 model does not convert for {target}: {reason.removeprefix('error: ')}")
    nb = load_model(folder)
    figures: dict[str, Any] = {"bytes": nb.card.bytes}
    if target != "x86":
        return {"name": name, "ok": True, "figures": figures, "note": "converted; ARM code cannot run on this host"}
    taken = model.card.input
    shape = (1, 3, taken.height or 96, taken.width or 160)
    x = np.random.default_rng(0).normal(0, 0.5, shape).astype(np.float32)
    first = InferenceNetwork(model.file(".pdmodel"), model.file(".pdiparams")).run(x)
    second = LiteNetwork(nb.file(".nb"), trusted=True).run(x)
    figures["finite"] = bool(np.isfinite(second).all())
    figures["mean_difference"] = float(np.abs(first - second).mean())
    return {"name": name, "ok": figures["finite"] and figures["mean_difference"] < 0.05, "figures": figures}
