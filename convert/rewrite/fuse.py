"""Finding activations and norms that arrive in pieces, and making each one operator again.

Converters (from ONNX above all) write hard-swish as add, clip, mul, div. On ARM each piece is a pass over the whole
map: the published recogniser costs 2.5 times the instructions in that form. The pieces are matched by what they
compute, so the order of factors, and whether a constant is an attribute, a parameter or an operator, does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from convert.graph.edit import Graph, arguments, attribute
from convert.rewrite.fuse_norm import layer_norm
from convert.rewrite.matcher import AFFINE, Affine, Clipped, Matcher, become

_PRODUCTS = ("elementwise_mul",)


def hard_swish(match: Matcher, operator: Any) -> bool:
    """`x * clip(x + 3, 0, 6) / 6` in any order, and `x * hard_sigmoid(x)`; with any constants."""
    product, factor = operator, 1.0
    if (outer := match.step(operator)) is not None:
        inner = match.affine(outer.name)
        found = match.producer(inner.name, *_PRODUCTS)
        if found is None or outer.shift or inner.shift:
            return False
        product, factor = found, outer.factor * inner.factor
    if product.type not in _PRODUCTS:
        return False
    pair = arguments(product.inputs, "X")[0], arguments(product.inputs, "Y")[0]
    for x, gate in (pair, pair[::-1]):
        clip = match.clipped(gate)
        sigmoid = match.producer(gate, "hard_sigmoid")
        if sigmoid is not None and arguments(sigmoid.inputs, "X")[0] == x:
            slope, offset = attribute(sigmoid, "slope", 0.2), attribute(sigmoid, "offset", 0.5)
            clip = Clipped(Affine(x, slope, offset), 1.0, 1.0)
        if clip is None or clip.gate.name != x or clip.gate.factor <= 0:
            continue
        a = clip.gate.factor
        values = {"threshold": clip.top / a, "offset": clip.gate.shift / a, "scale": 1 / (a * clip.factor * factor)}
        become(operator, "hard_swish", {"X": x}, {key: _tidy(value) for key, value in values.items()})
        return True
    return False


def hard_sigmoid(match: Matcher, operator: Any) -> bool:
    """`clip(slope * x + offset, 0, 1)`, also as `clip(x + 3, 0, 6) / 6`."""
    if operator.type not in ("clip", "relu6", *AFFINE):
        return False
    clip = match.clipped(arguments(operator.outputs, "Out")[0])
    if clip is None or abs(clip.top * clip.factor - 1) > 1e-5:
        return False
    values = {"slope": clip.gate.factor * clip.factor, "offset": clip.gate.shift * clip.factor}
    become(operator, "hard_sigmoid", {"X": clip.gate.name}, {key: _tidy(value) for key, value in values.items()})
    return True


def swish(match: Matcher, operator: Any) -> bool:
    """`x * sigmoid(beta * x)`."""
    if operator.type not in _PRODUCTS:
        return False
    pair = arguments(operator.inputs, "X")[0], arguments(operator.inputs, "Y")[0]
    for x, gate in (pair, pair[::-1]):
        sigmoid = match.producer(gate, "sigmoid")
        if sigmoid is None:
            continue
        inner = match.affine(arguments(sigmoid.inputs, "X")[0])
        if x in (inner.name, arguments(sigmoid.inputs, "X")[0]) and inner.shift == 0:
            beta = inner.factor if x == inner.name else 1.0
            become(operator, "swish", {"X": x}, {"beta": beta})
            return True
    return False


def gelu(match: Matcher, operator: Any) -> bool:
    """`0.5 * x * (1 + erf(x / sqrt(2)))` in any order of its factors."""
    if operator.type not in AFFINE:
        return False
    factors, factor = [arguments(operator.outputs, "Out")[0]], 1.0
    plain: list[str] = []
    for _ in range(2 * len(match.producers) + 2):  # Leaves included; see `Matcher.affine`.
        if not factors:
            break
        name = factors.pop()
        made = match.producers.get(name)
        reading = match.step(made) if made is not None else None
        if reading is not None and reading.shift == 0:
            factor *= reading.factor
            factors.append(reading.name)
        elif made is not None and made.type in _PRODUCTS and len(plain) < 2:
            factors += [arguments(made.inputs, "X")[0], arguments(made.inputs, "Y")[0]]
        else:
            plain.append(name)
    if len(plain) != 2 or factors:
        return False
    for x, other in (plain, plain[::-1]):
        outer = match.affine(other)
        erf = match.producer(outer.name, "erf")
        if erf is None or not math.isclose(outer.factor, outer.shift, rel_tol=1e-5):
            continue
        inner = match.affine(arguments(erf.inputs, "X")[0])
        good = math.isclose(inner.factor, math.sqrt(0.5), rel_tol=1e-4) and inner.shift == 0 and inner.name == x
        if good and math.isclose(factor * outer.factor, 0.5, rel_tol=1e-5):
            become(operator, "gelu", {"X": x}, {})
            return True
    return False


def _tidy(value: float) -> float:
    """Rounds away the last digits of quotients such as 1 / (1 / 6), where the result is a small decimal."""
    near = round(value, 6)
    return near if math.isclose(near, value, rel_tol=1e-6) else value


# Larger patterns first: a hard-swish holds a hard-sigmoid.
PATTERNS: tuple[tuple[str, Callable[[Matcher, Any], bool]], ...] = (
    ("hard_swish", hard_swish),
    ("swish", swish),
    ("gelu", gelu),
    ("hard_sigmoid", hard_sigmoid),
)


def fuse_pieces(graph: Graph) -> dict[str, int]:
    """Makes every activation and layer norm that is in pieces one operator again.

    Args:
        graph: Edited in place; operators that are no longer needed are removed.

    Returns:
        Operator type to how often it was made.
    """
    counts: dict[str, int] = {}
    for kind, pattern in (("layer_norm", layer_norm), *PATTERNS):
        matcher = Matcher(graph)
        waiting = graph.operators
        made = 0
        # From the end: the last operator of a pattern is met before its pieces, and the pieces fall away with it.
        while waiting:
            operator = waiting.pop()
            if operator.type != kind and pattern(matcher, operator):
                made += 1
                graph.prune()
                left = {id(item) for item in graph.operators}
                waiting = [item for item in waiting if id(item) in left]
                matcher = Matcher(graph)
        if made:
            counts[kind] = made
    return counts
