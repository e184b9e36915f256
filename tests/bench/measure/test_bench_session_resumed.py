"""Sessions that were broken off go on, and only where they may."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from fake_board import fake_plan, fake_target, run

from bench.conditions.board_tuner import SystemTuning
from bench.judge.summary import summarise_result
from bench.measure.session import Session
from bench.record.collect import collect
from bench.record.raw import RAW
from bench.record.result import load_result, save_result
from edge.base.errors import LinkError, UsageError
from edge.transport.local import LocalTransport


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


def test_a_session_of_the_version_before_goes_on(tmp_path: Path) -> None:
    """Its photos say what plates are on them, and not of which kind."""
    plan, out, target = fake_plan(processes=2), tmp_path / "out", fake_target(tmp_path)
    first = Session(target, plan, out, sample_seconds=0)
    first.begin()
    first.step(plan.slots[0])
    first.close()
    assert target.photos[0].truth
    named = tuple({"text": plate["text"], "box": plate["box"], "kind": "blue"} for plate in target.photos[0].truth)
    photos = (replace(target.photos[0], truth=cast(Any, named)), *target.photos[1:])
    assert Session(replace(target, photos=photos), plan, out, sample_seconds=0).run().complete
    other = (replace(target.photos[0], truth=cast(Any, ({**named[0], "text": "皖A00000"},))), *target.photos[1:])
    with pytest.raises(UsageError, match="another list of photos"):
        Session(replace(target, photos=other), plan, out, sample_seconds=0).run()


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
