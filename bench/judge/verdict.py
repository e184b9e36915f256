"""Whether a measurement may be believed: `VALID`, `NOISY` or `INVALID`, with every reason in words.

INVALID: the figure does not measure what it claims to (broken off, other threads than asked, stages that do not add up,
answers that change, an emulated CPU). NOISY: it does, but another run may give another figure. VALID: neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.conditions.environment import Look
from bench.conditions.knobs import cpu_list
from bench.plan.plan import PlanFacts
from bench.record.events import STAGES
from bench.record.result import Process, Result, ResultCell
from bench.stats.describe import Summary
from bench.stats.sampling import Array, normalised
from bench.stats.trend import Drift, Modes, drift, two_modes
from edge.base.plural import counted

VALID, NOISY, INVALID = "VALID", "NOISY", "INVALID"

MAX_CV = 0.10
MAX_HALF_WIDTH = 0.05
MAX_DRIFT = 0.05
MAX_OTHER = 0.05
MAX_FREQUENCY_DROP = 0.05
MIN_PROCESSES = 5
MIN_ITERATIONS = 50
MODE_RATIO = 1.05


@dataclass(frozen=True)
class Verdict:
    """The judgement of one cell, or of a whole result.

    Attributes:
        level: `VALID`, `NOISY` or `INVALID`.
        invalid: Reasons for INVALID.
        noisy: Reasons for NOISY.
        notes: What the reader should know besides.
    """

    level: str
    invalid: tuple[str, ...] = ()
    noisy: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """All reasons, the worst first."""
        return self.invalid + self.noisy


@dataclass
class _Findings:
    invalid: list[str] = field(default_factory=list)
    noisy: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def verdict(self) -> Verdict:
        level = INVALID if self.invalid else NOISY if self.noisy else VALID
        return Verdict(level, tuple(self.invalid), tuple(self.noisy), tuple(self.notes))


def judge_cell(result: Result, cell: ResultCell, total: Summary | None) -> Verdict:
    """Judges one cell.

    Args:
        result: All of it.
        cell: The one to judge.
        total: Summary of its totals; None when nothing was measured.
    """
    found = _Findings()
    measured = result.of(cell.key)
    _judge_soundness(result, cell, measured, found)
    if total is None:
        return found.verdict()
    _judge_noise(total, measured, found)
    _judge_conditions(result, cell, measured, found)
    _judge_knobs(result, measured, found)
    _judge_host_check(result, cell, found)
    if total.processes < MIN_PROCESSES:
        count = counted(total.processes, "process")
        found.noisy.append(f"{count}; {MIN_PROCESSES} are needed to know how far the figure moves")
    fewest = min(len(process.times) for process in measured)
    if fewest < MIN_ITERATIONS:
        found.noisy.append(f"only {fewest} iterations in a process; {MIN_ITERATIONS} are needed")
    return found.verdict()


def invalid_reasons(result: Result, cell: ResultCell) -> tuple[str, ...]:
    """Only the reasons that make a cell INVALID; cheaper than a whole verdict."""
    found = _Findings()
    _judge_soundness(result, cell, result.of(cell.key), found)
    return tuple(found.invalid)


def other_share(processes: Sequence[Process]) -> float | None:
    """Median of (total - sum of the stages) / total; None when nothing was measured."""
    shares = [
        1 - np.sum([process.ms[stage] for stage in STAGES], axis=0) / np.asarray(process.ms["total"])
        for process in processes
        if process.times
    ]
    return float(np.median(np.concatenate(shares))) if shares else None


def overall(verdicts: Iterable[Verdict]) -> str:
    """The worst level of several verdicts; INVALID when there is none."""
    levels = [verdict.level for verdict in verdicts]
    return next((level for level in (INVALID, NOISY) if level in levels), VALID) if levels else INVALID


def modes_of(processes: Sequence[Process]) -> Modes | None:
    """Looks for two speeds in the totals of a cell; None when there is one."""
    totals, images = _columns(processes)
    if not totals:
        return None
    modes = two_modes(normalised(np.concatenate(totals), np.concatenate(images)))
    return modes if modes is not None and modes.apart and modes.ratio >= MODE_RATIO else None


def drift_of(processes: Sequence[Process]) -> Drift | None:
    """Drift of the totals of a cell; None when nothing was measured."""
    totals, images = _columns(processes)
    return drift(totals, images) if totals else None


def _columns(processes: Sequence[Process]) -> tuple[list[Array], list[np.ndarray[tuple[int], np.dtype[np.int64]]]]:
    used = [process for process in processes if process.times]
    totals = [np.asarray(process.ms["total"], dtype=np.float64) for process in used]
    return totals, [np.asarray(process.images, dtype=np.int64) for process in used]


def _judge_kind(result: Result, found: _Findings) -> None:
    kind = result.device.get("kind")
    if kind == "emulated":
        found.invalid.append("the CPU is emulated: its times say nothing about any board")
    elif kind == "replay":
        found.invalid.append("the replay runtime of the tests stood in for Paddle Lite: its times mean nothing")
    elif kind == "host":
        found.notes.append("measured on the host computer, not on a board")


def _judge_soundness(result: Result, cell: ResultCell, measured: Sequence[Process], found: _Findings) -> None:
    every = [process for process in result.processes if process.cell == cell.key]
    planned = _planned(result.plan)
    whole = [process for process in every if process.complete]
    if len(whole) < planned:
        reasons = dict.fromkeys(process.why for process in every if process.why)
        said = f" ({'; '.join(reasons)})" if reasons else ""
        found.invalid.append(f"{len(whole)} of {planned} processes finished{said}")
    _judge_kind(result, found)
    _judge_processes(cell, measured, found)
    other = other_share(measured)
    if other is not None and abs(other) > MAX_OTHER:
        found.invalid.append(
            f"the stages add up to {1 - other:.0%} of the total, so {abs(other):.0%} of the time is not explained"
        )
    throttled = _throttled(_looks(result, measured))
    if throttled:
        found.invalid.append(f"the board throttled while it ran: {throttled}")


def _planned(plan: PlanFacts) -> int:
    """Processes without which a cell is not whole; see `Plan.least_processes`."""
    processes = plan.get("processes", 0)
    return min(processes, plan.get("min_processes") or processes) if plan.get("box_s") else processes


def _judge_processes(cell: ResultCell, measured: Sequence[Process], found: _Findings) -> None:
    for process in measured:
        threads = process.effective.get("threads", {})
        started, cores = threads.get("started"), threads.get("effective")
        if started and cores and started > cores:
            found.invalid.append(
                f"{started} threads were started on {counted(cores, 'core')}: {cores} ran at once"
            )
            break
        if cores not in (None, cell.threads):
            found.invalid.append(f"{cell.threads} threads were asked for, the runtime used {cores}")
            break
    for process in measured:
        mode = process.effective.get("power_mode", {})
        if mode.get("effective") not in (None, cell.power_mode):
            asked, used = cell.power_mode, mode["effective"]
            found.invalid.append(f"power mode {asked!r} was asked for, the runtime fell back to {used!r}")
            break
    changed = [process.index for process in measured if not process.answers_ok]
    if changed:
        found.invalid.append(f"the plates read changed from iteration to iteration in {counted(len(changed), 'process')}")
    answers = [process.answers for process in measured if process.answers]
    texts = [{key: [plate["text"] for plate in plates] for key, plates in answer.items()} for answer in answers]
    first: dict[str, list[str]] = {}
    if any(first.setdefault(key, read) != read for answer in texts for key, read in answer.items()):
        found.invalid.append("two processes read different plates on the same photos")
    garbage = sum(process.problem_count for process in measured)
    if garbage:
        found.notes.append(f"{counted(garbage, 'line')} of output could not be used")


def _judge_noise(total: Summary, measured: Sequence[Process], found: _Findings) -> None:
    if total.cv is not None and total.cv > MAX_CV:
        found.noisy.append(f"iterations vary by {total.cv:.0%} (cv; more than {MAX_CV:.0%})")
    if total.interval is not None and total.interval.half_width > MAX_HALF_WIDTH * total.median:
        share = total.interval.half_width / total.median
        found.noisy.append(f"the median is known only to ±{share:.0%} (more than {MAX_HALF_WIDTH:.0%})")
    modes = modes_of(measured)
    if modes is not None:
        found.noisy.append(
            f"two speeds: {modes.share:.0%} of the iterations take {modes.ratio:.2f} times as long as the rest"
        )
    change = drift_of(measured)
    if change is not None:
        if abs(change.within - 1) > MAX_DRIFT and change.significant_within:
            found.noisy.append(f"the second half of a process takes {change.within:.2f} times as long as the first")
        if abs(change.across - 1) > MAX_DRIFT and change.significant_across:
            found.noisy.append(f"from the first process to the last, times change by a factor of {change.across:.2f}")


def _judge_conditions(result: Result, cell: ResultCell, measured: Sequence[Process], found: _Findings) -> None:
    told = ("frequencies", "limits", "temperatures", "cooling", "throttled", "load")
    if not any(look.get(name) is not None for look in _looks(result, measured) for name in told):
        found.notes.append("the board reported no clocks, temperature or load: whether they changed is unknown")
    indices = {process.index for process in measured}
    told_speeds = [sample.get("frequencies") for sample in result.samples if sample.get("process") in indices]
    speeds = [max(speed.values()) for speed in told_speeds if speed]
    if len(speeds) >= 4:
        third = max(1, len(speeds) // 3)
        early, late = float(np.median(speeds[:third])), float(np.median(speeds[-third:]))
        if late < (1 - MAX_FREQUENCY_DROP) * early:
            found.noisy.append(f"the clock fell from {early / 1000:.0f} to {late / 1000:.0f} MHz while it ran")
    loads = [float(process.before.get("load") or 0.0) for process in measured if process.before]
    cores = result.facts.get("cores") or 1
    # Our own program adds its threads to the load average of the minute.
    busy = [load for load in loads if load > 0.5 * cores + cell.threads]
    if busy:
        found.noisy.append(f"other programs were running: load average {max(busy):.1f} on {counted(cores, 'core')}")


def _judge_host_check(result: Result, cell: ResultCell, found: _Findings) -> None:
    check = result.host_check.get(cell.key)
    if check and check["same"] < check["photos"]:
        other = check["photos"] - check["same"]
        found.notes.append(f"the board reads {other} of {check['photos']} photos differently from this host")


def _judge_knobs(result: Result, measured: Sequence[Process], found: _Findings) -> None:
    found.noisy += [f"a knob of the board: {problem}" for problem in result.tuning.get("problems", [])]
    looks = [look["governors"] for look in _looks(result, measured) if look.get("governors")]
    names = {value for look in looks if look for value in look.values()}
    if any(look != looks[0] for look in looks):
        found.noisy.append(f"the governor changed while it ran ({', '.join(sorted(names))})")
    asked = result.tuning.get("knobs", {}).get("cpus")
    for process in measured:
        used = process.effective.get("affinity")
        if asked and used and not set(used) <= set(cpu_list(asked)):
            found.noisy.append(f"CPUs {asked} were asked for, the runtime used {', '.join(map(str, used))}")
            break


def _looks(result: Result, measured: Sequence[Process]) -> list[Look]:
    indices = {process.index for process in measured}
    looks = [look for process in measured for look in (process.before, process.after) if look]
    return [*looks, *(sample for sample in result.samples if sample.get("process") in indices)]


def _throttled(looks: Sequence[Look]) -> str:
    """How the board held its processors back while it ran; "" when it did not."""
    counters: dict[str, set[int]] = {}
    limits: dict[str, set[float]] = {}
    cooled: dict[str, float] = {}
    for look in looks:
        for name, count in (look.get("throttled") or {}).items():
            counters.setdefault(name, set()).add(count)
        for cpu, value in (look.get("limits") or {}).items():
            limits.setdefault(cpu, set()).add(value)
        for name, value in (look.get("cooling") or {}).items():
            # Fans and charging currents are cooled with too; these are the processors' clocks.
            if "cpufreq" in name and value > 0:
                cooled[name] = max(value, cooled.get(name, 0))
    # Counters count; the Raspberry Pi's word is flags of this very moment.
    told = [name for name, seen in counters.items() if max(seen) > (0 if name == "raspberry" else min(seen))]
    if told:
        return f"{', '.join(told)} (heat or supply voltage)"
    if cooled:
        return "heat, " + ", ".join(f"{name} at step {value:g}" for name, value in cooled.items())
    lowered = [(min(seen), max(seen)) for seen in limits.values() if min(seen) < max(seen)]
    if lowered:
        least, most = min(lowered)
        return f"the clock's limit went from {most / 1000:.0f} to {least / 1000:.0f} MHz"
    return ""
