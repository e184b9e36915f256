"""Reading a graph as expressions: a variable as a function of the one furthest back, and values known as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from convert.graph.edit import INT, REAL, Graph, arguments, attribute, set_attribute

# Operators that are affine in one input when the other is a known number.
AFFINE = ("scale", "elementwise_add", "elementwise_sub", "elementwise_mul", "elementwise_div")


@dataclass(frozen=True)
class Affine:
    """`factor * name + shift`."""

    name: str
    factor: float = 1.0
    shift: float = 0.0


@dataclass(frozen=True)
class Clipped:
    """`factor * clip(gate, 0, top)`, gate affine in some variable."""

    gate: Affine
    top: float
    factor: float


class Matcher:
    """Reads a graph as expressions.

    Attributes:
        graph: The graph; it must not change while the matcher is used.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.producers = graph.producers()
        self._constants: dict[str, float | None] = {}

    def producer(self, name: str, *types: str) -> Any | None:
        """Returns the operator that makes a variable if it is of one of the types."""
        operator = self.producers.get(name)
        return operator if operator is not None and operator.type in types else None

    def scalar(self, name: str) -> float | None:
        """Returns a variable's value if it is one known number."""
        if name not in self._constants:
            value = self.graph.constant(name)
            self._constants[name] = float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None
        return self._constants[name]

    def step(self, operator: Any) -> Affine | None:
        """Reads one operator as an affine function of one of its inputs, or None."""
        if operator.type not in AFFINE:
            return None
        x = arguments(operator.inputs, "X")[0]
        if x in arguments(operator.outputs, "Out"):
            return None  # in place: the name stands for two values
        if operator.type == "scale":
            if arguments(operator.inputs, "ScaleTensor"):
                return None
            factor, bias = attribute(operator, "scale", 1.0), attribute(operator, "bias", 0.0)
            return Affine(x, factor, bias if attribute(operator, "bias_after_scale", True) else factor * bias)
        y = arguments(operator.inputs, "Y")[0]
        if (value := self.scalar(y)) is not None:
            return {
                "elementwise_add": Affine(x, 1.0, value),
                "elementwise_sub": Affine(x, 1.0, -value),
                "elementwise_mul": Affine(x, value),
                "elementwise_div": Affine(x, 1.0 / value) if value else None,
            }[operator.type]
        if (value := self.scalar(x)) is not None and operator.type != "elementwise_div":
            sign = -1.0 if operator.type == "elementwise_sub" else 1.0
            return Affine(y, value) if operator.type == "elementwise_mul" else Affine(y, sign, value)
        return None

    def affine(self, name: str) -> Affine:
        """Reads a variable as an affine function of the variable furthest back."""
        result = Affine(name)
        for _ in self.producers:  # No further: a program that writes names again may lead back to where it began.
            operator = self.producers.get(result.name)
            inner = self.step(operator) if operator is not None else None
            if inner is None:
                break
            result = Affine(inner.name, result.factor * inner.factor, result.factor * inner.shift + result.shift)
        return result

    def clipped(self, name: str) -> Clipped | None:
        """Reads a variable as `factor * clip(affine, 0, top)`, or None."""
        outer = self.affine(name)
        operator = self.producer(outer.name, "clip", "relu6")
        if operator is None or outer.shift != 0:
            return None
        low, top = self._bounds(operator)
        if low != 0 or top is None:
            return None
        return Clipped(self.affine(arguments(operator.inputs, "X")[0]), top, outer.factor)

    def _bounds(self, operator: Any) -> tuple[float | None, float | None]:
        if operator.type == "relu6":
            return 0.0, attribute(operator, "threshold", 6.0)
        bounds = []
        for tensor, name in (("Min", "min"), ("Max", "max")):
            given = arguments(operator.inputs, tensor)
            bounds.append(self.scalar(given[0]) if given else attribute(operator, name))
        return bounds[0], bounds[1]


def become(operator: Any, kind: str, inputs: Mapping[str, str], attributes: Mapping[str, float | int]) -> str:
    """Turns an operator into another one with the same output, whose name it returns."""
    result = (arguments(operator.outputs, "Out") or arguments(operator.outputs, "Y"))[0]
    operator.type = kind
    for part in (operator.inputs, operator.outputs, operator.attrs):
        del part[:]
    for slot, name in inputs.items():
        operator.inputs.add(parameter=slot, arguments=[name])
    operator.outputs.add(parameter="Y" if kind == "layer_norm" else "Out", arguments=[result])
    for name, value in attributes.items():
        set_attribute(operator, name, INT if isinstance(value, int) else REAL, value)
    return result
