"""The fake-quantisation operators of a PaddleSlim model, and turning single operators back to float.

In a model saved by PaddleSlim (old format, `onnx_format=False`) a quantised operator reads `fake_quantize_*` of its
input, has weights that are whole numbers of -127..127 kept as float32, and is followed by a `fake_*dequantize*` that
multiplies by `weight scale * input scale / 127 ** 2`. opt turns such a trio into one int8 kernel, and stops where a
target has none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from convert.graph.edit import Graph, all_arguments, arguments, attribute
from convert.graph.params import Array

WEIGHT_SLOTS = {
    "conv2d": "Filter",
    "depthwise_conv2d": "Filter",
    "conv2d_transpose": "Filter",
    "mul": "Y",
    "matmul": "Y",
    "matmul_v2": "Y",
}
INPUT_SLOTS = {"mul": "X", "matmul": "X", "matmul_v2": "X"}
OUTPUT_SLOTS = {"conv2d": "Output", "depthwise_conv2d": "Output", "conv2d_transpose": "Output"}
# What becomes int8 on ARM. On x86 Paddle Lite 2.13's int8 kernels are not to be used: there is none for transposed
# convolutions, the others compute no hard-swish (and say nothing), and their sizes are fixed by the first input.
QUANTISABLE = frozenset(WEIGHT_SLOTS)


def is_quantised(graph: Graph) -> bool:
    """Tells whether a model holds quantised operators."""
    return any(operator.type.startswith(("fake_quantize", "quantize_linear")) for operator in graph.block.ops)


def dequantise(graph: Graph, types: frozenset[str]) -> int:
    """Turns the quantised operators of some types back to float operators with the same, rounded, weights.

    Args:
        graph: The model, edited in place.
        types: Operator types.

    Returns:
        How many were turned back.
    """
    count = 0
    for operator in graph.of_type(*types):
        producers, consumers = graph.producers(), graph.consumers()
        weight = arguments(operator.inputs, WEIGHT_SLOTS[operator.type])[0]
        quantize = producers.get(arguments(operator.inputs, INPUT_SLOTS.get(operator.type, "Input"))[0])
        result = arguments(operator.outputs, OUTPUT_SLOTS.get(operator.type, "Out"))[0]
        after = consumers.get(result, [])
        if quantize is None or not quantize.type.startswith("fake_quantize"):
            continue
        if weight not in graph.params:
            continue  # a product of two activations; see `drop_rounding`
        if len(after) != 1 or "dequantize" not in after[0].type:
            continue
        _restore(graph, operator, weight, quantize, after[0])
        count += 1
    return count


def drop_rounding(graph: Graph) -> int:
    """Removes `fake_quantize_dequantize_*`, which round a tensor to int8 steps for products of two activations."""
    found = [operator for operator in graph.block.ops if operator.type.startswith("fake_quantize_dequantize")]
    for operator in found:
        graph.replace_reads(arguments(operator.outputs, "Out")[0], arguments(operator.inputs, "X")[0])
    graph.remove(found)
    return len(found)


def _restore(graph: Graph, operator: Any, weight: str, quantize: Any, dequantize: Any) -> None:
    values = graph.params[weight].astype(np.float32)
    scales = arguments(dequantize.inputs, "Scales")
    if scales:
        bits = attribute(dequantize, "quant_bits", [8])[0]
        axis = attribute(dequantize, "quant_axis", 0)
        values = values * (_along(graph.params[scales[0]], axis, values.ndim) / (2 ** (bits - 1) - 1))
    else:
        # One scale for the whole weight; max_range is 127 * 127 / weight scale.
        values = values * np.float32(127.0 / attribute(dequantize, "max_range", 127.0))
    graph.set_param(f"{weight}.float", values.astype(np.float32))
    raw = arguments(quantize.inputs, "X")[0]
    quantised = set(all_arguments(quantize.outputs))
    for item in operator.inputs:
        for index, name in enumerate(item.arguments):
            if name == weight:
                item.arguments[index] = f"{weight}.float"
            elif name in quantised:
                item.arguments[index] = raw
    graph.replace_reads(arguments(dequantize.outputs, "Out")[0], arguments(dequantize.inputs, "X")[0])
    graph.remove([dequantize])
    for index in reversed(range(len(operator.attrs))):
        if operator.attrs[index].name in ("enable_int8", "bit_length", "quantization_type", "quantize_weight_bits"):
            del operator.attrs[index]


def drop_linear(graph: Graph) -> int:
    """Turns a model of the ONNX format (`quantize_linear`, `dequantize_linear`) back to float, weights rounded.

    Returns:
        How many weights were turned back.
    """
    count = 0
    for operator in graph.of_type("quantize_linear"):
        graph.replace_reads(arguments(operator.outputs, "Y")[0], arguments(operator.inputs, "X")[0])
    for operator in graph.of_type("dequantize_linear"):
        source = arguments(operator.inputs, "X")[0]
        result = arguments(operator.outputs, "Y")[0]
        if source in graph.params:
            values = graph.params[source].astype(np.float32)
            scale = graph.params[arguments(operator.inputs, "Scale")[0]]
            axis = attribute(operator, "quant_axis", -1)
            if axis >= 0 and scale.size > 1:
                scale = _along(scale, axis, values.ndim)
            graph.set_param(f"{source}.float", values * (scale / (2 ** (attribute(operator, "bit_length", 8) - 1) - 1)))
            source = f"{source}.float"
            count += 1
        graph.replace_reads(result, source)
    graph.remove(graph.of_type("quantize_linear", "dequantize_linear"))
    return count


def _along(scales: Array, axis: int, rank: int) -> Array:
    """Shapes one scale a channel so that it multiplies a weight of that many dimensions."""
    return scales.reshape([-1 if index == axis else 1 for index in range(rank)])
