"""Paddle's combined parameters (`.pdiparams`) without Paddle.

The file is one record a tensor, in the order of the sorted names of the program's persistable variables: version
(uint32 0), LoD levels (uint64, each level a uint64 size and its data), tensor version (uint32 0), size of a
`TensorDesc` message (int32), the message, the values (Paddle's `lod_tensor.cc` and `tensor_util.cc`,
SerializeToStream).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from convert.graph.foreign import what_it_is
from convert.graph.program import TensorDesc
from edge.base.errors import InputError, ModelError

Array = NDArray[Any]
_DTYPES: dict[int, str] = {0: "?", 1: "<i2", 2: "<i4", 3: "<i8", 4: "<f2", 5: "<f4", 6: "<f8", 20: "u1", 21: "i1"}
_NUMBERS = {np.dtype(text): number for number, text in _DTYPES.items()}


def parameter_names(program: Any) -> list[str]:
    """Returns the names of a program's persistable variables in the order of the parameter file."""
    skipped = {"feed", "fetch"}
    return sorted(
        {
            variable.name
            for block in program.blocks
            for variable in block.vars
            if variable.persistable and variable.name not in skipped
        }
    )


def load_params(path: Path, names: list[str]) -> dict[str, Array]:
    """Reads a `.pdiparams` file.

    Args:
        path: The file.
        names: See `parameter_names`.

    Returns:
        Name to array, read-only.

    Raises:
        InputError: Not a file.
        ModelError: It is cut short, or has more or fewer tensors than names.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file.", "An inference model is `inference.pdmodel` + `inference.pdiparams`.")
    raw = path.read_bytes()
    values: dict[str, Array] = {}
    offset = 0
    try:
        for name in names:
            values[name], offset = _read(raw, offset)
    except (struct.error, ValueError, KeyError, OverflowError, DecodeError) as error:
        known = what_it_is(raw) if offset == 0 else None
        if known:
            raise ModelError(f"{path} {known[0]}.", known[1]) from error
        raise ModelError(
            f"{path} is cut short or damaged at byte {offset}, in {name!r}, tensor {len(values) + 1} of {len(names)}.",
            "Is it complete, and does it belong to this program?",
        ) from error
    if offset != len(raw):
        raise ModelError(
            f"{path} has {len(raw) - offset} bytes more than the program's {len(names)} parameters.",
            "Does it belong to this program?",
        )
    return values


def _read(raw: bytes, start: int) -> tuple[Array, int]:
    version, levels = struct.unpack_from("<IQ", raw, start)
    offset = start + 12
    if version != 0 or levels > 8:
        raise ValueError("not a tensor")
    for _ in range(levels):
        (size,) = struct.unpack_from("<Q", raw, offset)
        offset += 8 + size
    tensor_version, size = struct.unpack_from("<Ii", raw, offset)
    offset += 8
    if tensor_version != 0 or not 0 < size < 4096:
        raise ValueError("not a tensor")
    desc = TensorDesc.FromString(raw[offset : offset + size])
    offset += size
    dtype = np.dtype(_DTYPES[desc.data_type])
    dims = tuple(desc.dims)
    count = int(np.prod(dims, dtype=np.int64))
    if count < 0 or offset + count * dtype.itemsize > len(raw):
        raise ValueError("cut short")
    array = np.frombuffer(raw, dtype, count, offset).reshape(dims)
    return array, offset + count * dtype.itemsize


def save_params(path: Path, values: dict[str, Array]) -> None:
    """Writes a `.pdiparams` file, its tensors sorted by name."""
    with path.open("wb") as stream:
        for name in sorted(values):
            array = np.ascontiguousarray(values[name])
            desc = TensorDesc(data_type=_NUMBERS[array.dtype], dims=list(array.shape)).SerializeToString()
            stream.write(struct.pack("<IQIi", 0, 0, 0, len(desc)))
            stream.write(desc)
            stream.write(array.tobytes())
