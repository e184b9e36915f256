"""Finding the operator with which opt ends by a signal."""

from __future__ import annotations

import tempfile
from pathlib import Path

from convert.graph.cut import cut_behind, operator_name
from convert.graph.edit import Graph
from convert.opt.failures import OptEnded
from convert.opt.run import run_opt
from edge.base.errors import ModelError


def first_refused(program: Path, parameters: Path, target: str, version: str) -> str | None:
    """Names the first operator with which opt ends by a signal; found by converting ever shorter beginnings.

    Returns:
        `type -> variable`, or None when the whole model converts, or a beginning is refused for another reason.
    """

    def ends(last: int) -> bool:
        graph = Graph.load(program, parameters)
        cut_behind(graph, last)
        with tempfile.TemporaryDirectory(prefix="plate-trace-") as name:
            cut = Path(name) / "a.pdmodel", Path(name) / "a.pdiparams"
            graph.save(*cut)
            try:
                run_opt(*cut, Path(name) / "a.nb", target, version=version)
            except OptEnded:
                return True
            except ModelError:
                return False
        return False

    graph = Graph.load(program, parameters)
    low, high = 1, len(graph.block.ops) - 2
    if high < low or not ends(high):
        return None
    while low < high:
        middle = (low + high) // 2
        if ends(middle):
            high = middle
        else:
            low = middle + 1
    return operator_name(graph.block.ops[low])
