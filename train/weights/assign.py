"""Puts weights into the kit's networks, strictly: what is missing, unexpected or misshaped is named.

A checkpoint that does not fit must never pass silently: PaddleOCR only logs "params ... not in model", and people
evaluate a half-loaded network for days.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.base.errors import InputError, ModelError
from train.arch import load_paddle
from train.arch.border import Arrays

if TYPE_CHECKING:
    from paddle import nn

# Parts that only training uses: an inference model has no threshold map, and the kit has no attention branch.
OPTIONAL = ("head.thresh.",)
IGNORED = ("head.sar_head.", "head.gtc_head.", "head.before_gtc.")
STUDENTS = ("Student.", "student.")
# Parts of names that PaddleSlim's quantised layers give their parameters.
_QUANTISED = ("_fake_quant", "quant_dequant", "._layer.", ".skip_quant", "moving_average", "quanter")
_SHOWN = 6


def build(task: str, classes: int | None = None, *, guide: bool = False, like: Mapping[str, Any] | None = None) -> nn.Layer:
    """Builds a network with fresh weights and parameter names that are the same in every process.

    Args:
        task: `det` or `rec`.
        classes: Of a recogniser: characters + 1.
        guide: See `train.arch.recognizer.SVTREncoder`.
        like: Parameters whose pruned widths a recogniser is to have; None for PP-OCRv3's own.

    Returns:
        A `Detector` or `Recognizer`, in training mode.
    """
    load_paddle()
    from paddle.utils import unique_name

    with unique_name.guard():
        if task == "det":
            from train.arch.detector import Detector

            return Detector()
        from train.arch.recognizer import Recognizer

        if not classes:
            raise ModelError("A recogniser needs its number of classes.", "It is the dictionary's lines + 1.")
        return Recognizer(classes, guide, block_widths(like) if like else None)


def block_widths(values: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Reads the output channels of a recogniser's blocks off its parameters; None when they are PP-OCRv3's own.

    Only filters that pruning removed are followed: no block may be wider than PP-OCRv3's, and the last one, which the
    neck expects, must be whole. Everything else is left to `assign`, which names what does not fit.
    """
    from train.arch.recognizer import WIDTHS

    widths = []
    for index, whole in enumerate(WIDTHS):
        name = f"backbone.block_list.{index}._pointwise_conv._conv"
        weight = next((values[key] for key in (f"{name}.weight", f"{name}._layer.weight") if key in values), None)
        if weight is None or len(weight.shape) != 4 or not 1 <= weight.shape[0] <= whole:
            return None
        widths.append(int(weight.shape[0]))
    return tuple(widths) if tuple(widths) != WIDTHS and widths[-1] == WIDTHS[-1] else None


def assign(
    net: nn.Layer,
    values: Mapping[str, Any],
    where: str,
    *,
    optional: Iterable[str] = OPTIONAL,
    ignored: Iterable[str] = IGNORED,
) -> None:
    """Copies values into all parameters and buffers of a network.

    Args:
        net: The network.
        values: Parameter name to array.
        where: What the values come from, for messages.
        optional: Prefixes of parameters that may be missing from `values`, all of one prefix or none.
        ignored: Prefixes of values that the network has no place for.

    Raises:
        ModelError: A parameter is missing, unexpected, misshaped, or not finite; nothing is changed then.
    """
    state = net.state_dict()
    kept = {name: np.asarray(value) for name, value in values.items() if not name.startswith(tuple(ignored))}
    absent = [prefix for prefix in optional if not any(name.startswith(prefix) for name in kept)]
    missing = [name for name in state if name not in kept and not name.startswith(tuple(absent))]
    unexpected = [name for name in kept if name not in state]
    quantised = [name for name in kept if any(part in name for part in _QUANTISED)]
    if quantised:
        raise ModelError(
            f"{where} is a checkpoint of quantisation-aware training ({quantised[0]}); this is a float network.",
            "Give the float checkpoint that the quantisation started from.",
        )
    shapes = [
        f"{name} is {list(kept[name].shape)}, wanted {list(state[name].shape)}"
        for name in state
        if name in kept and list(kept[name].shape) != list(state[name].shape)
    ]
    broken = [name for name in state if name in kept and not np.isfinite(kept[name]).all()]
    problems = [
        f"{title}: {', '.join(names[:_SHOWN])}" + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
        for title, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("misshaped", shapes),
            ("not finite", broken),
        )
        if names
    ]
    if problems:
        raise ModelError(f"{where} does not fit the network; {'; '.join(problems)}.", _advice(kept, shapes, state))
    for name, parameter in state.items():
        if name in kept:
            parameter.set_value(kept[name].astype(np.float32))


def _advice(kept: Mapping[str, Any], shapes: list[str], state: Mapping[str, Any]) -> str:
    if shapes and all("ctc_head" in text for text in shapes):
        return "The number of classes differs: give the dictionary that the checkpoint was trained with."
    if not set(kept) & set(state):
        return "It is a checkpoint of another architecture; the kit's are PP-OCRv3's detector and recogniser."
    return "Check that it is PP-OCRv3's checkpoint for this task (det or rec)."


def load_checkpoint(path: Path) -> Arrays:
    """Reads a PaddleOCR or kit `.pdparams` file.

    In a distillation checkpoint the student is taken and its prefix removed.

    Args:
        path: The file, with or without `.pdparams`.

    Returns:
        Parameter name to array.

    Raises:
        InputError: No such file, or not a Paddle checkpoint.
    """
    file = path if path.is_file() else path.with_name(path.name + ".pdparams")
    if not file.is_file():
        raise InputError(f"{path} is not a checkpoint file.", "Give a `.pdparams` file.")
    try:
        state = load_paddle().load(str(file), return_numpy=True)
    except (ValueError, EOFError, KeyError, OSError, RuntimeError, pickle.UnpicklingError, AttributeError) as error:
        raise InputError(f"{file} is not a Paddle checkpoint: {error}.", "Is the download complete?") from error
    if not isinstance(state, dict) or not state:
        raise InputError(f"{file} holds no parameters.", "A `.pdopt` holds an optimiser's state; give the `.pdparams`.")
    values = {str(name): value for name, value in state.items() if isinstance(value, np.ndarray)}
    for prefix in STUDENTS:
        student = {name[len(prefix) :]: value for name, value in values.items() if name.startswith(prefix)}
        if student:
            return student
    return values
