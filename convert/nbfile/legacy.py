"""Meta version 0: the original naive buffer, written by opt before 2.7.

Fields lie one after another with no framing: strings and lists start with a u64 length, structures have no
length at all (lite/model_parser/naive_buffer/proto/framework.nb.h gives the order of their fields).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, TypeVar

from convert.nbfile.contents import NbError, Operator, Region, Tensor
from convert.nbfile.parameters import check_tensor

T = TypeVar("T")

# framework.nb.h, VarDataType: not the numbers of the FlatBuffers schema.
DTYPES = {
    0: "bool", 1: "int16", 2: "int32", 3: "int64", 4: "float16", 5: "float32", 6: "float64", 8: "uint8", 9: "int8",
}  # fmt: skip


class Cursor:
    """Reads forward through one section, never past its end."""

    def __init__(self, data: memoryview, start: int, end: int) -> None:
        self.data = data
        self.position = start
        self.end = end

    def number(self, layout: str) -> Any:
        """Reads one little-endian number."""
        size = struct.calcsize("<" + layout)
        if self.position + size > self.end:
            raise NbError("the file is damaged: a field leaves its section", self.position)
        (value,) = struct.unpack_from("<" + layout, self.data, self.position)
        self.position += size
        return value

    def extent(self) -> tuple[int, int]:
        """Reads a length and skips that many bytes; returns where they start and their number."""
        length = self.number("Q")
        start = self.position
        if length > self.end - start:
            raise NbError(f"the file is damaged: {length} bytes leave their section", start)
        self.position = start + length
        return start, length

    def string(self) -> str:
        """Reads a string."""
        start, length = self.extent()
        return bytes(self.data[start : start + length]).decode("utf-8", "replace")

    def list(self, element: Callable[[], T], smallest: int = 1) -> list[T]:
        """Reads a list whose elements take at least `smallest` bytes each."""
        length = self.number("Q")
        if length * smallest > self.end - self.position:
            raise NbError(f"the file is damaged: a list of {length} elements leaves its section", self.position)
        return [element() for _ in range(length)]

    def numbers(self, layout: str) -> tuple[Any, ...]:
        """Reads a list of numbers."""
        return tuple(self.list(lambda: self.number(layout), struct.calcsize("<" + layout)))


def read_legacy(
    data: memoryview, start: int, topology: int
) -> tuple[list[Operator], list[str], int, list[Tensor], list[Region]]:
    """Reads topology and parameters of a version 0 file.

    Args:
        data: The whole file.
        start: Where the topology starts.
        topology: Its bytes.

    Returns:
        Operators, variable names, number of blocks, weights, regions from `start` on.

    Raises:
        NbError: The file is damaged.
    """
    cursor = Cursor(data, start, start + topology)
    blocks = cursor.list(lambda: _block(cursor), 24)
    operators, variables = blocks[0] if blocks else ([], [])
    parameters = Cursor(data, start + topology, len(data))
    tensors = parameters.list(lambda: _parameter(parameters), 48)
    if parameters.position != len(data):
        raise NbError(f"{len(data) - parameters.position} bytes follow the last weight", parameters.position)
    regions = [
        Region("topology", start, topology),
        Region("parameters", start + topology, len(data) - start - topology),
    ]
    return operators, variables, len(blocks), tensors, regions


def _block(cursor: Cursor) -> tuple[list[Operator], list[str]]:
    cursor.number("i")
    cursor.number("i")
    variables = cursor.list(lambda: _variable(cursor), 32)
    operators = cursor.list(lambda: _operator(cursor), 33)
    cursor.number("i")
    numbered = [Operator(i, op.type, op.inputs, op.outputs, op.attributes) for i, op in enumerate(operators)]
    return numbered, variables


def _tensor_description(cursor: Cursor) -> tuple[int, tuple[int, ...]]:
    return cursor.number("i"), cursor.numbers("q")


def _variable(cursor: Cursor) -> str:
    name = cursor.string()
    cursor.number("i")
    _tensor_description(cursor)
    for _ in range(2):
        _tensor_description(cursor)
        cursor.number("i")
    cursor.list(lambda: (_tensor_description(cursor), cursor.number("i")), 16)
    cursor.numbers("i")
    cursor.number("?")
    return name


def _operator(cursor: Cursor) -> Operator:
    def arguments() -> tuple[str, tuple[str, ...]]:
        return cursor.string(), tuple(cursor.list(cursor.string, 8))

    kind = cursor.string()
    inputs = dict(cursor.list(arguments, 16))
    outputs = dict(cursor.list(arguments, 16))
    attributes = dict(cursor.list(lambda: _attribute(cursor), 90))
    cursor.number("?")
    return Operator(0, kind, inputs, outputs, attributes)


def _attribute(cursor: Cursor) -> tuple[str, Any]:
    name = cursor.string()
    kind = cursor.number("i")
    values = {
        0: cursor.number("i"),
        1: cursor.number("f"),
        2: cursor.string(),
        3: cursor.numbers("i"),
        4: cursor.numbers("f"),
        5: tuple(cursor.list(cursor.string, 8)),
        6: cursor.number("?"),
        7: cursor.numbers("?"),
        8: cursor.number("i"),
        9: cursor.number("q"),
        10: cursor.numbers("i"),
        11: cursor.numbers("q"),
    }
    return name, values.get(kind)


def _parameter(cursor: Cursor) -> Tensor:
    begin = cursor.position
    name = cursor.string()
    cursor.number("I")
    cursor.number("Q")
    cursor.list(lambda: cursor.numbers("Q"), 8)
    cursor.number("I")
    kind, shape = _tensor_description(cursor)
    start, length = cursor.extent()
    dtype = DTYPES.get(kind)
    check_tensor(name, dtype, shape, length, begin)
    return Tensor(name, str(dtype), shape, length, start, cursor.position - begin)
