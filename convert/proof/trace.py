"""Finding the operator at which a model goes wrong: where values stop being finite, where int8 steps run out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from convert.graph.cut import first_failing, operator_name, result_of
from convert.graph.edit import INT, Graph, all_arguments, arguments, set_argument, set_attribute
from convert.graph.fake_quant import is_quantised
from convert.graph.program import FLOAT
from convert.opt.run import run_opt
from convert.proof.children import Job, Tensor, run_network, run_outputs
from convert.rewrite.apply import rewrite
from edge.base.errors import EdgeError, ModelError
from edge.model.card import Model

# No activation comes near; the next operator would make infinity of more, and bytes read as floats are that large.
_SANE = 1e20


def first_not_finite(model: Model, x: Tensor, *, rewritten: bool = True) -> str | None:
    """Names the first operator whose output on x86 is not finite (or beyond 1e20); see `first_bad`.

    Returns:
        `type -> variable`, or None when every beginning of the model is finite.
    """
    operator = first_bad(model, x, rewritten=rewritten)
    return None if operator is None else operator_name(operator)


def first_bad(model: Model, x: Tensor, *, rewritten: bool = True) -> Any | None:
    """Finds the first operator with which the model ends the runtime on x86, or gives what is not finite.

    Ever shorter beginnings of the model are converted and run.

    Args:
        model: Inference model.
        x: Input on which its `.nb` fails, or gives NaN or infinity.
        rewritten: Whether that `.nb` was made with the kit's rewrites.

    Returns:
        The operator, or None when every beginning of the model runs and is finite.
    """
    int8_weights = rewritten and is_quantised(Graph.of(model))

    def load() -> Graph:
        graph = Graph.of(model)
        if rewritten:
            rewrite(graph, "x86")
        return graph

    def fails(graph: Graph) -> bool:
        if not any(list(all_arguments(item.outputs)) for item in graph.of_type("feed")):
            return False
        with graph.saved() as files:
            nb = files[0].with_suffix(".nb")
            try:
                run_opt(*files, nb, "x86", int8_weights=int8_weights)
            except ModelError:
                # A beginning that ends in the middle of a fused pattern may not convert; it says nothing about the values.
                return False
            try:
                return not (np.abs(run_network(Job("lite", (nb,)), [x])[0]) < _SANE).all()
            except ModelError:
                # An operator that takes bytes for floats reads four times as many as there are.
                return True

    return first_failing(load, fails)


def first_not_finite_inside(model: Model, x: Tensor) -> Any | None:
    """Finds the first operator whose float result is not finite, on Paddle Inference, in one run.

    Returns:
        The operator; None when all results are finite, or the model does not run there.
    """
    graph = Graph.of(model)
    made = [
        (operator, result_of(operator)) for operator in graph.block.ops
        if operator.type not in ("feed", "fetch") and _is_float(graph, result_of(operator))
    ]  # fmt: skip
    names = list(dict.fromkeys(name for _, name in made))
    first = len(graph.of_type("fetch"))
    _fetch_also(graph, names)
    with graph.saved() as files:
        try:
            results = run_outputs(Job("paddle", files, every=True), [x])[0][first:]
        except EdgeError:
            return None
    found = dict(zip(names, results, strict=True))
    broken = (index for index, (_, name) in enumerate(made) if not np.isfinite(found[name]).all())
    index = next(broken, None)
    return None if index is None else made[index][0]


def _is_float(graph: Graph, name: str) -> bool:
    tensor = graph.tensor(name)
    return tensor is not None and tensor.data_type == FLOAT


@dataclass(frozen=True)
class Saturation:
    """How much of a quantised operator's input lies beyond its scale, and is cut to the last int8 step.

    Attributes:
        operator: `type -> variable` of the operator that the int8 values go to.
        share: Of the values, 0 to 1.
        values: How many there are in one input's tensor.
    """

    operator: str
    share: float
    values: int


def saturation(model: Model, inputs: list[Tensor]) -> list[Saturation]:
    """Measures saturation of every quantised activation of an int8 inference model, on Paddle Inference.

    Args:
        model: Inference model of PaddleSlim, in its old format (`fake_quantize_*`) or the ONNX one (`quantize_linear`).
        inputs: Network inputs.

    Returns:
        In order of execution; empty where a model has no such operators.

    Raises:
        HostError: Paddle is not installed.
    """
    graph = Graph.of(model)
    found = _quantised_activations(graph)
    if not found:
        return []
    readers = graph.consumers()
    names = []
    for operator, _, _ in found:
        reader = operator
        while reader.type.startswith(("fake_quantize", "quantize_linear", "dequantize_linear")):
            after = [item for name in all_arguments(reader.outputs) for item in readers.get(name, [])]
            if not after:
                break
            reader = after[0]
        names.append(f"{reader.type} -> {result_of(reader)}")
    _fetch_also(graph, list(dict.fromkeys(name for _, name, _ in found)))
    with graph.saved() as files:
        runs = run_outputs(Job("paddle", files, every=True), inputs)
    order = {variable: index + 1 for index, variable in enumerate(dict.fromkeys(name for _, name, _ in found))}
    result = []
    for text, (_, variable, scale) in zip(names, found, strict=True):
        beyond = [float((np.abs(outputs[order[variable]]) > scale).mean()) for outputs in runs]
        result.append(Saturation(text, max(beyond), runs[0][order[variable]].size))
    return result


def _quantised_activations(graph: Graph) -> list[tuple[Any, str, float]]:
    """Lists the operators that round activations: operator, its input, the value that is the last int8 step."""
    found = []
    for operator in graph.block.ops:
        fake = operator.type.startswith("fake_quantize") and "channel_wise" not in operator.type
        if not fake and operator.type != "quantize_linear":
            continue
        scale = arguments(operator.inputs, "InScale") or arguments(operator.inputs, "Scale")
        variable = arguments(operator.inputs, "X")[0]
        if scale and scale[0] in graph.params and variable not in graph.params and graph.params[scale[0]].size == 1:
            found.append((operator, variable, float(graph.params[scale[0]].reshape(-1)[0])))
    return found


def _fetch_also(graph: Graph, variables: list[str]) -> None:
    """Makes variables outputs of the model, after those that it has."""
    pattern = graph.of_type("fetch")[0]
    first = len(graph.of_type("fetch"))
    for index, variable in enumerate(variables):
        added = graph.block.ops.add()
        added.CopyFrom(pattern)
        set_argument(added.inputs, "X", variable)
        set_attribute(added, "col", INT, first + index)
