"""Pains 6 and 7 of the field notes: provoked, and answered in our words.

The others have their tests beside what they are about: 1 to 5 in test_convert_nb.py, test_convert_check.py and
tests/edge/bundle/test_bundle.py, 8 and 13 in test_convert_nb.py and test_verify.py.
"""

from __future__ import annotations

import json
import zlib  # noqa: F401
from pathlib import Path

import pytest
from click.testing import CliRunner

from convert.commands.nb import nb
from convert.nbfile.reader import read_nb
from convert.opt.convert import speed_note
from edge.base.errors import InputError, ModelError
from edge.bundle.zoo import SHIPPED

INT8 = SHIPPED / "plate-v1" / "det-int8"


@pytest.mark.paddle
def test_pain_6_checkpoint_of_quantisation_aware_training_is_not_read_as_a_float_one(tmp_path: Path) -> None:
    """PaddleOCR warns that parameters are not in the model, keeps random ones, and evaluates to 0."""
    paddle = pytest.importorskip("paddle")
    quant = pytest.importorskip("paddleslim.dygraph.quant")
    from convert.opt.source import find_files
    from train.arch.architecture import find_architecture
    from train.weights.assign import assign, load_checkpoint

    def network() -> object:
        return paddle.nn.Sequential(paddle.nn.Conv2D(3, 8, 3), paddle.nn.Hardswish(), paddle.nn.Conv2D(8, 2, 1))

    learning = network()
    config = {"weight_quantize_type": "channel_wise_abs_max", "quantizable_layer_type": ["Conv2D"]}
    quant.QAT(config=config).quantize(learning)
    path = tmp_path / "best.pdparams"
    paddle.save(learning.state_dict(), str(path))  # type: ignore[attr-defined]

    plain = network()
    before = plain[0].weight.numpy().copy()  # type: ignore[index]
    with pytest.raises(ModelError, match="checkpoint of quantisation-aware training") as caught:
        assign(find_architecture("", "det"), plain, load_checkpoint(path), str(path))
    assert "float checkpoint" in caught.value.hint
    assert (plain[0].weight.numpy() == before).all(), "and nothing was loaded"  # type: ignore[index]

    with pytest.raises(InputError, match="holds a checkpoint, not an inference model") as unexported:
        find_files(tmp_path)
    assert "Export it first" in unexported.value.hint


def test_pain_7_int8_without_dot_product_is_said_to_be_for_size(tmp_path: Path) -> None:
    options = ["--target", "arm", "--board", "rk3399", "--out", str(tmp_path / "nb")]
    answer = CliRunner().invoke(nb, [str(INT8), *options])
    assert answer.exit_code == 0, answer.output
    assert "no int8 dot product (asimddp)" in answer.output and "1.0 to 1.4 times" in answer.output
    document = json.loads(CliRunner().invoke(nb, [str(INT8), *options, "--json"]).stdout)
    assert len(document["notes"]) == 1
    assert speed_note("int8", "rk3588") == speed_note("fp32", "rk3399") == speed_note("int8", None) == ""


def test_pain_7_weights_as_integers_leave_int8_kernels_int8(tmp_path: Path) -> None:
    """`quant_model` on a quantised model would store weights only, and compute it all in float."""
    CliRunner().invoke(nb, [str(INT8), "--target", "arm", "--weights", "int8", "--out", str(tmp_path / "nb")])
    kernels = [op for op in read_nb(tmp_path / "nb" / "det.nb").operators if op.type == "conv2d"]
    assert len(kernels) == 57 and all(op.kernel[:2] == ("arm", "int8") and op.scales for op in kernels)
    assert not any("quantize_weight_bits" in op.attributes for op in kernels)
