"""What a network is, judged by its inputs and outputs: a detector, a recogniser, or neither.

The board's program feeds one picture, float32 `[1, 3, H, W]`, and reads one output: a detector's map `[1, 1, H, W]` of
probabilities, or a recogniser's softmax over classes, step by step, `[1, T, C]`. What does not fit is named here,
before anything is converted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from convert.graph.edit import Graph, all_arguments, arguments
from convert.graph.program import FLOAT
from edge.base.errors import ModelError
from edge.base.plural import counted
from edge.model.card import Card

NAMES = {"det": "a detector", "rec": "a recogniser"}
_PASSING = ("scale", "assign", "dropout", "cast")
_DTYPES = {0: "bool", 2: "int32", 3: "int64", 4: "float16", 5: "float32", 6: "float64", 20: "uint8", 21: "int8"}
EXPORT_HINT = "Export it again with one input, float32 [-1, 3, H, W] (BGR pixels, normalised)."


@dataclass(frozen=True)
class Output:
    """One output of a network.

    Attributes:
        name: Variable.
        shape: As declared, -1 where it is open; empty when nothing is declared.
        last: Type of the operator that computes it; operators that pass values on are not counted.
    """

    name: str
    shape: tuple[int, ...]
    last: str

    def __str__(self) -> str:
        """For messages: `[-1, -1, 70] of softmax`."""
        return f"{list(self.shape) if self.shape else 'of unknown shape'} of {self.last}"


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs of a network.

    Attributes:
        inputs: Variable to declared shape, -1 where it is open.
        outputs: In order; the program reads the first.
        channels: Of the picture that the network takes; 0 when neither the shape nor the first convolution says.
        dtype: Of the first input, as Paddle numbers it.
    """

    inputs: dict[str, tuple[int, ...]]
    outputs: tuple[Output, ...]
    channels: int
    dtype: int

    @property
    def name(self) -> str:
        """The first input."""
        return next(iter(self.inputs), "")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first input."""
        return self.inputs.get(self.name, ())

    @property
    def task(self) -> str | None:
        """`det` for one map, `rec` for one softmax over classes and steps, None for anything else."""
        if len(self.outputs) != 1:
            return None
        shape, last = self.outputs[0].shape, self.outputs[0].last
        if len(shape) == 4 and shape[1] == 1 and shape[2:] != (1, 1) and last != "softmax":
            return "det"
        return "rec" if len(shape) == 3 and last == "softmax" else None

    def described(self) -> str:
        """What its outputs look like, in words."""
        if not self.outputs:
            return "it has no output"
        if len(self.outputs) > 1:
            return f"it has {len(self.outputs)} outputs: {'; '.join(map(str, self.outputs))}"
        kind = {"det": "one map, as of a detector", "rec": "classes step by step, as of a recogniser"}
        only = self.outputs[0]
        said = kind.get(self.task or "", "")
        if not said and len(only.shape) == 2:
            said = "one row of values a picture, as of a classifier"
        elif not said and len(only.shape) == 3:
            said = "a matrix without a softmax at its end"
        elif not said and len(only.shape) == 4:
            said = f"{only.shape[1]} maps" if only.shape[1] > 1 else "not a map of probabilities"
        return f"its output is {only}" + (f" ({said})" if said else "")


def signature(graph: Graph) -> Signature:
    """Reads inputs and outputs of a network."""
    fed = [name for operator in graph.of_type("feed") for name in all_arguments(operator.outputs)]
    fetched = [name for operator in graph.of_type("fetch") for name in all_arguments(operator.inputs)]
    producers = graph.producers()
    outputs = tuple(Output(name, tuple(graph.shape(name) or ()), _last(name, producers)) for name in fetched)
    inputs = {name: tuple(graph.shape(name) or ()) for name in fed}
    first = graph.tensor(fed[0]) if fed else None
    return Signature(inputs, outputs, _channels(graph, fed), FLOAT if first is None else first.data_type)


def _last(name: str, producers: dict[str, Any]) -> str:
    for _ in range(20):
        operator = producers.get(name)
        if operator is None:
            return "nothing"
        source = arguments(operator.inputs, "X")
        if operator.type not in _PASSING or not source:
            return str(operator.type)
        name = source[0]
    return "nothing"


def _channels(graph: Graph, fed: list[str]) -> int:
    shape = graph.shape(fed[0]) if fed else None
    if shape and len(shape) == 4 and shape[1] > 0:
        return int(shape[1])
    for operator in graph.of_type("conv2d"):
        weight = graph.params.get(next(iter(arguments(operator.inputs, "Filter")), ""))
        if fed and arguments(operator.inputs, "Input")[:1] == fed[:1] and weight is not None and weight.ndim == 4:
            groups = next((item.i for item in operator.attrs if item.name == "groups"), 1) or 1
            return int(weight.shape[1]) * int(groups)
    return 0


def check_input(found: Signature, where: str) -> None:
    """Checks that the program can feed a network.

    Args:
        found: Of the network.
        where: Its name, for the message.

    Raises:
        ModelError: No input or several, one that is not a picture of three channels, or not float32.
    """
    if not found.inputs:
        raise ModelError(f"{where} has no input.", "Is it an inference model, and not a part of one?")
    if len(found.inputs) > 1:
        named = ", ".join(f"{name} {list(shape)}" for name, shape in found.inputs.items())
        raise ModelError(f"{where} takes {len(found.inputs)} inputs ({named}); the program feeds one picture.", EXPORT_HINT)
    shape, text = found.shape, f"{where} takes the input {found.name} {list(found.shape)}"
    if shape and len(shape) != 4:
        raise ModelError(f"{text}; the program feeds pictures, [1, 3, H, W].", EXPORT_HINT)
    if found.channels not in (0, 3):
        swapped = shape and shape[3] == 3
        what = "channels last (NHWC)" if swapped else counted(found.channels, "channel")
        raise ModelError(
            f"{text}, {what}; the program feeds 3 channels, [1, 3, H, W].",
            "Export it with channels first." if swapped else "Train and export it with 3 channels.",
        )
    if shape and shape[0] > 1:
        raise ModelError(f"{text}, {shape[0]} pictures at once; the program feeds one.", EXPORT_HINT)
    if found.dtype != FLOAT:
        kind = _DTYPES.get(found.dtype, f"of type {found.dtype}")
        raise ModelError(f"{text} of {kind}; the program feeds float32.", EXPORT_HINT)


def check_task(found: Signature, task: str, where: str, *, by: str) -> None:
    """Checks that a network's first output is what a task's network gives.

    Args:
        found: Of the network.
        task: `det` or `rec`.
        where: Its name, for the message.
        by: Who says that task, such as `--task`.

    Raises:
        ModelError: It is not.
    """
    if not found.outputs:
        raise ModelError(f"{where} has no output.", "Is it an inference model, and not a part of one?")
    shape, last = found.outputs[0].shape, found.outputs[0].last
    if task == "det":
        fits = not shape or (len(shape) == 4 and shape[1] in (1, -1) and shape[2:] != (1, 1))
        wanted = "one map, [N, 1, H, W]"
    else:
        # Of two sides the first would be the pictures: a classifier.
        fits = not shape or len(shape) == 3 or (len(shape) == 2 and shape[0] > 1)
        wanted = "a softmax over classes at each step, [N, T, C]"
    if fits and not (task == "det" and last == "softmax" and shape and shape[1] == 1):
        return
    other = found.task
    hint = "Name the model of that task."
    if other and other != task:
        hint = f"It looks like {NAMES[other]}: " + ("--task det." if other == "det" else "--task rec --dict FILE.")
    raise ModelError(f"{where} is not {NAMES[task]}, as {by} says: {found.described()}, not {wanted}.", hint)


def check_card(found: Signature, card: Card, where: str) -> None:
    """Compares a network with its card.

    Args:
        found: Of the network.
        card: Its card.
        where: Name of the model, for the message.

    Raises:
        ModelError: The program cannot feed it, it is of the other task, or it takes another height or width.
    """
    check_input(found, where)
    check_task(found, card.task, where, by="its card")
    if card.task == "det" or len(found.shape) != 4:
        return
    for side, own, said in (("height", found.shape[2], card.input.height), ("width", found.shape[3], card.input.width)):
        if (own > 0 and said not in (own, 0)) or (side == "height" and own > 0 and said == 0):
            raise ModelError(
                f"{where} takes the input {found.name} {list(found.shape)}, but its card says {side} {said}.",
                "Make a new card: export the model again, or convert its two files from a folder without a card.",
            )


def check_finite(graph: Graph, where: str) -> None:
    """Looks for weights that are not finite.

    Raises:
        ModelError: Names the first.
    """
    for name, value in graph.params.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            bad = int((~np.isfinite(value)).sum())
            raise ModelError(
                f"{where}: the weight {name} {list(value.shape)} holds {bad} values that are NaN or infinite.",
                "Export an earlier checkpoint.",
            )
