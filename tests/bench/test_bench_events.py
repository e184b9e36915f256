"""The reader of `plate_ocr bench`'s output: fast, small, and hard to mislead."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.events import FATAL, KEYS, NOTE, EventLog, read_events

START = {"event": "start", "schema": "plate-ocr/events/1", "threads": {"requested": 1, "effective": 1}}
LOAD = {"event": "load", "ms": {"det": 1.0, "rec": 2.0}, "rss_kb": 1, "hwm_kb": 2}
FIRST = {"event": "first", "t": 1.0, "image": 0, "plates": 1, "boxes": 1, "ms": {"total": 9.0}}
END = {"event": "end", "iterations": 2, "ok": True, "answers": []}


def iteration(number: int = 0, at: float = 1.0, **changes: object) -> dict[str, object]:
    ms = dict.fromkeys(KEYS, 1.5) | {"total": 12.5}
    return {"event": "iteration", "i": number, "t": at, "image": 0, "plates": 1, "boxes": 1, "ms": ms, **changes}


def read(*events: object) -> EventLog:
    return read_events(event if isinstance(event, str) else json.dumps(event) for event in events)


def test_whole_run_is_read() -> None:
    log = read(
        START, LOAD, FIRST, {"event": "warmup", "i": 0, "ms": {"total": 11.0}}, iteration(0, 5), iteration(1, 6), END
    )
    assert log.complete and log.iterations == 2 and not log.problems
    assert list(log.warmups) == [11.0]
    assert list(log.times) == [5.0, 6.0]
    assert list(log.ms["total"]) == [12.5, 12.5]


@pytest.mark.parametrize(
    "line",
    [
        "[I  1/ 1 12:00:00.000 predictor.cc:42] hello",
        "",
        "[1, 2]",
        '"text"',
        '{"event": "iteration", "i": 3, "t": 12',
        '{"event": "from the future"}',
        "{" * 100_000,
        "\x00\x01\x02\ufffd",
        "x" * (5 << 20),
    ],
)
def test_noise_between_the_lines_loses_nothing(line: str) -> None:
    log = read(START, LOAD, FIRST, iteration(0, 5), line, iteration(1, 6), END)
    assert log.complete and log.iterations == 2
    assert [problem.kind for problem in log.problems] == ([NOTE] if line else [])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (json.dumps(iteration(1, 6)).replace("12.5", "NaN"), "NaN"),
        (json.dumps(iteration(1, 6)).replace("12.5", "-Infinity"), "Infinity"),
        (json.dumps(iteration(1, 6)).replace("12.5", "1e999"), "cannot be"),
        (json.dumps(iteration(1, 6)).replace("1.5,", "-1.5,", 1), "cannot be"),
        (json.dumps(iteration(1, 6)).replace("12.5", "0"), "cannot be"),
        (json.dumps(iteration(1, 6)).replace("12.5", '"12.5"'), "mistyped"),
        (iteration(1, 4.0), "clock went back from 5.000 to 4.000"),
        (iteration(1, -1.0), "cannot be"),
        (iteration(1, 6, image=-1), "cannot be"),
        (iteration(1, 6, image=10**30), "mistyped"),
        (iteration(1, 6, plates="many"), "mistyped"),
        (iteration(1, 6, ms={"total": 3.0}), "missing"),
        (iteration(1, 6, ms=None), "mistyped"),
        (START, "second start"),
        (END, "second end"),
    ],
)
def test_impossible_figures_are_refused_and_the_rest_is_kept(bad: object, message: str) -> None:
    log = read(START, LOAD, FIRST, iteration(0, 5), END, bad, iteration(2, 7))
    assert log.iterations == 2, "the good iterations on both sides stay"
    assert not log.complete
    assert [(problem.kind, problem.line) for problem in log.problems] == [(FATAL, 6)]
    assert message in log.problems[0].message


def test_other_schema_is_refused() -> None:
    log = read({**START, "schema": "plate-ocr/events/2"}, LOAD, iteration())
    assert not log.complete and "plate-ocr/events/2" in log.problems[0].message


def test_photo_that_cannot_be_read_is_told_with_its_reason() -> None:
    log = read(START, {"event": "error", "image": 1, "path": "/x/b.jpg", "error": "not a JPEG"}, LOAD)
    assert "/x/b.jpg" in log.problems[0].message and "not a JPEG" in log.problems[0].message


def test_thousands_of_problems_take_no_memory() -> None:
    log = read_events("garbage" for _ in range(10_000))
    assert log.problem_count == 10_000 and len(log.problems) == 50


@pytest.mark.alone
def test_hundred_megabytes_in_five_seconds_and_300_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    row = json.dumps(iteration(123456, 12345678.9, ms=dict.fromkeys(KEYS, 123.4567))) + "\n"
    count = 100_000_000 // len(row) + 1
    with path.open("w") as stream:
        stream.write(json.dumps(START) + "\n")
        for _ in range(count // 1000 + 1):
            stream.write(row * 1000)
    # A process of its own, so that its peak memory is its own; processor time, for the machine may be shared.
    code = (
        "import sys, time; from bench.events import read_events; t = time.process_time();"
        "log = read_events(open(sys.argv[1], 'rb')); import numpy as np; assert log.problem_count == 0, log.problems;"
        "from bench.statistics import summarise; s = summarise([np.asarray(log.ms['total'])]);"
        "peak = next(int(w.split()[1]) for w in open('/proc/self/status') if w.startswith('VmHWM'));"
        "print(s.n, time.process_time() - t, peak / 1024)"
    )
    seconds = 1e9
    # A neighbour on the same core slows even processor time: the best of up to four.
    for _ in range(4):
        answer = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
        n, once, peak = (float(word) for word in answer.stdout.split())
        seconds = min(seconds, once)
        if seconds < 5:
            break
    print(f"{path.stat().st_size / 1e6:.0f} MB, {n:.0f} iterations: {seconds:.2f} s of CPU, peak {peak:.0f} MiB")
    assert path.stat().st_size >= 100_000_000 and n >= count
    assert seconds < 5
    assert peak < 300


def test_reading_is_incremental() -> None:
    log = EventLog()
    for event in (START, LOAD, FIRST):
        log.feed(json.dumps(event).encode())
    assert log.load is not None and log.end is None and not log.complete
