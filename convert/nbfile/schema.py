"""The FlatBuffers schemas of meta version 2 as data, and reading any table of them into plain values.

Tables and the order of their fields follow Paddle Lite's `lite/model_parser/flatbuffers/framework.fbs` and `param.fbs`
(2.13-rc; 2.10 and 2.12 have the same fields without the last two kinds of attribute). A table becomes a dictionary that
holds only the fields that are set, so that writing it again leaves out the same ones.
"""

from __future__ import annotations

from typing import Any

from convert.nbfile.flat import FlatTable

Node = dict[str, Any]
# A field's type: a `struct` letter for a scalar, `s` text, `y` bytes, `[x]` a list, a capitalised name a table, `-`
# none.
SCHEMA: dict[str, tuple[tuple[str, str], ...]] = {
    "Program": (("blocks", "[Block]"), ("version", "Version"), ("op_version_map", "OpVersionMap")),
    "Version": (("version", "q"),),
    "OpVersionMap": (("pair", "[OpVersionPair]"),),
    "OpVersionPair": (("op_name", "s"), ("op_version", "OpVersion")),
    "OpVersion": (("version", "i"),),
    "Block": (("idx", "i"), ("parent_idx", "i"), ("vars", "[Variable]"), ("ops", "[Op]"), ("forward_block_idx", "i")),
    "Variable": (("name", "s"), ("type", "VarType"), ("persistable", "?"), ("need_check_feed", "?")),
    "VarType": (
        ("type", "i"), ("selected_rows", "Dense"), ("lod_tensor", "Lod"), ("tensor_array", "Lod"),
        ("reader", "Reader"), ("tuple", "Elements"),
    ),
    "Dense": (("data_type", "i"), ("dims", "[q]")),
    "Lod": (("tensor", "Dense"), ("lod_level", "i")),
    "Reader": (("lod_tensor", "[Lod]"),),
    "Elements": (("element_type", "[i]"),),
    "Op": (("type", "s"), ("inputs", "[Slot]"), ("outputs", "[Slot]"), ("attrs", "[Attr]"), ("is_target", "?")),
    "Slot": (("parameter", "s"), ("arguments", "[s]")),
    "Attr": (
        ("name", "s"), ("type", "i"), ("i", "i"), ("f", "f"), ("s", "s"), ("ints", "[i]"), ("floats", "[f]"),
        ("strings", "[s]"), ("b", "?"), ("bools", "[?]"), ("block_idx", "i"), ("l", "q"), ("blocks_idx", "[i]"),
        ("longs", "[q]"), ("float64", "d"), ("float64s", "[d]"),
    ),
    "Param": (("version", "ParamVersion"), ("name", "s"), ("variable_type", "B"), ("variable", "Values")),
    "ParamVersion": (("version", "i"), ("model_version", "i")),
    "Values": (("lod_level", "i"), ("lod", "[q]"), ("dim", "[q]"), ("data_type", "i"), ("data", "y")),
}  # fmt: skip
# Fields without which Paddle Lite cannot read a table.
REQUIRED: dict[str, tuple[str, ...]] = {
    "Op": ("type",),
    "Slot": ("parameter",),
    "Attr": ("name",),
    "Variable": ("name",),
    "OpVersionPair": ("op_name", "op_version"),
    "Lod": ("tensor",),
    "Param": ("name", "variable"),
    "Values": ("data",),
}


def read_table(table: FlatTable, kind: str) -> Node:
    """Reads a table of the schema with everything below it.

    Args:
        table: Where it is.
        kind: Its name in `SCHEMA`.

    Returns:
        Field name to value; lists as lists, `y` as bytes.

    Raises:
        NbError: It is damaged, or has fields that the schema does not know, which would be lost.
    """
    buffer = table.buffer
    node: Node = {}
    fields = SCHEMA[kind]
    if table.fields() > len(fields):
        raise buffer.fail(f"a {kind} has {table.fields()} fields, {len(fields)} are known", table.position)
    for number, (name, layout) in enumerate(fields):
        if table.field(number) is None:
            continue
        buffer.spend(1, table.position)
        node[name] = _read_field(table, number, layout)
    absent = [name for name in REQUIRED.get(kind, ()) if name not in node]
    if absent:
        raise buffer.fail(f"a {kind} has no {absent[0]}", table.position)
    return node


def _read_field(table: FlatTable, number: int, layout: str) -> Any:
    if layout == "s":
        return table.string(number)
    if layout == "y":
        start, length = table.extent(number)
        return bytes(table.buffer.data[start : start + length])
    if layout == "[s]":
        return list(table.strings(number))
    if layout in SCHEMA:
        inner = table.table(number)
        assert inner is not None
        return read_table(inner, layout)
    if layout[0] == "[" and layout[1:-1] in SCHEMA:
        return [read_table(item, layout[1:-1]) for item in table.tables(number)]
    return list(table.numbers(number, layout[1])) if layout[0] == "[" else table.number(number, layout)
