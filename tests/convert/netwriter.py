"""Writes small inference models by hand, without Paddle: detectors, recognisers, and what is neither."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convert.graph.edit import Graph
from convert.graph.params import Array, save_params
from convert.graph.program import FLOAT, ProgramDesc

Operator = tuple[str, dict[str, list[str]], dict[str, list[str]], dict[str, Any]]
CLASSES = 70
_FEED, _FETCH, _TENSOR = 9, 10, 7


def write(
    folder: Path,
    operators: Sequence[Operator],
    params: Mapping[str, Array],
    inputs: Mapping[str, Sequence[int]],
    outputs: Mapping[str, Sequence[int]],
    dtype: int = FLOAT,
) -> Path:
    """Writes `inference.pdmodel` and `inference.pdiparams`; inputs and outputs are names to declared shapes."""
    folder.mkdir(parents=True, exist_ok=True)
    program = ProgramDesc()
    program.version.version = 0
    block = program.blocks.add(idx=0, parent_idx=-1)
    for name, kind in (("feed", _FEED), ("fetch", _FETCH)):
        block.vars.add(name=name, persistable=True).type.type = kind
    shapes = {**{name: list(value.shape) for name, value in params.items()}, **inputs, **outputs}
    made = [name for _, _, results, _ in operators for names in results.values() for name in names]
    for name in dict.fromkeys([*inputs, *params, *made]):
        variable = block.vars.add(name=name, persistable=name in params)
        variable.type.type = _TENSOR
        variable.type.lod_tensor.tensor.data_type = dtype if name in inputs else FLOAT
        variable.type.lod_tensor.tensor.dims.extend(shapes.get(name, [-1, -1, -1]))
    whole: list[Operator] = [("feed", {"X": ["feed"]}, {"Out": [name]}, {"col": at}) for at, name in enumerate(inputs)]
    whole += operators
    whole += [("fetch", {"X": [name]}, {"Out": ["fetch"]}, {"col": at}) for at, name in enumerate(outputs)]
    for kind, read, results, attributes in whole:
        operator = block.ops.add(type=kind)
        for field, slots in ((operator.inputs, read), (operator.outputs, results)):
            for slot, names in slots.items():
                field.add(parameter=slot, arguments=names)
        for key, value in attributes.items():
            _add(operator, key, value)
    (folder / "inference.pdmodel").write_bytes(program.SerializeToString(deterministic=True))
    save_params(folder / "inference.pdiparams", dict(params))
    return folder


def _add(operator: Any, name: str, value: Any) -> None:
    if isinstance(value, list):
        kind = 4 if value and isinstance(value[0], float) else 3
        getattr(operator.attrs.add(name=name, type=kind), "floats" if kind == 4 else "ints").extend(value)
        return
    number, field = {bool: (6, "b"), int: (0, "i"), float: (1, "f"), str: (2, "s")}[type(value)]
    setattr(operator.attrs.add(name=name, type=number), field, value)


def conv(source: str, weight: str, result: str, stride: int = 1, pad: int = 1) -> Operator:
    """A convolution with a 3x3 kernel."""
    attributes = {"strides": [stride, stride], "paddings": [pad, pad], "dilations": [1, 1], "groups": 1}
    return "conv2d", {"Input": [source], "Filter": [weight]}, {"Output": [result]}, attributes


def one(kind: str, source: str, result: str, **attributes: Any) -> Operator:
    """An operator with one input and one output."""
    return kind, {"X": [source]}, {"Out": [result]}, attributes


def two(kind: str, x: str, y: str, result: str, **attributes: Any) -> Operator:
    """An operator with two inputs and one output."""
    return kind, {"X": [x], "Y": [y]}, {"Out": [result]}, attributes


def constant(result: str, value: float) -> Operator:
    """A `fill_constant` without dimensions, as Paddle since 2.5 exports it."""
    attributes = {"shape": [], "value": value, "str_value": str(value), "dtype": FLOAT, "force_cpu": False}
    return "fill_constant", {}, {"Out": [result]}, attributes


def detector(
    folder: Path, *, behind: Sequence[Operator] = (), end: str = "map", maps: int = 1, channels: int = 3,
    last: str = "sigmoid", sides: tuple[int, int] = (-1, -1),
) -> Path:  # fmt: skip
    """A detector of one convolution; `behind` takes `map` further, to `end`."""
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 0.3, (maps, channels, 3, 3)).astype(np.float32)
    operators = [conv("x", "w", "raw"), one(last, "raw", "map"), *behind]
    return write(folder, operators, {"w": weight}, {"x": [-1, channels, *sides]}, {end: [-1, maps, *sides]})


def recogniser(
    folder: Path, *, height: int = 48, width: int = -1, channels: int = 3, last: str | None = "softmax",
    flat: str = "squeeze2", classes: int = CLASSES, steps_first: bool = False,
) -> Path:  # fmt: skip
    """A recogniser of one convolution, a pooling over the whole height, and a matrix product."""
    rng = np.random.default_rng(0)
    params = {
        "w": rng.normal(0, 0.3, (8, channels, 3, 3)).astype(np.float32),
        "m": rng.normal(0, 2, (8, classes)).astype(np.float32),
    }
    pool = {"pooling_type": "avg", "ksize": [height, 8], "strides": [height, 8], "paddings": [0, 0],
            "global_pooling": False, "exclusive": True, "adaptive": False, "ceil_mode": False}  # fmt: skip
    shape = {"axes": [2]} if flat == "squeeze2" else {"start_axis": 1, "stop_axis": 2}
    operators = [
        conv("x", "w", "a"), one("relu", "a", "b"), one("pool2d", "b", "c", **pool), one(flat, "c", "d", **shape),
        one("transpose2", "d", "e", axis=[2, 0, 1] if steps_first else [0, 2, 1]),
        two("matmul_v2", "e", "m", "f", trans_x=False, trans_y=False),
    ]  # fmt: skip
    operators += [one(last, "f", "y", axis=-1)] if last else []
    steps = width // 8 if width > 0 else -1
    outputs = {"y" if last else "f": [-1, steps, classes]}
    return write(folder, operators, params, {"x": [-1, channels, height, width]}, outputs)


def dictionary(path: Path, classes: int = CLASSES) -> Path:
    """A dictionary for that many classes."""
    path.write_text("".join(f"{chr(0x4E00 + index)}\n" for index in range(classes - 1)), encoding="utf-8")
    return path


def insert_before(graph: Graph, operator: Any, fill: Callable[[Any], None]) -> None:
    """Adds an operator before another one; `fill` writes the new `OpDesc`."""
    index = next(i for i, item in enumerate(graph.block.ops) if item is operator)
    graph.block.ops.add()
    for position in range(len(graph.block.ops) - 1, index, -1):
        graph.block.ops[position].CopyFrom(graph.block.ops[position - 1])
    graph.block.ops[index].Clear()
    fill(graph.block.ops[index])
