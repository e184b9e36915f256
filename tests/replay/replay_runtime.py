"""Records the real runtime on this host, and builds the stand-in that answers from the recordings. See README.md."""

from __future__ import annotations

import os
import struct
import subprocess
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge.base.paths import cache_dir, write_atomic
from edge.bundle.toolchain import build_cmake, host_abi

HERE = Path(__file__).resolve().parent


def record(program: Path, config: Path, photos: Sequence[Path], out: Path, *options: str) -> dict[str, Path]:
    """Runs photos through `plate_ocr run` on this host with the recorder in between.

    Args:
        program: `plate_ocr`, linked with the wheel's library.
        config: A `plate.conf` for models made for x86.
        photos: Photos.
        out: Folder for the recordings; must be empty or new.
        options: More options of `plate_ocr run`, such as `--det-limit-side`, `640`.

    Returns:
        `det` and `rec` (the names of the model files) to their recordings; `rec` is missing when nothing was found.
    """
    recorder = build_cmake(HERE, "recorder", host_abi(), {}).folder / "lib" / "librecorder.so"
    out.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "LD_PRELOAD": str(recorder), "PLATE_RECORD": str(out)}
    argv = [str(program), "run", "--config", str(config), *options, *map(str, photos)]
    subprocess.run(argv, env=environment, stdout=subprocess.DEVNULL, check=True)
    return {path.stem: path for path in sorted(out.glob("*.run"))}


def build_replay(abi: str, recordings: Mapping[Path, Path]) -> Path:
    """Builds the stand-in for an ABI.

    Args:
        abi: As `edge.bundle.toolchain.ABIS`.
        recordings: Model file as it will be loaded (an `.nb` for the board) to the recording of the same model.

    Returns:
        Folder with `libpaddle_light_api_shared.so`, good for `edge runtime add` and `build_program`.
    """
    packed = _pack(recordings)
    path = cache_dir("replay") / f"{zlib.crc32(packed):08x}-{len(packed)}.bin"
    if not path.exists():
        write_atomic(path, packed)
    return build_cmake(HERE, "replay", abi, {"REPLAY_RECORDINGS": str(path)}).folder / "lib"


def _pack(recordings: Mapping[Path, Path]) -> bytes:
    out = [struct.pack("<I", len(recordings))]
    for model, recording in recordings.items():
        runs = _runs(recording.read_bytes())
        out.append(struct.pack("<QI", _identity(model.read_bytes()), len(runs)))
        out += runs
    return b"".join(out)


def _runs(raw: bytes) -> list[bytes]:
    """The runs of a recording, each with its output compressed."""
    runs = []
    at = 0
    while at < len(raw):
        start = at
        for size in (8, 4):
            (count,) = struct.unpack_from("<I", raw, at)
            at += 4 + count * size
        (sides,) = struct.unpack_from("<I", raw, at)
        shape = struct.unpack_from(f"<{sides}q", raw, at + 4)
        at += 4 + sides * 8
        head = raw[start:at]
        length = 2
        for side in shape:
            length *= side
        packed = zlib.compress(raw[at : at + length], 6)
        at += length
        runs.append(head + struct.pack("<I", len(packed)) + packed)
    return runs


def _identity(data: bytes) -> int:
    return len(data) << 32 | zlib.crc32(data)
