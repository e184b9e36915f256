"""What is given as a Paddle model and is something else: named as what it is, with the way on."""

from __future__ import annotations

import gzip
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from netwriter import detector

from convert.graph.edit import Graph
from convert.opt.source import find_files
from edge.base.errors import EdgeError

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3771200\n"
PIR = b'{"base_code": {"magic": "pir", "version": 1}, "program": {}}'


def _error(call: Callable[[], object]) -> EdgeError:
    with pytest.raises(EdgeError) as caught:
        call()
    assert "\n" not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("files", "what", "hint"),
    [
        ({"model.onnx": b"\x08\x07"}, "model.onnx is an ONNX model", "x2paddle"),
        ({"inference.json": PIR}, "Paddle 3 program", "FLAGS_enable_pir_api=0"),
        ({"inference.json": PIR, "inference.pdiparams": b"x"}, "Paddle 3 program", "FLAGS_enable_pir_api=0"),
        ({"best.pdparams": b"x", "best.pdopt": b"x"}, "holds a checkpoint", "edge train export "),
        ({"m.pth": b"x"}, "PyTorch", "ONNX"),
        ({"inference.tar": b"x"}, "archive", "Unpack"),
        ({"__model__": b"x", "w0": b"x"}, "Paddle 1", "save_inference_model"),
        ({"inference.pdiparams": b"x"}, "without their program", "inference.pdmodel"),
        ({"det.nb": b"x"}, "converted already", "inspect"),
        ({"inner/inference.pdmodel": b"x"}, "itself holds no inference model", "inner"),
        ({"readme.txt": b"x"}, "holds no inference model", "inference.pdmodel"),
    ],
)
def test_folders_say_what_they_hold(files: dict[str, bytes], what: str, hint: str, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    error = _error(lambda: find_files(tmp_path))
    assert what in error.message and hint in error.hint, error
    first = tmp_path / next(iter(files))
    if first.suffix in (".onnx", ".json", ".pdparams", ".pth", ".tar"):
        assert what.split()[-1] in _error(lambda: find_files(first)).message, "the file itself is named likewise"


@pytest.mark.parametrize(
    ("content", "what", "hint"),
    [
        (b"", "is empty", "again"),
        (LFS, "Git LFS pointer", "git lfs pull"),
        (b"<!DOCTYPE html><html><body>404", "web page", "Download it again"),
        (b"\n<HTML><head>", "web page", "Download it again"),
        (gzip.compress(b"x" * 100, mtime=0), "gzip", "Unpack"),
        (b"PK\x03\x04" + bytes(50), "ZIP", "Unpack"),
        (bytes(257) + b"ustar" + bytes(300), "tar archive", "Unpack"),
        (pickle.dumps({"a": 1}, protocol=4), "pickle", "edge train export"),
        (b"\x08\x07\x12\x07pytorch" + bytes(40), "ONNX", "x2paddle"),
        (bytes(4000), "nothing but zeros", "again"),
        (np.random.default_rng(0).bytes(5000), "encrypted or compressed", "Decrypt"),
    ],
)
@pytest.mark.parametrize("suffix", [".pdmodel", ".pdiparams"])
def test_contents_say_what_they_are(content: bytes, what: str, hint: str, suffix: str, tmp_path: Path) -> None:
    folder = detector(tmp_path / "det")
    (folder / f"inference{suffix}").write_bytes(content)
    error = _error(lambda: Graph.load(*find_files(folder)))
    assert f"inference{suffix} " in error.message and what in error.message and hint in error.hint, error


def test_a_program_that_was_cut_says_how_much_is_missing(tmp_path: Path) -> None:
    folder = detector(tmp_path / "det")
    whole = (folder / "inference.pdmodel").read_bytes()
    for kept in range(10, len(whole) - 10, 40):
        (folder / "inference.pdmodel").write_bytes(whole[:kept])
        error = _error(lambda: Graph.load(*find_files(folder)))
        assert "is cut short" in error.message and "bytes are missing" in error.message, (kept, error)


def test_parameters_of_other_content_are_never_called_encrypted_for_their_noise(tmp_path: Path) -> None:
    """Weights look like noise as well; what breaks behind the first tensor is said to break there."""
    folder = detector(tmp_path / "det")
    path = folder / "inference.pdiparams"
    path.write_bytes(path.read_bytes() + zlib.compress(b"x"))
    assert "bytes more than" in _error(lambda: Graph.load(*find_files(folder))).message
