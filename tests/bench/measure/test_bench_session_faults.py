"""Sessions whose program, disk or files fail: the verdict names it, and nothing that was measured is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_board import fake_plan, fake_target, run

from bench.judge.summary import summarise_result
from bench.measure.session import Session
from bench.record.collect import collect
from bench.record.raw import RAW
from edge.base.errors import DeviceError


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("sum", "not explained"),
        ("threads", "2 threads were asked for, the runtime used 1"),
        ("mode", "fell back to 'none'"),
        ("answers", "changed from iteration to iteration"),
        ("nan", "NaN"),
        ("negative", "impossible times"),
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
