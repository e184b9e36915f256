"""`edge train labels`: what the note's loop writes, faster, and with every bad photo named."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from notes_loop import note_labels, tree

from edge.base.alone import alone_in
from edge.base.errors import InputError, UsageError
from edge.photo.listing import SAMPLES
from train.data.dataset import read_crops, read_photos
from train.labels.journal import label_roots
from train.labels.make import LabelOptions, make_labels


def add(folder: Path, name: str, data: bytes | None = None) -> None:
    (folder / name).write_bytes(next(iter(SAMPLES.glob("*.jpg"))).read_bytes() if data is None else data)


def edge(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge", *arguments], capture_output=True, text=True, timeout=600, check=False, **options
    )


GOOD = "0200-90_90-10&10_200&80-200&80_10&80_10&10_200&10-0_0_22_27_27_33_16-37-15"


def test_output_is_byte_for_byte_that_of_the_notes_loop(ccpd, tmp_path):
    note, ours = tmp_path / "note", tmp_path / "ours"
    for phase in ("train", "test"):
        note_labels(ccpd, note, phase)
    summaries = make_labels(ccpd, ours)
    assert [(summary["phase"], summary["labelled"]) for summary in summaries] == [("test", 2), ("train", 5)]
    assert tree(ours) == tree(note) and len(tree(ours)) == 11


def test_all_real_photos_are_labelled_as_the_notes_loop_does(real_data, tmp_path):
    summaries = make_labels(real_data / "full", tmp_path / "ours")
    assert sum(summary["labelled"] for summary in summaries) == 177
    assert sum(summary["green"] for summary in summaries) == 21
    assert not any(summary["skipped"] for summary in summaries)
    note_labels(real_data / "full", tmp_path / "note", "test")
    ours = {name: data for name, data in tree(tmp_path / "ours").items() if name.startswith("test")}
    note = tree(tmp_path / "note")
    # Names whose vertices break CCPD's rule are put right here and come out turned in the note's loop.
    turned = {name for name in note if note[name] != ours[name]} - {"test/det.txt"}
    assert ours.keys() == note.keys() and len(turned) <= 2


def test_a_finished_run_is_left_alone_and_an_interrupted_one_goes_on(ccpd, tmp_path, monkeypatch):
    import train.labels.make

    whole, out = tmp_path / "whole", tmp_path / "out"
    make_labels(ccpd, whole)
    monkeypatch.setattr(train.labels.make, "_BATCH", 1)
    monkeypatch.setattr(train.labels.make, "_CHUNK", 1)
    calls = []

    def interrupt(title, done, total):
        calls.append((title, done, total))
        if (title, done) == ("train", 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_labels(ccpd, out, progress=interrupt)
    assert (out / "test" / "rec.txt").is_file()
    assert not (out / "train" / "rec.txt").exists(), "a label file must be whole or absent"
    kept = (out / "train" / "crop_imgs").stat().st_mtime_ns

    # A kill in the middle of a line, and a crop that the disk lost.
    journal = out / "train" / ".labels.partial"
    with journal.open("ab") as stream:
        stream.write(b'["train/half a li')
    crops = sorted((out / "train" / "crop_imgs").glob("2_*.jpg"))
    crops[0].write_bytes(b"")
    summaries = make_labels(ccpd, out)
    assert [summary["resumed"] for summary in summaries] == [2, 2]
    assert tree(out) == tree(whole)
    assert not journal.exists() and kept

    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    assert [summary["resumed"] for summary in make_labels(ccpd, out)] == [2, 5]
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}


def test_a_second_run_into_the_same_folder_says_which_process_works_there(ccpd, tmp_path):
    out = tmp_path / "out"
    with alone_in(out, "edge train labels"), pytest.raises(UsageError) as caught:
        make_labels(ccpd, out)
    assert f"Process {os.getpid()} " in caught.value.message and f"kill -INT {os.getpid()}" in caught.value.hint
    make_labels(ccpd, out)
    with alone_in(out, "edge train labels"):
        make_labels(ccpd, out)  # Finished: only read.


def test_other_photos_are_not_mixed_into_finished_labels(ccpd, tmp_path):
    out = tmp_path / "out"
    make_labels(ccpd, out)
    before = tree(out)
    add(ccpd / "train", GOOD + ".jpg")
    with pytest.raises(InputError) as error:
        make_labels(ccpd, out)
    assert "--force" in error.value.hint and tree(out) == before
    summaries = make_labels(ccpd, out, LabelOptions(force=True))
    assert summaries[1]["labelled"] == 6
    assert len(list((out / "train" / "crop_imgs").iterdir())) == 6


@pytest.mark.parametrize(
    ("name", "data", "reason", "words"),
    [
        ("holiday.jpg", None, "not a CCPD name", "1 fields joined by '-', expected 7"),
        (GOOD.replace("-15", "-15-1") + ".jpg", None, "not a CCPD name", "8 fields"),
        (GOOD.replace("33_16", "33_35") + ".jpg", None, "bad field", "index 7 between 0 and 33, not 35"),
        (GOOD.replace("-0_0_22", "-99_0_22") + ".jpg", None, "bad field", "index 1 between 0 and 32, not 99"),
        (GOOD.replace("33_16", "33_34") + ".jpg", None, "bad field", "placeholder O"),
        (GOOD.replace("200&", "900&") + ".jpg", None, "vertex outside the photo", "outside the photo of 720x1160"),
        (GOOD + ".jpg", b"", "unreadable", "empty (0 bytes)"),
        (GOOD + ".jpg", b"this is text, not a photo\n" * 9, "unreadable", "a text file, not a photo"),
        (GOOD + ".jpg", "half", "unreadable", "truncated"),
        (GOOD + ".jpg", "pipe", "unreadable", "a pipe or the like"),
        (GOOD + ".jpg", b"\xff\xd8\xff\xc0\x00\x11\x08\x4e\x20\x4e\x20\x03\x01\x22\x00", "unreadable", "20000x20000"),
        (GOOD + "\tx.jpg", None, "path", "tab"),
        (os.fsdecode(b"\xff\xfe" + GOOD.encode() + b".jpg"), None, "path", "UTF-8"),
    ],
)
def test_a_bad_photo_is_skipped_and_reported_or_fatal(ccpd, tmp_path, name, data, reason, words):
    if data == "half":
        whole = next(iter(SAMPLES.glob("*.jpg"))).read_bytes()
        data = whole[: len(whole) // 2]
    if data == "pipe":
        os.mkfifo(ccpd / "train" / name)
    else:
        add(ccpd / "train", name, data)
    (train,) = (summary for summary in make_labels(ccpd, tmp_path / "out") if summary["phase"] == "train")
    assert (train["labelled"], train["skipped"], train["reasons"]) == (5, 1, {reason: 1})
    with (tmp_path / "out" / "train" / "skipped.csv").open(encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    assert row["reason"] == reason and words in row["message"]
    with pytest.raises(InputError) as error:
        make_labels(ccpd, tmp_path / "strict", LabelOptions(strict=True))
    assert words in error.value.message
    assert not (tmp_path / "strict" / "train" / "rec.txt").exists()


def test_a_fatal_photo_comes_back_from_another_process(ccpd, tmp_path):
    add(ccpd / "train", GOOD + ".jpg", b"this is text, not a photo\n" * 9)
    with pytest.raises(InputError, match="a text file, not a photo") as error:
        make_labels(ccpd, tmp_path / "out", LabelOptions(jobs=2, backend="loky", strict=True))
    assert error.value.reason == "unreadable"


def test_a_photo_listed_by_a_split_but_absent_is_reported(ccpd, tmp_path):
    (ccpd / "splits").mkdir()
    photos = sorted(path.relative_to(ccpd).as_posix() for path in ccpd.rglob("*.jpg"))
    (ccpd / "splits" / "ccpd_blur.txt").write_text("\n".join(photos[:2]) + f"\ntrain/{GOOD}.jpg\n")
    (ccpd / "splits" / "train.txt").write_text("\n".join(photos[2:]))
    blur, rest = make_labels(ccpd, tmp_path / "out")
    assert (blur["phase"], blur["labelled"], blur["reasons"]) == ("ccpd_blur", 2, {"missing": 1})
    assert rest["labelled"] == 5
    assert (tmp_path / "out" / "train" / "det.txt").read_text(encoding="utf-8").startswith(photos[2])
    (ccpd / "splits" / "train.txt").write_text("../../etc/passwd\n")
    with pytest.raises(InputError, match="not a path within"):
        make_labels(ccpd, tmp_path / "other")


def test_mixed_folders_and_odd_names_survive(ccpd, tmp_path):
    odd = ccpd / "CCPD 2019" / "ccpd base, 'old' (1) 老"
    odd.mkdir(parents=True)
    add(odd, GOOD + ".jpg")
    add(odd, GOOD + ".PNG", cv2.imencode(".png", np.full((90, 220, 3), 99, np.uint8))[1].tobytes())
    add(odd, "notes.txt", b"no photo")
    add(odd, "Thumbs.db.jpg", b"no photo")
    summaries = make_labels(ccpd, tmp_path / "out folder")
    assert [summary["phase"] for summary in summaries] == ["CCPD 2019/ccpd base, 'old' (1) 老", "test", "train"]
    assert (summaries[0]["labelled"], summaries[0]["skipped"]) == (2, 1)
    assert summaries[0]["blue"] == 2 and sum(summary["green"] for summary in summaries) == 2
    for phase in summaries:
        for file in ("det.txt", "rec.txt"):
            labels = tmp_path / "out folder" / phase["phase"] / file
            for line in labels.read_text(encoding="utf-8").splitlines():
                path = line.split("\t")[0]
                assert any((root / path).is_file() for root in label_roots(labels)), line


def test_training_reads_the_labels_from_where_they_lie(ccpd, tmp_path):
    make_labels(ccpd, tmp_path / "out")
    crops = read_crops(tmp_path / "out" / "train" / "rec.txt")
    photos = read_photos(tmp_path / "out" / "train" / "det.txt")
    assert len(crops) == len(photos) == 5
    assert [crop.text for crop in crops] == [photo.plates[0].text for photo in photos]
    assert photos[0].path.parent.resolve() == (ccpd / "train").resolve()


def test_a_flat_folder_is_labelled_in_place_of_phases(ccpd, tmp_path):
    (summary,) = make_labels(ccpd / "train", tmp_path / "out")
    assert summary["phase"] == "" and summary["labelled"] == 5
    line = (tmp_path / "out" / "rec.txt").read_text(encoding="utf-8").splitlines()[0]
    assert line.startswith("crop_imgs/0_") and (tmp_path / "out" / line.split("\t")[0]).is_file()


def test_the_table_keeps_tilt_blur_and_brightness(ccpd, tmp_path):
    make_labels(ccpd, tmp_path / "out")
    with (tmp_path / "out" / "train" / "table.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 5
    for row in rows:
        assert (row["tilt_horizontal"], row["brightness"], row["blur"]) == ("90", "100", "20")
        assert (row["width"], row["height"]) == ("720", "1160")
        crop = cv2.imread(str(tmp_path / "out" / row["crop"]))
        assert crop.shape[:2] == (int(row["crop_height"]), int(row["crop_width"]))
        assert abs(crop.mean() - float(row["grey"])) < 60 and float(row["sharpness"]) > 1


@pytest.mark.parametrize("what", ["missing", "empty", "only others"])
def test_folders_without_photos_are_errors(tmp_path, what):
    folder = tmp_path / "photos"
    if what != "missing":
        folder.mkdir()
    if what == "only others":
        add(folder, "holiday.jpg")
    with pytest.raises(InputError) as error:
        make_labels(folder, tmp_path / "out")
    expected = {"missing": "is not a folder", "empty": "No photos in", "only others": "None of the 1 photos"}[what]
    assert expected in error.value.message and error.value.hint


def test_the_command_line(ccpd, tmp_path):
    add(ccpd / "train", "holiday.jpg")
    first = edge("train", "labels", "--ccpd", str(ccpd), "--out", str(tmp_path / "out"))
    assert first.returncode == 0 and not first.stderr, first.stderr
    assert "5 labelled (4 blue, 1 green), 1 skipped" in first.stdout
    assert "1 x not a CCPD name; see" in first.stdout
    again = edge("train", "labels", "--ccpd", str(ccpd), "--out", str(tmp_path / "out"), "--json")
    assert [phase["labelled"] for phase in json.loads(again.stdout)["phases"]] == [2, 5]
    strict = edge("train", "labels", "--ccpd", str(ccpd), "--out", str(tmp_path / "strict"), "--strict")
    assert strict.returncode == 3 and strict.stderr.startswith("error: 'holiday' is not a CCPD name")
    inside = edge("train", "labels", "--ccpd", str(ccpd), "--out", str(ccpd))
    assert inside.returncode == 2


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_said_and_the_run_goes_on_when_there_is_room(ccpd, small_disk):
    arguments = ("train", "labels", "--ccpd", str(ccpd), "--out", str(small_disk))
    full = edge(*arguments)
    assert full.returncode == 5 and "No space left on device" in full.stderr and "Traceback" not in full.stderr
    assert not (small_disk / "train" / "rec.txt").exists()
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    assert edge(*arguments).returncode == 0
    assert len(list(small_disk.glob("*/crop_imgs/*.jpg"))) == 7
