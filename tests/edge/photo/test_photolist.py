"""Which files are photos, what is left out, and the words for it: the rule of every command that takes photos."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.base.errors import HostError, InputError
from edge.ocr.image import load_image
from edge.photo.decode import can_read, to_png, upright
from edge.photo.kinds import HEIC, TIFF, FileKind, file_kind, kind_of
from edge.photo.listing import PhotoList, check_photo, distinct_names, list_photos, photo_problem

PICTURE = np.random.default_rng(7).integers(0, 256, (12, 20, 3), dtype=np.uint8)
MP4 = b"\0\0\0\x18ftypmp42"
HEIC_HEAD = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)


def save(path: Path, suffix: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(suffix or path.suffix, PICTURE)[1].tobytes())
    return path


def names(found: PhotoList) -> list[str]:
    return [path.name for path in found.photos]


@pytest.fixture
def no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """As without the extra `photos`."""
    monkeypatch.setattr("edge.photo.decode._extra", lambda kind: None)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tiff"])
def test_a_photo_is_one_whatever_it_is_called(suffix: str, tmp_path: Path) -> None:
    for name in (f"a{suffix.upper()}", "IMG_0001", "b.jpg_large", "c.jfif", "d.MPO"):
        save(tmp_path / name, suffix)
    found = list_photos([tmp_path])
    assert len(found.photos) == 5 and not found.note
    assert all(not photo_problem(photo)[1] for photo in found.photos)


@pytest.mark.parametrize(
    ("head", "suffix", "name", "advice"),
    [
        (HEIC_HEAD, ".heic", "HEIC", "pillow-heif"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heic" + bytes(9), ".jpg", "HEIC", "save it as JPEG"),
        (b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miafMA1B", ".avif", "AVIF", "Pillow"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", ".cr3", "a RAW photo", "develop it"),
        (b"II*\0\x10\0\0\0CR\2\0", ".cr2", "a RAW photo", "develop it"),
        (b"MM\0*\0\0\0\x08", ".NEF", "a RAW photo", "develop it"),
        (struct.pack("<2sHIHHHI4B", b"II", 42, 8, 1, 50706, 1, 4, 1, 4, 0, 0), ".tif", "a RAW photo", "develop it"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", ".mp4", "a video", "ffmpeg"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", ".MOV", "a video", "ffmpeg"),
        (b"RIFF\x24\0\0\0AVI LIST", ".avi", "a video", "ffmpeg"),
        (b"GIF89a\1\0\1\0", ".gif", "GIF", "save it as JPEG"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", ".jxl", "JPEG XL", "save it as JPEG"),
        (b"\xff\x0a\x10", ".jpg", "JPEG XL", "save it as JPEG"),
        (b"  <!DOCTYPE HTML><title>404", ".jpg", "an HTML page", "download"),
        (b"\xef\xbb\xbf<html>", ".jpg", "an HTML page", "download"),
        ("<html>".encode("utf-16"), ".jpg", "an HTML page", "download"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", ".jpg", "a Git LFS pointer", "git lfs pull"),
        (b'{"error": "not found"}', ".jpg", "a JSON file", ""),
        (b"%PDF-1.7\n", ".pdf", "a PDF document", "pdfimages"),
        (b"PK\x03\x04\x14", ".zip", "a ZIP archive", "unpack"),
        (b"<?xml version='1.0'?><svg>", ".svg", "SVG", "save it as JPEG"),
        (b"/9j/4AAQSkZJRg", ".jpg", "Base64 text", "base64 -d"),
        (b"../gate2/b.jpg", ".jpg", "a symbolic link that was copied as text", "cp -L"),
        ("车牌在左边".encode(), ".txt", "a text file", ""),
        (bytes(4096), ".jpg", "nothing but zero bytes", "copy it again"),
        (b"\x00\x05\x16\x07\0\2", ".jpg", "an AppleDouble file", "without `._`"),
        (bytes(range(128, 256)) * 8, ".dat", "a file of an unknown format", ""),
    ],
)  # fmt: skip
def test_what_is_no_photo_is_named_by_its_content(
    head: bytes, suffix: str, name: str, advice: str, tmp_path: Path, no_extra: None
) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(head)
    kind = file_kind(path)
    assert kind.name == name and advice in kind.advice and not can_read(kind)
    with pytest.raises(InputError, match=rf"file\{suffix} is {name}"):
        check_photo(path)
    with pytest.raises(InputError, match=f"is {name}"):
        load_image(path)


def test_a_folder_says_in_one_line_what_was_left_out(tmp_path: Path, no_extra: None) -> None:
    save(tmp_path / "a.jpg")
    (tmp_path / "IMG_1.HEIC").write_bytes(HEIC_HEAD)
    for name in ("notes.txt", "list.csv"):
        (tmp_path / name).write_text("a, b")
    for name in ("._a.jpg", ".DS_Store", "Thumbs.db", "labels.json"):
        (tmp_path / name).write_bytes(b"\0\1")
    for name in ("night/b.jpg", "night/c.webp", "out/log.txt", ".trash/d.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        save(tmp_path / name) if not name.endswith("txt") else (tmp_path / name).write_text("x")
    found = list_photos([tmp_path])
    assert names(found) == ["a.jpg"]
    assert "\n" not in found.note
    for words in ("3 files were left out", "HEIC (IMG_1.HEIC: install pillow-heif", "a text file (list.csv and 1 more)",
                  f"not looked into: {tmp_path / 'night'} (2 photos)", "--recursive"):  # fmt: skip
        assert words in found.note
    assert "out" not in found.note.split("not looked into")[1]
    document = found.document()
    assert [Path(item["file"]).name for item in document["left_out"]] == ["IMG_1.HEIC", "list.csv", "notes.txt"]
    assert document["not_looked_into"] == [{"folder": str(tmp_path / "night"), "photos": 2}]
    deep = list_photos([tmp_path], recursive=True)
    assert names(deep) == ["a.jpg", "b.jpg", "c.webp"] and "not looked into" not in deep.note
    assert list_photos([tmp_path / "a.jpg"]).note == ""


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "holds no photos; it is empty"),
        ({"a.heic": HEIC_HEAD}, r"holds no photos, but HEIC \(a.heic: install pillow-heif"),
        ({"a.mp4": MP4, "b.mp4": MP4}, r"2 files that cannot be read: a video \(a.mp4 and 1"),
        ({".a.jpg": b"\xff\xd8\xff"}, r"1 hidden file \(.a.jpg\)"),
        ({"2026/a.jpg": b"\xff\xd8\xff"}, "holds no photos itself, but 1 photo in .*2026"),
    ],
)  # fmt: skip
def test_a_folder_without_photos_says_what_is_there(
    files: dict[str, bytes], words: str, tmp_path: Path, no_extra: None
) -> None:
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=words):
        list_photos([tmp_path])


def test_links_pipes_and_names_given_twice(tmp_path: Path) -> None:
    photo = save(tmp_path / "in" / "a.jpg")
    (tmp_path / "in" / "link.jpg").symlink_to(photo)
    (tmp_path / "in" / "gone.jpg").symlink_to(tmp_path / "nothing.jpg")
    (tmp_path / "in" / "up").symlink_to(tmp_path / "in")
    os.mkfifo(tmp_path / "in" / "pipe.jpg")
    found = list_photos([tmp_path / "in", photo], recursive=True)
    assert names(found) == ["a.jpg", "gone.jpg", "link.jpg"]
    assert "a pipe" in found.note and "1 named more than once" in found.note
    assert photo_problem(tmp_path / "in" / "gone.jpg")[1] == "a link to a file that does not exist"
    with pytest.raises(InputError, match="neither a file nor a folder"):
        list_photos([tmp_path / "in" / "pipe.jpg"])
    with pytest.raises(InputError, match="is an address"):
        list_photos([Path("https://example.com/a.jpg")])


def test_a_file_that_may_not_be_read_is_a_photo_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = save(tmp_path / "a.jpg")

    def refuse(path: Path) -> FileKind:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("edge.photo.listing.file_kind", refuse)
    assert names(list_photos([tmp_path])) == ["a.jpg"]
    assert photo_problem(photo) == (None, "permission denied")


def test_photos_of_one_name_are_told_apart_by_the_shortest_path(tmp_path: Path) -> None:
    paths = [Path("a/x/1.jpg"), Path("b/x/1.jpg"), Path("b/y/1.jpg"), Path("2.jpg")]
    assert list(distinct_names(paths).values()) == ["a/x/1.jpg", "b/x/1.jpg", "y/1.jpg", "2.jpg"]


@pytest.mark.parametrize("suffix", [".bmp", ".webp", ".tiff"])
def test_a_photo_that_is_converted_keeps_its_pixels(suffix: str, tmp_path: Path) -> None:
    data = cv2.imencode(suffix, PICTURE, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    (tmp_path / "a").write_bytes(data)
    png = np.frombuffer(to_png(tmp_path / "a", kind_of(data)), np.uint8)
    assert np.array_equal(cv2.imdecode(png, cv2.IMREAD_COLOR), PICTURE)
    assert np.array_equal(load_image(tmp_path / "a"), PICTURE)


def test_orientation_turns_a_webp_upright(tmp_path: Path) -> None:
    plain = cv2.imencode(".webp", PICTURE, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    for orientation in range(1, 9):
        exif = struct.pack("<2sHIHHHII", b"II", 42, 8, 1, 274, 3, 1, orientation)
        head = struct.pack("<4sI4sB3x", b"VP8X", 10, bytes([8, 0, 0, 0]), 19)[:-4] + bytes([19, 0, 0, 11, 0, 0])
        chunks = head + plain[12:] + struct.pack("<4sI", b"EXIF", len(exif)) + exif
        path = tmp_path / f"{orientation}.webp"
        path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks)
        assert np.array_equal(load_image(path), upright(PICTURE, orientation)), orientation
    # As EXIF says it: 6 is a camera held so that the first column is the upright top's right side.
    assert np.array_equal(upright(PICTURE, 6), np.rot90(PICTURE, -1))
    assert np.array_equal(upright(PICTURE, 8), np.rot90(PICTURE))


def test_a_damaged_picture_is_said_to_be_damaged(tmp_path: Path) -> None:
    for suffix in (".bmp", ".webp", ".tiff"):
        data = cv2.imencode(suffix, PICTURE)[1].tobytes()
        path = tmp_path / f"a{suffix}"
        path.write_bytes(data[: len(data) // 3])
        with pytest.raises(InputError, match="cannot be decoded"):
            load_image(path)
    head = struct.pack("<2sIHHI", b"BM", 60, 0, 0, 54)
    (tmp_path / "huge.bmp").write_bytes(head + struct.pack("<IiiHH6I", 40, 30000, -30000, 1, 24, 0, 0, 0, 0, 0, 0))
    with pytest.raises(InputError, match="30000x30000 pixels"):
        load_image(tmp_path / "huge.bmp")


def test_heic_and_avif_are_read_where_their_readers_are(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    image = pytest.importorskip("PIL.Image")
    smooth = cv2.resize(PICTURE, (200, 120), interpolation=cv2.INTER_CUBIC)
    picture = image.fromarray(smooth[:, :, ::-1])
    heif.from_pillow(picture).save(tmp_path / "a.heic", quality=95)
    picture.save(tmp_path / "a.avif", quality=95)
    for name in ("a.heic", "a.avif"):
        assert np.abs(load_image(tmp_path / name).astype(int) - smooth).mean() < 6, name


def test_without_the_extra_the_error_says_how_to_get_it(tmp_path: Path, no_extra: None) -> None:
    with pytest.raises(HostError, match="HEIC"):
        to_png(_heic(tmp_path), HEIC)
    assert TIFF.reader == "host"


def _heic(folder: Path) -> Path:
    path = folder / "a.heic"
    path.write_bytes(HEIC_HEAD)
    return path
