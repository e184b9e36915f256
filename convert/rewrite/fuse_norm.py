"""Layer norm in pieces: `(x - mean(x)) / sqrt(mean((x - mean(x)) ** 2) + epsilon) * weight + bias`."""

from __future__ import annotations

from typing import Any

from convert.graph.edit import arguments, attribute
from convert.rewrite.matcher import Matcher, become


def layer_norm(match: Matcher, operator: Any) -> bool:
    """Matches from the last of: division, weight, bias; turns it into `layer_norm`."""
    graph = match.graph
    scaled, bias = _vector(match, operator, "elementwise_add")
    scaled = scaled if bias else operator
    divided, weight = _vector(match, scaled, "elementwise_mul") if scaled is not None else (None, None)
    divided = divided if weight else scaled
    if divided is None or divided.type != "elementwise_div":
        return False
    top, bottom = arguments(divided.inputs, "X")[0], arguments(divided.inputs, "Y")[0]
    x = _centred(match, top)
    epsilon = _deviation(match, bottom, top)
    shape = graph.shape(x) if x else None
    if x is None or epsilon is None or not shape:
        return False
    inputs = {"X": x}
    for slot, name in (("Scale", weight), ("Bias", bias)):
        if name:
            graph.set_param(f"{name}.vector", graph.params[name].reshape(-1))
            inputs[slot] = f"{name}.vector"
    result = become(operator, "layer_norm", inputs, {"epsilon": epsilon, "begin_norm_axis": len(shape) - 1})
    for slot in ("Mean", "Variance"):
        graph.declare_like(x, f"{result}.{slot.lower()}")
        operator.outputs.add(parameter=slot, arguments=[f"{result}.{slot.lower()}"])
    return True


def _vector(match: Matcher, operator: Any, kind: str) -> tuple[Any | None, str | None]:
    """Reads `operator` as `kind` of something and a parameter; returns what makes that something, and the parameter."""
    if operator is None or operator.type != kind:
        return None, None
    for data, side in (("X", "Y"), ("Y", "X")):
        name = arguments(operator.inputs, side)[0]
        reshape = match.producer(name, "reshape2")
        if reshape is not None:
            name = arguments(reshape.inputs, "X")[0]
        value = match.graph.params.get(name)
        if value is not None and value.size == max(value.shape, default=1) and value.size > 1:
            return match.producers.get(arguments(operator.inputs, data)[0]), name
    return None, None


def _centred(match: Matcher, name: str) -> str | None:
    """Returns x if `name` is `x - mean(x)` along the last axis."""
    minus = match.producer(name, "elementwise_sub")
    if minus is None:
        return None
    x, mean = arguments(minus.inputs, "X")[0], arguments(minus.inputs, "Y")[0]
    return x if _mean_of(match, mean) == x else None


def _mean_of(match: Matcher, name: str) -> str | None:
    mean = match.producer(name, "reduce_mean")
    if mean is None or not attribute(mean, "keep_dim", False):
        return None
    x = arguments(mean.inputs, "X")[0]
    shape = match.graph.shape(x) or []
    return x if attribute(mean, "dim", []) in ([-1], [len(shape) - 1]) else None


def _deviation(match: Matcher, name: str, centred: str) -> float | None:
    """Returns epsilon if `name` is `sqrt(mean(centred ** 2) + epsilon)`."""
    root = match.producer(name, "sqrt")
    if root is None:
        return None
    inner = match.affine(arguments(root.inputs, "X")[0])
    square = match.producers.get(_mean_of(match, inner.name) or "")
    if square is None or inner.factor != 1:
        return None
    same = arguments(square.inputs, "X")[:1] == [centred]
    if square.type == "elementwise_mul":
        same = same and arguments(square.inputs, "Y")[0] == centred
    elif square.type == "elementwise_pow":
        same = same and match.scalar(arguments(square.inputs, "Y")[0]) == 2
    elif square.type == "pow":
        same = same and attribute(square, "factor") == 2
    elif square.type != "square":
        return None
    return inner.shift if same else None
