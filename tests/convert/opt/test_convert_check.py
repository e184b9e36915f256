"""`edge convert check`: each thing that stops or slows a conversion is found, with its fix."""

from __future__ import annotations

import zlib  # noqa: F401
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from netwriter import insert_before

from convert.commands.check import check
from convert.graph.edit import Graph, arguments
from convert.opt.check import check_convertible
from convert.opt.run import parse_operators
from edge.base.errors import InputError, ModelError
from edge.base.finding import Finding

pytest.importorskip("paddle")
pytest.importorskip("rapidocr_onnxruntime")
pytestmark = pytest.mark.paddle


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from train.arch.architecture import find_architecture
    from train.export.write import export_layer
    from train.weights.published import load_published

    folder = tmp_path_factory.mktemp("check") / "rec"
    found = load_published(find_architecture("", "rec"))
    export_layer(found.arch, found.net, folder, found.arch.card("x-rec-fp32"), characters=found.characters)
    return folder


def _edited(recogniser: Path, folder: Path, edit: Any) -> Path:
    graph = Graph.load(recogniser / "inference.pdmodel", recogniser / "inference.pdiparams")
    edit(graph)
    folder.mkdir()
    graph.save(folder / "inference.pdmodel", folder / "inference.pdiparams")
    return folder


def _codes(findings: list[Finding]) -> set[str]:
    return {finding.name for finding in findings}


def test_clean_model_has_no_errors_and_names_what_nb_repairs(recogniser: Path) -> None:
    findings = check_convertible(recogniser, "arm")
    assert {"missing-attribute", "dynamic-shape"} <= _codes(findings)
    assert not [finding for finding in findings if finding.level == "error"]
    assert all(finding.hint for finding in findings)


def test_operator_without_kernel_stops(recogniser: Path, tmp_path: Path) -> None:
    def unknown(graph: Graph) -> None:
        graph.of_type("swish")[0].type = "mish_of_tomorrow"

    folder = _edited(recogniser, tmp_path / "m", unknown)
    findings = check_convertible(folder, "arm")
    assert findings[0].level == "error" and "mish_of_tomorrow" in findings[0].message
    result = CliRunner().invoke(check, [str(folder), "--target", "arm"])
    assert result.exit_code == 4 and "would not convert" in result.output


def test_decomposed_hard_swish_is_found(recogniser: Path, tmp_path: Path) -> None:
    def apart(graph: Graph) -> None:
        operator = graph.of_type("hard_swish")[0]
        x = arguments(operator.inputs, "X")[0]

        def gate(added: Any) -> None:
            added.type = "hard_sigmoid"
            added.inputs.add(parameter="X", arguments=[x])
            added.outputs.add(parameter="Out", arguments=["gate"])
            added.attrs.add(name="slope", type=1, f=1 / 6)
            added.attrs.add(name="offset", type=1, f=0.5)

        insert_before(graph, operator, gate)
        graph.declare_like(x, "gate")
        operator = graph.of_type("hard_swish")[0]
        operator.type = "elementwise_mul"
        operator.inputs.add(parameter="Y", arguments=["gate"])
        del operator.attrs[:]

    findings = check_convertible(_edited(recogniser, tmp_path / "m", apart), "arm")
    decomposed = next(finding for finding in findings if finding.name == "decomposed")
    assert "1 hard_swish" in decomposed.message


def test_folders_that_hold_no_inference_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no inference model"):
        check_convertible(tmp_path, "arm")
    (tmp_path / "x.pdparams").write_bytes(b"")
    with pytest.raises(InputError, match="holds a checkpoint"):
        check_convertible(tmp_path, "arm")
    (tmp_path / "inference.json").write_text("{}")
    with pytest.raises(ModelError, match="Paddle 3"):
        check_convertible(tmp_path / "inference.json", "arm")


def test_opts_sentence_decides_and_not_its_table() -> None:
    table = "  OP_name  kARM  kHost\n   conv2d     Y       \n   quantize_linear             \n"
    assert parse_operators(table + "Paddle-Lite supports this model!") == {"conv2d": True, "quantize_linear": True}
    bad = "Error: ... These unsupported ops are: 'quantize_linear'."
    assert parse_operators(table + bad) == {"conv2d": True, "quantize_linear": False}
    assert parse_operators("Segmentation fault") == {}
