"""A model cut short behind one of its operators, to find the one at which it goes wrong."""

from __future__ import annotations

from typing import Any

from convert.graph.edit import Graph, all_arguments, arguments

_RESULTS = ("Out", "Output", "Y")


def operator_name(operator: Any) -> str:
    """Returns `type -> variable` of an operator and its first result."""
    return f"{operator.type} -> {result_of(operator)}"


def result_of(operator: Any) -> str:
    """Returns the name of an operator's first result, or `nothing`."""
    named = (name for slot in _RESULTS for name in arguments(operator.outputs, slot))
    return next(named, next(all_arguments(operator.outputs), "nothing"))


def cut_behind(graph: Graph, last: int) -> None:
    """Cuts a model, in place, behind one of its operators, whose result becomes its output."""
    result = result_of(graph.block.ops[last])
    for index in reversed(range(last + 1, len(graph.block.ops))):
        if graph.block.ops[index].type != "fetch":
            del graph.block.ops[index]
    for operator in graph.of_type("fetch"):
        for item in operator.inputs:
            item.arguments[0] = result
    graph.prune()
