"""The reader of `plate_ocr bench`'s output: fast, small, and hard to mislead."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator

import pytest
from calls import count_calls

from bench.record.events import FATAL, KEYS, NOTE, EventLog, read_events

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
        (json.dumps(iteration(1, 6)).replace("12.5", "1e999"), "impossible times"),
        (json.dumps(iteration(1, 6)).replace("1.5,", "-1.5,", 1), "impossible times"),
        (json.dumps(iteration(1, 6)).replace("12.5", "0"), "impossible times"),
        (json.dumps(iteration(1, 6)).replace("12.5", '"12.5"'), "mistyped"),
        (iteration(1, 4.0), "clock went back from 5.000 to 4.000"),
        (iteration(1, -1.0), "impossible times"),
        (iteration(1, 6, image=-1), "impossible times"),
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


def test_a_long_stream_is_read_once_with_little_work_and_memory() -> None:
    """`make bench-self` takes the seconds and megabytes that 100 MB cost; here are the counts behind them."""
    row = json.dumps(iteration(123456, 12345678.9, ms=dict.fromkeys(KEYS, 123.4567))).encode()
    taken = 0

    def stream(count: int) -> Iterator[bytes]:
        nonlocal taken
        taken = 0
        yield json.dumps(START).encode()
        for _ in range(count):
            taken += 1
            yield row

    short, long = (count_calls(lambda count=count: read_events(stream(count))) for count in (200, 1200))
    # Decoding a line, three looks at its values and thirteen columns.
    assert (long - short) / 1000 <= 60
    peaks = []
    for count in (10_000, 40_000):
        tracemalloc.start()
        log = read_events(stream(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert log.problem_count == 0 and log.iterations == taken == count, "each line is taken once"
    # 100 MB are 350,000 of these lines: 300 MiB would be 900 bytes a line.
    assert (peaks[1] - peaks[0]) / 30_000 <= 2 * (len(KEYS) + 4) * 8


def test_reading_is_incremental() -> None:
    log = EventLog()
    for event in (START, LOAD, FIRST):
        log.feed(json.dumps(event).encode())
    assert log.load is not None and log.end is None and not log.complete
