"""Finding the operator with which opt ends by a signal."""

from __future__ import annotations

from pathlib import Path

from convert.graph.cut import first_failing, operator_name
from convert.graph.edit import Graph
from convert.opt.failures import OptEnded
from convert.opt.run import run_opt
from edge.base.errors import ModelError


def first_refused(program: Path, parameters: Path, target: str, version: str) -> str | None:
    """Names the first operator with which opt ends by a signal.

    Returns:
        `type -> variable`, or None when the whole model converts, or a beginning is refused for another reason.
    """

    def ends(graph: Graph) -> bool:
        with graph.saved() as files:
            try:
                run_opt(*files, files[0].with_suffix(".nb"), target, version=version)
            except OptEnded:
                return True
            except ModelError:
                return False
        return False

    operator = first_failing(lambda: Graph.load(program, parameters), ends)
    return None if operator is None else operator_name(operator)
