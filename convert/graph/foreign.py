"""Files given as a Paddle model that are something else: recognised by their first bytes, with the next step."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

from edge.base.errors import InputError, ModelError

ONNX_HINT = (
    "Export the network from Paddle if it was trained there; else turn it into a Paddle program with x2paddle "
    "(`pip install x2paddle`, `x2paddle --framework=onnx --model=FILE --save_dir=DIR`) and name the folder with "
    "inference.pdmodel or model.pdmodel that it makes."
)
PADDLE3_HINT = (
    "Export it again with the old program format: set FLAGS_enable_pir_api=0 before the export "
    "(PaddleOCR: `FLAGS_enable_pir_api=0 python tools/export_model.py ...`), or use paddlepaddle 2.6."
)
CHECKPOINT_HINT = (
    "Export it first: `edge train export FILE --task det|rec --out DIR` for PP-OCRv3's networks, "
    "`tools/export_model.py` of the project that trained it for others."
)
_NEEDED = "Name a folder with `inference.pdmodel` and `inference.pdiparams`."
# Suffix to what such a file is, and the next step.
_KINDS = {
    ".onnx": ("an ONNX model", ONNX_HINT),
    ".pdparams": ("a checkpoint, not an inference model", CHECKPOINT_HINT),
    ".pdopt": ("a checkpoint's optimiser state, not an inference model", CHECKPOINT_HINT),
    ".pth": ("PyTorch weights", f"Export them to ONNX first. {ONNX_HINT}"),
    ".pt": ("a PyTorch model", f"Export it to ONNX first. {ONNX_HINT}"),
    ".tflite": ("a TensorFlow Lite model", "Paddle Lite reads Paddle programs; export the network from Paddle or as ONNX."),
    ".nb": ("converted already", "Name its inference model; `edge convert inspect` shows a .nb."),
    ".tar": ("an archive", "Unpack it, and name the folder with inference.pdmodel."),
    ".zip": ("an archive", "Unpack it, and name the folder with inference.pdmodel."),
    ".gz": ("an archive", "Unpack it, and name the folder with inference.pdmodel."),
}


def explain_folder(path: Path, folder: Path) -> InputError | ModelError:
    """Says what lies where a `.pdmodel` was expected.

    Args:
        path: What the user named: a file or folder that exists.
        folder: The folder itself, or that of the file.
    """
    modern = [path] if path.is_file() and path.suffix == ".json" else sorted(folder.glob("*.json"))
    for file in modern:
        if _is_pir(file):
            return ModelError(f"{file} is a Paddle 3 program in JSON, which Paddle Lite cannot read.", PADDLE3_HINT)
    if path.is_file() and path.suffix.lower() in _KINDS:
        what, hint = _KINDS[path.suffix.lower()]
        return InputError(f"{path} is {what}.", hint)
    for suffix, (what, hint) in _KINDS.items():
        found = sorted(file for file in folder.iterdir() if file.suffix.lower() == suffix)
        if found and suffix == ".nb":
            return InputError(f"{folder} is {what}.", hint)
        if found and suffix in (".pdparams", ".pdopt"):
            return InputError(f"{folder} holds {what}: {found[0].name}.", hint.replace("FILE", str(found[0])))
        if found:
            return InputError(f"{found[0]} is {what}.", hint)
    if (folder / "__model__").is_file():
        return InputError(
            f"{folder} holds a model in Paddle 1's form (__model__).",
            "Load and save it with paddlepaddle 2.6: paddle.static.load_inference_model, save_inference_model.",
        )
    if any(folder.glob("*.pdiparams")):
        return InputError(f"{folder} holds parameters (.pdiparams) without their program (.pdmodel).", _NEEDED)
    inside = sorted(file.parent for file in folder.glob("*/*.pdmodel")) if path.is_dir() else []
    if inside:
        return InputError(f"{path} itself holds no inference model.", f"Name the folder inside it: {inside[0]}.")
    return InputError(f"{path} holds no inference model.", _NEEDED)


def _is_pir(file: Path) -> bool:
    """Paddle 3's program: its JSON names `pir`, or lies beside parameters of the same name."""
    try:
        with file.open("rb") as stream:
            head = stream.read(4096)
    except OSError:
        return False
    named = file.name == "inference.json" or file.with_suffix(".pdiparams").is_file()
    return b'"pir"' in head or (named and head.lstrip()[:1] == b"{")


def what_it_is(raw: bytes) -> tuple[str, str] | None:
    """Names content that is not a Paddle file by its first bytes, with the next step; None if they say nothing."""
    head = raw[:512].lstrip().lower()
    if not raw:
        return "is empty", "Copy or download it again."
    if raw.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the file itself", "Run `git lfs pull` in its repository."
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "is a web page, probably an error that a download saved", "Download it again, and look at its size."
    if b"\x00" not in raw[:4096] and raw[:1] == b"{" and b'"pir"' in raw[:4096]:
        return "is a Paddle 3 program in JSON, which Paddle Lite cannot read", PADDLE3_HINT
    for magic, name in ((b"PK\x03\x04", "a ZIP archive"), (b"\x1f\x8b", "a gzip file"), (b"BZh", "a bzip2 file"),
                        (b"\xfd7zXZ", "an xz file"), (b"7z\xbc\xaf", "a 7-Zip archive")):  # fmt: skip
        if raw.startswith(magic):
            return f"is {name}", "Unpack it first; if it is a checkpoint, export an inference model from it."
    if raw[257:262] == b"ustar":
        return "is a tar archive", "Unpack it first."
    if raw[:1] == b"\x80" and raw[1:2] in b"\x02\x03\x04\x05":
        return "is a pickle, as checkpoints are", CHECKPOINT_HINT
    if b"onnx" in raw[:64].lower() or b"pytorch" in raw[:64]:
        return "is an ONNX model", ONNX_HINT
    if not any(raw):
        return "holds nothing but zeros", "Copy or download it again."
    if len(raw) >= 1024 and entropy(raw[:65536]) > 7.5:
        return (
            "looks encrypted or compressed: its bytes are as even as random ones",
            "Decrypt or unpack it with the tool that made it, or export the model again.",
        )
    return None


def entropy(raw: bytes) -> float:
    """Returns bits per byte; random bytes of a kilobyte or more have above 7.7, programs below 6."""
    total = len(raw)
    return -sum(count / total * math.log2(count / total) for count in Counter(raw).values())


def cut_program(raw: bytes) -> str:
    """Says how much of a program is missing when its first block is longer than the file; empty when it is not."""
    if raw[:1] != b"\x0a":
        return ""
    length = shift = 0
    for index, byte in enumerate(raw[1:10], 1):
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            missing = index + 1 + length - len(raw)
            return f"is cut short: at least {missing:,} of {index + 1 + length:,} bytes are missing" if missing > 0 else ""
    return ""
