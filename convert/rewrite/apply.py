"""Rewriting an inference program before opt sees it: repairs, simplifications, and a workaround for the x86 runtime.

Each rewrite is exact but for rounding, is counted in the model card, and is left out with `--no-rewrite`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from convert.graph.edit import INT, INTS, REAL, Graph, all_arguments, arguments, attribute, set_argument, set_attribute
from convert.graph.fake_quant import QUANTISABLE, dequantise, drop_linear, drop_rounding, is_quantised
from convert.rewrite.fuse import fuse_pieces
from convert.rewrite.scalars import give_dimension

Rewrite = Callable[[Graph], int]


def rewrite(graph: Graph, target: str, version: str = "", *, integers: bool = False) -> dict[str, int]:
    """Applies every rewrite in place.

    Args:
        graph: The model.
        target: What it will be converted for.
        version: Of opt, where it matters.
        integers: Float weights will be stored as integers.

    Returns:
        Name of each kind of rewrite that was made to how often.
    """
    steps: list[tuple[str, Rewrite]] = [
        ("identities", drop_identities),
        ("bias-shape", flatten_bias),
        ("output-scales", drop_output_scales),
        ("swish-beta", add_swish_beta),
        ("scalar-shape", give_dimension),
        ("xshape", partial(add_xshape, every=version == "2.10")),
        *(_x86_steps(graph, integers) if target == "x86" else []),
        ("attributes", drop_attributes),
        ("dead-operators", Graph.prune),
    ]
    changes = {f"fuse-{kind}": count for kind, count in fuse_pieces(graph).items()}
    changes |= {name: step(graph) for name, step in steps}
    return {name: count for name, count in changes.items() if count}


def _x86_steps(graph: Graph, integers: bool) -> list[tuple[str, Rewrite]]:
    steps: list[tuple[str, Rewrite]] = []
    if is_quantised(graph):
        steps.append(("x86-float-arithmetic", _float_arithmetic))
    if integers or is_quantised(graph):
        steps.append(("matmul-to-mul", matmul_to_mul))
    return [*steps, ("x86-direct-conv", avoid_direct_conv)]


def matmul_to_mul(graph: Graph) -> int:
    """Turns `matmul_v2` with a weight into the older `mul`.

    Paddle Lite stores int8 weights of both for float arithmetic, but turns only those of `mul` back to float when it
    loads (`light_api.cc`, DequantizeWeight): a `matmul_v2` reads the int8 bytes as float, and gives NaN.
    """
    count = 0
    for operator in graph.of_type("matmul_v2"):
        weight = graph.params.get(arguments(operator.inputs, "Y")[0])
        rank = len(graph.shape(arguments(operator.inputs, "X")[0]) or ())
        if weight is None or weight.ndim != 2 or rank < 2:
            continue
        if attribute(operator, "trans_x", False) or attribute(operator, "trans_y", False):
            continue
        operator.type = "mul"
        del operator.attrs[:]
        set_attribute(operator, "x_num_col_dims", INT, rank - 1)
        set_attribute(operator, "y_num_col_dims", INT, 1)
        count += 1
    return count


def _float_arithmetic(graph: Graph) -> int:
    return dequantise(graph, QUANTISABLE) + drop_rounding(graph) + drop_linear(graph)


def drop_identities(graph: Graph) -> int:
    """Removes operators that pass their input through: test-mode dropout, assign, scale by 1."""
    dropped = []
    fetched = {name for operator in graph.of_type("fetch") for name in all_arguments(operator.inputs)}
    for operator in graph.of_type("dropout", "assign", "scale"):
        if not _is_identity(operator):
            continue
        source, result = arguments(operator.inputs, "X")[0], arguments(operator.outputs, "Out")[0]
        if result in fetched and source in graph.params:
            continue
        graph.replace_reads(result, source)
        dropped.append(operator)
    graph.remove(dropped)
    return len(dropped)


def _is_identity(operator: Any) -> bool:
    if operator.type == "dropout":
        kept = attribute(operator, "dropout_implementation", "downgrade_in_infer") == "upscale_in_train"
        return bool(kept or attribute(operator, "dropout_prob", 0.5) == 0.0)
    if operator.type == "scale":
        plain = bool(attribute(operator, "scale", 1.0) == 1.0 and attribute(operator, "bias", 0.0) == 0.0)
        return plain and not arguments(operator.inputs, "ScaleTensor")
    return True


# Attributes of other backends (oneDNN, cuDNN), of training, of calibration and of Paddle's error messages. Paddle Lite
# reads none of them and stores each with every operator: they were a third of a small int8 model.
UNUSED = re.compile(
    r"op_(callstack|namescope|role|role_var|device)|with_quant_attr|quantization_type|use_mkldnn|is_mkldnn"
    r"|mkldnn_data_type|use_quantizer|use_cudnn|use_addto|exhaustive_search|workspace_size_MB|force_fp32_output"
    r"|fuse_(alpha|beta|activation|residual_connection|relu_before_depthwise_conv)"
    r"|Scale_(in|in_eltwise|out|weights|x|y)|Input_scale|max_range|trainable_statistics|use_global_stats"
    r"|out_threshold|[A-Z][A-Za-z]*\d_threshold"
)
# Attributes whose value is what Paddle Lite takes when they are missing.
DEFAULTS = {"data_format": "NCHW", "padding_algorithm": "EXPLICIT"}


def drop_attributes(graph: Graph) -> int:
    """Removes attributes that Paddle Lite does not read or would take the same value for."""
    count = 0
    for operator in graph.block.ops:
        # max_range is the scale of a per-tensor dequantisation, the one operator that needs it.
        kept = [item for item in operator.attrs if not _is_unused(item) or operator.type == "fake_dequantize_max_abs"]
        count += len(operator.attrs) - len(kept)
        if len(kept) != len(operator.attrs):
            del operator.attrs[:]
            operator.attrs.extend(kept)
    return count


def _is_unused(item: Any) -> bool:
    return bool(UNUSED.fullmatch(item.name)) or DEFAULTS.get(item.name, "?") == item.s


def flatten_bias(graph: Graph) -> int:
    """Makes `x + reshape(bias, [1, C, 1, 1])` an addition along axis 1, which opt then folds into the convolution."""
    count = 0
    producers = graph.producers()
    for operator in graph.of_type("elementwise_add"):
        name = arguments(operator.inputs, "Y")[0]
        reshape = producers.get(name)
        if reshape is None or reshape.type != "reshape2":
            continue
        bias = arguments(reshape.inputs, "X")[0]
        shape = attribute(reshape, "shape", [])
        if bias not in graph.params or graph.params[bias].ndim != 1 or len(shape) != 4:
            continue
        if [side for index, side in enumerate(shape) if index != 1] != [1, 1, 1]:
            continue
        set_argument(operator.inputs, "Y", bias)
        set_attribute(operator, "axis", INT, 1)
        count += 1
    return count


def drop_output_scales(graph: Graph) -> int:
    """Removes `moving_average_abs_max_scale`, which training with quantisation leaves behind and no opt knows."""
    found = graph.of_type("moving_average_abs_max_scale")
    for operator in found:
        for result in arguments(operator.outputs, "Out"):
            graph.replace_reads(result, arguments(operator.inputs, "X")[0])
    graph.remove(found)
    return len(found)


_WITH_XSHAPE = ("transpose2", "squeeze2", "unsqueeze2", "reshape2", "flatten2", "flatten_contiguous_range")


def add_xshape(graph: Graph, *, every: bool = False) -> int:
    """Gives reshapes the second output that opt requires and newer Paddle leaves out.

    Args:
        graph: The model.
        every: Transposes and all reshapes, as older opts want it; else flattens, on which each opt ends by a signal.
    """
    count = 0
    for operator in graph.of_type(*(_WITH_XSHAPE if every else ("flatten2", "flatten_contiguous_range"))):
        if arguments(operator.outputs, "XShape"):
            continue
        result = arguments(operator.outputs, "Out")[0]
        operator.outputs.add(parameter="XShape", arguments=[f"{result}.xshape"])
        graph.declare_like(result, f"{result}.xshape")
        count += 1
    return count


def add_swish_beta(graph: Graph) -> int:
    """Gives every swish the attribute `beta`, which newer Paddle leaves out and opt aborts without."""
    bare = [operator for operator in graph.of_type("swish") if attribute(operator, "beta") is None]
    for operator in bare:
        set_attribute(operator, "beta", REAL, 1.0)
    return len(bare)


def avoid_direct_conv(graph: Graph) -> int:
    """Keeps Paddle Lite's x86 runtime off its direct 3x3 kernels, by a 3x4 kernel whose last column is zero.

    Those kernels (`lite/kernels/x86/conv_direct.cc`) fix their sizes at the first run, and compute wrong values,
    silently, when a later input has another size. The 3x4 kernel with one column more of padding gives the same sums
    (at stride 2: on even widths), and takes the general path. ARM's kernels adapt, so only x86 files carry this.
    """
    count = 0
    for operator in graph.of_type("conv2d"):
        name = arguments(operator.inputs, "Filter")[0]
        weight = graph.params.get(name)
        pads = attribute(operator, "paddings", [])
        if (
            weight is None
            or weight.shape[2:] != (3, 3)
            or attribute(operator, "strides") not in ([1, 1], [2, 2])
            or attribute(operator, "groups", 1) != 1
            or weight.shape[0] % 8
            or pads not in ([0, 0], [1, 1], [0, 0, 0, 0], [1, 1, 1, 1])
        ):
            continue
        graph.set_param(f"{name}.wide", np.pad(weight, ((0, 0), (0, 0), (0, 0), (0, 1))))
        set_argument(operator.inputs, "Filter", f"{name}.wide")
        set_attribute(operator, "paddings", INTS, [pads[0], pads[0], pads[0], pads[0] + 1])
        count += 1
    return count
