"""Writes small `.nb` files of both meta versions for the reader's tests, through the real FlatBuffers library.

An implementation of the format independent of the reader: the reader walks bytes, this one builds them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import flatbuffers

FLOAT, INT8 = 5, 21
Weight = tuple[str, int, tuple[int, ...], bytes]
Op = tuple[str, dict[str, list[str]], dict[str, list[str]], dict[str, object]]


def _vector(b: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return b.EndVector()


def _longs(b: flatbuffers.Builder, values: Sequence[int]) -> int:
    b.StartVector(8, len(values), 8)
    for value in reversed(values):
        b.PrependInt64(value)
    return b.EndVector()


def _table(b: flatbuffers.Builder, size: int, offsets: dict[int, int], scalars: dict[int, tuple[str, object]]) -> int:
    b.StartObject(size)
    for slot, offset in offsets.items():
        b.PrependUOffsetTRelativeSlot(slot, offset, 0)
    for slot, (kind, value) in scalars.items():
        getattr(b, f"Prepend{kind}Slot")(slot, value, 0)
    return b.EndObject()


def _attribute(b: flatbuffers.Builder, name: str, value: object) -> int:
    offsets = {0: b.CreateString(name)}
    if isinstance(value, str):
        offsets[4] = b.CreateString(value)
        return _table(b, 16, offsets, {1: ("Int32", 2)})
    kind = ("Int32", 0, 2) if isinstance(value, int) else ("Float32", 1, 3)
    return _table(b, 16, offsets, {1: ("Int32", kind[1]), kind[2]: (kind[0], value)})


def _arguments(b: flatbuffers.Builder, table: dict[str, list[str]]) -> int:
    made = []
    for name, values in table.items():
        strings = _vector(b, [b.CreateString(value) for value in values])
        made.append(_table(b, 2, {0: b.CreateString(name), 1: strings}, {}))
    return _vector(b, made)


def topology(ops: Sequence[Op], variables: Sequence[str]) -> bytes:
    b = flatbuffers.Builder(1024)
    made = []
    for kind, inputs, outputs, attributes in ops:
        attrs = _vector(b, [_attribute(b, name, value) for name, value in attributes.items()])
        ins, outs = _arguments(b, inputs), _arguments(b, outputs)
        made.append(_table(b, 5, {0: b.CreateString(kind), 1: ins, 2: outs, 3: attrs}, {}))
    vars_ = [_table(b, 4, {0: b.CreateString(name)}, {}) for name in variables]
    block = _table(b, 5, {2: _vector(b, vars_), 3: _vector(b, made)}, {0: ("Int32", 0)})
    b.Finish(_table(b, 3, {0: _vector(b, [block])}, {}))
    return bytes(b.Output())


def _param(b: flatbuffers.Builder, weight: Weight) -> int:
    name, dtype, shape, data = weight
    tensor = _table(b, 5, {2: _longs(b, shape), 4: b.CreateByteVector(data)}, {3: ("Int32", dtype)})
    return _table(b, 4, {1: b.CreateString(name), 3: tensor}, {2: ("Uint8", 1)})


def _head(meta: int, opt: str, topo: bytes) -> bytes:
    return struct.pack("<H16sQ", meta, opt.encode(), len(topo)) + topo


def write_v2(ops: Sequence[Op], variables: Sequence[str], weights: Sequence[Weight], opt: str = "v2.13-rc") -> bytes:
    largest = max((len(weight[3]) for weight in weights), default=0)
    parts = [_head(2, opt, topology(ops, variables)), struct.pack("<HHHHI", 0, 0, 6, len(weights), largest)]
    for weight in weights:
        b = flatbuffers.Builder(len(weight[3]) + 256)
        b.Finish(_param(b, weight))
        record = bytes(b.Output())
        parts.append(struct.pack("<II", len(record) + 4, 4) + record)
    return b"".join(parts)


def write_v1(ops: Sequence[Op], variables: Sequence[str], weights: Sequence[Weight], opt: str = "v2.8") -> bytes:
    b = flatbuffers.Builder(1024)
    b.Finish(_table(b, 1, {0: _vector(b, [_param(b, weight) for weight in weights])}, {}))
    return _head(1, opt, topology(ops, variables)) + bytes(b.Output())
