"""Sessions on a real process: order, time box, figures, overhead."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from calls import count_calls
from fake_board import fake_plan, fake_target, run

from bench.judge.summary import summarise_result
from bench.measure.session import Sampler, Session
from bench.record.raw import RAW
from bench.record.result import Result, load_result, save_result
from bench.text.memory import memory_rows
from edge.transport.local import LocalTransport


def test_processes_are_interleaved_and_everything_is_kept(tmp_path: Path) -> None:
    result = run(tmp_path, processes=3)
    order = [process.cell.split("_")[0].removeprefix("ppocrv3-") for process in result.processes]
    assert order == ["fp32", "int8", "int8", "fp32", "fp32", "int8"], "A B B A"
    assert result.complete and all(process.complete for process in result.processes)
    first = result.processes[0]
    assert len(first.times) == 6 and first.images == (0, 1, 0, 1, 0, 1)
    assert first.load_ms == {"det": 30.0, "rec": 40.0} and first.first_ms["total"] > 0
    assert first.hwm_kb["load"] == 120_000 and first.hwm_kb["end"] == 200_000
    assert first.hwm_kb["det_infer"] == 180_000 and [*first.hwm_kb][-1] == "end"
    raw = sorted(path.name for path in (tmp_path / "out" / RAW).glob("0*.jsonl"))
    assert len(raw) == 6 and raw[1] == "0001_ppocrv3-int8_t1_none_min736.jsonl"
    save_result(tmp_path / "result.json", result)
    assert load_result(tmp_path / "result.json") == result


def test_repeats_are_whole_rounds_of_the_photos(tmp_path: Path) -> None:
    result = run(tmp_path, repeats=7, processes=1)
    assert all(len(process.times) == 8 for process in result.processes)


class HalfSeconds:
    """The module `time` where nothing takes time but processes, half a second each."""

    def __init__(self) -> None:
        self.now = 100.0

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def monotonic(self) -> float:
        return self.now


def test_time_box_leaves_processes_out_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = HalfSeconds()
    for module in ("measure.session", "plan.timebox"):
        monkeypatch.setattr(f"bench.{module}.time", clock)
    target = fake_target(tmp_path)

    def command(*words: str) -> tuple[list[str], dict[str, str]]:
        clock.now += 0.5
        return target.command(*words)

    def boxed() -> Result:
        # The box has room for two rounds of both combinations.
        plan = fake_plan(processes=6, min_processes=1, box_s=2.0)
        return Session(replace(target, command=command), plan, tmp_path / "out", sample_seconds=0).run()

    result = boxed()
    assert result.complete and result.finished, "what the box leaves out does not make a result incomplete"
    assert [len(result.of(cell.key)) for cell in result.cells] == [2, 2]
    (note,) = [note for note in result.notes if "time box" in note]
    assert "4 of 6 for" in note and "every combination" in note
    summary = summarise_result(result)
    assert summary.level == "NOISY" and any("; 5 are needed" in text for text in summary.cells[0].verdict.noisy)
    assert len(boxed().processes) == len(result.processes), "a rerun leaves the same out"


def test_time_box_never_leaves_out_the_least(tmp_path: Path) -> None:
    result = run(tmp_path, {"FAKE_SLEEP": "0.05"}, processes=3, min_processes=2, box_s=0.01)
    assert [len(result.of(cell.key)) for cell in result.cells] == [2, 2]
    assert not any(reason for cell in summarise_result(result).cells for reason in cell.verdict.invalid)


def test_memory_is_told_by_stage(tmp_path: Path) -> None:
    summary = summarise_result(run(tmp_path, processes=1))
    rows = {row[0]: row[1] for row in memory_rows(summary)}
    assert rows["both models loaded"] == "117.2" and rows["det infer"] == "175.8 (+56.6)"
    assert rows["det post"] == "175.8" and rows["at the end"] == "195.3 (+9.8)"


def test_figures_and_accuracy(tmp_path: Path) -> None:
    summary = summarise_result(run(tmp_path, processes=5, repeats=20))
    fp32, int8 = summary.cells
    assert fp32.total is not None and int8.total is not None
    assert fp32.total.n == 100 and fp32.total.processes == 5
    assert fp32.total.median == pytest.approx(120, rel=0.05)
    assert set(fp32.stages) == {
        "decode", "det_pre", "det_infer", "det_post", "crop", "rec_pre", "rec_infer", "rec_post", "other", "total",
    }  # fmt: skip
    assert fp32.other_share == pytest.approx(0, abs=0.001)
    assert fp32.accuracy is not None and (fp32.accuracy.right, fp32.accuracy.truth, fp32.accuracy.photos) == (1, 1, 1)
    (pair,) = summary.pairs
    ratio = pair.ratios["total"]
    assert ratio.interval is not None and ratio.paired and ratio.ratio == pytest.approx(0.8, rel=0.03)
    assert ratio.interval.low < ratio.ratio < ratio.interval.high
    assert pair.agreement is not None and pair.agreement.same == 2


def test_look_that_hangs_is_not_taken_for_the_next_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.measure.session.LOOK_SECONDS", 0.1)
    release, hanging = threading.Event(), threading.Event()

    class Slow(LocalTransport):
        looks = 0

        def run(self, argv: Any, **options: Any) -> Any:
            self.looks += 1
            if self.looks == 1:
                hanging.set()
                release.wait(60)
            return super().run(argv, **options)

    looked = tmp_path / "samples.jsonl"
    sampler = Sampler(replace(fake_target(tmp_path), sampler=Slow()), tmp_path, time.monotonic(), 0.05)
    sampler.start(0)
    assert hanging.wait(60)
    sampler.stop()
    sampler.start(1)
    release.set()
    deadline = time.monotonic() + 600
    while (looked.read_text().count("\n") if looked.exists() else 0) < 20 and time.monotonic() < deadline:
        time.sleep(0.05)
    sampler.stop()
    assert {json.loads(line)["process"] for line in looked.read_text().splitlines()} == {1}


def test_harness_asks_the_board_a_few_times_a_process_and_does_little_a_line(tmp_path: Path) -> None:
    """`make bench-self` takes the share of time that it adds; here are the counts behind it."""
    asked: list[str] = []

    class Counting(LocalTransport):
        def run(self, argv: Any, **options: Any) -> Any:
            asked.append("bench" if "bench" in argv else "look")
            return super().run(argv, **options)

    def work(repeats: int, processes: int) -> tuple[int, int, int]:
        folder = tmp_path / f"{repeats} {processes}"
        folder.mkdir()
        plan = fake_plan(processes=processes, repeats=repeats, precisions=("fp32",))
        slow = {"FAKE_SLEEP": "0.005"}
        session = Session(fake_target(folder, slow, transport=Counting()), plan, folder / "out", sample_seconds=0)
        asked.clear()
        calls = count_calls(session.run)
        return asked.count("bench"), asked.count("look"), calls

    (short_runs, short_looks, short), (runs, looks, long) = work(10, 2), work(110, 2)
    assert (runs, looks) == (short_runs, short_looks), "longer processes are not asked more often"
    assert runs == 2 and work(10, 4)[1] - looks <= 2 * 2, "a look before and a look after"
    # A line that comes alone costs a wake-up more than one of several: 100 against 45. These come alone.
    assert (long - short) / (2 * 100) <= 160
