"""Boards, files and results that mean harm: clear errors, text that stays text, nothing lost."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from fake_board import fake_plan, fake_target, shown_result
from rich.console import Console
from test_bench_events import END, FIRST, LOAD, START, iteration, read

from bench.compare.changes import compare_results
from bench.compare.show import junit, print_comparison
from bench.compare.show import markdown as compare_markdown
from bench.judge.summary import summarise_result
from bench.measure.session import Session
from bench.record.collect import collect
from bench.record.events import FATAL, KEYS
from bench.record.result import Result, result_from_json, save_result
from bench.report.page import page
from bench.text.csv_sheet import sheet
from bench.text.markdown import markdown
from bench.text.table import print_table
from edge.base.errors import DeviceError, EdgeError, InputError

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
        json.dumps({**END, "answers": [{"image": "/p.jpg", "plates": [{"score": 1.0}]}]}),
        json.dumps({**END, "answers": [{"plates": []}]}),
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


def test_board_cannot_steer_the_terminal(tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07 \x9b2J \u202eabc"
    program = f"import sys; sys.stderr.write({evil!r} + '\\n'); print({evil!r}); sys.exit(3)"
    target = fake_target(tmp_path)
    broken = replace(target, command=lambda *words: ([sys.executable, "-c", program], {}))
    with pytest.raises(DeviceError) as caught:
        Session(broken, fake_plan(processes=1), tmp_path / "out", sample_seconds=0).run()
    assert "owned" in caught.value.message and caught.value.message.isprintable()
    problems = collect(tmp_path / "out").processes[0].problems
    assert problems and all(item.message.isprintable() for item in problems)


def test_answers_as_the_program_gives_them_are_taken() -> None:
    unread = json.dumps({**END, "answers": [{"image": "/p.jpg"}]})
    for end in (ended(), unread):
        log = read(START, LOAD, FIRST, iteration(0, 5), end)
        assert log.complete and not log.problems


def test_what_a_board_says_is_text_to_the_watcher(capsys: pytest.CaptureFixture[str]) -> None:
    from bench.measure.progress import Watch

    plan = fake_plan()
    watch = Watch()
    watch.step("pushing to [/tmp/plate]")
    watch.begin(plan, 0)
    watch.end_process(plan.slots[0], "the program ended with exit code 4: [/lite/core/op.cc:12] no kernel [bold]")
    watch.close()
    said = " ".join(capsys.readouterr().err.split())
    assert "[/tmp/plate]" in said and "[/lite/core/op.cc:12] no kernel [bold]" in said


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    place = tmp_path_factory.mktemp("hostile")
    result = shown_result(place)
    look = {"power_w": {"VDD": 5.0}, "throttled": {"core_throttle_count": 0}, "governors": {"0": "performance"}}
    check = {"photos": 2, "same": 1, "edits": 1, "least_iou": 0.9}
    setting = {"knob": "governor", "path": "/sys/x", "before": "a", "wanted": "b", "now": "b"}
    result = replace(
        result,
        samples=tuple({**sample, **look} for sample in result.samples),
        host_check={cell.key: check for cell in result.cells},
        tuning={"knobs": {"governor": "b"}, "settings": [setting], "problems": ["no"], "restored": True},
    )
    save_result(place / "result.json", result)
    kept: dict[str, Any] = json.loads((place / "result.json").read_text())
    # One iteration and one process of each combination say as much as a hundred, and take less time.
    kept["processes"], kept["samples"] = kept["processes"][:2], kept["samples"][:2]
    for process in kept["processes"]:
        for key in ("times", "images", "plates", "boxes"):
            process[key] = process[key][:2]
        process["ms"] = {key: values[:2] for key, values in process["ms"].items()}
    return kept


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from leaves(item, (*path, key))


def put(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    copy = json.loads(json.dumps(document))
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return copy


def reports(result: Result) -> list[str]:
    summary = summarise_result(result)
    console = Console(file=io.StringIO(), width=120)
    print_table(result, summary, console)
    found = compare_results(result, result, across_kinds=True)
    print_comparison(found, console)
    both = [compare_markdown(found), junit(found)]
    json.dumps(summary.document(), allow_nan=False)
    return [page(result, summary, {}), markdown(result, summary), sheet(result, summary), *both]


STRANGE = (None, [], {}, "", "x", -1, True, 1e300, 10**400, "\ud800", [None], {"x": None}, [[]])


def test_result_with_any_part_replaced_is_refused_or_shown(document: dict[str, Any]) -> None:
    random.seed(5)
    places = [path for path in leaves(document) if path and path[0] != "summary"]
    # A part under every key once; of equal parts (a hundred times) one is enough.
    names = {tuple("#" if isinstance(key, int) else key for key in path): path for path in places}
    assert len(names) > 150
    shown = refused = 0
    for path in names.values():
        for value in random.sample(STRANGE, 1):
            bad = put(document, path, value)
            try:
                result = result_from_json(bad, "bad.json")
            except InputError:
                refused += 1
                continue
            try:
                reports(result)
            except EdgeError:
                refused += 1
            except Exception as error:  # pragma: no cover
                raise AssertionError(f"{'.'.join(map(str, path))} = {value!r}: {error!r}") from error
            shown += 1
    assert shown > 15 and refused > 60


def poisoned(value: Any, key: str, text: str) -> Any:
    """Puts a text behind every text but those by which parts find one another."""
    if isinstance(value, dict):
        fixed = ("schema", "kind", "side", "precision", "sha256", "cell")
        return {name: item if name in fixed else poisoned(item, name, text) for name, item in value.items()}
    if isinstance(value, list):
        return [poisoned(item, key, text) for item in value]
    return value + text if isinstance(value, str) and key != "key" else value


def test_hostile_text_anywhere_stays_text(document: dict[str, Any]) -> None:
    evil = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>[bold]`x`|\\|[a](javascript:b)\x07"
    result = result_from_json(poisoned(document, "", evil), "evil.json")
    html, text, rows, told, xml = reports(result)
    parser = Tags()
    parser.feed(html)
    assert not parser.found & {"script", "img"} and not parser.handlers
    for words in (text, told):
        assert "<script" not in words and "<img" not in words and not re.search(r"(?<!\\)\[a\]\(", words)
        tables = [line for line in words.splitlines() if line.startswith("|")]
        counts = [len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in tables]
        assert all(count > 2 for count in counts)
        assert len(set(counts)) <= 6, "no text opens a column"
    assert all(not cell.startswith(("=", "+", "@")) for row in csv.reader(io.StringIO(rows)) for cell in row)
    ElementTree.fromstring(xml)


class Tags(HTMLParser):
    """Collects tags and event handlers."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
