"""`edge run`: photos on this host through the real program, and what goes wrong on the way."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.base.errors import DeviceError, InputError, UsageError
from edge.bundle.manifest import Manifest
from edge.bundle.zoo import ModelPair
from edge.commands.run import plan_copies
from edge.ocr.draw import COLOUR
from edge.photo.listing import SAMPLES, list_photos
from edge.release.read_photos import check_settings, read_on_board
from edge.release.releases import Release
from edge.transport.local import LocalTransport

SMALL = ["--set", "det_limit_type=max", "--set", "det_limit_side=640"]


def edge_run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge", "run", "--models", "ppocrv3", *SMALL, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_samples_are_read_and_drawn(ocr_models: ModelPair, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no photo")
    shutil.copy(SAMPLES / "blue-day.jpg", tmp_path)
    photos = [str(SAMPLES / "blue-day.jpg"), str(tmp_path / "text.jpg"), str(tmp_path / "blue-day.jpg")]
    drawn = tmp_path / "drawn"
    result = edge_run("--json", "--draw", str(drawn), *photos)
    assert result.returncode == 12, result.stderr
    document = json.loads(result.stdout)
    assert document["variant"] == "ppocrv3-fp32"
    assert [photo["image"] for photo in document["photos"]] == photos
    first, bad, again = document["photos"]
    assert "JPEG" in bad["error"]
    assert first["plates"] == again["plates"]
    truth = json.loads((SAMPLES / "labels.json").read_text(encoding="utf-8"))["blue-day.jpg"]
    assert [plate["text"] for plate in first["plates"]] == [item["text"] for item in truth]
    assert {"decode", "det_infer", "total"} <= set(first["ms"])
    copies = sorted(path.name for path in drawn.iterdir())
    assert copies == ["blue-day-2.jpg", "blue-day.jpg"]
    marked = np.abs(cv2.imread(str(drawn / "blue-day.jpg")).astype(int) - COLOUR).max(axis=2) < 30
    assert marked.sum() > 200
    refused = edge_run("--draw", str(drawn), *photos)
    assert refused.returncode == 3 and "--force" in refused.stderr


def test_the_table_names_photo_text_and_time(ocr_models: ModelPair) -> None:
    result = edge_run(str(SAMPLES / "blue-day.jpg"))
    assert result.returncode == 0, result.stderr
    text = json.loads((SAMPLES / "labels.json").read_text(encoding="utf-8"))["blue-day.jpg"][0]["text"]
    assert "blue-day.jpg" in result.stdout and text in result.stdout and "1 plate in 1 photo" in result.stdout


def test_folders_give_their_photos_sorted(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "c.txt"):
        (tmp_path / name).write_text("x")
    assert [path.name for path in list_photos([tmp_path]).photos] == ["a.png", "b.JPG"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no photos"):
        list_photos([tmp_path / "empty"])
    with pytest.raises(InputError, match="does not exist"):
        list_photos([tmp_path / "none.jpg"])
    (tmp_path / "two\nlines.jpg").write_text("x")
    with pytest.raises(InputError, match="line break"):
        list_photos([tmp_path / "two\nlines.jpg"])


def test_settings_are_checked_before_anything_is_built() -> None:
    check_settings({"det_limit_side": "640"})
    for key in ("det_limit_sid", "det_model"):
        with pytest.raises(UsageError, match=key):
            check_settings({key: "640"})


def test_copies_never_overwrite_a_photo(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_text("x")
    with pytest.raises(InputError, match="is one of the photos"):
        plan_copies([photo], tmp_path, force=True)
    other = tmp_path / "out"
    assert plan_copies([photo], other, force=False) == {str(photo): other / "a.jpg"}


def program(root: Path, script: str) -> Release:
    """A release whose program is a shell script."""
    path = root / "releases" / "0123456789abcdef0123"
    (path / "bin").mkdir(parents=True)
    (path / "bin" / "plate_ocr").write_text(f"#!/bin/sh\n{script}\n")
    (path / "bin" / "plate_ocr").chmod(0o755)
    manifest = Manifest("x86_64", "0", (), {}, {}, {}, {}, {"ppocrv3-fp32": {"config": "plate.conf"}})
    return Release(str(path), manifest)


READ_ALL = """
while [ "$1" != --list ]; do shift; done
while read -r photo; do printf '{"image": "%s", "plates": [], "ms": {"total": 1}}\\n' "$photo"; done < "$2"
"""


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "my photos"
    folder.mkdir()
    for i, name in enumerate(("one.jpg", "zwei äö.jpg", "copy of one.jpg")):
        cv2.imwrite(str(tmp_path / "x.jpg"), np.full((8, 8, 3), (i % 2) * 99, np.uint8))
        shutil.move(tmp_path / "x.jpg", folder / name)
    return sorted(folder.iterdir())


def test_photos_are_brought_to_a_board_and_removed_again(tmp_path: Path, photos: list[Path]) -> None:
    seen: list[str] = []
    answers = read_on_board(
        LocalTransport(), program(tmp_path / "board", READ_ALL), "ppocrv3-fp32", photos,
        on_answer=lambda answer: seen.append(answer.image),
    )
    assert [answer.image for answer in answers] == [str(photo) for photo in photos]
    assert len(seen) == 2  # the same content is read once
    assert list((tmp_path / "board" / "inbox").iterdir()) == []


@pytest.mark.parametrize("local", [True, False])
def test_what_the_program_does_not_read_is_converted_or_named(
    local: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program sees PNG files, and the answers name the user's; a batch of converted photos at a time."""
    monkeypatch.setattr("edge.release.read_photos.MOST_CONVERTED", 1)
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.bmp", "b.jpg", "c.webp", "d.tiff"):
        cv2.imwrite(str(folder / name), np.full((8, 8, 3), 10 * len(name), np.uint8))
    (folder / "e.jpg").write_text("<!doctype html>")
    (folder / "f.png").write_bytes(b"")
    (folder / "g.jpg").symlink_to(folder / "b.jpg")
    seen = "head -c 4 \"$photo\" | tr -dc A-Z >> SEEN; echo >> SEEN; ".replace("SEEN", str(tmp_path / "seen"))
    script = READ_ALL.replace("do printf", f"do {seen}printf")
    photos = list_photos([folder]).photos
    answers = read_on_board(LocalTransport(), program(tmp_path / "board", script), "ppocrv3-fp32", photos, local=local)
    assert [Path(answer.image).name for answer in answers] == [photo.name for photo in photos]
    converted = {Path(answer.image).suffix: answer.converted for answer in answers if answer.error is None}
    assert converted == {".bmp": "BMP", ".jpg": None, ".webp": "WebP", ".tiff": "TIFF"}
    errors = [answer.error for answer in answers if answer.error is not None]
    assert "an HTML page" in errors[0] and errors[1] == "the file is empty" and len(errors) == 2
    assert (tmp_path / "seen").read_text().split() == ["PNG", "PNG", "PNG"]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo no json", "nonsense"),
        ("""echo '{"image": "other.jpg", "plates": [], "ms": {}}'""", "nonsense"),
        ("exit 0", "answered for 0 of 2"),
        ("echo 'plate_ocr: error: det.nb is truncated' >&2; exit 4", "det.nb is truncated"),
        ("kill -SEGV $$", "ended by SIGSEGV .a segmentation fault"),
        ("kill -ILL $$", "ended by SIGILL .an illegal instruction.: the processor of local"),
        ("kill -KILL $$", "ended by SIGKILL"),
        ("echo 'libgomp.so.1: cannot open shared object file' >&2; exit 127", "libgomp.so.1 is missing"),
    ],
)
def test_a_failing_program_is_explained(tmp_path: Path, photos: list[Path], script: str, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        read_on_board(LocalTransport(), program(tmp_path / "board", script), "ppocrv3-fp32", photos)
    assert list((tmp_path / "board" / "inbox").iterdir()) == []


def test_a_board_without_the_variant_is_not_asked(tmp_path: Path, photos: list[Path]) -> None:
    with pytest.raises(UsageError, match="no variant 'plate-v1-int8'"):
        read_on_board(LocalTransport(), program(tmp_path / "board", READ_ALL), "plate-v1-int8", photos)
