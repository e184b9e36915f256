"""One order for the operators of a `.pdmodel`.

PaddleSlim's export walks hash sets of pointers, so the same network comes out with its operators in another order each
time. Here they are put into the order in which the outputs need them, and the variables into that of their names: the
same network gives the same file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from edge.base.errors import ModelError
from edge.base.paths import write_atomic
from train.arch import load_paddle

_OUTPUT = re.compile(r"^(save_infer_model/scale_\d+\.tmp_)\d+$")


def order_program(path: Path) -> None:
    """Rewrites a `.pdmodel` of one block in its canonical order.

    Raises:
        ModelError: The program has several blocks or no outputs.
    """
    framework_pb2 = load_paddle("paddle.base.proto.framework_pb2")
    program = framework_pb2.ProgramDesc()
    program.ParseFromString(path.read_bytes())
    if len(program.blocks) != 1:
        raise ModelError(f"{path}: a program of {len(program.blocks)} blocks is not an inference model of this kit.")
    block = program.blocks[0]
    needs = _needs(block)
    ends = [i for i, operator in enumerate(block.ops) if operator.type == "fetch"]
    if not ends:
        raise ModelError(f"{path}: the program has no outputs.")
    order: list[int] = []
    entered: set[int] = set()
    waiting = [(i, False) for i in sorted(ends, key=lambda i: _names(block.ops[i].inputs), reverse=True)]
    while waiting:  # Depth first, without recursion: these networks are hundreds of operators deep.
        index, done = waiting.pop()
        if done:
            order.append(index)
        elif index not in entered:
            entered.add(index)
            waiting.append((index, True))
            waiting += [(maker, False) for maker in reversed(needs[index])]
    operators = [block.ops[i] for i in order]
    for slot in (slot for operator in operators for part in (operator.inputs, operator.outputs) for slot in part):
        # Whether Paddle's two copies of an output share a name depends on what the process exported before.
        slot.arguments[:] = [_OUTPUT.sub(r"\g<1>0", name) for name in slot.arguments]
    used = {name for operator in operators for part in (operator.inputs, operator.outputs) for name in _names(part)}
    for variable in block.vars:
        variable.name = _OUTPUT.sub(r"\g<1>0", variable.name)
    # An operator whose variable is not declared ends the predictor that analyses it by a signal.
    declared = {variable.name: variable for variable in block.vars if variable.name in used}
    variables = [declared[name] for name in sorted(declared)]
    for operator in operators:
        for part in (operator.inputs, operator.outputs, operator.attrs):
            entries = sorted(part, key=_name)
            fresh = [type(entry).FromString(entry.SerializeToString()) for entry in entries]
            del part[:]
            part.extend(fresh)
    operators, variables = [_copies(items) for items in (operators, variables)]
    del block.ops[:]
    del block.vars[:]
    block.ops.extend(operators)
    block.vars.extend(variables)
    write_atomic(path, program.SerializeToString(deterministic=True))


def _name(entry: Any) -> str:
    """Name of an input, output or attribute of an operator."""
    return str(entry.parameter if hasattr(entry, "parameter") else entry.name)


def _copies(items: list[Any]) -> list[Any]:
    """Copies messages that belong to a list which is about to be emptied."""
    return [type(item).FromString(item.SerializeToString()) for item in items]


def _needs(block: Any) -> list[list[int]]:
    """Returns for each operator those that must run before it, in the order of its inputs."""
    kept = {variable.name for variable in block.vars if variable.persistable}
    written: dict[str, int] = {}
    readers: dict[str, list[int]] = {}
    needs = []
    for index, operator in enumerate(block.ops):
        inputs = [name for name in _names(operator.inputs) if name not in kept]
        before = [written[name] for name in inputs if name in written]
        for name in _names(operator.outputs):
            if name in written:  # Written again in place: whoever reads the old value comes first.
                before += [reader for reader in readers.pop(name, []) if reader != index]
        for name in inputs:
            readers.setdefault(name, []).append(index)
        written.update((name, index) for name in _names(operator.outputs) if name not in kept)
        needs.append(before)
    return needs


def _names(slots: Any) -> list[str]:
    """Names of all variables of an operator's inputs or outputs, slot by slot in the order of the slots' names."""
    return [name for slot in sorted(slots, key=lambda item: item.parameter) for name in slot.arguments]
