"""Writing FlatBuffers as small as the format allows: whatever is equal is stored once.

opt writes every operator out in full: `groups = 1` takes its 60 bytes in each convolution, and names stand in the file
as often as they are used. FlatBuffers refers to texts, lists and tables by offset, so equal ones may be one. The buffer
is built from its end, because a reference points towards the end. Format: https://flatbuffers.dev/internals/.
"""

from __future__ import annotations

import struct
from typing import Any

from convert.nbfile.schema import SCHEMA, Node

# Its bytes in the table, its number, and the bytes of a scalar or the place of anything else.
_Field = tuple[int, int, bytes, int]


def pack(node: Node, kind: str) -> bytes:
    """Returns a FlatBuffer with this table as its root; equal nodes give equal bytes.

    Args:
        node: As `read_table` gives it.
        kind: The table's name in the schema.
    """
    packer = _Packer()
    return packer.finish(packer.table(node, kind))


class _Packer:
    """Bytes from the end of the buffer; a place is the distance of a thing's first byte from the end."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._known: dict[tuple[Any, ...], int] = {}

    def _place(self, data: bytes, width: int, ahead: int = 0) -> int:
        """Puts data before what is there, so that the byte `ahead` bytes into it lies at a multiple of `width`."""
        padding = -(self._size + len(data) - ahead) % width
        if padding:
            self._pieces.append(bytes(padding))
        self._pieces.append(data)
        self._size += padding + len(data)
        return self._size

    def finish(self, root: int) -> bytes:
        padding = -(self._size + 4) % 8
        place = self._size + 4 + padding
        self._pieces += [bytes(padding), struct.pack("<I", place - root)]
        return b"".join(reversed(self._pieces))

    def text(self, value: str) -> int:
        key = ("text", value)
        if key not in self._known:
            raw = value.encode("utf-8")
            self._known[key] = self._place(struct.pack("<I", len(raw)) + raw + b"\0", 4)
        return self._known[key]

    def scalars(self, values: list[Any], layout: str) -> int:
        raw = struct.pack(f"<{len(values)}{layout}", *values)
        key = ("scalars", layout, raw)
        if key not in self._known:
            width = max(4, struct.calcsize("<" + layout))
            self._known[key] = self._place(struct.pack("<I", len(values)) + raw, width, 4)
        return self._known[key]

    def blob(self, value: bytes) -> int:
        return self._place(struct.pack("<I", len(value)) + value, 4)

    def references(self, places: list[int], past: int | None = None) -> int:
        """A list of offsets; with `past`, one more offset follows, to that many bytes after the first place."""
        key = ("references", past, *places)
        if key not in self._known:
            self._place(b"", 4)
            end = self._size + (0 if past is None else 4)
            first = end + 4 * len(places)
            offsets = [first - 4 * index - place for index, place in enumerate(places)]
            if past is not None:
                offsets.append(end - places[0] + past)
            self._known[key] = self._place(struct.pack(f"<{len(offsets) + 1}I", len(places), *offsets), 4)
        return self._known[key]

    def names(self, values: list[str]) -> int:
        """A list of texts, followed by one more offset, to where the first text ends.

        Paddle Lite's light library takes a parameter's first argument from the start of the list's first element to
        where its `end()` points, as if that were a text too (`flatbuffers/op_desc.h`, input_vars). In the files of
        opt the text follows its list, and its length, read as an offset, happens to point to its end. Here texts are
        shared, so the offset is written. Only the loading of int8 and int16 weights for float arithmetic asks for it.
        """
        places = [self.text(value) for value in values]
        return self.references(places, len(values[0].encode("utf-8")) if values else None)

    def table(self, node: Node, kind: str) -> int:
        inline: list[_Field] = []
        for number, (name, layout) in enumerate(SCHEMA[kind]):
            if name not in node:
                continue
            if len(layout) == 1 and layout not in "sy":
                raw = struct.pack("<" + layout, node[name])
                inline.append((len(raw), number, raw, 0))
            else:
                inline.append((4, number, b"", self._child(node[name], layout, name)))
        key = ("table", kind, *((number, raw, place) for _, number, raw, place in inline))
        if key not in self._known:
            self._known[key] = self._table(inline)
        return self._known[key]

    def _child(self, value: Any, layout: str, name: str) -> int:
        if layout == "s":
            return self.text(value)
        if layout == "y":
            return self.blob(value)
        if layout == "[s]":
            return self.names(value) if name == "arguments" else self.references([self.text(item) for item in value])
        if layout[0] == "[":
            inner = layout[1:-1]
            if inner in SCHEMA:
                return self.references([self.table(item, inner) for item in value])
            return self.scalars(value, inner)
        return self.table(value, layout)

    def _table(self, inline: list[_Field]) -> int:
        # Widest first behind the four bytes that lead to the vtable, so that nothing needs padding but the start.
        ordered = sorted(inline, key=lambda item: (-item[0], item[1]))
        slots, length = {}, 4
        for width, number, _, _ in ordered:
            slots[number] = length
            length += width
        vtable = self._vtable(slots, length)
        widest = max([4, *(item[0] for item in ordered)])
        padding = -(self._size + length - 4) % widest
        if widest == 4:
            padding = -(self._size + length) % 4
        place = self._size + padding + length
        parts = [struct.pack("<i", vtable - place)]
        for _, number, raw, target in ordered:
            parts.append(raw or struct.pack("<I", place - slots[number] - target))
        self._pieces += [bytes(padding), b"".join(parts)]
        self._size = place
        return place

    def _vtable(self, slots: dict[int, int], length: int) -> int:
        last = max(slots, default=-1)
        raw = struct.pack(f"<{last + 3}H", 4 + 2 * (last + 1), length, *(slots.get(n, 0) for n in range(last + 1)))
        key = ("vtable", raw)
        if key not in self._known:
            self._known[key] = self._place(raw, 2)
        return self._known[key]
