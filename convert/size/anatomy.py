"""What the bytes of a `.nb` file are spent on, and why: the facts behind `edge convert inspect` and `size`."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import Any

from convert.nbfile.contents import NbFile, NbTensor, Operator

# Operators for which Paddle Lite has int8 kernels on ARM (lite/kernels/arm, 2.13-rc).
INT8_OPERATORS = frozenset(
    {"conv2d", "depthwise_conv2d", "conv2d_transpose", "fc", "mul", "matmul", "matmul_v2", "lstm", "gru"}
)


@dataclass(frozen=True)
class WeightUse:
    """A weight, the operator that reads it first, and, where it is fp32 in an int8 model, the reason.

    Attributes:
        tensor: The weight.
        operator: Type of its first reader, `(unused)` when none reads it.
        parameter: Name under which that one reads it.
        reason: Why it is still fp32; empty in a float model or for an integer weight.
    """

    tensor: NbTensor
    operator: str
    parameter: str
    reason: str


@dataclass(frozen=True)
class Anatomy:
    """A file taken apart.

    Attributes:
        file: The file.
        uses: Each weight with its use, largest record first.
        operator_counts: Operator type and kernel precision to number.
        bytes_by_dtype: Data bytes.
        bytes_by_operator: Data bytes by type of the first reader.
        duplicates: Groups of weights with the same content, and the bytes that all but one of them take.
        quantised: Whether any operator carries a scale or any weight is int8.
    """

    file: NbFile
    uses: tuple[WeightUse, ...]
    operator_counts: dict[str, int]
    bytes_by_dtype: dict[str, int]
    bytes_by_operator: dict[str, int]
    duplicates: tuple[tuple[tuple[str, ...], int], ...]
    quantised: bool

    @property
    def elements(self) -> int:
        """Number of parameters."""
        return sum(math.prod(use.tensor.shape) for use in self.uses)

    @property
    def framing(self) -> int:
        """Bytes of parameter records that are not data: names, shapes, FlatBuffers framing."""
        parameters = sum(region.bytes for region in self.file.regions if region.name.startswith("parameter"))
        return parameters - sum(use.tensor.bytes for use in self.uses)

    def to_json(self) -> dict[str, Any]:
        """Returns everything as plain values."""
        file = self.file
        return {
            "schema": "plate-edge/nb-anatomy/1",
            "path": str(file.path),
            "bytes": file.size,
            "meta_version": file.meta_version,
            "opt_version": file.opt_version,
            "target": file.target,
            "quantised": self.quantised,
            "inputs": list(file.inputs),
            "outputs": list(file.outputs),
            "blocks": file.blocks,
            "parameters": self.elements,
            "regions": [asdict(region) for region in file.regions],
            "operators": [
                {"index": op.index, "type": op.type, "kernel": "/".join(op.kernel), "scales": _plain(op.scales)}
                for op in file.operators
            ],
            "operator_counts": self.operator_counts,
            "bytes_by_dtype": self.bytes_by_dtype,
            "bytes_by_operator": self.bytes_by_operator,
            "framing_bytes": self.framing,
            "duplicates": [{"tensors": list(names), "bytes": size} for names, size in self.duplicates],
            "tensors": [
                {**asdict(use.tensor), "operator": use.operator, "parameter": use.parameter, "reason": use.reason}
                for use in self.uses
            ],
        }


def _plain(scales: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN and no infinity: what is not finite is null."""
    known = {key: list(value) if isinstance(value, tuple) else [value] for key, value in scales.items()}
    finite = {key: [None if _is_endless(item) else item for item in items] for key, items in known.items()}
    return {key: items if isinstance(scales[key], tuple) else items[0] for key, items in finite.items()}


def _is_endless(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def dissect(file: NbFile, content: bytes) -> Anatomy:
    """Takes a file apart.

    Args:
        file: As read.
        content: Its bytes, to find weights with the same content.
    """
    readers: dict[str, tuple[Operator, str]] = {}
    for operator in file.operators:
        for parameter, names in operator.inputs.items():
            for name in names:
                readers.setdefault(name, (operator, parameter))
    quantised = any(tensor.dtype == "int8" for tensor in file.tensors) or any(op.scales for op in file.operators)
    uses = []
    for tensor in sorted(file.tensors, key=lambda item: -item.record):
        reader, parameter = readers.get(tensor.name, (None, ""))
        uses.append(WeightUse(tensor, reader.type if reader else "(unused)", parameter,
                              _reason(tensor, reader, parameter) if quantised else ""))  # fmt: skip
    by_dtype: Counter[str] = Counter()
    by_operator: Counter[str] = Counter()
    for use in uses:
        by_dtype[use.tensor.dtype] += use.tensor.bytes
        by_operator[use.operator] += use.tensor.bytes
    counts = Counter(f"{op.type} ({op.kernel[0]}, {op.kernel[1]})" for op in file.operators)
    return Anatomy(
        file, tuple(uses), dict(counts.most_common()), dict(by_dtype.most_common()),
        dict(by_operator.most_common()), _duplicates(file, content), quantised,
    )  # fmt: skip


def _reason(tensor: NbTensor, reader: Operator | None, parameter: str) -> str:
    if tensor.dtype != "float32":
        return ""
    if reader is None:
        return "no operator reads it"
    if parameter == "Bias" or len([side for side in tensor.shape if side != 1]) <= 1:
        return "biases and scales stay fp32: the int8 kernels add them in fp32"
    if reader.type not in INT8_OPERATORS:
        return f"Paddle Lite has no int8 kernel for {reader.type}"
    if not reader.scales:
        return f"this {reader.type} was not quantised: the model gives it no scale"
    return f"this {reader.type} is quantised, but opt picked the {reader.kernel[1]} kernel"


def _duplicates(file: NbFile, content: bytes) -> tuple[tuple[tuple[str, ...], int], ...]:
    groups: dict[tuple[str, int, bytes], list[NbTensor]] = defaultdict(list)
    view = memoryview(content)
    for tensor in file.tensors:
        if tensor.bytes >= 256:
            digest = hashlib.sha256(view[tensor.offset : tensor.offset + tensor.bytes]).digest()
            groups[(tensor.dtype, tensor.bytes, digest)].append(tensor)
    found = [
        (tuple(tensor.name for tensor in group), group[0].bytes * (len(group) - 1))
        for group in groups.values()
        if len(group) > 1
    ]
    return tuple(sorted(found, key=lambda item: -item[1]))


@dataclass(frozen=True)
class Difference:
    """What changed from one file to another: header facts, operators by type, weights by name."""

    facts: dict[str, tuple[Any, Any]]
    operators: dict[str, tuple[int, int]]
    tensors: dict[str, tuple[str, str]]

    def to_json(self) -> dict[str, Any]:
        """Returns everything as plain values."""
        return {"schema": "plate-edge/nb-difference/1", **asdict(self)}


def diff(before: Anatomy, after: Anatomy, contents: tuple[bytes, bytes]) -> Difference:
    """Compares two files.

    Args:
        before: One file.
        after: The other.
        contents: The bytes of both, to tell weights of the same shape apart.
    """
    a, b = before.file, after.file
    pairs = {
        "bytes": (a.size, b.size),
        "meta_version": (a.meta_version, b.meta_version),
        "opt_version": (a.opt_version, b.opt_version),
        "target": (a.target, b.target),
        "parameters": (before.elements, after.elements),
        "inputs": (list(a.inputs), list(b.inputs)),
        "outputs": (list(a.outputs), list(b.outputs)),
    }
    counts = [Counter(op.type for op in file.operators) for file in (a, b)]
    kinds = sorted(set(counts[0]) | set(counts[1]))
    first, second = ({tensor.name: tensor for tensor in file.tensors} for file in (a, b))
    tensors = {}
    for name in sorted(set(first) | set(second)):
        old, new = first.get(name), second.get(name)
        described = (_describe(old), _describe(new))
        if described[0] != described[1]:
            tensors[name] = described
        elif old and new and _data(contents[0], old) != _data(contents[1], new):
            tensors[name] = (described[0], described[1] + ", other values")
    return Difference(
        {key: pair for key, pair in pairs.items() if pair[0] != pair[1]},
        {kind: (counts[0][kind], counts[1][kind]) for kind in kinds if counts[0][kind] != counts[1][kind]},
        tensors,
    )


def _data(content: bytes, tensor: NbTensor) -> memoryview:
    return memoryview(content)[tensor.offset : tensor.offset + tensor.bytes]


def _describe(tensor: NbTensor | None) -> str:
    return "absent" if tensor is None else f"{tensor.dtype}{list(tensor.shape)}"
