"""FlatBuffers, read with every step checked against the end of the buffer.

The library `flatbuffers` trusts its input; a `.nb` from a broken download must end in an error with an offset
instead. A budget bounds the work, too: in FlatBuffers many references may name the same table, so a small hostile
file can describe an exponentially large tree. A file that opt wrote never visits more elements than it has bytes.
Format: https://flatbuffers.dev/internals/ (tables, vtables, vectors, strings; little endian).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from convert.nbfile.contents import NbError

_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_I32 = struct.Struct("<i")


class Buffer:
    """A FlatBuffer inside a file.

    Args:
        data: The buffer's bytes.
        base: Its offset in the file, for messages.
    """

    def __init__(self, data: memoryview, base: int) -> None:
        self.data = data
        self.base = base
        self.budget = max(len(data), 1024)
        self._strings: dict[int, str] = {}

    def fail(self, what: str, position: int) -> NbError:
        """Returns the error for a position in this buffer."""
        return NbError(f"the file is damaged: {what}", self.base + min(max(position, 0), len(self.data)))

    def unpack(self, layout: struct.Struct, position: int) -> Any:
        """Reads one number.

        Raises:
            NbError: It lies outside the buffer.
        """
        if position < 0 or position + layout.size > len(self.data):
            raise self.fail("a reference leaves its section", position)
        return layout.unpack_from(self.data, position)[0]

    def spend(self, amount: int, position: int) -> None:
        """Counts work against the budget.

        Raises:
            NbError: More elements than a file of this size can hold.
        """
        self.budget -= amount
        if self.budget < 0:
            raise self.fail("its tables refer to one another more often than its size allows", position)

    def root(self) -> FlatTable:
        """Returns the root table."""
        return FlatTable(self, self.unpack(_U32, 0))

    def string(self, position: int) -> str:
        """Returns the string at `position`, decoded once."""
        known = self._strings.get(position)
        if known is None:
            start, length = self.vector(position, 1)
            if start + length >= len(self.data):
                raise self.fail("a string is cut off before its end mark", position)
            self.spend(length, position)
            known = bytes(self.data[start : start + length]).decode("utf-8", "replace")
            self._strings[position] = known
        return known

    def vector(self, position: int, width: int) -> tuple[int, int]:
        """Returns start and number of elements of a vector whose elements take `width` bytes.

        Raises:
            NbError: It does not fit into the buffer.
        """
        length = self.unpack(_U32, position)
        if position + 4 + length * width > len(self.data):
            raise self.fail(f"a list of {length} elements leaves its section", position)
        return position + 4, length


@dataclass(frozen=True)
class FlatTable:
    """A table; fields are asked for by their number in the schema."""

    buffer: Buffer
    position: int

    def field(self, number: int) -> int | None:
        """Returns the position of a field's value, None when it is absent."""
        buffer = self.buffer
        vtable = self.position - buffer.unpack(_I32, self.position)
        size = buffer.unpack(_U16, vtable)
        slot = 4 + 2 * number
        if slot + 2 > size:
            return None
        offset = buffer.unpack(_U16, vtable + slot)
        return self.position + offset if offset else None

    def fields(self) -> int:
        """Returns how many fields its writer's schema had room for, trailing absent ones left out."""
        vtable = self.position - self.buffer.unpack(_I32, self.position)
        return max(0, (int(self.buffer.unpack(_U16, vtable)) - 4) // 2)

    def number(self, field: int, layout: str, default: Any = 0) -> Any:
        """Returns a scalar; `layout` is a `struct` format without byte order."""
        position = self.field(field)
        return default if position is None else self.buffer.unpack(struct.Struct("<" + layout), position)

    def _target(self, field: int) -> int | None:
        position = self.field(field)
        return None if position is None else position + int(self.buffer.unpack(_U32, position))

    def table(self, field: int) -> FlatTable | None:
        """Returns a sub-table, None when it is absent."""
        target = self._target(field)
        return None if target is None else FlatTable(self.buffer, target)

    def string(self, field: int) -> str:
        """Returns a string, empty when it is absent."""
        target = self._target(field)
        return "" if target is None else self.buffer.string(target)

    def numbers(self, field: int, layout: str) -> tuple[Any, ...]:
        """Returns a vector of scalars, empty when it is absent."""
        target = self._target(field)
        if target is None:
            return ()
        start, length = self.buffer.vector(target, struct.calcsize("<" + layout))
        self.buffer.spend(length, target)
        return struct.unpack_from(f"<{length}{layout}", self.buffer.data, start)

    def extent(self, field: int) -> tuple[int, int]:
        """Returns start (in the buffer) and length of a vector of bytes, (0, 0) when it is absent."""
        target = self._target(field)
        return (0, 0) if target is None else self.buffer.vector(target, 1)

    def _elements(self, field: int) -> Iterator[int]:
        target = self._target(field)
        if target is None:
            return
        start, length = self.buffer.vector(target, 4)
        self.buffer.spend(length, target)
        for position in range(start, start + 4 * length, 4):
            yield position + self.buffer.unpack(_U32, position)

    def tables(self, field: int) -> Iterator[FlatTable]:
        """Yields the elements of a vector of tables."""
        for position in self._elements(field):
            yield FlatTable(self.buffer, position)

    def strings(self, field: int) -> tuple[str, ...]:
        """Returns a vector of strings."""
        return tuple(self.buffer.string(position) for position in self._elements(field))
