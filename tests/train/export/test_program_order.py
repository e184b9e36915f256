"""The canonical order of an exported program."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.paddle


@pytest.mark.parametrize("copies", [(0, 0), (0, 1), (1, 1), (2, 3)], ids=str)
def test_what_a_process_exported_before_changes_nothing_and_leaves_no_name_undeclared(
    copies: tuple[int, int], tmp_path: Path
) -> None:
    """Paddle numbers its copies of an output on; a variable that is used and not declared ends a predictor by SIGSEGV."""
    from train.arch import load_paddle
    from train.export.program_order import order_program

    proto = load_paddle("paddle.base.proto.framework_pb2")

    def program(first: int, second: int) -> bytes:
        document = proto.ProgramDesc()
        block = document.blocks.add(idx=0, parent_idx=-1)
        names = [f"save_infer_model/scale_0.tmp_{number}" for number in (first, second)]
        for name in dict.fromkeys(("x", *names, "fetch")):
            block.vars.add(name=name).type.type = proto.VarType.LOD_TENSOR
        for kind, source, target in (("scale", "x", names[0]), ("scale", names[0], names[1]), ("fetch", names[1], "fetch")):
            operator = block.ops.add(type=kind)
            operator.inputs.add(parameter="X", arguments=[source])
            operator.outputs.add(parameter="Out", arguments=[target])
        path = tmp_path / f"{first}{second}.pdmodel"
        path.write_bytes(document.SerializeToString())
        order_program(path)
        return path.read_bytes()

    ordered = program(*copies)
    assert ordered == program(0, 0)
    block = proto.ProgramDesc.FromString(ordered).blocks[0]
    slots = [slot for operator in block.ops for part in (operator.inputs, operator.outputs) for slot in part]
    used = {name for slot in slots for name in slot.arguments}
    assert used == {variable.name for variable in block.vars}
