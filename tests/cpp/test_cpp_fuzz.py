"""Damaged files of every kind that the program reads, with fixed seeds, under sanitizers: a documented answer to each."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from cpp_program import FAST, clean_environment, lines, run

from edge.bundle.toolchain import BuildResult
from edge.bundle.zoo import ModelPair
from edge.ocr.config import PipelineConfig, dump_config
from edge.photo.listing import SAMPLES

DOCUMENTED = {0, 2, 3, 4, 5, 6}
# Where parsers decide: sizes, ends of ranges, markers, signs, what separates.
PIECES = [b"", b"\0", b"\xff", b"\xff\xd9", b"\xff\xda", b"\xff\xc4", b"\xff\xdb", b"\x7f\xff\xff\xff", b"\xff" * 8]
WORDS = [b"=", b"#", b'"', b"\\", b"\n", b"\r\n", b",", b"-", b"1e400", b"nan", b"9" * 30, b"\xef\xbb\xbf", b"\xe4\xba"]


def damaged(rng: random.Random, source: bytes, pieces: list[bytes], head: int) -> bytes:
    """A copy with some of: bytes changed, pieces put in or over, parts doubled, moved or left out, mostly in its head."""
    data = bytearray(source)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(min(head, len(data)) if rng.random() < 0.8 and data else len(data) + 1)
        length = rng.choice((1, 2, 4, 30))
        how = rng.randrange(6)
        if how == 0 and at < len(data):
            data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif how == 1:
            data[at : at + rng.choice((0, length))] = rng.choice(pieces)
        elif how == 2:
            data[at:at] = data[at : at + length] * rng.choice((1, 3, 200))
        elif how == 3:
            del data[at : at + length]
        elif how == 4:
            data[at : at + 2] = struct.pack(">H", rng.choice((0, 1, 2, 0xFFFF, rng.randrange(1 << 16))))
        elif rng.random() < 0.3:
            del data[at:]
    return bytes(data)


def write_cases(folder: Path, sources: list[bytes], count: int, pieces: list[bytes], head: int) -> list[Path]:
    rng = random.Random(20240)
    files = [folder / f"case-{number}" for number in range(count)]
    for file in files:
        file.write_bytes(damaged(rng, rng.choice(sources), pieces, head))
    return files


def answers(sanitized: BuildResult, *words: str | Path) -> list[str]:
    assert sanitized.tests is not None
    result = run(sanitized.tests, *words)
    assert result.returncode == 0, result.stdout[-500:] + result.stderr[-4000:]
    assert "Sanitizer" not in result.stderr and "runtime error" not in result.stderr
    return result.stdout.splitlines()


def pictures() -> list[bytes]:
    """A camera's JPEG with EXIF data, progressive, restarting and grey ones, and three kinds of PNG."""
    rng = np.random.default_rng(5)
    image = cv2.resize(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8), (60, 40))
    written = [
        (".jpg", image, []),
        (".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
        (".jpg", image, [cv2.IMWRITE_JPEG_RST_INTERVAL, 2]),
        (".jpg", image[:, :, 0], []),
        (".png", image, []),
        (".png", image.astype(np.uint16) * 257, []),
        (".png", np.dstack([image, image[:, :, 0]]), []),
    ]
    files = [cv2.imencode(ending, pixels, options)[1].tobytes() for ending, pixels, options in written]
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff
    return [*files, files[0][:2] + exif + files[0][2:]]


def test_damaged_heads_of_pictures(sanitized: BuildResult, tmp_path: Path) -> None:
    files = write_cases(tmp_path, pictures(), 3000, PIECES, 700)
    told = answers(sanitized, "--decode", "-", *files)
    assert len(told) == len(files)
    good = sum(not line.startswith("error: ") for line in told)
    assert 300 < good < 2700, "cases should be neither all harmless nor all hopeless"


@pytest.mark.parametrize(("kind", "code"), [("config", 3), ("dictionary", 3), ("grammar", 3), ("list", 3), ("nb", 4)])
def test_damaged_files_of_the_pipeline(kind: str, code: int, sanitized: BuildResult, tmp_path: Path) -> None:
    """Each is read or refused with the exit code of its kind."""
    program = b"conv2d/def/2/1/1\0"
    head = struct.pack("<H16sQ", 2, b"v2.13-rc", len(program))
    sources = {
        "config": dump_config(PipelineConfig()).encode(),
        "dictionary": "京\n皖\nA\n8\n \n".encode(),
        "grammar": "plate-edge/grammar/1\ncountry zz\nsymbols AB01京\nclass S AB01\nserial_letters 2\nfold O 0\n"
        "template 京SSSS\ntemplate SS京\n".encode(),
        "list": b"a.jpg\n\xff.jpg\n\n",
        "nb": head + program + struct.pack("<HHHHIII", 0, 0, 6, 1, 5, 9, 4) + b"12345",
    }
    files = write_cases(tmp_path, [sources[kind]], 1500, PIECES if kind == "nb" else WORDS, 3000)
    told = answers(sanitized, "--parse", kind, *files)
    assert len(told) == len(files)
    assert {line.split(":")[0] for line in told} <= {"ok", f"error {code}"}
    assert all(line == "ok" or "/case-" in line for line in told), "an error should name the file"
    assert "ok" in told and (kind == "list" or len(set(told)) > 1)


def test_the_whole_program_with_damaged_files(
    sanitized: BuildResult, conf: Path, ocr_models: ModelPair, tmp_path: Path
) -> None:
    """The real runtime in the sanitized program: a documented exit code, and one JSON line a photo."""
    # The sanitizer loads libraries on behalf of the runtime, which therefore are not found beside it; and what the
    # runtime leaves behind at the end is not the program's.
    found = {"env": clean_environment(LD_LIBRARY_PATH=str(sanitized.folder / "lib" / "libs"), ASAN_OPTIONS="detect_leaks=0")}
    for name in ("pictures", "config", "nb"):
        (tmp_path / name).mkdir()
    files = write_cases(tmp_path / "pictures", pictures(), 120, PIECES, 700)
    result = run(sanitized.program, "run", "--config", conf, "--det-limit-side", "64", *files, **found)
    assert result.returncode in (0, 5), result.stderr[-4000:]
    assert [line["image"] for line in lines(result)] == [str(file) for file in files]
    calls: list[tuple[str | Path, ...]] = []
    for file in write_cases(tmp_path / "config", [conf.read_bytes()], 25, WORDS, 1500):
        calls.append(("run", "--config", file, *FAST, SAMPLES / "none.jpg"))
    model = ocr_models.det.file(".nb").read_bytes()
    calls += [("version", "--model", file) for file in write_cases(tmp_path / "nb", [model], 12, PIECES, 26)]
    for words in calls:
        result = run(sanitized.program, *words, **found)
        assert result.returncode in DOCUMENTED, result.stderr[-4000:]
        assert "Sanitizer" not in result.stderr and "runtime error" not in result.stderr
