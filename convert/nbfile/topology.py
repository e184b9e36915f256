"""The topology section of meta versions 1 and 2: a FlatBuffers `ProgramDesc`.

Field numbers follow Paddle Lite's `lite/model_parser/flatbuffers/framework.fbs`.
"""

from __future__ import annotations

from typing import Any

from convert.nbfile.contents import Operator
from convert.nbfile.flat import Buffer, FlatTable

# framework.fbs, VarType_.Type
DTYPES = {
    0: "bool", 1: "int16", 2: "int32", 3: "int64", 4: "float16", 5: "float32", 6: "float64", 20: "uint8", 21: "int8",
}  # fmt: skip

# AttrType -> how to read the value: (method, field number, struct layout)
_ATTRIBUTES: dict[int, tuple[str, int, str]] = {
    0: ("number", 2, "i"),
    1: ("number", 3, "f"),
    2: ("string", 4, ""),
    3: ("numbers", 5, "i"),
    4: ("numbers", 6, "f"),
    5: ("strings", 7, ""),
    6: ("number", 8, "?"),
    7: ("numbers", 9, "?"),
    8: ("number", 10, "i"),
    9: ("number", 11, "q"),
    10: ("numbers", 12, "i"),
    11: ("numbers", 13, "q"),
    12: ("numbers", 15, "d"),
    15: ("number", 14, "d"),
}


def read_program(buffer: Buffer) -> tuple[list[Operator], list[str], int]:
    """Reads operators and variable names of the main block, and the number of blocks.

    Raises:
        NbError: The section is damaged.
    """
    operators: list[Operator] = []
    variables: list[str] = []
    blocks = 0
    for block in buffer.root().tables(0):
        blocks += 1
        if blocks > 1:
            continue
        variables = [variable.string(0) for variable in block.tables(2)]
        operators = [_operator(index, op) for index, op in enumerate(block.tables(3))]
    return operators, variables, blocks


def _operator(index: int, op: FlatTable) -> Operator:
    return Operator(
        index,
        op.string(0),
        {var.string(0): var.strings(1) for var in op.tables(1)},
        {var.string(0): var.strings(1) for var in op.tables(2)},
        {attribute.string(0): _value(attribute) for attribute in op.tables(3)},
    )


def _value(attribute: FlatTable) -> Any:
    how = _ATTRIBUTES.get(attribute.number(1, "i"))
    if how is None:
        return None
    method, field, layout = how
    if method == "number":
        return attribute.number(field, layout)
    if method == "numbers":
        return attribute.numbers(field, layout)
    return attribute.string(field) if method == "string" else attribute.strings(field)
