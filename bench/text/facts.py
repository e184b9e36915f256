"""What every report says in words: conditions, figures of the application note (docs/glossary.md), how to read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.conditions.environment import Look, MachineFacts
from bench.judge.summary import CellSummary, ResultSummary
from bench.record.parts import AskedMode, AskedThreads, DeviceFacts
from bench.record.result import Process, Result
from bench.stats.bootstrap import method
from bench.text.figures import median, megabytes, plates_right
from edge.base.plural import counted
from edge.host.cpuinfo import CORES

KIND_TEXT = {
    "board": "",
    "host": "this host computer, not a board",
    "emulated": "an emulated CPU: not a board's times",
    "replay": "the tests' replay runtime: not real times",
}
VERDICT_TEXT = {
    "VALID": "The figures are what they claim to be, and another run would give the same within their interval.",
    "NOISY": "The figures are what they claim to be, but another run may give others.",
    "INVALID": "The figures must not be used as a measurement of this board.",
}
NOTE_FOOTNOTE = (
    "The application note's own figures, as printed there. It names no device, threads, power mode, repeats or "
    "warm-up. It gives 223 ms for the fp32 detector in section 4.1.3 and 233 ms in section 4.5, for the same model. "
    "Its detector and recogniser times do not add up to its end-to-end times (298 - 223 - 4.2 leaves 71 ms, "
    "224 - 189 - 1.8 leaves 33 ms)."
)
OWN_FOOTNOTE = (
    "Ours are medians: det ms and rec ms are the two networks alone, rec ms for one plate; photo ms is the whole photo, "
    "with decoding and everything in between. Sizes are of the .nb files for this device's processor. Plates right "
    "counts the photos of this report; the note gives an F on its own photos."
)
STAGE_FOOTNOTE = (
    "det is the detector, which finds plates, and rec the recogniser, which reads them. decode: the photo file to "
    "pixels; pre: scaling to the network's input; infer: the network; post: its output to boxes (det) or text (rec); "
    "crop: cutting out and straightening each plate. The rec stages are for all plates of a photo together; other is "
    "what no stage accounts for."
)


@dataclass(frozen=True)
class NoteRow:
    """One line of the note's comparison (sections 4.1.3, 4.2.4, 4.5); sizes in MB as it rounds them."""

    precision: str
    det_mb: str
    det_ms: str
    rec_mb: str
    rec_ms: str
    both_mb: str
    total_ms: str
    f_measure: str


NOTE = (
    NoteRow("fp32", "2.5", "223 or 233", "10.3", "4.2", "12.8", "298", "92.5%"),
    NoteRow("int8", "1", "189", "4.8", "1.8", "5.8", "224", "92.02%"),
)


@dataclass(frozen=True)
class Condition:
    """One line of the record: what, its value, and why there is none."""

    name: str
    value: str
    reason: str = ""


def comparison_rows(summary: ResultSummary) -> list[list[str]]:
    """Our lines of the note's comparison, in the columns of `COMPARISON_TITLES`."""
    rows = []
    for item in summary.cells:
        cell = item.cell
        rows.append(
            [
                ", ".join((cell.model, *own_settings(item, summary))),
                cell.precision,
                f"{cell.det_bytes / 1e6:.2f}",
                median(item.stages.get("det_infer")),
                f"{cell.rec_bytes / 1e6:.2f}",
                median(item.rec_per_plate),
                f"{(cell.det_bytes + cell.rec_bytes) / 1e6:.2f}",
                median(item.total),
                plates_right(item),
            ]
        )
    return rows


def note_rows() -> list[list[str]]:
    """The note's lines, in the same columns."""
    return [
        ["the note (device not named)", row.precision, row.det_mb, row.det_ms, row.rec_mb, row.rec_ms, row.both_mb,
         row.total_ms, f"F {row.f_measure}"]
        for row in NOTE
    ]  # fmt: skip


COMPARISON_TITLES = ("", "precision", "det MB", "det ms", "rec MB", "rec ms", "both MB", "photo ms", "plates right")


def settings(item: CellSummary) -> str:
    """`1 thread, power mode high, shorter side 736`."""
    cell = item.cell
    side = f"{'longer' if cell.side.startswith('max') else 'shorter'} side {cell.side[3:]}"
    return f"{counted(cell.threads, 'thread')}, power mode {cell.power_mode}, {side}"


def shared_settings(summary: ResultSummary) -> list[str]:
    """The parts of `settings` that are the same in all combinations: said once, they need no room in every column."""
    cells = [settings(item).split(", ") for item in summary.cells]
    return [part for part in cells[0] if all(part in other for other in cells)] if cells else []


def own_settings(item: CellSummary, summary: ResultSummary) -> list[str]:
    """The parts of `settings` in which combinations differ."""
    shared = shared_settings(summary)
    return [part for part in settings(item).split(", ") if part not in shared]


def title(result: Result) -> str:
    """Title of the report."""
    device = result.device
    kind = KIND_TEXT[str(device.get("kind"))]
    return f"Plate recognition on {device.get('name')} ({kind or device.get('title')})"


def conditions(result: Result) -> list[Condition]:
    """The whole record, what a reader doubts first at the top."""
    facts, device, measured = result.facts, result.device, [item for item in result.processes if item.times]
    befores = [process.before for process in measured if process.before]
    afters = [process.after for process in measured if process.after]
    memory = facts.get("memory_kb")
    loads = [load for look in befores if (load := look.get("load")) is not None]
    rows = [
        Condition("Device", f"{device.get('name')}: {device.get('title')}"),
        Condition("SoC", _soc(facts, device), "not reported by the board"),
        Condition("Model", str(facts.get("model") or ""), "no device tree or Android property"),
        Condition("CPU", _cpu(facts), "not in /proc/cpuinfo"),
        Condition("Int8 dot product", _dot_product(facts), "not in /proc/cpuinfo"),
        Condition("Kernel", str(facts.get("kernel") or ""), "not in uname"),
        Condition("System", str(facts.get("system") or ""), "no /etc/os-release"),
        Condition("Memory", f"{memory / 1024:.0f} MiB" if memory else "", "no /proc/meminfo"),
        Condition("Threads", _asked(run.effective.get("threads") for run in measured), "not reported"),
        Condition("Power mode", _asked(run.effective.get("power_mode") for run in measured), "not reported"),
        Condition("Affinity", _affinity(measured), "not reported"),
        _looked("Governor", befores, "governors", lambda value: ", ".join(sorted(set(value.values())))),
        _span("Clock", result, befores, afters, "frequencies", 1e-3, "MHz"),
        _span("Temperature", result, befores, afters, "temperatures", 1.0, "°C"),
        _throttling(afters),
        Condition("Knobs set", _knobs(result)),
        Condition("Read as on this host", _host_check(result), "not compared (--compare-host)"),
        Condition("Load average before", span_text(loads)),
        _looked("Power source", befores, "power_source", str),
        _span("Power", result, befores, afters, "power_w", 1.0, "W"),
        Condition("Peak memory", _peak(measured), "not reported"),
        Condition(
            "Runtime", f"Paddle Lite {result.runtime.get('version') or '?'} ({result.runtime.get('build') or '?'})"
        ),
        Condition(
            "Program", f"plate_ocr {result.program.get('version') or '?'}, {result.program.get('compiler') or '?'}"
        ),
        Condition("Release", result.release),
        Condition("Plan", _plan(result)),
        Condition("Statistics", _statistics()),
        Condition("Photos", f"{len(result.photos)}, list {result.photos_sha256[:12]}"),
        Condition("Transport", str(device.get("transport"))),
        Condition("Kit", _kit(result)),
        Condition("Began", moment(result.created)),
        Condition("Ended", moment(result.finished), result.why),
        Condition("Command", " ".join(result.command), "made without the command line"),
    ]
    return rows


def hashes(result: Result) -> list[tuple[str, str]]:
    """SHA-256 of everything that the times depend on."""
    rows = [("program", str(result.program.get("sha256"))), ("runtime", str(result.runtime.get("sha256")))]
    for variant, cell in {f"{cell.model}-{cell.precision}": cell for cell in result.cells}.items():
        rows += [(f"{variant} {part}", digest) for part, digest in cell.hashes.items()]
        rows += [(f"{variant} {part} converter", version) for part, version in cell.opt.items() if version]
    return rows


def moment(stamp: str) -> str:
    """`2026-11-23 00:53:35 UTC` for a stamp of a result, whose times are UTC; "" stays ""."""
    return f"{stamp[:19].replace('T', ' ')} UTC" if stamp else ""


def size_text(count: int) -> str:
    """`2.51 MB (2,509,398 B)`."""
    return f"{megabytes(count)} ({count:,} B)"


def _cpu(facts: MachineFacts) -> str:
    parts = facts.get("cpu_parts")
    cores = counted(number, "core") if (number := facts.get("cores")) else ""
    core = {part: f"{CORES[part]} ({part})" if part in CORES else f"part {part}" for part in parts or ()}
    named = ", ".join(f"{count} x {core[part]}" for part, count in parts.items()) if parts else facts.get("cpu")
    clocks = sorted({khz / 1000 for khz in (facts.get("max_khz") or {}).values()})
    clock = f"at most {' and '.join(f'{mhz:.0f}' for mhz in clocks)} MHz" if clocks else ""
    virtual = "virtual machine" if facts.get("hypervisor") else ""
    return ", ".join(filter(None, (named, cores, clock, virtual)))


def _dot_product(facts: MachineFacts) -> str:
    features = facts.get("features")
    if not features:
        return ""
    if any(name in features for name in ("avx2", "sse4_2")):
        return "not an ARM CPU"
    return "yes (asimddp)" if "asimddp" in features else "no (asimddp missing): int8 saves memory, but few instructions"


def _soc(facts: MachineFacts, device: DeviceFacts) -> str:
    soc = str(facts.get("soc") or device.get("soc") or "")
    alias = device.get("soc_alias")
    return f"{soc or 'unknown'}; the runtime was told {alias} (--soc-alias)" if alias else soc


def _asked(told: Iterable[AskedThreads | AskedMode | None]) -> str:
    found = {(str(one.get("requested")), str(one.get("effective"))) for one in told if one is not None}
    return ", ".join(asked if asked == used else f"{asked} asked, {used} used" for asked, used in sorted(found))


def _affinity(measured: Sequence[Process]) -> str:
    found = {tuple(process.effective.get("affinity", ())) for process in measured}
    return "; ".join("CPUs " + ", ".join(map(str, cpus)) for cpus in sorted(found) if cpus)


def _looked(name: str, looks: Sequence[Mapping[str, Any]], key: str, text: Callable[[Any], str]) -> Condition:
    for look in looks:
        if look.get(key) is not None:
            return Condition(name, text(look[key]))
    return Condition(name, "", _reason(looks, key))


def _throttling(afters: Sequence[Look]) -> Condition:
    """Counters and the steps of clocks that cool, after the last process that tells."""
    for look in reversed(afters):
        cooling = {name: value for name, value in (look.get("cooling") or {}).items() if "cpufreq" in name}
        told = {**(look.get("throttled") or {}), **cooling}
        if told:
            return Condition("Throttling", ", ".join(f"{name} {value}" for name, value in told.items()))
    return Condition("Throttling", "", _reason(afters, "throttled"))


def _span(
    name: str, result: Result, befores: Sequence[Mapping[str, Any]], afters: Sequence[Mapping[str, Any]], key: str,
    factor: float, unit: str,
) -> Condition:  # fmt: skip
    def highest(looks: Iterable[Mapping[str, Any]]) -> list[float]:
        return [max(look[key].values()) * factor for look in looks if look.get(key)]

    parts = []
    for when, values in (
        ("before", highest(befores)), ("during", highest(result.samples)), ("after", highest(afters)),
    ):  # fmt: skip
        if values:
            parts.append(f"{when} {span_text(values)}")
    return Condition(name, f"{', '.join(parts)} {unit}" if parts else "", _reason(befores, key))


def _reason(looks: Sequence[Mapping[str, Any]], key: str) -> str:
    return next((look["missing"][key] for look in looks if key in look.get("missing", {})), "not looked at")


def span_text(values: Sequence[float]) -> str:
    """`46.0 to 64.7`, or one figure where both ends are the same; "" without values."""
    if not values:
        return ""
    low, high = min(values), max(values)
    digits = 0 if high >= 100 else 1
    first, last = f"{low:.{digits}f}", f"{high:.{digits}f}"
    return first if first == last else f"{first} to {last}"


def _peak(measured: Sequence[Process]) -> str:
    peaks = [value for process in measured for value in process.hwm_kb.values() if value]
    return f"{max(peaks) / 1024:.0f} MiB (largest process)" if peaks else ""


def _host_check(result: Result) -> str:
    found = result.host_check.values()
    if not found:
        return ""
    same, photos = sum(item["same"] for item in found), sum(item["photos"] for item in found)
    overlaps = [item["least_iou"] for item in found if item["least_iou"] is not None]
    overlap = f", boxes overlap by IoU {min(overlaps):.3f} or more" if overlaps else ""
    return f"{same} of {photos} photos{overlap}, edit distance {sum(item['edits'] for item in found)}"


def _knobs(result: Result) -> str:
    if not result.tuning:
        return "none: the board as it was"
    asked = ", ".join(f"{name} {value}" for name, value in result.tuning.get("knobs", {}).items())
    took = sum(item["now"] == item["wanted"] for item in result.tuning.get("settings", []))
    parts = [asked, f"{took} of {len(result.tuning.get('settings', []))} files took it"]
    parts.append("put back afterwards" if result.tuning.get("restored") else "not put back by this program")
    return "; ".join([*parts, *result.tuning.get("problems", [])])


def _plan(result: Result) -> str:
    plan = result.plan
    seconds = plan.get("min_ms", 0) / 1000
    photos = f"{plan.get('warmup')} warm-up and {plan.get('repeats')} measured photos"
    box = f"; all of it in {plan['box_s']:g} s where it can be" if plan.get("box_s") else ""
    return (
        f"{plan.get('name')}: {plan.get('processes')} processes a combination, interleaved; each at least {photos}"
        f"{f' and {seconds:g} s' if seconds >= 0.1 else ''}{box}"
    )


def _statistics() -> str:
    how = method()
    return (
        f"{how['level']:.0%} intervals by {how['interval']}; {how['replicates']} replicates, seed {how['seed']}; "
        "no outlier dropped"
    )


def _kit(result: Result) -> str:
    kit = result.kit
    git = kit.get("git")
    commit = f", commit {git[:12]}{' with changes' if kit.get('dirty') else ''}" if git else ""
    return f"{kit.get('version', '?')}{commit}"
