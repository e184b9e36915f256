"""`plate_ocr bench`: its events, its limits, and how it compares with the reference."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from cpp_program import FAST, lines, refused, run

from edge.model.dictionary import read_dictionary
from edge.ocr.config import load_config
from edge.ocr.reader import Networks, Reader
from edge.photo.listing import SAMPLES
from edge.runtime.paddle_lite import LiteNetwork

PHOTOS = sorted(SAMPLES.glob("*.jpg"))
OURS = ("det_pre", "det_post", "crop", "rec_pre", "rec_post")


def test_events_come_in_order_and_add_up(program: Path, conf: Path) -> None:
    result = run(program, "bench", "--config", conf, *FAST, "--warmup", "1", "--repeats", "4", "--threads", "2", *PHOTOS[:2])
    assert result.returncode == 0, result.stderr
    events = lines(result)
    assert [event["event"] for event in events] == ["start", "load", "first", "warmup", *["iteration"] * 4, "end"]
    start, load, first, *rest, end = events
    assert start["schema"] == "plate-ocr/events/1" and start["images"] == 2
    assert start["threads"] == {"requested": 2, "effective": 2}
    assert start["power_mode"]["requested"] == "high" and start["affinity"]
    assert load["ms"]["det"] > 0 and load["hwm_kb"] >= load["rss_kb"] > 1000
    assert first["image"] == 0 and first["ms"]["total"] > 0
    assert [event["image"] for event in rest if event["event"] == "iteration"] == [0, 1, 0, 1]
    times = [event["t"] for event in (first, *rest)]
    assert times == sorted(times)
    assert end["ok"] is True and end["iterations"] == 4 and end["warmups"] == 1 and end["process_threads"] >= 1
    assert [answer["image"] for answer in end["answers"]] == [str(photo) for photo in PHOTOS[:2]]
    assert end["answers"][0]["plates"][0]["text"]


def test_iterations_go_on_until_both_limits_are_met(program: Path, conf: Path) -> None:
    words = ["--config", conf, *FAST, "--warmup", "0", PHOTOS[0]]
    by_time = lines(run(program, "bench", *words, "--repeats", "1", "--min-ms", "1500"))
    iterations = [event for event in by_time if event["event"] == "iteration"]
    assert len(iterations) >= 1
    assert iterations[-1]["t"] + iterations[-1]["ms"]["total"] - iterations[0]["t"] >= 1490
    capped = lines(run(program, "bench", *words, "--repeats", "100000", "--max-ms", "1000"))
    assert capped[-1]["event"] == "end" and 1 <= capped[-1]["iterations"] < 1000


def test_a_bad_photo_is_left_out_and_told(program: Path, conf: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no")
    words = ["--config", conf, *FAST, "--warmup", "0", "--repeats", "2"]
    result = run(program, "bench", *words, tmp_path / "bad.jpg", PHOTOS[0])
    assert "bad.jpg" in refused(result, 5)
    events = lines(result)
    assert [event["event"] for event in events] == ["start", "load", "error", "first", "iteration", "iteration", "end"]
    assert events[-1]["ok"] is False and "bad.jpg" in events[-1]["why"]
    refused(run(program, "bench", *words, tmp_path / "bad.jpg"), 5)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """OpenCV's warps and resizes use every core otherwise."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(before)


@pytest.mark.real
def test_memory_of_a_process_at_the_notes_size(program: Path, conf: Path, real_data: Path) -> None:
    photos = sorted((real_data / "full" / "test").glob("*.jpg"))[:4]
    words = ["--config", conf, "--threads", "1", "--warmup", "0", "--repeats", "4"]
    assert lines(run(program, "bench", *words, *photos))[-1]["hwm_kb"] < 1_000_000


@pytest.mark.timed
@pytest.mark.real
@pytest.mark.usefixtures("one_thread")
def test_own_stages_take_half_of_the_references_time(program: Path, conf: Path, real_data: Path) -> None:
    """At the note's size, one thread each, in the same minute; `test_cpp_instructions.py` has what they cost."""
    photos = sorted((real_data / "full" / "test").glob("*.jpg"))[:4]
    config = load_config(conf)
    det, rec = (LiteNetwork(conf.parent / name) for name in (config.det_model, config.rec_model))
    reader = Reader(config, Networks(det, rec, read_dictionary(conf.parent / config.dict)))
    for photo in photos:
        reader.read_file(photo)
    ratios = []
    for _ in range(4):
        words = ["--config", conf, "--threads", "1", "--warmup", "1", "--repeats", "12"]
        events = lines(run(program, "bench", *words, *photos))
        own = statistics.median(sum(e["ms"][s] for s in OURS) for e in events if e["event"] == "iteration")
        reference = statistics.median(sum(reader.read_file(photo).ms[s] for s in OURS) for _ in range(3) for photo in photos)
        print(f"plate_ocr, own stages: {own:.2f} ms; reference: {reference:.2f} ms")
        ratios.append(own / reference)
    assert min(ratios) <= 0.5
