"""Constants without dimensions, which Paddle since 2.5 exports and on which Paddle Lite aborts when the model runs.

A `fill_constant` with the shape `[]` becomes one of the shape `[1]` where everything that reads it computes the same
from either: broadcasting operators, and those that read it as a setting. Where it would change the shape of a result,
nothing is changed, and the operator is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from convert.graph.edit import INTS, Graph, all_arguments, arguments, attribute, set_attribute

# One value in, one value out, whatever the rank.
_UNARY = frozenset(
    {"scale", "cast", "assign", "abs", "ceil", "clip", "cos", "erf", "exp", "floor", "hard_sigmoid", "hard_swish", "log",
     "logical_not", "pow", "reciprocal", "relu", "relu6", "round", "rsqrt", "sigmoid", "sign", "sin", "softplus", "sqrt",
     "square", "swish", "tanh"}
)  # fmt: skip
_BINARY = frozenset(
    {*(f"elementwise_{kind}" for kind in ("add", "sub", "mul", "div", "min", "max", "pow", "mod", "floordiv")),
     "equal", "not_equal", "less_than", "less_equal", "greater_than", "greater_equal", "logical_and", "logical_or",
     "logical_xor"}
)  # fmt: skip
# Read as a number that steers the operator, so that [] and [1] are the same to it.
_SETTINGS = frozenset(
    {"ValueTensor", "ScaleTensor", "FactorTensor", "ShapeTensor", "ShapeTensorList", "SizeTensor", "Scale", "AxisTensor",
     "StartsTensorList", "EndsTensorList", "StepsTensorList", "StartsTensor", "EndsTensor", "StridesTensorList", "K",
     "repeat_times_tensor", "expand_shapes_tensor", "Min", "Max", "Start", "End", "Step", "Axis"}
)  # fmt: skip


@dataclass(frozen=True)
class Stuck:
    """A constant without dimensions that cannot be mended.

    Attributes:
        constant: Its variable.
        reader: The operator whose result would have another shape.
        result: That operator's output.
    """

    constant: str
    reader: str
    result: str

    def __str__(self) -> str:
        """For messages."""
        return f"fill_constant -> {self.constant} (shape []), read by {self.reader} -> {self.result}"


def bare_constants(graph: Graph) -> tuple[list[Any], list[Stuck]]:
    """Finds constants without dimensions.

    Returns:
        Those that may become `[1]`, and what keeps the others from it.
    """
    readers = graph.consumers()
    flat = _flat(graph)
    mendable, stuck = [], []
    for operator in graph.of_type("fill_constant"):
        if not _is_bare(operator):
            continue
        name = arguments(operator.outputs, "Out")[0]
        obstacle = _obstacle(name, readers, flat)
        if obstacle is None:
            mendable.append(operator)
        else:
            stuck.append(Stuck(name, obstacle.type, next(all_arguments(obstacle.outputs), "nothing")))
    return mendable, stuck


def _is_bare(operator: Any) -> bool:
    sized = arguments(operator.inputs, "ShapeTensor") or arguments(operator.inputs, "ShapeTensorList")
    return not sized and attribute(operator, "shape", None) == [] and bool(arguments(operator.outputs, "Out"))


def _flat(graph: Graph) -> set[str]:
    """Variables without dimensions: the constants, and what is computed from nothing else."""
    flat = {arguments(operator.outputs, "Out")[0] for operator in graph.of_type("fill_constant") if _is_bare(operator)}
    for operator in graph.block.ops:
        names = arguments(operator.inputs, "X") + arguments(operator.inputs, "Y")
        if operator.type in _UNARY | _BINARY and names and all(name in flat for name in names):
            flat.update(arguments(operator.outputs, "Out"))
    return flat


def _obstacle(name: str, readers: dict[str, list[Any]], flat: set[str]) -> Any | None:
    """The first operator that computes something else from [1] than from []; None when there is none."""
    waiting, seen = [name], {name}
    while waiting:
        current = waiting.pop()
        for operator in readers.get(current, []):
            slots = {item.parameter for item in operator.inputs if current in item.arguments}
            if slots <= _SETTINGS or operator.type == "reshape2":
                continue
            if operator.type not in _UNARY | _BINARY:
                return operator
            for result in arguments(operator.outputs, "Out"):
                # With a tensor of any rank beside it the result has that one's shape.
                if result in flat and result not in seen:
                    seen.add(result)
                    waiting.append(result)
    return None


def give_dimension(graph: Graph) -> int:
    """Gives constants without dimensions the shape `[1]` where that is the same.

    Returns:
        How many.
    """
    mendable, _ = bare_constants(graph)
    for operator in mendable:
        kind = next(item.type for item in operator.attrs if item.name == "shape")
        set_attribute(operator, "shape", kind if kind in (INTS, 11) else INTS, [1])
        tensor = graph.tensor(arguments(operator.outputs, "Out")[0])
        if tensor is not None:
            tensor.dims[:] = [1]
    return len(mendable)
