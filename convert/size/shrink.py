"""Making a finished `.nb` smaller: float weights stored as integers, and everything that is equal stored once.

**Weights.** Paddle Lite's light library turns weights back to float when it loads a model, for operators that carry
`quantize_weight_bits` and `<weight>_quant_scale` (`light_api.cc`, DequantizeWeight). opt uses this for whole float
models only, and never for depthwise convolutions; the library does it for those as well, and per weight, so that what
an int8 model keeps in float (layers that lose too much in int8 arithmetic) takes one or two bytes a weight instead of
four. The arithmetic stays float; only the weights are rounded, each to its channel's scale.

**Packing.** See `convert.nbfile.pack`; nothing but the size changes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.nbfile.contents import KERNEL_ATTRIBUTE
from convert.nbfile.flat import Buffer
from convert.nbfile.pack import pack
from convert.nbfile.reader import HEADER, parse_nb
from convert.nbfile.schema import Node, read_table
from edge.model.nb_header import LENGTH

WEIGHTS = ("keep", "int16", "int8")
BITS = {"int16": 16, "int8": 8}
# Operators whose weights the library turns back to float: the weight's parameter, and the axis of its channels.
CARRIERS: dict[str, tuple[str, int]] = {
    "conv2d": ("Filter", 0),
    "depthwise_conv2d": ("Filter", 0),
    "fc": ("W", 1),
    "mul": ("Y", 1),
    "lookup_table": ("W", 1),
}
_FLOAT32, _INT16, _INT8 = 5, 1, 21
_INT, _FLOATS = 0, 4
_RANKS = {0: 4, 1: 2}
_WORTH = 64
_NOTHING = 1e-30
_PACKED_META = 2


@dataclass(frozen=True)
class ShrinkStep:
    """One step towards the final size.

    Attributes:
        name: `opt`, `int8-weights`, `int16-weights`, `pack`.
        bytes: Of the file after it.
        count: How many weights it changed; 0 where that says nothing.
    """

    name: str
    bytes: int
    count: int = 0


@dataclass
class _Contents:
    head: bytes
    program: Node
    params: list[Node]


def shrink(content: bytes, weights: str = "keep", *, packed: bool = True) -> tuple[bytes, list[ShrinkStep]]:
    """Makes a `.nb` smaller.

    Args:
        content: A file of meta version 2 (opt 2.10 and newer); others are returned as they are.
        weights: `keep`, or the integers in which float weights are stored.
        packed: Store equal things once. Without it and with `weights` at `keep`, nothing is done.

    Returns:
        The new file, and its size after each step, `opt` first.

    Raises:
        NbError: The file is damaged.
    """
    steps = [ShrinkStep("opt", len(content))]
    if int.from_bytes(content[:2], "little") != _PACKED_META or (weights == "keep" and not packed):
        return content, steps
    contents = _open(content)
    if packed:
        content = _write(contents)
        steps.append(ShrinkStep("pack", len(content)))
    if weights != "keep":
        count = _store_as_integers(contents, BITS[weights])
        content = _write(contents) if count else content
        steps.append(ShrinkStep(f"{weights}-weights", len(content), count))
    return content, steps


def _open(content: bytes) -> _Contents:
    parse_nb(content, Path("model.nb"))  # checks everything, with messages
    data = memoryview(content)
    size = int.from_bytes(data[LENGTH:HEADER], "little")
    program = read_table(Buffer(data[HEADER : HEADER + size], HEADER).root(), "Program")
    position = HEADER + size
    (reserved,) = struct.unpack_from("<2xH", data, position)
    (header,) = struct.unpack_from("<H", data, position + 4 + reserved)
    position += 6 + reserved + header
    params = []
    while position < len(data):
        total, offset = struct.unpack_from("<II", data, position)
        begin, position = position + 4 + offset, position + 4 + total
        params.append(read_table(Buffer(data[begin:position], begin).root(), "Param"))
    return _Contents(bytes(data[:18]), program, params)


def _write(contents: _Contents) -> bytes:
    program = pack(contents.program, "Program")
    largest = max((len(param["variable"]["data"]) for param in contents.params), default=0)
    parts = [contents.head, struct.pack("<Q", len(program)), program]
    parts.append(struct.pack("<HHHHI", 0, 0, 6, len(contents.params), largest))
    for param in contents.params:
        record = pack(param, "Param")
        parts += [struct.pack("<II", len(record) + 4, 4), record]
    return b"".join(parts)


def _store_as_integers(contents: _Contents, bits: int) -> int:
    weights = {param["name"]: param["variable"] for param in contents.params}
    done: set[str] = set()
    blocks = contents.program.get("blocks", [])
    for op in blocks[0].get("ops", []) if len(blocks) == 1 else []:
        if op["type"] not in CARRIERS or not _is_float(op):
            continue
        slot, axis = CARRIERS[op["type"]]
        for name in _arguments(op, slot):
            variable = weights.get(name)
            if variable is None or name in done:
                continue
            if _convert(op, name, variable, axis, bits):
                done.add(name)
    return len(done)


def _is_float(op: Node) -> bool:
    """Tells whether opt picked a float kernel, and no other kind of stored weight is in the way."""
    attributes = {item["name"]: item for item in op.get("attrs", [])}
    kernel = attributes.get(KERNEL_ATTRIBUTE, {}).get("s", "").split("/")
    return len(kernel) == 5 and kernel[3] == "1" and not {"quantization_type", "quantize_weight_bits"} & set(attributes)


def _arguments(op: Node, slot: str) -> list[str]:
    return [name for item in op.get("inputs", []) if item["parameter"] == slot for name in item.get("arguments", [])]


def _convert(op: Node, name: str, variable: Node, axis: int, bits: int) -> bool:
    shape = variable.get("dim", [])
    if variable.get("data_type", 0) != _FLOAT32 or len(shape) != _RANKS[axis]:
        return False
    values = np.frombuffer(variable["data"], "<f4").reshape(shape)
    if values.nbytes - values.size * bits // 8 - 4 * shape[axis] < _WORTH or not np.isfinite(values).all():
        return False
    integers, scales = quantise(values, axis, bits)
    variable["data"] = integers.tobytes()
    variable["data_type"] = _INT8 if bits == 8 else _INT16
    added: list[Node] = [
        {"name": "quantize_weight_bits", "type": _INT, "i": bits},
        {"name": f"{name}_quant_scale", "type": _FLOATS, "floats": [float(scale) for scale in scales]},
    ]
    # The library finds attributes by binary search.
    op["attrs"] = sorted([*op["attrs"], *added], key=lambda item: item["name"].encode())
    return True


def quantise(values: NDArray[np.float32], axis: int, bits: int) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Rounds weights to integers with one scale a channel.

    Args:
        values: Weights.
        axis: Of the channels.
        bits: 8 or 16.

    Returns:
        Integers (int8 or int16) of the same shape, and float32 scales: `values ~ integers * scale`.
    """
    top = 2 ** (bits - 1) - 1
    others = tuple(index for index in range(values.ndim) if index != axis)
    largest = np.abs(values).max(others, keepdims=True)
    # A channel of (nearly) zeros: its scale would not be a normal float32.
    scales = np.where(largest > _NOTHING, largest / top, 1.0).astype(np.float32)
    integers = np.clip(np.rint(values / scales), -top, top).astype("<i1" if bits == 8 else "<i2")
    return integers, scales.reshape(-1)
