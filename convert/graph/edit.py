"""Editing an inference program: who makes a variable, who reads it, and taking operators out of the way."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from convert.graph.params import Array, load_params, parameter_names, save_params
from convert.graph.program import FLOAT, load_program, save_program
from edge.model.card import Model

# AttrType number to the field that holds the value.
_FIELDS = {
    0: "i", 1: "f", 2: "s", 3: "ints", 4: "floats", 5: "strings", 6: "b", 7: "bools", 8: "block_idx", 9: "l",
    10: "blocks_idx", 11: "longs", 12: "float64s", 13: "var_name", 14: "vars_name", 15: "float64",
}  # fmt: skip
_LISTS = {3, 4, 5, 7, 10, 11, 12, 14}
INT, REAL, INTS = 0, 1, 3
_LOD_TENSOR = 7


def attribute(operator: Any, name: str, default: Any = None) -> Any:
    """Returns the value of an operator's attribute, lists as Python lists, or `default` when it has none."""
    for item in operator.attrs:
        if item.name == name and item.type in _FIELDS:
            value = getattr(item, _FIELDS[item.type])
            return list(value) if item.type in _LISTS else value
    return default


def set_attribute(operator: Any, name: str, kind: int, value: Any) -> None:
    """Sets an attribute; `kind` is Paddle's AttrType, such as `INT`, `REAL`, `INTS`."""
    for index, item in enumerate(operator.attrs):
        if item.name == name:
            del operator.attrs[index]
            break
    item = operator.attrs.add(name=name, type=kind)
    if kind in _LISTS:
        getattr(item, _FIELDS[kind]).extend(value)
    else:
        setattr(item, _FIELDS[kind], value)


def arguments(variables: Any, name: str) -> list[str]:
    """Returns the variables under one name of an operator's `inputs` or `outputs`; empty when there are none."""
    return [argument for item in variables if item.parameter == name for argument in item.arguments]


def set_argument(variables: Any, name: str, variable: str) -> None:
    """Puts a variable in place of the first under one name."""
    for item in variables:
        if item.parameter == name:
            item.arguments[0] = variable


def all_arguments(variables: Any) -> Iterator[str]:
    """Yields every variable of an operator's `inputs` or `outputs`."""
    for item in variables:
        yield from item.arguments


class Graph:
    """The main block of an inference program, with its parameters.

    Attributes:
        program: The `ProgramDesc` message.
        block: Its main block.
        params: Persistable variable to value; edited through `set_param`.
    """

    def __init__(self, program: Any, params: dict[str, Array]) -> None:
        self.program = program
        self.block = program.blocks[0]
        self.params = params

    @classmethod
    def load(cls, program: Path, params: Path) -> Graph:
        """Reads a `.pdmodel` and its `.pdiparams`; raises as `load_program` and `load_params` do."""
        message = load_program(program)
        return cls(message, load_params(params, parameter_names(message)))

    @classmethod
    def of(cls, model: Model) -> Graph:
        """Reads the two files of an inference model; see `load`."""
        return cls.load(model.file(".pdmodel"), model.file(".pdiparams"))

    def save(self, program: Path, params: Path) -> None:
        """Writes both files; equal graphs give equal bytes."""
        save_program(self.program, program)
        save_params(params, self.params)

    @contextmanager
    def saved(self) -> Iterator[tuple[Path, Path]]:
        """Yields both files, in a folder that is removed afterwards."""
        with tempfile.TemporaryDirectory(prefix="plate-graph-") as name:
            files = Path(name) / "inference.pdmodel", Path(name) / "inference.pdiparams"
            self.save(*files)
            yield files

    @property
    def operators(self) -> list[Any]:
        """The operators in order."""
        return list(self.block.ops)

    def of_type(self, *types: str) -> list[Any]:
        """The operators of some types, in order."""
        return [operator for operator in self.block.ops if operator.type in types]

    def producers(self) -> dict[str, Any]:
        """Variable to the operator that writes it last."""
        return {name: operator for operator in self.block.ops for name in all_arguments(operator.outputs)}

    def consumers(self) -> dict[str, list[Any]]:
        """Variable to the operators that read it."""
        found: dict[str, list[Any]] = {}
        for operator in self.block.ops:
            for name in all_arguments(operator.inputs):
                found.setdefault(name, []).append(operator)
        return found

    def constant(self, name: str) -> Array | None:
        """Returns a variable's value when it is known before the model runs: a parameter, or a filled constant."""
        if name in self.params:
            return self.params[name]
        operator = self.producers().get(name)
        if operator is not None and operator.type == "fill_constant" and not list(all_arguments(operator.inputs)):
            text = attribute(operator, "str_value")
            value = float(text) if text else float(attribute(operator, "value", 0.0))
            return np.full(attribute(operator, "shape", [1]) or [1], value, np.float32)
        if operator is not None and operator.type == "assign_value":
            values = attribute(operator, "fp32_values") or attribute(operator, "values")
            if values and not isinstance(values[0], bool):
                return np.asarray(values, np.float32)
        return None

    def tensor(self, name: str) -> Any | None:
        """Returns the `TensorDesc` that a variable is declared with (`data_type`, `dims`), or None."""
        for variable in self.block.vars:
            if variable.name == name and variable.type.HasField("lod_tensor"):
                return variable.type.lod_tensor.tensor
        return None

    def shape(self, name: str) -> list[int] | None:
        """Returns a variable's declared shape (-1 where unknown), or None."""
        tensor = self.tensor(name)
        return None if tensor is None else list(tensor.dims)

    def set_param(self, name: str, value: Array) -> None:
        """Sets or adds a parameter and declares its variable."""
        self.params[name] = value
        variable = next((item for item in self.block.vars if item.name == name), None)
        if variable is None:
            variable = self.block.vars.add(name=name, persistable=True)
        variable.type.type = _LOD_TENSOR
        tensor = variable.type.lod_tensor.tensor
        tensor.data_type = FLOAT
        del tensor.dims[:]
        tensor.dims.extend(value.shape)

    def declare_like(self, model: str, name: str) -> None:
        """Declares a variable with the type of another one, unless it is declared."""
        if any(variable.name == name for variable in self.block.vars):
            return
        source = next((variable for variable in self.block.vars if variable.name == model), None)
        added = self.block.vars.add()
        if source is None:
            added.type.type = _LOD_TENSOR
            added.type.lod_tensor.tensor.data_type = FLOAT
        else:
            added.CopyFrom(source)
        added.name = name
        added.persistable = False

    def replace_reads(self, old: str, new: str) -> None:
        """Makes every operator that reads `old` read `new`."""
        for operator in self.block.ops:
            for item in operator.inputs:
                for index, name in enumerate(item.arguments):
                    if name == old:
                        item.arguments[index] = new

    def remove(self, dropped: Iterable[Any]) -> None:
        """Removes operators (by identity)."""
        ids = {id(operator) for operator in dropped}
        for index in reversed(range(len(self.block.ops))):
            if id(self.block.ops[index]) in ids:
                del self.block.ops[index]

    def prune(self) -> int:
        """Removes operators whose results nobody reads, then unused variables and parameters.

        Returns:
            How many operators.
        """
        needed: set[str] = set()
        dropped = []
        for operator in reversed(self.block.ops):
            outputs = set(all_arguments(operator.outputs))
            if operator.type in ("fetch", "feed") or outputs & needed:
                needed.update(all_arguments(operator.inputs))
            else:
                dropped.append(operator)
        self.remove(dropped)
        used = {"feed", "fetch"}
        for operator in self.block.ops:
            used.update(all_arguments(operator.inputs))
            used.update(all_arguments(operator.outputs))
        for index in reversed(range(len(self.block.vars))):
            if self.block.vars[index].name not in used:
                del self.block.vars[index]
        for name in [name for name in self.params if name not in used]:
            del self.params[name]
        return len(dropped)
