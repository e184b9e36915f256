"""The parameter section of meta versions 1 and 2.

Version 1 is one FlatBuffers `CombinedParamsDesc`. Version 2 is a stream of records, so that a loader needs memory
for one weight at a time: `u16 version (0), u16 size of reserved, reserved`, then `u16 size of header, header
(u16 number of weights, u32 bytes of the largest)`, then for each weight `u32 total, u32 offset, (offset - 4) bytes
of padding, a FlatBuffers ParamDesc of total - offset bytes` (lite/model_parser/flatbuffers/io.cc, param.fbs).
"""

from __future__ import annotations

import math
import struct
from dataclasses import replace

from convert.nbfile.contents import NbError, NbTensor, Region
from convert.nbfile.flat import Buffer, FlatTable
from convert.nbfile.topology import DTYPES

MOST_SIDES = 16
"""More dimensions than any operator takes; the product of thousands of them would take minutes."""
WIDTHS = {
    "bool": 1, "int8": 1, "uint8": 1, "int16": 2, "float16": 2, "int32": 4, "float32": 4, "int64": 8, "float64": 8,
}  # fmt: skip


def read_stream(data: memoryview, start: int) -> tuple[list[NbTensor], list[Region]]:
    """Reads the section of meta version 2.

    Args:
        data: The whole file.
        start: Where the section starts.

    Returns:
        The weights, and the regions of framing and weights from `start` to the end of the file.

    Raises:
        NbError: The section is damaged, cut, or something follows it.
    """
    version, reserved = _unpack("<HH", data, start)
    if version != 0:
        raise NbError(f"parameters of version {version} are unknown", start)
    position = start + 4 + reserved
    (header,) = _unpack("<H", data, position)
    count, _ = _unpack("<HI", data, position + 2)
    position += 2 + header
    regions = [Region("parameter header", start, position - start)]
    tensors: list[NbTensor] = []
    for _ in range(count):
        total, offset = _unpack("<II", data, position)
        end = position + 4 + total
        begin = position + 4 + offset
        if offset < 4 or total < offset or end > len(data):
            raise NbError(f"weight {len(tensors) + 1} of {count} is cut or damaged", position)
        buffer = Buffer(data[begin:end], begin)
        tensors.append(_tensor(buffer.root(), buffer, end - position))
        position = end
    regions.append(Region("parameters", regions[0].offset + regions[0].bytes, position - start - regions[0].bytes))
    if position != len(data):
        raise NbError(f"{len(data) - position} bytes follow the last weight", position)
    return tensors, regions


def read_combined(data: memoryview, start: int) -> tuple[list[NbTensor], list[Region]]:
    """Reads the section of meta version 1; see `read_stream`."""
    buffer = Buffer(data[start:], start)
    tensors = [_tensor(param, buffer, 0) for param in buffer.root().tables(0)]
    if sum(tensor.bytes for tensor in tensors) > len(data) - start:
        raise NbError("the file is damaged: weights share their data", start)
    # Records share one buffer here: a weight's record is what lies between its data and the next one's.
    end = len(data)
    for index in sorted(range(len(tensors)), key=lambda index: -tensors[index].offset):
        tensors[index] = replace(tensors[index], record=end - tensors[index].offset)
        end = tensors[index].offset
    return tensors, [Region("parameters", start, len(data) - start)]


def _unpack(layout: str, data: memoryview, position: int) -> tuple[int, ...]:
    if position + struct.calcsize(layout) > len(data):
        raise NbError("the file ends inside the parameters", len(data))
    return struct.unpack_from(layout, data, position)


def _tensor(param: FlatTable, buffer: Buffer, record: int) -> NbTensor:
    name = param.string(1)
    variable = param.table(3)
    if variable is None or param.number(2, "B") != 1:
        raise buffer.fail(f"weight {name!r} is not a tensor", param.position)
    shape = variable.numbers(2, "q")
    dtype = DTYPES.get(variable.number(3, "i"))
    start, length = variable.extent(4)
    _check_tensor(name, dtype, shape, length, buffer.base + param.position)
    return NbTensor(name, str(dtype), shape, length, buffer.base + start, record)


def _check_tensor(name: str, dtype: str | None, shape: tuple[int, ...], length: int, offset: int) -> None:
    """Checks that a weight's shape, type and bytes agree.

    Raises:
        NbError: They do not.
    """
    if len(shape) > MOST_SIDES:
        raise NbError(f"weight {name[:80]!r} has {len(shape)} dimensions; at most {MOST_SIDES} are allowed", offset)
    if dtype is None:
        raise NbError(f"weight {name!r} has an unknown type", offset)
    if any(side < 0 for side in shape) or math.prod(shape) * WIDTHS[dtype] != length:
        raise NbError(f"weight {name!r}: {dtype}{list(shape)} does not take {length} bytes", offset)
