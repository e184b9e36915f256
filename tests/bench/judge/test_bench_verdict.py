"""Every injected defect makes the verdict that it should, and a sound run makes none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_board import run

from bench.conditions.environment import Snapshot
from bench.judge.summary import summarise_result


def conditions(**values: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(Snapshot(**values))


@pytest.mark.parametrize(
    ("defect", "level", "reason"),
    [
        ("throttle", "INVALID", "throttled"),
        ("cooling", "INVALID", "throttled while it ran: heat, cooling_device0 thermal-cpufreq-0 at step 3"),
        ("limit", "INVALID", "the clock's limit went from 1800 to 1416 MHz"),
        ("clock", "NOISY", "clock fell from 1800 to 1200 MHz"),
        ("load", "NOISY", "other programs were running"),
        ("drift", "NOISY", "second half of a process takes"),
        ("heating", "NOISY", "from the first process to the last"),
        ("modes", "NOISY", "two speeds"),
        ("noise", "NOISY", "iterations vary"),
        ("emulated", "INVALID", "emulated"),
        ("replay", "INVALID", "replay"),
        ("few", "NOISY", "3 processes"),
        ("none", "VALID", ""),
    ],
)
def test_verdict_fires_on_each_injected_defect(tmp_path: Path, defect: str, level: str, reason: str) -> None:
    import random
    from dataclasses import replace

    result = run(tmp_path, processes=3 if defect == "few" else 5, repeats=50, precisions=("fp32",))
    random.seed(1)
    calm = conditions(load=0.3, throttled={"core_throttle_count": 7})
    processes = []
    for turn, process in enumerate(result.processes):
        factor = [1.0] * len(process.times)
        if defect == "drift":
            factor = [1 + 0.3 * i / len(factor) for i in range(len(factor))]
        elif defect == "heating":
            factor = [1 + 0.03 * turn] * len(factor)
        elif defect == "modes":
            factor = [1.3 if random.random() < 0.3 else 1.0 for _ in factor]
        elif defect == "noise":
            factor = [random.uniform(0.7, 1.3) for _ in factor]
        steady = [0.99 + 0.02 * random.random() for _ in factor]
        ms = {
            stage: tuple(120 / 10 * (1 + 0.2 * image) * f * s * (8 if stage == "total" else 1)
                         for image, f, s in zip(process.images, factor, steady, strict=True))
            for stage in process.ms
        }  # fmt: skip
        after = calm
        if defect == "throttle" and turn == 3:
            after = conditions(load=0.3, throttled={"core_throttle_count": 9})
        if defect in ("cooling", "none"):
            # A fan that turns is no throttling; a clock that cools is.
            hot = 3 if defect == "cooling" and turn == 3 else 0
            after = conditions(cooling={"cooling_device0 thermal-cpufreq-0": hot, "cooling_device1 pwm-fan": 2})
        if defect == "limit":
            after = conditions(limits={"0": 1_416_000, "4": 1_800_000 if turn < 3 else 1_416_000})
        before = conditions(load=4.7) if defect == "load" and turn == 1 else calm
        processes.append(replace(process, ms=ms, before=before, after=after))
    speeds = [1_800_000] * 6 if defect != "clock" else [1_800_000] * 4 + [1_200_000] * 4
    samples = tuple({"t": i, "process": 0, "frequencies": {"4": speed}} for i, speed in enumerate(speeds))
    kind = defect if defect in ("emulated", "replay") else "board"
    changed = replace(
        result, processes=tuple(processes), samples=samples, device={**result.device, "kind": kind}, facts={"cores": 6}
    )
    summary = summarise_result(changed)
    verdict = summary.cells[0].verdict
    assert summary.level == level, verdict
    assert not reason or any(reason in text for text in verdict.reasons), verdict
    assert bool(verdict.reasons) == (level != "VALID")


def test_board_that_tells_no_conditions_is_noted(tmp_path: Path) -> None:
    from dataclasses import replace

    result = run(tmp_path, processes=5, repeats=50, precisions=("fp32",))
    for look in (None, conditions()):
        processes = tuple(replace(process, before=look, after=look) for process in result.processes)
        (cell,) = summarise_result(replace(result, processes=processes, samples=())).cells
        assert cell.verdict.level == "VALID" and any("is unknown" in note for note in cell.verdict.notes)
    calm = tuple(replace(process, before=conditions(load=0.0)) for process in result.processes)
    (cell,) = summarise_result(replace(result, processes=calm, samples=())).cells
    assert not any("is unknown" in note for note in cell.verdict.notes)


def test_more_threads_than_cores_are_recorded_as_what_ran(tmp_path: Path) -> None:
    result = run(tmp_path, threads=(64,), processes=1, repeats=3, precisions=("fp32",))
    assert result.processes[0].effective["threads"] == {"requested": 64, "started": 64, "effective": 2}
    (cell,) = summarise_result(result).cells
    assert cell.verdict.level == "INVALID"
    assert "64 threads were started on 2 cores: 2 ran at once" in cell.verdict.invalid
