"""Smaller `.nb` files: the same network, loaded by the real library, in fewer bytes."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import numpy as np
import pytest
from nbwriter import FLOAT, write_v1, write_v2

from convert.nbfile.contents import NbError
from convert.nbfile.flat import Buffer
from convert.nbfile.pack import pack
from convert.nbfile.reader import HEADER, parse_nb, read_nb
from convert.nbfile.schema import read_table
from convert.opt.convert import Options, convert_model, existing, fitting_options
from convert.size.shrink import quantise, shrink
from edge.base.errors import UsageError
from edge.bundle.zoo import SHIPPED
from edge.model.card import Model, load_model
from edge.runtime.paddle_lite import LiteNetwork

KERNEL = "__@kernel_type_attr@__"
NAMES = {"x": ["x"], "w": ["depthwise_weight"], "long": ["a", "bcd", "a"]}
OPS = [
    ("feed", {"X": ["feed"]}, {"Out": ["x"]}, {"col": 0, KERNEL: "feed/def/1/4/2"}),
    *[
        ("depthwise_conv2d", {"Filter": ["w"], "Input": ["x"]}, {"Output": ["x"]},
         {KERNEL: "depthwise_conv2d/def/4/1/1", "groups": 8})
        for _ in range(20)
    ],
    ("concat", {"X": ["x", "x", "w"]}, {"Out": ["x"]}, {KERNEL: "concat/def/4/4/1"}),
    ("fetch", {"X": ["x"]}, {"Out": ["fetch"]}, {"col": 0, KERNEL: "fetch/def/1/4/2"}),
]  # fmt: skip
VALUES = np.random.default_rng(0).normal(0, 1, (8, 1, 5, 5)).astype("<f4")
WEIGHTS = [("w", FLOAT, VALUES.shape, VALUES.tobytes())]


def _zoo(name: str) -> Model:
    return load_model(SHIPPED / "plate-v1" / name)


def test_packed_file_says_the_same_in_fewer_bytes(tmp_path: Path) -> None:
    content = write_v2(OPS, ["x", "w"], WEIGHTS)
    small, steps = shrink(content)
    assert [step.name for step in steps] == ["opt", "pack"]
    assert (steps[0].bytes, steps[1].bytes) == (len(content), len(small)) and len(small) < 0.5 * len(content)
    before, after = parse_nb(content, tmp_path), parse_nb(small, tmp_path)
    assert after.operators == before.operators and after.variables == before.variables
    assert [(t.name, t.dtype, t.shape) for t in after.tensors] == [(t.name, t.dtype, t.shape) for t in before.tensors]
    assert sum(region.bytes for region in after.regions) == len(small)
    assert shrink(small)[0] == small, "what is packed stays"


def test_equal_numbers_of_different_bits_stay_different() -> None:
    zeros = {"type": "op", "attrs": [{"name": "a", "f": 0.0}, {"name": "a", "f": -0.0}, {"name": "a", "f": 0.0}]}
    again = read_table(Buffer(memoryview(pack(zeros, "Op")), 0).root(), "Op")
    assert [bool(np.signbit(item["f"])) for item in again["attrs"]] == [False, True, False]


def test_a_text_ends_where_the_light_library_looks() -> None:
    """It takes the first argument of each parameter as the bytes from the list's first text to its `end()`."""
    node = {"type": "op", "inputs": [{"parameter": key, "arguments": value} for key, value in NAMES.items()]}
    data = pack(node, "Op")
    buffer = Buffer(memoryview(data), 0)
    for slot in buffer.root().tables(1):
        position = slot.field(1)
        assert position is not None
        start, count = buffer.vector(position + struct.unpack_from("<I", data, position)[0], 4)
        first, end = (at + struct.unpack_from("<I", data, at)[0] + 4 for at in (start, start + 4 * count))
        assert data[first:end].decode() == NAMES[slot.string(0)][0]


@pytest.mark.parametrize(("weights", "error"), [("int16", 3e-5), ("int8", 6e-3)])
def test_weights_become_integers_with_a_scale_a_channel(weights: str, error: float, tmp_path: Path) -> None:
    small, steps = shrink(write_v2(OPS, ["x", "w"], WEIGHTS), weights)
    assert steps[-1].name == f"{weights}-weights" and steps[-1].count == 1
    file = parse_nb(small, tmp_path)
    carriers = [op for op in file.operators if "quantize_weight_bits" in op.attributes]
    assert len(carriers) == 1, "a weight that twenty operators read is turned back once"
    tensor = file.tensors[0]
    integers = np.frombuffer(small, f"<i{2 if weights == 'int16' else 1}", VALUES.size, tensor.offset)
    scales = np.asarray(carriers[0].attributes["w_quant_scale"], np.float32)
    back = integers.reshape(VALUES.shape) * scales.reshape(-1, 1, 1, 1)
    largest = np.abs(VALUES).max((1, 2, 3), keepdims=True)
    assert (np.abs(back - VALUES) / largest).max() < error


def test_channels_of_zeros_and_what_is_not_worth_it() -> None:
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        for nothing in (0.0, 1e-44, 1e-39):
            integers, scales = quantise(np.full((2, 3), nothing, np.float32), 1, 8)
            assert not integers.any() and np.isfinite(scales).all() and (scales > 1e-30).all()
    tiny = write_v2(OPS, ["x"], [("w", FLOAT, (4, 1, 2, 2), bytes(64))])
    assert shrink(tiny, "int8")[1][-1].count == 0


def test_older_files_are_left_alone_and_damaged_ones_refused() -> None:
    old = write_v1(OPS, ["x"], WEIGHTS)
    assert shrink(old, "int8")[0] == old
    good = write_v2(OPS, ["x"], WEIGHTS)
    with pytest.raises(NbError, match="at byte"):
        shrink(good[:-7])
    with pytest.raises(NbError):
        shrink(good[:HEADER] + bytes([255]) * 40 + good[HEADER + 40 :])


def test_mutated_files_are_refused_or_stay_readable(tmp_path: Path) -> None:
    good = (Path(__file__).parents[1] / "opt-files" / "2.13rc0-float.nb").read_bytes()
    rng = random.Random(2)
    refused = 0
    for _ in range(400):
        content = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            content[rng.randrange(2, len(content))] = rng.randrange(256)
        try:
            small, _ = shrink(bytes(content), "int8")
        except NbError:
            refused += 1
        else:
            parse_nb(small, tmp_path)
    assert 50 < refused < 400


@pytest.mark.parametrize(("task", "most"), [("det", 900_000), ("rec", 2_600_000)])
def test_shipped_int8_models_keep_the_projects_limits(task: str, most: int, tmp_path: Path) -> None:
    made = convert_model(_zoo(f"{task}-int8"), tmp_path / "nb", Options("arm"))
    assert made.card.bytes <= most
    assert made.card.opt is not None
    sizes = [step["bytes"] for step in made.card.opt["steps"]]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] == made.file(".nb").stat().st_size
    floats = [t for t in read_nb(made.file(".nb")).tensors if t.dtype == "float32" and len(t.shape) > 1]
    assert sum(tensor.bytes for tensor in floats) < 12_000, "only the transposed convolutions are left"


@pytest.mark.parametrize(("task", "shape"), [("det", (1, 3, 96, 64)), ("rec", (1, 3, 48, 160))])
def test_paddle_lite_computes_the_same_from_smaller_files(task: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    x = np.random.default_rng(0).uniform(-1.5, 1.5, shape).astype(np.float32)
    model = _zoo(f"{task}-fp32")

    def run(name: str, options: Options) -> tuple[int, np.ndarray]:
        made = convert_model(model, tmp_path / name, options)
        return made.card.bytes, LiteNetwork(made.file(".nb"), trusted=True).run(x)

    plain = run("plain", Options("x86", packed=False))
    packed = run("packed", Options("x86"))
    assert packed[0] < plain[0] and np.array_equal(packed[1], plain[1])
    # Sums in another order, since a matmul becomes a mul, and the rounding of the weights.
    for weights, share, most in (("int16", 0.54, 1e-5), ("int8", 0.31, 2e-3)):
        size, output = run(weights, Options("x86", weights=weights))
        assert size < share * plain[0]
        assert np.abs(output - plain[1]).mean() < most


def test_options_are_remembered_and_refused_where_they_do_not_fit(tmp_path: Path) -> None:
    source = _zoo("det-fp32")
    small = Options("arm", weights="int16")
    made = convert_model(source, tmp_path / "a", small)
    assert existing(source, made.folder, small) is not None
    assert existing(source, made.folder, Options("arm")) is None
    for options in (Options("opencl", weights="int8"), Options("arm", fp16=True, weights="int8")):
        with pytest.raises(UsageError, match="--weights int8 is for float models"):
            fitting_options(options, None)
    data = memoryview(made.file(".nb").read_bytes())
    size = int.from_bytes(data[18:HEADER], "little")
    read_table(Buffer(data[HEADER : HEADER + size], HEADER).root(), "Program")
