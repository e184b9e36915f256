"""The bench measures itself on a real board: its overhead, equal builds that must look equal, a slower one that must not.

Two sessions of a pair take turns process by process (A B, B A), so that what the board does meanwhile affects both alike.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.compare.changes import DEFAULT_THRESHOLD, compare_results
from bench.judge.summary import summarise_result
from bench.measure.session import Session
from bench.measure.target import SystemUnderTest
from bench.plan.plan import Plan
from bench.record.events import KEYS
from bench.record.result import Result
from edge.base.progress import Say

MAX_OVERHEAD = 0.10
STREAM_BYTES = 100_000_000
MAX_STREAM_SECONDS = 5.0
MAX_STREAM_MB = 300.0
# Stage to its name in the program's source; the two ends of the scale: half a millisecond, and most of the time.
SLOWED = {"det_pre": "kDetPre", "det_infer": "kDetInfer"}
# With five pairs of processes, one that the machine disturbs (seen: half a millisecond became 1.1 in one of five) makes
# the interval of nine stages together wider than 15 %; among twenty it does not.
SLOWER_PROCESSES, SLOWER_MS = 20, 1500.0

# Folders of the sessions below the outcome's.
SESSIONS = ("aa-*", "slow-*", "overhead")


@dataclass(frozen=True)
class SelfCheck:
    """One thing that was tried.

    Attributes:
        name: What.
        good: Whether it came out as it should.
        text: With its figures.
        data: The figures.
    """

    name: str
    good: bool
    text: str
    data: dict[str, Any] = field(default_factory=dict)


def interleaved(first: Session, second: Session) -> tuple[Result, Result]:
    """Runs two sessions of the same plan in turns.

    Returns:
        Both results.
    """
    first.begin()
    second.begin()
    try:
        for a, b in zip(first.plan.slots, second.plan.slots, strict=True):
            for session, slot in ((first, a), (second, b))[:: 1 if a.index % 2 == 0 else -1]:
                session.step(slot)
    finally:
        first.close()
        second.close()
    return first.result(), second.result()


def with_program(target: SystemUnderTest, program: Path, folder: str) -> SystemUnderTest:
    """Returns a target that runs another build of `plate_ocr` with everything else of the release.

    Args:
        target: The board.
        program: The other build.
        folder: Where to put it there.
    """
    place = f"{folder}/plate_ocr"
    target.transport.put(program, place, mode=0o755)

    def command(variant: str, subcommand: str, *args: str) -> tuple[list[str], dict[str, str]]:
        argv, env = target.command(variant, subcommand, *args)
        return [place, *argv[1:]], env

    from edge.base.paths import sha256_file

    return replace(target, command=command, program=sha256_file(program))


def check_equal(target: SystemUnderTest, plan: Plan, out: Path, number: int) -> SelfCheck:
    """An A/A pair: the same release twice; any regression is a false alarm."""
    a, b = interleaved(*(Session(target, plan, out / f"aa-{number}-{side}") for side in "ab"))
    found = compare_results(a, b, paired=True)
    alarms = [change.what for change in found.changes if change.verdict == "regression"]
    total = next(change for change in found.changes if change.what == "total")
    interval = f" (95 %: {total.low:.3f} to {total.high:.3f})" if total.low and total.high else ""
    text = f"total {total.ratio:.3f}{interval}; {', '.join(alarms) if alarms else 'no false alarm'}"
    data = {"ratio": total.ratio, "low": total.low, "high": total.high, "alarms": alarms, **_medians(a, b)}
    return SelfCheck(f"A/A {number}", not alarms and not found.obstacles, text, data)


def check_slower(target: SystemUnderTest, slower: SystemUnderTest, plan: Plan, out: Path, stage: str) -> SelfCheck:
    """A build with one slower stage: `compare` must find it and name that stage, and no other."""
    sessions = [Session(side, plan, out / f"slow-{stage}-{name}") for side, name in ((target, "a"), (slower, "b"))]
    a, b = interleaved(*sessions)
    found = compare_results(a, b, paired=True)
    named = [change.what for change in found.changes if change.verdict == "regression" and change.what in KEYS]
    change = next(change for change in found.changes if change.what == stage)
    interval = f" (95 %: {change.low:.3f} to {change.high:.3f})" if change.low and change.high else ""
    good = stage in named and not set(named) - {stage, "total"}
    text = f"{stage} {change.ratio:.3f}{interval}; named: {', '.join(named) or 'nothing'}"
    data = {"stage": stage, "ratio": change.ratio, "low": change.low, "high": change.high, "named": named}
    return SelfCheck(f"slower {stage}", good, text, {**data, **_medians(a, b)})


def check_overhead(target: SystemUnderTest, plan: Plan, out: Path) -> SelfCheck:
    """What the harness adds to the time that the board itself reports, with fifty iterations."""
    single = replace(plan, name="overhead", processes=2, warmup=1, warmup_ms=0, repeats=50, min_ms=0)
    began = time.monotonic()
    result = Session(target, single, out / "overhead").run()
    wall = time.monotonic() - began
    own = 0.0
    for process in result.processes:
        # The program's own clock begins with it: loading, first photo and warm-up are in the last iteration's time.
        own += (process.times[-1] + process.ms["total"][-1]) / 1000
    share = wall / own - 1
    text = f"{wall:.2f} s for {own:.2f} s on the board's clock: {share:+.1%} (less than {MAX_OVERHEAD:.0%})"
    return SelfCheck("overhead", share < MAX_OVERHEAD, text, {"wall_s": wall, "board_s": own, "share": share})


def check_stream(size: int = STREAM_BYTES) -> SelfCheck:
    """How fast and in how much memory a long stream of JSON lines is reduced; in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="plate-bench-") as folder:
        path = Path(folder) / "events.jsonl"
        ms = dict.fromkeys(KEYS, 12.345678)
        lines = [json.dumps({"event": "start", "schema": "plate-ocr/events/1"})]
        event = {"event": "iteration", "i": 0, "t": 0.0, "image": 0, "plates": 1, "boxes": 1, "ms": ms}
        line = json.dumps(event)
        with path.open("w", encoding="utf-8") as stream:
            stream.write(lines[0] + "\n")
            for number in range(size // (len(line) + 8)):
                stream.write(line.replace('"t": 0.0', f'"t": {number:.1f}') + "\n")
        code = (
            "import sys, time, resource; from bench.record.events import read_events; began = time.perf_counter();"
            "cpu = time.process_time();"
            "log = read_events(open(sys.argv[1], 'rb'));"
            "print(time.process_time() - cpu, time.perf_counter() - began);"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, log.iterations)"
        )
        answer = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
        # CPU seconds: what another program takes from this one is not the reader's fault.
        seconds, wall, kilobytes, count = answer.stdout.split()
        actual = path.stat().st_size
    data = {"bytes": actual, "cpu_s": float(seconds), "wall_s": float(wall), "peak_mb": int(kilobytes) / 1024}
    data["iterations"] = int(count)
    good = data["cpu_s"] < MAX_STREAM_SECONDS and data["peak_mb"] < MAX_STREAM_MB
    text = f"{actual / 1e6:.0f} MB in {data['cpu_s']:.2f} s of CPU and {data['peak_mb']:.0f} MB"
    return SelfCheck("stream", good, text, data)


def run_checks(
    target: SystemUnderTest, plan: Plan, out: Path, slower: dict[str, SystemUnderTest], *, pairs: int = 10,
    say: Say = lambda text: None,
) -> list[SelfCheck]:
    """Runs everything.

    Args:
        target: The board.
        plan: Of every session; a slower build is measured in more and shorter processes than it says.
        out: Folder for the sessions; an existing one is used as it is, so that a broken run can go on.
        slower: Stage to the board with a build in which it is slower.
        pairs: A/A pairs.
        say: Called with the outcome of each.
    """
    tasks: list[Callable[[], SelfCheck]] = [check_stream, lambda: check_overhead(target, plan, out)]
    tasks += [lambda number=number: check_equal(target, plan, out, number) for number in range(1, pairs + 1)]  # type: ignore[misc]
    many = replace(plan, name="slower", processes=max(plan.processes, SLOWER_PROCESSES), min_ms=SLOWER_MS)
    many = replace(many, repeats=min(plan.repeats, 20))
    tasks += [
        lambda stage=stage, other=other: check_slower(target, other, many, out, stage)  # type: ignore[misc]
        for stage, other in slower.items()
    ]
    checks = []
    for task in tasks:
        check = task()
        checks.append(check)
        say(f"{'good' if check.good else 'BAD '}  {check.name}: {check.text}")
    return checks


def document(checks: Sequence[SelfCheck], target: SystemUnderTest, plan: Plan, seconds: float) -> dict[str, Any]:
    """Plain JSON."""
    load = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "schema": "plate-edge/self/1", "device": target.device, "program": target.program, "runtime": target.runtime,
        "plan": plan.document(), "threshold": DEFAULT_THRESHOLD, "seconds": round(seconds, 1),
        "host_cpu_seconds": round(load.ru_utime + load.ru_stime, 1), "good": all(check.good for check in checks),
        "checks": [asdict(check) for check in checks],
    }  # fmt: skip


def _medians(a: Result, b: Result) -> dict[str, Any]:
    totals = [summarise_result(result).cells[0].total for result in (a, b)]
    return {"median_ms": [total.median if total else None for total in totals], "created": a.created}
