"""Files of opt 2.10, 2.12 and 2.13rc0: every byte accounted for, and the same network in each."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from convert.commands.inspect import inspect
from convert.graph.edit import Graph
from convert.nbfile.contents import NbFile
from convert.nbfile.reader import read_nb
from convert.opt.environment import DEFAULT_VERSION, VERSIONS
from convert.opt.run import run_opt
from convert.proof.likeness import weight_likeness
from convert.rewrite.apply import rewrite
from convert.size.shrink import shrink
from edge.base.paths import cache_dir

FILES = Path(__file__).parents[1] / "opt-files"
KINDS = ("float", "int8-weights")
WRITTEN = {"2.10": "v2.10", "2.12": "v2.12", "2.13rc0": "v2.13-rc"}


def _account(file: NbFile) -> None:
    position = 0
    for region in file.regions:
        assert region.offset == position
        position += region.bytes
    assert position == file.size == file.path.stat().st_size
    parameters = next(region for region in file.regions if region.name == "parameters")
    assert sum(tensor.record for tensor in file.tensors) == parameters.bytes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", VERSIONS)
def test_totals_equal_the_size_of_the_file(version: str, kind: str) -> None:
    path = FILES / f"{version}-{kind}.nb"
    file = read_nb(path)
    _account(file)
    assert (file.meta_version, file.opt_version, file.target) == (2, WRITTEN[version], "arm")
    assert (file.inputs, len(file.outputs), file.blocks) == (("x",), 1, 1)
    assert {"conv2d", "depthwise_conv2d", "pool2d", "softmax"} <= {op.type for op in file.operators}
    document = json.loads(CliRunner().invoke(inspect, [str(path), "--json"]).stdout)
    assert sum(region["bytes"] for region in document["regions"]) == document["bytes"] == path.stat().st_size
    assert document["framing_bytes"] + sum(document["bytes_by_dtype"].values()) == sum(
        region["bytes"] for region in document["regions"] if region["name"].startswith("parameter")
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_weights_are_those_of_the_model(version: str) -> None:
    params = Graph.load(FILES / "inference.pdmodel", FILES / "inference.pdiparams").params
    for kind in KINDS:
        path = FILES / f"{version}-{kind}.nb"
        cosines, zeros = weight_likeness(read_nb(path), path.read_bytes(), params)
        assert set(cosines) == {"conv2d_0.w_0", "conv2d_1.w_0", "linear_0.w_0"} and not zeros
        assert min(cosines.values()) > 0.999


@pytest.mark.parametrize("version", VERSIONS)
def test_files_of_each_version_are_made_smaller(version: str, tmp_path: Path) -> None:
    content = (FILES / f"{version}-float.nb").read_bytes()
    small, _ = shrink(content, "int8")
    path = tmp_path / "small.nb"
    path.write_bytes(small)
    before, after = read_nb(FILES / f"{version}-float.nb"), read_nb(path)
    _account(after)
    assert after.size < 0.7 * before.size
    assert [op.type for op in after.operators] == [op.type for op in before.operators]
    for old, new in zip(before.operators, after.operators, strict=True):
        assert all(new.attributes[key] == value for key, value in old.attributes.items())
        assert (new.inputs, new.outputs) == (old.inputs, old.outputs)
    largest = {tensor.name: tensor.dtype for tensor in after.tensors if len(tensor.shape) == 4}
    assert largest == {"conv2d_0.w_0": "int8", "conv2d_1.w_0": "int8"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", VERSIONS)
def test_opt_makes_these_files_again(version: str, kind: str, tmp_path: Path) -> None:
    if version != DEFAULT_VERSION and not (cache_dir("opt") / f"paddlelite-{version}" / "plate-edge.json").is_file():
        pytest.skip(f"no environment for opt {version} yet: edge convert nb MODEL --target arm --opt-version {version}")
    graph = Graph.load(FILES / "inference.pdmodel", FILES / "inference.pdiparams")
    rewrite(graph, "arm", version)
    program, parameters = tmp_path / "a.pdmodel", tmp_path / "a.pdiparams"
    graph.save(program, parameters)
    made = tmp_path / "a.nb"
    run_opt(program, parameters, made, "arm", int8_weights=kind != "float", version=version)
    assert np.array_equal(
        np.frombuffer(made.read_bytes(), "u1"), np.frombuffer((FILES / f"{version}-{kind}.nb").read_bytes(), "u1")
    )
