"""Paddle's inference programs (`.pdmodel`) without Paddle: their protobuf messages, reading, writing, small edits.

The messages are those of Paddle's `framework.proto`, declared here in a pool of their own, so that `convert` runs where
paddlepaddle is not installed, and does not clash with it where it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from convert.graph.foreign import PADDLE3_HINT, cut_program, what_it_is
from edge.base.errors import InputError, ModelError

_PACKAGE = "plate_edge.paddle"
# Message: fields as "number label type name"; labels: o optional, q required, r repeated.
_MESSAGES: dict[str, str] = {
    "Version": "1 o int64 version",
    "Complex": "1 q double r, 2 q double i",
    "Scalar": "1 q int32 type, 2 o bool b, 3 o int64 i, 4 o double r, 5 o Complex c",
    "OpVar": "1 q string parameter, 2 r string arguments",
    "OpAttr": "1 q string name, 2 q int32 type, 3 o int32 i, 4 o float f, 5 o string s, 6 r int32 ints,"
    " 7 r float floats, 8 r string strings, 10 o bool b, 11 r bool bools, 12 o int32 block_idx, 13 o int64 l,"
    " 14 r int32 blocks_idx, 15 r int64 longs, 16 r double float64s, 17 o string var_name, 18 r string vars_name,"
    " 19 o double float64, 20 o Scalar scalar, 21 r Scalar scalars",
    "OpDesc": "3 q string type, 1 r OpVar inputs, 2 r OpVar outputs, 4 r OpAttr attrs, 5 o bool is_target",
    "TensorDesc": "1 q int32 data_type, 2 r int64 dims",
    "LoDTensorDesc": "1 q TensorDesc tensor, 2 o int32 lod_level",
    "ReaderDesc": "1 r LoDTensorDesc lod_tensor",
    "Tuple": "1 r int32 element_type",
    "VarType": "1 q int32 type, 2 o TensorDesc selected_rows, 3 o LoDTensorDesc lod_tensor,"
    " 4 o LoDTensorDesc tensor_array, 5 o ReaderDesc reader, 7 o Tuple tuple, 8 o TensorDesc string,"
    " 9 o TensorDesc strings, 10 o TensorDesc vocab, 11 o TensorDesc sparse_coo, 12 o TensorDesc sparse_csr",
    "VarAttr": "1 q string name, 2 q int32 type, 3 o int32 i, 4 o string s, 5 r int32 ints",
    "VarDesc": "1 q string name, 2 q VarType type, 3 o bool persistable, 4 o bool need_check_feed,"
    " 5 o bool is_parameter, 6 o bool stop_gradient, 7 r VarAttr attrs",
    "BlockDesc": "1 q int32 idx, 2 q int32 parent_idx, 3 r VarDesc vars, 4 r OpDesc ops, 5 o int32 forward_block_idx",
    "OpVersion": "1 q int32 version",
    "OpVersionPair": "1 q string op_name, 2 q OpVersion op_version",
    "OpVersionMap": "1 r OpVersionPair pair",
    "ProgramDesc": "1 r BlockDesc blocks, 4 o Version version, 5 o OpVersionMap op_version_map",
}
_LABELS = {"o": 1, "q": 2, "r": 3}
_TYPES = {"double": 1, "float": 2, "int64": 3, "int32": 5, "bool": 8, "string": 9}
FLOAT = 5  # VarType.Type of tensors


def _pool() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="plate_edge_paddle.proto", package=_PACKAGE, syntax="proto2")
    for message, text in _MESSAGES.items():
        entry = file.message_type.add(name=message)
        for item in text.split(","):
            number, label, kind, field = item.split()
            added = entry.field.add(name=field, number=int(number), label=_LABELS[label])
            if kind in _TYPES:
                added.type = _TYPES[kind]
            else:
                added.type, added.type_name = 11, f".{_PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _message_class(pool: Any, name: str) -> Any:
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


_POOL = _pool()
ProgramDesc = _message_class(_POOL, "ProgramDesc")
TensorDesc = _message_class(_POOL, "TensorDesc")


def load_program(path: Path) -> Any:
    """Reads a `.pdmodel` file.

    Args:
        path: The file.

    Returns:
        A `ProgramDesc` message.

    Raises:
        InputError: Not a file.
        ModelError: Not a Paddle program; Paddle 3's JSON programs are named as such.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file.", "An inference model is `inference.pdmodel` + `inference.pdiparams`.")
    raw = path.read_bytes()
    if raw[:1] == b"{":
        raise ModelError(f"{path} is a Paddle 3 program in JSON, which Paddle Lite cannot read.", PADDLE3_HINT)
    program = ProgramDesc()
    try:
        program.ParseFromString(raw)
    except DecodeError as error:
        what, hint = what_it_is(raw) or (cut_program(raw), "Copy, download or export it again.")
        if what:
            raise ModelError(f"{path} {what}.", hint) from error
        raise ModelError(f"{path} is not a Paddle program: {error}.", "Is the file complete?") from error
    if not program.blocks or not program.blocks[0].ops:
        what, hint = what_it_is(raw) or ("holds no operators", "Is it a `.pdmodel` file?")
        raise ModelError(f"{path} {what}.", hint)
    fault = _fault(program)
    if fault:
        raise ModelError(f"{path} is damaged: {fault}.", "Is the file complete? Export the model again.")
    return program


def _fault(program: Any) -> str:
    """Says what is wrong with a damaged program: names that are not text, operators without inputs or outputs."""
    for block in program.blocks:
        names = [variable.name for variable in block.vars]
        for operator in block.ops:
            names += [operator.type, *(item.name for item in operator.attrs)]
            for item in (*operator.inputs, *operator.outputs):
                names += [item.parameter, *item.arguments]
        # Protobuf gives bytes where a string is not UTF-8.
        if not all(isinstance(name, str) for name in names):
            return "a name in it is not text"
    for index, operator in enumerate(program.blocks[0].ops):
        there = {item.parameter for item in (*operator.inputs, *operator.outputs) if item.arguments}
        missing = [slot for slot in _slots(operator.type) if slot not in there]
        if missing:
            return f"operator {index}, {operator.type}, has no {missing[0]}"
    return ""


_CONVOLUTIONS = ("conv2d", "depthwise_conv2d", "conv2d_transpose")
_PAIRS = ("mul", "matmul", "matmul_v2", "elementwise_add", "elementwise_sub", "elementwise_mul", "elementwise_div",
          "elementwise_pow")  # fmt: skip
_SINGLES = ("scale", "dropout", "assign", "clip", "relu6", "sigmoid", "hard_sigmoid", "erf", "sqrt", "square", "pow",
            "reduce_mean", "reshape2", "transpose2", "squeeze2", "unsqueeze2", "flatten2",
            "flatten_contiguous_range")  # fmt: skip


def _slots(kind: str) -> tuple[str, ...]:
    """Returns the inputs and outputs that the kit counts on in operators of a type."""
    if kind in _CONVOLUTIONS:
        return ("Input", "Filter", "Output")
    if kind in _PAIRS:
        return ("X", "Y", "Out")
    if kind in ("quantize_linear", "dequantize_linear"):
        return ("X", "Scale", "Y")
    fake = kind.startswith("fake_") and "quantize" in kind
    return ("X", "Out") if kind in _SINGLES or fake or kind == "moving_average_abs_max_scale" else ()


def save_program(program: Any, path: Path) -> None:
    """Writes a program; equal programs give equal bytes."""
    path.write_bytes(program.SerializeToString(deterministic=True))
