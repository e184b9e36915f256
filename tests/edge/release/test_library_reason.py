"""Why Paddle Lite does not load a model: its own words, wherever it says them, and what to do."""

from __future__ import annotations

import pytest

from edge.base.errors import DeviceError
from edge.protocol.base import CompletedCommand
from edge.release.smoke import explain
from edge.transport.local import LocalTransport

LOADING = "plate_ocr: error: Paddle Lite failed while loading /r/rec.nb (made by opt v2.13-rc): "
CRASHED = "plate_ocr: error: Paddle Lite crashed while loading /r/rec.nb (made by opt v2.13-rc): signal 6, aborted"
BASIC = (
    "Please use Paddle-Lite lib with all ops, which is marked with `with_extra`. Current lib is of tiny_publish, in "
    "which only basic ops are included and we can not create operator 'layer_norm'."
)
KERNEL = "Error: This model is not supported, because kernel for 'layer_norm' is not supported by Paddle-Lite."


@pytest.mark.parametrize(
    "stderr",
    [
        LOADING + KERNEL,
        LOADING + BASIC,
        f"[F 11/29 12: 0: 0.000 ...program.cc:316 RuntimeProgram] Check failed: op: \n{KERNEL}\n{CRASHED}",
    ],
    ids=["kernel", "basic library", "without exceptions"],
)
def test_missing_operator_is_named_with_the_library_to_take(stderr: str) -> None:
    result = CompletedCommand(("plate_ocr",), 4, "", stderr + "\n", None, 0.1)
    with pytest.raises(DeviceError, match="'layer_norm'") as failure:
        explain(result, LocalTransport(), "plate-v1-fp32")
    assert "with_extra" in failure.value.hint and "\n" not in failure.value.message


def test_other_reasons_get_no_such_hint() -> None:
    result = CompletedCommand(("plate_ocr",), 4, "", LOADING + "vector::_M_range_check\n", None, 0.1)
    with pytest.raises(DeviceError, match="_M_range_check") as failure:
        explain(result, LocalTransport(), "plate-v1-fp32")
    assert "with_extra" not in failure.value.hint
