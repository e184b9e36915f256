"""Puts weights into the kit's networks, strictly: what is missing, unexpected or misshaped is named.

A checkpoint that does not fit must never pass silently: PaddleOCR only logs "params ... not in model", and people
evaluate a half-loaded network for days.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.base.errors import InputError, ModelError
from train.arch import load_paddle
from train.arch.architecture import Architecture
from train.arch.border import Arrays

if TYPE_CHECKING:
    from paddle import nn

STUDENTS = ("Student.", "student.")
# Parts of names that PaddleSlim's quantised layers give their parameters.
_QUANTISED = ("_fake_quant", "quant_dequant", "._layer.", ".skip_quant", "moving_average", "quanter")
_SHOWN = 6


def assign(arch: Architecture, net: nn.Layer, values: Mapping[str, Any], where: str) -> None:
    """Copies values into all parameters and buffers of a network.

    Args:
        arch: Of the network. Of its `training_only` parameters those of a prefix may be missing from `values`, all of them.
        net: The network.
        values: Parameter name to array; those that `arch` calls `foreign` are skipped.
        where: What the values come from, for messages.

    Raises:
        ModelError: A parameter is missing, unexpected, misshaped, or not finite; nothing is changed then.
    """
    state = net.state_dict()
    kept = {name: np.asarray(value) for name, value in values.items() if not name.startswith(arch.foreign)}
    absent = [prefix for prefix in arch.training_only if not any(name.startswith(prefix) for name in kept)]
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
        raise ModelError(f"{where} does not fit the network; {'; '.join(problems)}.", _advice(arch, kept, shapes, state))
    for name, parameter in state.items():
        if name in kept:
            parameter.set_value(kept[name].astype(np.float32))


def _advice(arch: Architecture, kept: Mapping[str, Any], shapes: list[str], state: Mapping[str, Any]) -> str:
    if arch.head and shapes and all(text.startswith(arch.head) for text in shapes):
        return "The number of classes differs: give the dictionary that the checkpoint was trained with."
    if not set(kept) & set(state):
        return f"It is a checkpoint of another architecture than {arch.name}: give a recipe whose model.arch names it."
    return f"Check that it is a checkpoint of {arch.name}: {arch.about}."


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
