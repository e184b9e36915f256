"""Sessions on a real process: order, faults, interruption at any point, resuming, overhead."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from calls import count_calls
from fake_board import fake_plan, fake_target, run

from bench.conditions.board_tuner import SystemTuning
from bench.judge.summary import summarise_result
from bench.measure.session import Sampler, Session
from bench.record.raw import RAW, collect
from bench.record.result import Result, load_result, save_result
from bench.text.memory import memory_rows
from edge.base.errors import DeviceError, LinkError, UsageError
from edge.link.local import LocalTransport


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
    assert "4 of 6 of" in note and "every combination" in note
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


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("sum", "not explained"),
        ("threads", "2 threads were asked for, the runtime used 1"),
        ("mode", "fell back to 'none'"),
        ("answers", "changed from iteration to iteration"),
        ("nan", "NaN"),
        ("negative", "times that cannot be"),
        ("clock", "the clock went back"),
        ("cut", "its output has no end"),
    ],
)
def test_defect_makes_the_verdict_invalid_and_is_named(tmp_path: Path, fault: str, reason: str) -> None:
    broken = fault in ("nan", "negative", "clock", "cut")
    changes: dict[str, Any] = {"threads": (2,), "power_modes": ("high",), "precisions": ("fp32",)}
    if broken:
        with pytest.raises(DeviceError, match="nothing could be measured"):
            run(tmp_path, {"FAKE_FAULT": fault}, **changes)
        result = collect(tmp_path / "out")
        assert result.processes[0].times, "the iterations before the defect are kept"
        assert not result.complete
    else:
        result = run(tmp_path, {"FAKE_FAULT": fault}, **changes)
    summary = summarise_result(result)
    assert summary.level == "INVALID"
    assert any(reason in text for text in summary.cells[0].verdict.invalid), summary.cells[0].verdict


def test_garbage_between_lines_is_noted_and_harmless(tmp_path: Path) -> None:
    result = run(tmp_path, {"FAKE_FAULT": "garbage"})
    assert result.complete
    assert "predictor.cc" in result.processes[0].problems[0].message
    assert any("could not be used" in note for note in summarise_result(result).cells[0].verdict.notes)


@pytest.mark.parametrize(
    ("fault", "said"), [("crash", "cannot load det.nb"), ("signal", "was ended by SIGSEGV"), ("schema", "events/9")]
)
def test_program_that_fails_is_quoted(tmp_path: Path, fault: str, said: str) -> None:
    with pytest.raises(DeviceError, match=said):
        run(tmp_path, {"FAKE_FAULT": fault})


def test_one_failing_cell_does_not_stop_the_other(tmp_path: Path) -> None:
    target = fake_target(tmp_path)

    def command(variant: str, subcommand: str, *args: str) -> tuple[list[str], dict[str, str]]:
        argv, env = target.command(variant, subcommand, *args)
        return argv, {**env, **({"FAKE_FAULT": "crash"} if "int8" in variant else {})}

    result = Session(replace(target, command=command), fake_plan(), tmp_path / "out", sample_seconds=0).run()
    assert not result.complete
    summary = summarise_result(result)
    assert summary.level == "INVALID"
    assert [bool(item.stages) for item in summary.cells] == [True, False]
    assert "cannot load det.nb" in summary.cells[1].verdict.invalid[0]


class CutTransport(LocalTransport):
    """Loses the link after some lines of output, as often as it is told."""

    def __init__(self, after: int, times: int) -> None:
        self.after, self.times = after, times

    def run(self, argv: Any, **options: Any) -> Any:
        if "bench" not in argv or self.times == 0:
            return super().run(argv, **options)
        seen = 0
        forward = options.pop("on_stdout")

        def on_stdout(line: str) -> None:
            nonlocal seen
            seen += 1
            if seen > self.after:
                self.times -= 1
                raise LinkError("the link to the board broke")
            forward(line)

        return super().run(argv, on_stdout=on_stdout, **options)


@pytest.mark.parametrize("after", [0, 1, 3, 5, 9])
def test_cut_link_is_tried_again(tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.measure.session.time.sleep", lambda seconds: None)
    target = fake_target(tmp_path, transport=CutTransport(after, times=2))
    result = Session(target, fake_plan(processes=1), tmp_path / "out", sample_seconds=0).run()
    assert result.complete and summarise_result(result).cells[0].verdict.level != "INVALID"
    assert len(list((tmp_path / "out" / RAW).glob("*.old*"))) == 2, "the broken attempts are kept"


def test_board_that_is_gone_leaves_what_was_measured_and_a_rerun_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.measure.session.time.sleep", lambda seconds: None)
    link = CutTransport(6, times=0)
    target = fake_target(tmp_path, transport=link)
    plan = fake_plan(processes=2)

    class GoneAfterTwo:
        count = 0

        def __getattr__(self, name: str) -> Any:
            return lambda *args: None

        def end_process(self, slot: Any, why: str) -> None:
            self.count += 1
            if self.count == 2:
                link.times = 99

    with pytest.raises(LinkError):
        Session(target, plan, tmp_path / "out", reporter=GoneAfterTwo(), sample_seconds=0).run()  # type: ignore[arg-type]
    partial = collect(tmp_path / "out", why="link lost")
    assert not partial.complete and partial.why == "link lost" and partial.finished == ""
    assert [len(process.times) for process in partial.processes] == [6, 6, 2], "two whole ones and the beginning of one"
    assert summarise_result(partial).level == "INVALID"
    done = {path: path.read_bytes() for path in (tmp_path / "out" / RAW).glob("0*.jsonl")}
    link.times = 0
    result = Session(target, plan, tmp_path / "out", sample_seconds=0).run()
    assert result.complete and [len(process.times) for process in result.processes] == [6, 6, 6, 6]
    assert all(path.read_bytes() == content for path, content in done.items()), "finished processes are not run again"


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


def test_session_of_another_machine_of_the_same_name_is_not_gone_on_with(tmp_path: Path) -> None:
    target, plan, out = fake_target(tmp_path), fake_plan(processes=2), tmp_path / "out"
    begun = Session(target, plan, out, sample_seconds=0)
    begun.begin()
    begun.step(plan.slots[0])
    begun.close()
    session = json.loads((out / "session.json").read_text())
    session["facts"] = {**session["facts"], "cpu": "Another CPU @ 9 GHz"}
    (out / "session.json").write_text(json.dumps(session))
    with pytest.raises(UsageError, match="another machine: its cpu is Another CPU @ 9 GHz"):
        Session(target, plan, out, sample_seconds=0).run()


def test_session_goes_on_with_the_same_knobs_only(tmp_path: Path) -> None:
    target, plan, out = fake_target(tmp_path), fake_plan(processes=2), tmp_path / "out"
    fast = SystemTuning({"governor": "performance"}, restored=True)
    begun = Session(target, plan, out, sample_seconds=0)
    begun.begin()
    begun.step(plan.slots[0])
    begun.close()
    # Half of the processes at the governor's pleasure, half at full speed: that is no figure of either.
    with pytest.raises(UsageError, match="knobs"):
        Session(target, plan, out, sample_seconds=0, tuning=fast).run()
    assert Session(target, plan, out, sample_seconds=0).run().complete
    other = tmp_path / "other"
    assert Session(target, plan, other, sample_seconds=0, tuning=fast).run().complete
    with pytest.raises(UsageError, match="knobs"):
        Session(target, plan, other, sample_seconds=0).run()


class SetBack:
    """The module `time` of a host whose clock was set back by a day."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def time(self) -> float:
        return time.time() - 86_400


def test_clock_of_this_host_that_is_set_back_spoils_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, plan, out = fake_target(tmp_path), fake_plan(processes=2), tmp_path / "out"
    first = Session(target, plan, out, sample_seconds=0)
    first.begin()
    first.step(plan.slots[0])
    monkeypatch.setattr("bench.measure.session.time", SetBack())
    first.step(plan.slots[1])
    first.close()
    # It goes on in another process, whose only clock for what was before is the wrong one.
    Session(target, plan, out, sample_seconds=0).run()
    save_result(tmp_path / "result.json", collect(out))
    offsets = [process.offset_s for process in load_result(tmp_path / "result.json").processes]
    assert offsets == sorted(offsets) and offsets[0] >= 0 and offsets[-1] < 600


def test_other_plan_or_photos_in_the_same_folder_are_refused(tmp_path: Path) -> None:
    run(tmp_path, processes=1)
    with pytest.raises(UsageError, match="another plan"):
        run(tmp_path, processes=2)
    target = fake_target(tmp_path)
    other = replace(target, photos=target.photos[:1])
    with pytest.raises(UsageError, match="another list of photos"):
        Session(other, fake_plan(processes=1), tmp_path / "out", sample_seconds=0).run()


CHILD = """
import sys; sys.path.insert(0, {here!r})
from pathlib import Path
from fake_board import fake_plan, fake_target, run
from bench.measure.session import Session
folder = Path(sys.argv[1])
plan = fake_plan(processes=2, repeats=40)
Session(fake_target(folder, {{"FAKE_SLEEP": "0.02"}}), plan, folder / "out", sample_seconds=0.1).run()
"""


@pytest.mark.parametrize(("number", "after"), [(signal.SIGINT, 0.9), (signal.SIGKILL, 1.4), (signal.SIGKILL, 2.4)])
def test_killed_anywhere_it_resumes(tmp_path: Path, number: signal.Signals, after: float) -> None:
    code = CHILD.format(here=str(Path(__file__).parents[1]))
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.DEVNULL, cwd=Path.cwd())
    out = tmp_path / "out"
    deadline = time.monotonic() + 600
    while not list(out.glob("raw/0*")) and time.monotonic() < deadline:
        assert child.poll() is None, "it ended before it had measured anything"
        time.sleep(0.02)
    time.sleep(after)
    child.send_signal(number)
    child.wait(timeout=600)
    if child.returncode == 0:
        pytest.skip("it was faster than the signal")
    partial = collect(out)
    assert not partial.complete
    assert summarise_result(partial).level == "INVALID"
    result = Session(fake_target(tmp_path, {"FAKE_SLEEP": "0"}), fake_plan(processes=2, repeats=40), out).run()
    assert result.complete
    assert [len(process.times) for process in result.processes] == [40] * 4


def test_full_disk_loses_nothing_that_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.record.raw import RawWriter

    keep = RawWriter.line
    count = 0

    def line(self: RawWriter, text: str) -> None:
        nonlocal count
        count += 1
        if count == 25:
            raise OSError(28, "No space left on device")
        keep(self, text)

    monkeypatch.setattr(RawWriter, "line", line)
    with pytest.raises(OSError, match="No space left"):
        run(tmp_path)
    partial = collect(tmp_path / "out")
    assert not partial.complete and [len(process.times) for process in partial.processes] == [6, 6]
    monkeypatch.undo()
    assert run(tmp_path).complete


@pytest.mark.parametrize("left", [0, 20, 2000, -1], ids=["nothing", "half a header", "some lines", "all but the last byte"])
def test_file_of_a_process_that_lost_its_end_is_measured_again(tmp_path: Path, left: int) -> None:
    run(tmp_path)
    raw = tmp_path / "out" / RAW
    path = sorted(raw.glob("0*.jsonl"))[1]
    cut = path.read_bytes()[:left]
    path.write_bytes(cut)
    partial = collect(tmp_path / "out")
    assert not partial.complete and summarise_result(partial).level == "INVALID"
    result = run(tmp_path)
    assert result.complete and [len(process.times) for process in result.processes] == [6] * 4
    assert (raw / f"{path.name}.old1").read_bytes() == cut


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
