"""A model cut short after one of its operators, to find the one at which it goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convert.graph.edit import Graph, all_arguments, arguments, set_argument

_RESULTS = ("Out", "Output", "Y")


def operator_name(operator: Any) -> str:
    """Returns `type -> variable` of an operator and its first result."""
    return f"{operator.type} -> {result_of(operator)}"


def result_of(operator: Any) -> str:
    """Returns the name of an operator's first result, or `nothing`."""
    named = (name for slot in _RESULTS for name in arguments(operator.outputs, slot))
    return next(named, next(all_arguments(operator.outputs), "nothing"))


def cut_behind(graph: Graph, last: int) -> None:
    """Cuts a model, in place, after one of its operators, whose result becomes its output."""
    result = result_of(graph.block.ops[last])
    for index in reversed(range(last + 1, len(graph.block.ops))):
        if graph.block.ops[index].type != "fetch":
            del graph.block.ops[index]
    for operator in graph.of_type("fetch"):
        set_argument(operator.inputs, "X", result)
    graph.prune()


def first_failing(load: Callable[[], Graph], fails: Callable[[Graph], bool]) -> Any | None:
    """Finds the operator with which a model goes wrong, by trying ever shorter beginnings.

    Args:
        load: Loads the whole model afresh on each call.
        fails: Tells whether a beginning goes wrong.

    Returns:
        The last operator of the shortest beginning that does; None when the whole model does not.
    """

    def bad(last: int) -> bool:
        graph = load()
        cut_behind(graph, last)
        return fails(graph)

    operators = load().operators
    low, high = 1, len(operators) - 2
    if high < low or not bad(high):
        return None
    while low < high:
        middle = (low + high) // 2
        if bad(middle):
            high = middle
        else:
            low = middle + 1
    return operators[low]
