"""The kit's PP-OCRv3 against the published networks, and strict loading of weights."""

from __future__ import annotations

import zlib  # noqa: F401
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.base.errors import InputError, ModelError
from edge.model.card import load_model

pytest.importorskip("paddle")
pytest.importorskip("rapidocr_onnxruntime")
pytestmark = pytest.mark.paddle

SIZES = {"det": [(64, 96), (320, 640), (480, 352)], "rec": [(48, 160), (48, 320), (48, 488)]}


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    from train.arch.architecture import find_architecture
    from train.weights.published import load_published

    return {task: load_published(find_architecture("", task)) for task in ("det", "rec")}


@pytest.mark.parametrize("task", ["det", "rec"])
def test_outputs_equal_onnx_runtimes_before_and_after_export(
    task: str, published: dict[str, Any], tmp_path: Path
) -> None:
    import onnxruntime
    import paddle

    from edge.runtime.engines import open_network
    from train.export.write import export_layer
    from train.weights.published import onnx_file, published_file

    found = published[task]
    card = found.arch.card(f"ppocrv3-{task}-fp32")
    export_layer(found.arch, found.net, tmp_path / task, card, characters=found.characters)
    exported = open_network(load_model(tmp_path / task))
    assert exported and load_model(tmp_path / task).card.arch == f"ppocrv3_{task}"
    session = onnxruntime.InferenceSession(str(onnx_file(published_file(found.arch))))
    rng = np.random.default_rng(0)
    for height, width in SIZES[task]:
        x = rng.uniform(-1.5, 1.5, (1, 3, height, width)).astype(np.float32)
        expected = session.run(None, {session.get_inputs()[0].name: x})[0]
        assert np.abs(found.net(paddle.to_tensor(x)).numpy() - expected).max() < 1e-4
        assert np.abs(exported.run(x) - expected).max() < 1e-4  # the deployed form


def test_export_gives_the_same_bytes_again_and_no_path(published: dict[str, Any], tmp_path: Path) -> None:
    from train.export.write import export_layer

    found = published["rec"]
    first = export_layer(found.arch, found.net, tmp_path / "a", found.arch.card("x"), characters=found.characters)
    second = export_layer(found.arch, found.net, tmp_path / "b", found.arch.card("x"), characters=found.characters)
    assert first.card.files == second.card.files
    program = (tmp_path / "a" / "inference.pdmodel").read_bytes()
    assert b".py" not in program and str(Path(__file__).parents[1]).encode() not in program
    with pytest.raises(InputError, match="exists already"):
        export_layer(found.arch, found.net, tmp_path / "a", found.arch.card("x"), characters=found.characters)


def test_activations_and_norms_are_single_operators(published: dict[str, Any], tmp_path: Path) -> None:
    from convert.graph.program import load_program
    from train.export.write import export_layer

    found = published["rec"]
    export_layer(found.arch, found.net, tmp_path / "rec", found.arch.card("x"), characters=found.characters)
    types = [operator.type for operator in load_program(tmp_path / "rec" / "inference.pdmodel").blocks[0].ops]
    assert types.count("hard_swish") == 27
    assert types.count("swish") == 7
    assert types.count("hard_sigmoid") == 2
    assert types.count("layer_norm") == 5
    assert not {"clip", "elementwise_div", "reduce_mean"} & set(types)


def test_training_outputs(published: dict[str, Any]) -> None:
    import paddle

    det, rec = published["det"].arch.build(), published["rec"].arch.build(78)
    maps = det(paddle.randn([2, 3, 64, 64]))
    assert maps.shape == [2, 3, 64, 64]
    shrink, threshold, binary = (maps[:, index].numpy() for index in range(3))
    assert np.allclose(binary, 1 / (1 + np.exp(-50 * (shrink - threshold))), atol=1e-4)
    logits = rec(paddle.randn([2, 3, 48, 96]))
    assert logits.shape == [2, 12, 78]
    assert float(paddle.min(logits)) < 0  # no softmax


def _values(published: dict[str, Any], task: str) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in published[task].net.state_dict().items()}


def test_paddleocr_and_student_checkpoints_load(published: dict[str, Any], tmp_path: Path) -> None:
    import paddle

    from train.weights.assign import assign, load_checkpoint

    values = _values(published, "rec")
    assert "head.ctc_encoder.encoder.svtr_block.0.mixer.qkv.weight" in values
    assert "backbone.block_list.0._depthwise_conv._conv.weight" in values
    distilled = {f"Student.{name}": value for name, value in values.items()}
    distilled |= {f"Teacher.{name}": value * 0 for name, value in values.items()}
    distilled["Student.head.sar_head.encoder.rnn.weight"] = np.zeros(3, np.float32)
    paddle.save({name: paddle.to_tensor(value) for name, value in distilled.items()}, str(tmp_path / "x.pdparams"))
    arch = published["rec"].arch
    net = arch.build(6625)
    assign(arch, net, load_checkpoint(tmp_path / "x"), "x")
    assert all(np.array_equal(value.numpy(), values[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda v: v.pop("head.ctc_head.fc.bias"), "missing: head.ctc_head.fc.bias"),
        (lambda v: v.update(extra=np.zeros(1)), "unexpected: extra"),
        (lambda v: v.update({"head.ctc_head.fc.weight": np.zeros((64, 9))}), r"fc.weight is \[64, 9\], wanted \[64, 6625"),
        (lambda v: v.update({"head.ctc_head.fc.bias": np.full(6625, np.nan)}), "not finite: head.ctc_head.fc.bias"),
        (lambda v: v.update({"backbone.conv1._conv._layer.weight": np.zeros(1)}), "quantisation-aware training"),
    ],
)
def test_what_does_not_fit_is_named(change: Any, expected: str, published: dict[str, Any]) -> None:
    from train.weights.assign import assign

    values = _values(published, "rec")
    change(values)
    arch = published["rec"].arch
    net = arch.build(6625)
    before = net.state_dict()["head.ctc_head.fc.weight"].numpy()
    with pytest.raises(ModelError, match=expected):
        assign(arch, net, values, "ckpt")
    assert np.array_equal(net.state_dict()["head.ctc_head.fc.weight"].numpy(), before)  # all or nothing


def test_checkpoint_of_the_other_task_says_so(published: dict[str, Any]) -> None:
    from train.weights.assign import assign

    with pytest.raises(ModelError, match="another architecture"):
        assign(published["det"].arch, published["det"].arch.build(), _values(published, "rec"), "ckpt")


def test_broken_checkpoint_is_an_input_error(tmp_path: Path) -> None:
    from train.weights.assign import load_checkpoint

    (tmp_path / "a.pdparams").write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="not a Paddle checkpoint"):
        load_checkpoint(tmp_path / "a")
    with pytest.raises(InputError, match="not a checkpoint file"):
        load_checkpoint(tmp_path / "missing")


def test_missing_or_other_package_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    from edge.base.errors import HostError
    from train.arch.architecture import find_architecture
    from train.weights.published import onnx_file, published_file

    monkeypatch.setattr(metadata, "version", lambda name: "1.4.4")
    with pytest.raises(HostError, match=r"1\.4\.4 does not carry PP-OCRv3"):
        onnx_file(published_file(find_architecture("", "det")))
