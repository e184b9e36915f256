"""Boards, files and results that mean harm: clear errors, text that stays text, nothing lost."""

from __future__ import annotations

import json

import pytest
from fake_board import fake_plan
from test_bench_events import END, FIRST, LOAD, START, iteration, read

from bench.events import FATAL, KEYS

PLATE = {"text": "皖A12345", "score": 0.9, "box": [[0, 0], [9, 0], [9, 3], [0, 3]]}


def ended(**plate: object) -> str:
    return json.dumps({**END, "answers": [{"image": "/p.jpg", "plates": [{**PLATE, **plate}]}]})


@pytest.mark.parametrize(
    "bad",
    [
        ended(box=[1, 2, 3, 4]),
        ended(box="none"),
        ended(text=None),
        ended(text="\ud800"),
        ended(score=7).replace("7", "1e999"),
        json.dumps({**END, "answers": {"image": 0}}),
        json.dumps({**END, "answers": [[]]}),
        json.dumps({**END, "rss_kb": 7}).replace("7", "-1e999"),
    ],
)
def test_answers_that_no_report_could_draw_are_fatal_and_lose_nothing(bad: str) -> None:
    log = read(START, LOAD, FIRST, iteration(0, 5), bad)
    assert not log.complete and log.end is None and log.iterations == 1
    assert log.problems[0].kind == FATAL and "mistyped" in log.problems[0].message


@pytest.mark.parametrize("bad", [{"threads": 4}, {"affinity": "0-3"}, {"affinity": [None]}, {"power_mode": ["high"]}])
def test_start_with_mistyped_keys_is_fatal(bad: dict[str, object]) -> None:
    log = read({**START, **bad}, LOAD, FIRST, iteration(0, 5), END)
    assert not log.complete and "mistyped" in log.problems[0].message


def test_whole_number_beyond_a_float_is_fatal() -> None:
    huge = 10**400
    for event in (iteration(0, 5, ms=dict.fromkeys(KEYS, huge)), iteration(0, huge), {**LOAD, "ms": {"det": huge}}):
        assert read(START, event).fatal_count == 1
    assert read(START, {"event": "warmup", "ms": {"total": huge}}).problem_count == 1


def test_answers_as_the_program_gives_them_are_taken() -> None:
    log = read(START, LOAD, FIRST, iteration(0, 5), ended())
    assert log.complete and not log.problems


def test_what_a_board_says_is_text_to_the_watcher(capsys: pytest.CaptureFixture[str]) -> None:
    from bench.progress import Watch

    plan = fake_plan()
    watch = Watch()
    watch.step("pushing to [/tmp/plate]")
    watch.begin(plan, 0)
    watch.end_process(plan.slots[0], "the program ended with exit code 4: [/lite/core/op.cc:12] no kernel [bold]")
    watch.close()
    said = " ".join(capsys.readouterr().err.split())
    assert "[/tmp/plate]" in said and "[/lite/core/op.cc:12] no kernel [bold]" in said
