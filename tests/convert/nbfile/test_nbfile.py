"""The `.nb` reader: right on both meta versions, exact to the byte, and never surprised by a damaged file."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path

import flatbuffers
import pytest
from calls import count_calls
from nbwriter import FLOAT, INT8, _head, _param, topology, write_v1, write_v2

from convert.nbfile.contents import NbError
from convert.nbfile.reader import parse_nb, read_nb
from convert.size.anatomy import diff, dissect
from edge.base.errors import InputError
from edge.model.nb_header import read_nb_header

KERNEL = "__@kernel_type_attr@__"
OPS = [
    ("feed", {"X": ["feed"]}, {"Out": ["x"]}, {"col": 0, KERNEL: "feed/def/1/4/2"}),
    ("conv2d", {"Input": ["x"], "Filter": ["w"], "Bias": ["b"]}, {"Output": ["y"]},
     {KERNEL: "conv2d/def/4/2/1", "Input0_scale": 0.5, "hard_swish_scale": 6.0}),
    ("conv2d", {"Input": ["y"], "Filter": ["w2"]}, {"Output": ["z"]}, {KERNEL: "conv2d/def/4/1/1"}),
    ("prelu", {"X": ["z"], "Alpha": ["p"]}, {"Out": ["q"]}, {KERNEL: "prelu/def/4/1/1"}),
    ("fetch", {"X": ["q"]}, {"Out": ["fetch"]}, {"col": 0, KERNEL: "fetch/def/1/4/2"}),
]  # fmt: skip
WEIGHTS = [
    ("w", INT8, (4, 3, 8, 8), bytes(range(256)) * 3),
    ("b", FLOAT, (4,), bytes(16)),
    ("w2", FLOAT, (4, 4, 4, 4), bytes(1024)),
    ("p", FLOAT, (4, 4, 4, 4), bytes(1024)),
]
VARIABLES = ["x", "y", "z", "q", "w", "b"]
# Calls of functions that a small file may cost, damaged or not.
LITTLE = 10_000
WRITERS = {1: write_v1, 2: write_v2}


@pytest.mark.parametrize("meta", [1, 2])
def test_both_meta_versions(meta: int, tmp_path: Path) -> None:
    path = tmp_path / "m.nb"
    path.write_bytes(WRITERS[meta](OPS, VARIABLES, WEIGHTS))
    file = read_nb(path)
    assert file.meta_version == meta
    assert file.opt_version == read_nb_header(path).opt_version == {1: "v2.8", 2: "v2.13-rc"}[meta]
    assert sum(region.bytes for region in file.regions) == file.size == path.stat().st_size
    position = 0
    for region in file.regions:
        assert region.offset == position, "the regions follow one another"
        position += region.bytes
    assert [op.type for op in file.operators] == ["feed", "conv2d", "conv2d", "prelu", "fetch"]
    assert file.operators[1].inputs["Filter"] == ("w",)
    assert file.operators[1].kernel == ("arm", "int8", "NCHW")
    assert file.operators[1].scales == {"Input0_scale": 0.5}, "an activation's own constant is no scale"
    assert (file.inputs, file.outputs, file.target) == (("x",), ("q",), "arm")
    assert file.variables == ("x", "y", "z", "q")
    content = path.read_bytes()
    read = {t.name: (t.dtype, t.shape, content[t.offset : t.offset + t.bytes]) for t in file.tensors}
    names = {FLOAT: "float32", INT8: "int8"}
    assert read == {name: (names[dtype], shape, data) for name, dtype, shape, data in WEIGHTS}


def test_why_a_weight_is_still_fp32() -> None:
    content = write_v2(OPS, VARIABLES, WEIGHTS)
    anatomy = dissect(parse_nb(content, Path("m.nb")), content)
    reasons = {use.tensor.name: use.reason for use in anatomy.uses}
    assert reasons["w"] == ""
    assert "biases" in reasons["b"]
    assert "was not quantised" in reasons["w2"]
    assert "no int8 kernel for prelu" in reasons["p"]
    assert anatomy.duplicates == ((("w2", "p"), 1024),)
    assert anatomy.bytes_by_dtype == {"float32": 16 + 2048, "int8": 768}
    assert anatomy.elements == 768 + 4 + 256 + 256
    parameters = sum(r.bytes for r in anatomy.file.regions if r.name.startswith("parameter"))
    assert anatomy.framing + sum(anatomy.bytes_by_dtype.values()) == parameters


def test_difference_names_what_changed() -> None:
    other = [("w", FLOAT, (4, 3, 8, 8), bytes(3072)), ("b", FLOAT, (4,), b"\1" * 16), *WEIGHTS[2:]]
    a, b = write_v2(OPS, VARIABLES, WEIGHTS), write_v2(OPS[:-2], VARIABLES, other, "v2.12")
    difference = diff(*(dissect(parse_nb(raw, Path("m.nb")), raw) for raw in (a, b)), (a, b))
    assert difference.facts["opt_version"] == ("v2.13-rc", "v2.12")
    assert difference.operators == {"fetch": (1, 0), "prelu": (1, 0)}
    assert difference.tensors == {
        "b": ("float32[4]", "float32[4], other values"),
        "w": ("int8[4, 3, 8, 8]", "float32[4, 3, 8, 8]"),
    }


@pytest.mark.parametrize("meta", [1, 2])
def test_every_truncation_is_refused_with_an_offset(meta: int) -> None:
    content = WRITERS[meta](OPS, VARIABLES, WEIGHTS)
    for cut in [*range(0, 40), *range(40, len(content) - 1, 97), len(content) - 1]:
        with pytest.raises(NbError) as caught:
            parse_nb(content[:cut], Path("m.nb"))
        assert 0 <= caught.value.offset <= max(cut, 26) and "at byte" in str(caught.value)


def test_ten_thousand_mutations_end_in_a_file_or_a_sentence() -> None:
    rng = random.Random(1)
    originals = [write(OPS, VARIABLES, WEIGHTS) for write in WRITERS.values()]
    refused = 0
    most = 0
    for number in range(10_000):
        content = bytearray(rng.choice(originals))
        for _ in range(rng.randint(1, 8)):
            position = rng.randrange(len(content))
            width = rng.choice((1, 2, 4, 8))
            value = rng.choice((rng.randbytes(width), b"\xff" * width, b"\0" * width))
            content[position : position + width] = value

        def parse(content: bytes = bytes(content)) -> int:
            try:
                file = parse_nb(content, Path("m.nb"))
                assert sum(region.bytes for region in file.regions) == len(content)
            except NbError as error:
                assert 0 <= error.offset <= len(content) + 8
                return 1
            return 0

        if number % 50:
            refused += parse()
        else:
            most = max(most, count_calls(parse))
    assert refused > 2_000, "the mutations reach what is checked"
    assert most < LITTLE


def test_shared_tables_cannot_explode() -> None:
    # 2,000 references to one block of 2,000 references: four million visits from a file of 16 kB.
    b = bytearray(write_v2(OPS, VARIABLES, WEIGHTS))
    builder = flatbuffers.Builder(1024)
    leaf = builder.CreateString("a")

    def repeat(offset: int) -> int:
        builder.StartVector(4, 2000, 4)
        for _ in range(2000):
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()

    arguments = repeat(leaf)
    builder.StartObject(2)
    builder.PrependUOffsetTRelativeSlot(1, arguments, 0)
    variable = builder.EndObject()
    inputs = repeat(variable)
    builder.StartObject(5)
    builder.PrependUOffsetTRelativeSlot(1, inputs, 0)
    op = builder.EndObject()
    ops = repeat(op)
    builder.StartObject(5)
    builder.PrependUOffsetTRelativeSlot(3, ops, 0)
    block = builder.EndObject()
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(block)
    blocks = builder.EndVector()
    builder.StartObject(3)
    builder.PrependUOffsetTRelativeSlot(0, blocks, 0)
    builder.Finish(builder.EndObject())
    topo = bytes(builder.Output())
    content = bytes(b[:18]) + len(topo).to_bytes(8, "little") + topo

    def parse() -> None:
        with pytest.raises(NbError, match="more often than its size allows"):
            parse_nb(content, Path("m.nb"))

    assert count_calls(parse) < 300_000


def test_numbers_without_end_are_refused_at_once() -> None:
    """Sides whose product has a million digits, a kernel of 5,000 of them, weights that all share one block of data."""
    sides = (1 << 62,) * 60_000
    long = write_v2(OPS, VARIABLES, [("w", INT8, sides, b"")])
    digits = "/".join(["conv2d", "def", "9" * 5000, "1", "1"])
    kernel = write_v2([("conv2d", {}, {}, {KERNEL: digits})], [], [])
    block = bytes(1 << 20)
    builder = flatbuffers.Builder(1 << 21)
    record = _param(builder, ("w", INT8, (1 << 20,), block))
    builder.StartVector(4, 5_000, 4)
    for _ in range(5_000):
        builder.PrependUOffsetTRelative(record)
    records = builder.EndVector()
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, records, 0)
    builder.Finish(builder.EndObject())
    head = _head(1, "v2.8", topology(OPS, VARIABLES))
    sharing = head + bytes(builder.Output())
    tracemalloc.start()
    # Their product would take minutes: they are counted before.
    with pytest.raises(NbError, match="60000 dimensions"):
        parse_nb(long, Path("m.nb"))
    file = parse_nb(kernel, Path("m.nb"))
    assert file.operators[0].kernel == ("unknown", "float", "NCHW")
    with pytest.raises(NbError, match="share their data"):
        parse_nb(sharing, Path("m.nb"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"{peak / 1e6:.0f} MB")
    assert peak < 60e6


def test_large_weights_cost_no_more_calls_and_twice_their_memory(tmp_path: Path) -> None:
    calls = []
    path = tmp_path / "big.nb"
    for size in (1 << 10, 4 << 20):
        block = os.urandom(size)
        path.write_bytes(write_v2(OPS, VARIABLES, [(f"w{i}", INT8, (size,), block) for i in range(10)]))
        del block
        calls.append(count_calls(lambda: read_nb(path)))
    assert calls[1] < LITTLE and calls[1] - calls[0] < 100
    tracemalloc.start()
    file = read_nb(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(file.tensors) == 10
    assert peak <= 2 * path.stat().st_size


def test_what_is_no_nb_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a file"):
        read_nb(tmp_path)
    (tmp_path / "photo.nb").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    with pytest.raises(NbError, match="unknown meta version"):
        read_nb(tmp_path / "photo.nb")
    (tmp_path / "old.nb").write_bytes(_head(0, "v2.6", bytes(100)))
    with pytest.raises(NbError, match=r"meta version 0, which opt v2\.6 wrote") as caught:
        read_nb(tmp_path / "old.nb")
    assert "edge convert nb" in caught.value.hint


def test_inspect_prints_json_and_page_without_paddle(tmp_path: Path) -> None:
    path = tmp_path / "a name with spaces.nb"
    path.write_bytes(write_v2(OPS, VARIABLES, WEIGHTS))
    program = (
        "import sys; sys.modules['paddle'] = None; sys.modules['paddlelite'] = None;"
        "from edge.cli import main; sys.argv[0] = 'edge'; main()"
    )
    page = tmp_path / "page.html"
    answer = subprocess.run(
        [sys.executable, "-c", program, "convert", "inspect", str(path), "--json", "--html", str(page)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    document = json.loads(answer.stdout)
    assert document["bytes"] == path.stat().st_size == sum(region["bytes"] for region in document["regions"])
    text = page.read_text()
    assert "<svg" in text and "no int8 kernel for prelu" in text and "http" not in text


def test_names_that_look_like_markup_are_shown_as_they_are(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from convert.commands.inspect import inspect
    from convert.commands.size import size

    path = tmp_path / "run[old]" / "m.nb"
    path.parent.mkdir()
    path.write_bytes(write_v2([("conv2d", {"Filter": ["[/b]w"]}, {}, {})], [], [("[/b]w", INT8, (4,), bytes(4))]))
    for command, wanted in ((inspect, ("run[old]/m.nb", "[/b]w")), (size, ("run[old]/m.nb",))):
        answer = CliRunner().invoke(command, [str(path)], env={"COLUMNS": "300"}, catch_exceptions=False)
        assert answer.exit_code == 0 and all(text in answer.stdout for text in wanted), answer.stdout


def test_size_gives_the_floor(tmp_path: Path) -> None:
    path = tmp_path / "m.nb"
    path.write_bytes(write_v2(OPS, VARIABLES, WEIGHTS))
    answer = subprocess.run(
        [sys.executable, "-m", "edge", "convert", "size", str(path), "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    row = json.loads(answer.stdout)["files"][0]
    assert row["floor"] == 1284 and row["bytes"] == path.stat().st_size
    assert row["int8"] + row["float32"] + row["other"] + row["topology"] + row["framing"] == row["bytes"]
