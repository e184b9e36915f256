"""How labelling reads photos: as OpenCV does, once each, around the plate, several at a time, in little memory."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pytest
from notes_loop import many, note_labels, tree
from PIL import Image

from edge.base.errors import EdgeError
from edge.photo.listing import SAMPLES
from train.labels.jpeg import shorten
from train.labels.make import LabelOptions, make_labels
from train.labels.photo import read_photo

CHILD = """
import json, resource, sys
from pathlib import Path
from train.labels.make import LabelOptions, make_labels
(summary,) = make_labels(Path(sys.argv[1]), Path(sys.argv[2]), LabelOptions(jobs=2))
print(json.dumps([summary["labelled"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def test_backends_agree_and_unknown_or_absent_ones_are_named(ccpd, tmp_path):
    make_labels(ccpd, tmp_path / "threads", LabelOptions(jobs=3))
    make_labels(ccpd, tmp_path / "loky", LabelOptions(jobs=2, backend="loky"))
    assert tree(tmp_path / "loky") == tree(tmp_path / "threads")
    with pytest.raises(EdgeError, match="Unknown backend 'spark'"):
        make_labels(ccpd, tmp_path / "spark", LabelOptions(backend="spark"))
    try:
        import ray  # noqa: F401
    except ImportError:
        with pytest.raises(EdgeError) as error:
            make_labels(ccpd, tmp_path / "ray", LabelOptions(backend="ray"))
        assert "pip install ray" in error.value.hint


@pytest.mark.parametrize("kind", ["grey", "turned", "png"])
def test_photos_that_pillow_would_read_otherwise_equal_opencvs(tmp_path, kind):
    pixels = np.random.default_rng(1).integers(0, 255, (64, 48, 3), np.uint8)
    path = tmp_path / ("photo.png" if kind == "png" else "photo.jpg")
    cv2.imwrite(str(path), pixels[:, :, 0] if kind == "grey" else pixels)
    if kind == "turned":
        picture = Image.open(path)
        exif = picture.getexif()
        exif[0x0112] = 6
        picture.save(path, exif=exif)
        assert read_photo(path).shape == (48, 64, 3)
    assert np.array_equal(read_photo(path)[:, :, ::-1], cv2.imread(str(path)))


@pytest.mark.parametrize("flags", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 5)])
def test_a_jpeg_cut_short_has_the_same_pixels(flags):
    photo = cv2.imread(str(SAMPLES / "blue-day.jpg"))[:333]
    data = cv2.imencode(".jpg", photo, flags)[1].tobytes()
    whole = np.asarray(Image.open(io.BytesIO(data)))
    for rows in (1, 15, 16, 17, 160, 300, 333):
        pixels = np.asarray(Image.open(io.BytesIO(shorten(data, rows))))
        assert np.array_equal(pixels[:rows], whole[:rows])
        assert len(pixels) < 333 or rows > 300 or flags[:1] == (cv2.IMWRITE_JPEG_PROGRESSIVE,)
    # Nothing is claimed of files that lack their end, are no JPEG, or end within the header.
    for other in (data[:-400], b"", b"\xff\xd8", data[:100] + b"\xff\xd9"):
        assert shorten(other, 16) in (other,)


def test_memory_does_not_grow_with_the_photos(tmp_path):
    peaks = []
    for count in (14, 301):
        command = [sys.executable, "-c", CHILD, str(many(tmp_path / f"{count}", count)), str(tmp_path / f"labels {count}")]
        labelled, megabytes = json.loads(subprocess.check_output(command))
        assert labelled == count
        peaks.append(megabytes)
    assert peaks[1] - peaks[0] < 30


def test_a_photo_is_read_once_around_its_plate_and_two_at_a_time(tmp_path, monkeypatch):
    import train.labels.photo

    whole = train.labels.photo.read_photo
    read, pixels, meeting = [], [], threading.Barrier(2)

    def reading(path, window=None):
        read.append(path)
        photo = whole(path, window)
        pixels.append(window is not None)
        # With one photo at a time nobody else ever comes.
        if len(read) <= 2:
            meeting.wait(timeout=600)
        return photo

    monkeypatch.setattr(train.labels.photo, "read_photo", reading)
    photos = many(tmp_path / "photos", 64)
    make_labels(photos, tmp_path / "ours", LabelOptions(jobs=2))
    assert len(read) == len(set(read)) == 64 and all(pixels)
    note_labels(photos, tmp_path / "note", "all")
    assert tree(tmp_path / "ours") == tree(tmp_path / "note")


@pytest.mark.timed
def test_two_jobs_label_in_little_more_than_half_of_the_notes_time(tmp_path):
    photos = many(tmp_path / "some", 250)
    ratios = []
    for attempt in range(6):
        start = time.perf_counter()
        note_labels(photos, tmp_path / f"note {attempt}", "all")
        note = time.perf_counter() - start
        start = time.perf_counter()
        make_labels(photos, tmp_path / f"ours {attempt}", LabelOptions(jobs=2))
        ratios.append(note / (time.perf_counter() - start))
    print(f"250 photos: {max(ratios):.2f} times the note's loop on {os.cpu_count()} cores")
    assert max(ratios) >= 1.8
