"""The C++ unit tests, sanitized on this host and under emulation as ARM programs, which must compute the same."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from cpp_program import count_instructions, emulator

from edge.base.errors import InputError
from edge.bundle.toolchain import BuildResult, build_program
from edge.ocr.image import load_image, load_photo
from edge.photo.listing import SAMPLES


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


def decoded(sanitized: BuildResult, folder: Path, files: list[Path], *options: str) -> list[str]:
    return call([str(sanitized.tests), "--decode", str(folder), *options, *map(str, files)]).splitlines()


def picture(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    small = rng.integers(0, 256, (max(1, height // 9), max(1, width // 9), 3)).astype(np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def jpeg(path: Path, image: np.ndarray, **options: Any) -> Path:
    """Writes a JPEG with Pillow, which has more kinds than OpenCV."""
    from PIL import Image

    Image.fromarray(image if image.ndim == 2 or image.shape[2] == 4 else image[:, :, ::-1], options.pop("mode", None)).save(
        path, "JPEG", **options
    )
    return path


KINDS: dict[str, dict[str, Any]] = {
    "444": {"subsampling": 0, "quality": 95},
    "422": {"subsampling": 1, "quality": 60},
    "420": {"subsampling": 2, "quality": 85},
    "progressive": {"subsampling": 2, "progressive": True},
    "restarts": {"subsampling": 2, "restart_marker_blocks": 3},
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Samples, and JPEGs of every usual chroma subsampling, odd sizes, colour space and order of scans, and PNGs."""
    folder = tmp_path_factory.mktemp("pictures")
    files = [
        jpeg(folder / f"{name}-{width}x{height}.jpg", picture(height, width), **options)
        for name, options in KINDS.items()
        for height, width in ((123, 77), (64, 96), (33, 50))
    ]
    # 4:4:0 is 4:2:2 turned: the factors of the first component change places, and so do those of the sides.
    for file in [file for file in files if file.name.startswith("422")]:
        data = bytearray(file.read_bytes())
        frame = data.index(b"\xff\xc0")
        if data[frame + 11] == 0x21 and file.name.endswith("64x96.jpg") is False:
            data[frame + 11] = 0x12
            side = data[frame + 5 : frame + 7]
            data[frame + 5 : frame + 7] = data[frame + 7 : frame + 9]
            data[frame + 7 : frame + 9] = side
            (folder / f"440-{file.name[4:]}").write_bytes(data)
            files.append(folder / f"440-{file.name[4:]}")
    grey, ink = picture(50, 70)[:, :, 0], np.dstack([picture(45, 61), picture(45, 61)[:, :, 1]])
    files += [
        jpeg(folder / "grey.jpg", grey),
        jpeg(folder / "cmyk.jpg", ink, mode="CMYK"),
        jpeg(folder / "tiny.jpg", picture(1, 1)),
        jpeg(folder / "thin.jpg", picture(1, 40)),
        *sorted(SAMPLES.glob("*.jpg"))[:2],
    ]
    for name, image in (("colour", picture(31, 57)), ("alpha", np.dstack([picture(20, 20), picture(20, 20)[:, :, 0]]))):
        cv2.imwrite(str(folder / f"{name}.png"), image)
        files.append(folder / f"{name}.png")
    return files


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_pixels_are_those_of_opencv(scale: int, sanitized: BuildResult, pictures: list[Path], tmp_path: Path) -> None:
    """To the last bit, at whole, half and quarter sides; the reference decodes with OpenCV."""
    told = decoded(sanitized, tmp_path, pictures, "--scale", str(scale))
    for number, (file, line) in enumerate(zip(pictures, told, strict=True)):
        photo = load_photo(file, lambda height, width: scale)
        expected = photo.bgr
        assert line == f"{expected.shape[1]} {expected.shape[0]}", file.name
        found = cv2.imread(str(tmp_path / f"{number}.ppm"))
        assert np.array_equal(found, expected), f"{file.name}: {np.abs(found.astype(int) - expected).max()}"
        assert photo.scale == (scale if file.suffix == ".jpg" else 1)


def test_pixels_of_the_fallback_are_those_of_opencv(sanitized: BuildResult, pictures: list[Path], tmp_path: Path) -> None:
    """Where libjpeg-turbo cannot be had stb_image decodes, with kernels that give libjpeg's pixels in usual photos."""
    files = [file for file in pictures if file.suffix == ".jpg" and not file.name.startswith(("440", "422", "cmyk"))]
    told = call([str(sanitized.tests), "--decode-stb", str(tmp_path), *map(str, files)]).splitlines()
    for number, (file, line) in enumerate(zip(files, told, strict=True)):
        expected = cv2.imread(str(file))
        assert line == f"{expected.shape[1]} {expected.shape[0]}", file.name
        assert np.array_equal(cv2.imread(str(tmp_path / f"{number}.ppm")), expected), file.name


def damaged_end(data: bytes, case: str) -> bytes:
    changes = {
        "last byte": data[:-1],
        "last bytes": data[:-15],
        "no end": data[:-2],
        "no end, then text": data[:-2] + b"text" * 50,
        "bytes before the end": data[:-2] + b"12345" + data[-2:],
        "a marker before the end": data[:-2] + b"\xff\x3c" + data[-2:],
        "a restart before the end": data[:-2] + b"ab\xff\xd3" + data[-2:],
        "a tenth": data[: len(data) * 9 // 10],
        "zeros": data[: len(data) * 9 // 10] + bytes(len(data) // 10),
    }
    return changes[case]


@pytest.mark.parametrize("case", ["last byte", "last bytes", "no end", "no end, then text", "bytes before the end",
                                  "a marker before the end", "a restart before the end", "a tenth", "zeros"])  # fmt: skip
def test_a_damaged_end_is_read_with_a_warning(case: str, sanitized: BuildResult, tmp_path: Path) -> None:
    """As browsers and OpenCV do; the reference reads the same pixels."""
    file = tmp_path / "damaged.jpg"
    file.write_bytes(damaged_end((SAMPLES / "blue-day.jpg").read_bytes(), case))
    (told,) = decoded(sanitized, tmp_path, [file])
    size, *warnings = told.split(" | ")
    # A restart marker behind the last block is passed over without a word.
    assert size == "720 1160" and bool(warnings) == (case != "a restart before the end")
    found, expected = cv2.imread(str(tmp_path / "0.ppm")), load_image(file)
    # What damaged data is decoded to is a version's own.
    good = 1000 if case == "zeros" else len(expected)
    assert np.array_equal(found[:good], expected[:good])
    if case == "a tenth":
        assert "% of its rows are missing" in warnings[-1]


@pytest.mark.parametrize("scale", ["1", "2"])
def test_a_picture_of_which_much_is_missing_is_refused(scale: str, sanitized: BuildResult, tmp_path: Path) -> None:
    """Cut after its head, half-way, with a stray marker in the middle, turned by EXIF; in the reference too."""
    good = (SAMPLES / "blue-day.jpg").read_bytes()
    middle = len(good) // 2
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    exif = b"\xff\xe1" + (len(tiff) + 8).to_bytes(2, "big") + b"Exif\0\0" + tiff
    contents = {
        "head.jpg": good[:700],
        "half.jpg": good[:middle],
        "marker.jpg": good[:middle] + b"\xff\x3c" + good[middle + 2 :],
        "turned.jpg": good[:2] + exif + good[2:middle],
    }
    files = [tmp_path / name for name in contents]
    for file, data in zip(files, contents.values(), strict=True):
        file.write_bytes(data)
    for file, line in zip(files, decoded(sanitized, Path("-"), files, "--scale", scale), strict=True):
        assert line.startswith("error: damaged: the last ") and line.endswith("% of its rows are missing")
        with pytest.raises(InputError, match="rows are missing"):
            load_image(file)


def test_a_grey_picture_is_not_taken_for_a_missing_one(sanitized: BuildResult, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.jpg"), np.full((64, 64, 3), 128, np.uint8))
    assert decoded(sanitized, tmp_path, [tmp_path / "grey.jpg"]) == ["64 64"]
    assert (load_image(tmp_path / "grey.jpg") == 128).all()


def test_a_png_whose_checksum_does_not_fit_is_refused(sanitized: BuildResult, tmp_path: Path) -> None:
    """Of a chunk that the picture needs; a remark may be as bad as it likes."""
    good = cv2.imencode(".png", picture(20, 30))[1].tobytes()
    remark = b"\0\0\0\4tEXtabcd\0\0\0\0"
    (tmp_path / "remark.png").write_bytes(good[:33] + remark + good[33:])
    bad = {"header.png": 29, "data.png": len(good) - 13, "end.png": len(good) - 1}
    for name, at in bad.items():
        data = bytearray(good)
        data[at] ^= 1
        (tmp_path / name).write_bytes(data)
    read, *refused = decoded(sanitized, tmp_path, [tmp_path / "remark.png", *(tmp_path / name for name in bad)])
    assert read == "30 20" and load_image(tmp_path / "remark.png").shape == (20, 30, 3)
    assert all("checksum (CRC)" in line for line in refused)
    for name in bad:
        with pytest.raises(InputError, match="CRC"):
            load_image(tmp_path / name)


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
    assert many.startswith("131 90 | ") and all("more than 100 scans" in line for line in refused)
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
