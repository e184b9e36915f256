"""The C++ unit tests, sanitized on this host and under emulation as ARM programs, which must compute the same."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from cpp_program import SAMPLES, count_instructions, emulator

from edge.errors import InputError
from edge.ocr.image import load_image
from edge.toolchain import BuildResult, build_program


def call(argv: list[str]) -> str:
    result = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "ERROR: AddressSanitizer" not in result.stderr and "runtime error" not in result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def fingerprint(sanitized: BuildResult) -> str:
    return call([str(sanitized.tests), "--fingerprint"])


def test_unit_tests_pass_with_sanitizers(sanitized: BuildResult) -> None:
    assert " 0 failed checks" in call([str(sanitized.tests)])


@pytest.mark.parametrize("abi", ["arm64", "armhf"])
def test_arm_builds_compute_what_the_host_computes(abi: str, fingerprint: str) -> None:
    """Warnings are errors in these builds; `fingerprint` holds digests of what every stage computes."""
    qemu = emulator(abi)
    if shutil.which(qemu[0]) is None:
        pytest.skip(f"{qemu[0]} is not installed (Debian: qemu-user-static)")
    tests = build_program(abi, tests=True).tests
    assert " 0 failed checks" in call([*qemu, str(tests)])
    assert call([*qemu, str(tests), "--fingerprint"]) == fingerprint


def decoded(sanitized: BuildResult, folder: Path, files: list[Path]) -> list[str]:
    return call([str(sanitized.tests), "--decode", str(folder), *map(str, files)]).splitlines()


def picture(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    small = rng.integers(0, 256, (max(1, height // 9), max(1, width // 9), 3)).astype(np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def test_pixels_are_those_of_opencv(sanitized: BuildResult, tmp_path: Path) -> None:
    """Odd sizes, grey, progressive, restart markers, every usual chroma subsampling's own kernel, PNG."""
    files = sorted(SAMPLES.glob("*.jpg"))[:2]
    written = [
        ("plain.jpg", picture(123, 77), [cv2.IMWRITE_JPEG_QUALITY, 60]),
        ("fine.jpg", picture(64, 200), [cv2.IMWRITE_JPEG_QUALITY, 98]),
        ("progressive.jpg", picture(90, 131), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
        ("restart.jpg", picture(80, 80), [cv2.IMWRITE_JPEG_RST_INTERVAL, 3]),
        ("tiny.jpg", picture(1, 1), []),
        ("thin.jpg", picture(1, 40), []),
        ("grey.jpg", picture(50, 70)[:, :, 0], []),
        ("colour.png", picture(31, 57), []),
        ("alpha.png", np.dstack([picture(20, 20), picture(20, 20)[:, :, 0]]), []),
    ]
    for name, image, options in written:
        cv2.imwrite(str(tmp_path / name), image, options)
        files.append(tmp_path / name)
    told = decoded(sanitized, tmp_path, files)
    for number, (file, line) in enumerate(zip(files, told, strict=True)):
        expected = cv2.imread(str(file))
        assert line == f"{expected.shape[1]} {expected.shape[0]}", file.name
        found = cv2.imread(str(tmp_path / f"{number}.ppm"))
        assert np.array_equal(found, expected), f"{file.name}: {np.abs(found.astype(int) - expected).max()}"


def test_thousands_of_scans_are_refused_at_once(sanitized: BuildResult, tmp_path: Path) -> None:
    """A scan of 14 bytes is a pass over the whole picture; up to a hundred are read, as libjpeg-turbo reads them."""
    cv2.imwrite(str(tmp_path / "progressive.jpg"), picture(90, 131), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    good = (tmp_path / "progressive.jpg").read_bytes()
    # The second scan of the first coefficients adds a bit to each, and may be empty: then all bits are zeros.
    refinement = b"\xff\xda\0\x0c\3\1\0\2\0\3\0\0\0\x10"
    assert good.count(refinement) == 1
    before = good.count(b"\xff\xda")
    for scans in (100, 101, 50_000):
        (tmp_path / f"{scans}.jpg").write_bytes(good[:-2] + refinement * (scans - before) + good[-2:])
    many, *refused = decoded(sanitized, tmp_path, [tmp_path / f"{scans}.jpg" for scans in (100, 101, 50_000)])
    assert many == "131 90" and all("more than 100 scans" in line for line in refused)
    read = cv2.imread(str(tmp_path / "0.ppm"))
    assert np.array_equal(read, cv2.imread(str(tmp_path / "100.jpg")))
    # The reference draws the same line.
    assert np.array_equal(read, load_image(tmp_path / "100.jpg"))
    for scans in (101, 50_000):
        with pytest.raises(InputError, match="more than 100 scans"):
            load_image(tmp_path / f"{scans}.jpg")
    thumbnail = b"\xff\xe1" + (2 + 14 * 500).to_bytes(2, "big") + refinement * 500
    (tmp_path / "thumbnail.jpg").write_bytes(good[:2] + thumbnail + good[2:])
    assert np.array_equal(load_image(tmp_path / "thumbnail.jpg"), cv2.imread(str(tmp_path / "progressive.jpg")))


def overlapping_tables(path: Path, units: int) -> Path:
    """Every 21 bytes begin a segment whose tables go on for 64 kB: read one by one, a minute and more of work."""
    path.write_bytes(b"\xff\xd8\xff\xe0\0\4JF" + (bytes(16) + b"\4\xff\xc4\xff\0") * units)
    return path


def test_overlapping_huffman_tables_are_refused(sanitized: BuildResult, tmp_path: Path) -> None:
    file = overlapping_tables(tmp_path / "tables.jpg", 100_000)
    assert decoded(sanitized, Path("-"), [file])[0].startswith("error: damaged")


def test_overlapping_huffman_tables_cost_a_few_instructions_a_byte(plugin: Path, tmp_path: Path) -> None:
    tests = build_program("arm64", tests=True).tests
    assert tests is not None
    few, many = (
        count_instructions(plugin, tests, "--decode", "-", overlapping_tables(tmp_path / f"{units}.jpg", units))
        for units in (1_000, 21_000)
    )
    assert many - few < 100 * 20_000 * 21


def test_damaged_pictures_are_errors_or_pictures(sanitized: BuildResult, tmp_path: Path) -> None:
    """400 files with damaged bytes or an end missing, under sanitizers: never a crash, never a huge allocation."""
    random.seed(3)
    sources = []
    for name, options in (("a.jpg", []), ("b.jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]), ("c.png", [])):
        cv2.imwrite(str(tmp_path / name), picture(40, 60), options)
        sources.append((tmp_path / name).read_bytes())
    files = []
    for number in range(400):
        data = bytearray(random.choice(sources))
        if number % 4 == 0:
            del data[random.randrange(len(data)) :]
        for _ in range(random.choice([0, 1, 3, 20])):
            if data:
                data[random.randrange(len(data))] = random.randrange(256)
        file = tmp_path / f"damaged-{number}"
        file.write_bytes(data)
        files.append(file)
    told = decoded(sanitized, Path("-"), files)
    assert len(told) == len(files)
    assert any(line.startswith("error: ") for line in told) and any(not line.startswith("error") for line in told)
