"""What a `.nb` file holds, in the words of Paddle Lite."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.base.errors import ModelError

# lite/api/paddle_place.h, enum class TargetType / PrecisionType / DataLayoutType (numbers are part of the format).
TARGETS = (
    "unknown", "host", "x86", "cuda", "arm", "opencl", "any", "fpga", "npu", "xpu", "bm", "mlu", "rknpu", "apu",
    "huawei_ascend_npu", "imagination_nna", "intel_fpga", "metal", "nnadapter",
)  # fmt: skip
PRECISIONS = ("unknown", "float", "int8", "int32", "any", "fp16", "bool", "int64", "int16", "uint8", "fp64")
LAYOUTS = (
    "unknown", "NCHW", "any", "NHWC", "image_default", "image_folder", "image_nw", "texture2d_array", "texture2d",
)  # fmt: skip

# The attribute in which opt writes the kernel it picked: "op/alias/target/precision/layout".
KERNEL_ATTRIBUTE = "__@kernel_type_attr@__"

# `Input0_scale`, but not `hard_swish_scale`, which is the activation's own constant.
_SCALE = re.compile(r"[A-Z]\w*\d_scale")


class NbError(ModelError):
    """A `.nb` file that cannot be read; says at which byte.

    Attributes:
        offset: Byte of the file at which reading failed.
    """

    def __init__(self, message: str, offset: int, hint: str = "") -> None:
        super().__init__(f"{message} (at byte {offset})", hint or "Convert the model again with `edge convert nb`.")
        self.offset = offset

    def of(self, path: Path) -> NbError:
        """Returns the error with the file's name before it, when its message has none."""
        if not self.message.startswith(str(path)):
            self.message = f"{path}: {self.message}"
        return self


@dataclass(frozen=True)
class Region:
    """A run of bytes of the file; the regions of a file follow one another and add up to its size."""

    name: str
    offset: int
    bytes: int


@dataclass(frozen=True)
class NbTensor:
    """A weight.

    Attributes:
        name: Its variable.
        dtype: `float32`, `int8`, ...
        shape: Its dimensions.
        bytes: Of the data alone.
        offset: Byte of the file at which the data starts.
        record: Bytes of the file that it takes with its name and framing.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    offset: int
    record: int


@dataclass(frozen=True)
class Operator:
    """One operator of the main block, in order of execution.

    Attributes:
        index: Position.
        type: `conv2d`, `hard_swish`, ...
        inputs: Parameter name to variables.
        outputs: Likewise.
        attributes: As stored, scales included.
    """

    index: int
    type: str
    inputs: dict[str, tuple[str, ...]]
    outputs: dict[str, tuple[str, ...]]
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def kernel(self) -> tuple[str, str, str]:
        """Target, precision and layout of the kernel that opt picked, `unknown` where none is written."""
        parts = str(self.attributes.get(KERNEL_ATTRIBUTE, "")).split("/")
        if len(parts) != 5:
            return ("unknown", "unknown", "unknown")
        numbers = [int(part) if part.isdecimal() and len(part) < 4 else 0 for part in parts[2:]]
        tables = (TARGETS, PRECISIONS, LAYOUTS)
        names = [table[n] if n < len(table) else f"#{n}" for table, n in zip(tables, numbers, strict=True)]
        return (names[0], names[1], names[2])

    @property
    def scales(self) -> dict[str, Any]:
        """Quantisation scales among the attributes, such as `Input0_scale`."""
        return {key: value for key, value in self.attributes.items() if _SCALE.fullmatch(key)}


@dataclass(frozen=True)
class NbFile:
    """A whole file.

    Attributes:
        path: Where it was read from.
        size: Its bytes.
        meta_version: 1 or 2; both are FlatBuffers.
        opt_version: Of the opt that wrote it; a commit hash for some source builds.
        regions: Cover the file to the last byte.
        operators: Of the main block.
        variables: Names of the main block's variables that are not weights.
        tensors: The weights, in file order.
        inputs: Names of the network's inputs, in order of their column.
        outputs: Likewise.
        blocks: Number of blocks; more than one when the model has control flow.
    """

    path: Path
    size: int
    meta_version: int
    opt_version: str
    regions: tuple[Region, ...]
    operators: tuple[Operator, ...]
    variables: tuple[str, ...]
    tensors: tuple[NbTensor, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    blocks: int

    @property
    def target(self) -> str:
        """The target for which most operators' kernels were picked, not counting `host`."""
        names = (operator.kernel[0] for operator in self.operators)
        counts = Counter(name for name in names if name not in ("host", "any", "unknown"))
        return next((name for name, _ in counts.most_common(1)), "unknown")
