"""The conditions of a measurement, read from the board by one small script: no root, no package, no trace left.

The script prints `path<TAB>value` for the first line of every readable file of a list; it uses only what a POSIX shell
has built in, so that a sample costs one process on the board. What a board does not have is recorded as None, with the
reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from bench.conditions.power import PATTERNS, first, number, source_of, watts_of
from edge.base.errors import EdgeError
from edge.model.json_types import Count, Figure
from edge.protocol.base import Transport

_CPU = "/sys/devices/system/cpu"
# Read once: they do not change while a benchmark runs.
STATIC = (
    f"{_CPU}/cpu[0-9]*/cpufreq/cpuinfo_max_freq", f"{_CPU}/cpu[0-9]*/cpufreq/scaling_driver",
    f"{_CPU}/present", f"{_CPU}/online", f"{_CPU}/smt/active",
    "/proc/version", "/proc/device-tree/model", "/proc/sys/kernel/randomize_va_space",
)  # fmt: skip
# Read before and after every process and, in the background, while it runs; the names of the sensors with them.
DYNAMIC = (
    f"{_CPU}/cpu[0-9]*/cpufreq/scaling_cur_freq", f"{_CPU}/cpu[0-9]*/cpufreq/scaling_governor",
    f"{_CPU}/cpu[0-9]*/cpufreq/scaling_max_freq", f"{_CPU}/cpu[0-9]*/thermal_throttle/*_throttle_count",
    "/sys/class/thermal/thermal_zone*/temp", "/sys/class/thermal/cooling_device*/cur_state",
    "/sys/devices/platform/soc/soc:firmware/get_throttled", "/proc/loadavg", "/proc/uptime",
    "/sys/class/hwmon/hwmon*/temp*_input", "/sys/class/thermal/thermal_zone*/type",
    "/sys/class/thermal/cooling_device*/type", "/sys/class/hwmon/hwmon*/name", *PATTERNS,
)  # fmt: skip
_READ = """for f in %s; do
  [ -r "$f" ] || continue
  v=
  IFS= read -r v < "$f" 2>/dev/null || [ -n "$v" ] || continue
  printf '%%s\\t%%s\\n' "$f" "$v"
done 2>/dev/null
"""
_WHOLE = """for f in /proc/cpuinfo /proc/meminfo /etc/os-release; do
  [ -r "$f" ] && while IFS= read -r v || [ -n "$v" ]; do printf '%s\\t%s\\n' "$f" "$v"; done < "$f"
done
# Names with a NUL after each, which a shell's `read` drops: they would run into one another.
t=/proc/device-tree/compatible
[ -r "$t" ] && printf '%s\\t%s\\n' "$t" "$(tr '\\000' ' ' < "$t" 2>/dev/null)"
printf 'uname\\t%s\\n' "$(uname -a)"
printf 'nproc\\t%s\\n' "$(getconf _NPROCESSORS_ONLN 2>/dev/null || nproc 2>/dev/null)"
if command -v getprop >/dev/null 2>&1; then
  for p in ro.product.manufacturer ro.product.model ro.board.platform ro.soc.model ro.build.version.release; do
    printf 'getprop.%s\\t%s\\n' "$p" "$(getprop $p)"
  done
fi
:
"""
_TIMEOUT = 30.0
_CELSIUS = (-40.0, 200.0)


@dataclass(frozen=True)
class Snapshot:
    """What a board says about itself at one moment.

    Attributes:
        frequencies: CPU number to current kHz; None where the kernel does not say.
        governors: CPU number to governor.
        limits: CPU number to the highest frequency allowed now, kHz.
        temperatures: Zone to degrees Celsius.
        cooling: Cooling device to its state; above 0, something is held back.
        throttled: Counters and flags of throttling.
        load: Load average of one minute.
        memory_kb: Available memory, only in a full snapshot.
        power_w: Sensor to watts.
        power_source: `mains`, `battery 83 % discharging` ...
        missing: Attribute to the reason why it is None.
    """

    frequencies: dict[str, int] | None = None
    governors: dict[str, str] | None = None
    limits: dict[str, int] | None = None
    temperatures: dict[str, float] | None = None
    cooling: dict[str, int] | None = None
    throttled: dict[str, int] | None = None
    load: float | None = None
    memory_kb: int | None = None
    power_w: dict[str, float] | None = None
    power_source: str | None = None
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def hottest(self) -> float | None:
        """The highest temperature in degrees Celsius."""
        return max(self.temperatures.values()) if self.temperatures else None


class Look(TypedDict, total=False):
    """A snapshot as JSON."""

    frequencies: dict[str, Figure] | None
    governors: dict[str, str] | None
    limits: dict[str, Figure] | None
    temperatures: dict[str, float] | None
    cooling: dict[str, Figure] | None
    throttled: dict[str, Count] | None
    load: Figure | None
    memory_kb: Figure | None
    power_w: dict[str, float] | None
    power_source: str | None
    missing: dict[str, str]


class MachineFacts(TypedDict, total=False):
    """What stays the same on a board; None where it does not say."""

    model: str | None
    soc: str | None
    cpu: str | None
    cpu_parts: dict[str, Count] | None
    features: list[str] | None
    cores: Count | None
    online: str | None
    max_khz: dict[str, Count] | None
    kernel: str | None
    system: str | None
    memory_kb: Figure | None
    aslr: Count | None
    hypervisor: bool | None


_REASONS = {
    "frequencies": f"no {_CPU}/cpu*/cpufreq (no frequency scaling, or a virtual machine)",
    "governors": f"no {_CPU}/cpu*/cpufreq/scaling_governor",
    "limits": f"no {_CPU}/cpu*/cpufreq/scaling_max_freq",
    "temperatures": "no readable /sys/class/thermal/thermal_zone*/temp or hwmon temperature",
    "cooling": "no /sys/class/thermal/cooling_device*",
    "throttled": "no throttle counters or flags",
    "load": "no /proc/loadavg",
    "memory_kb": "no /proc/meminfo",
    "power_w": "no power sensor under /sys/class/hwmon or /sys/class/power_supply",
    "power_source": "no /sys/class/power_supply",
}


def script(patterns: Sequence[str], *, whole: bool = False) -> str:
    """Returns the shell script that reads the files of `patterns` (and the multi-line ones when `whole`)."""
    return _READ % " ".join(patterns) + (_WHOLE if whole else "")


def read_board(transport: Transport) -> tuple[MachineFacts, Snapshot]:
    """Reads everything: the facts that stay, and a first snapshot.

    Returns:
        Facts and the snapshot.

    Raises:
        LinkError: The board cannot be reached.
    """
    text = transport.run(["sh", "-c", script((*STATIC, *DYNAMIC), whole=True)], timeout=_TIMEOUT).stdout
    values = parse(text)
    return facts(values), snapshot(values)


def sample(transport: Transport) -> Snapshot:
    """Reads what changes; one short process on the board.

    Raises:
        LinkError: The board cannot be reached.
    """
    return snapshot(parse(transport.run(["sh", "-c", script(DYNAMIC)], timeout=_TIMEOUT).stdout))


def sample_or_none(transport: Transport) -> Snapshot | None:
    """As `sample`; None when the board does not answer: a missing sample is no reason to end a measurement."""
    try:
        return sample(transport)
    except EdgeError:
        return None


def parse(text: str) -> dict[str, list[str]]:
    """Reads the script's output: path to its lines; anything else is ignored."""
    values: dict[str, list[str]] = {}
    for line in text.split("\n"):
        path, separator, value = line.partition("\t")
        if separator:
            values.setdefault(path, []).append(value.strip().strip("\0"))
    return values


def facts(values: Mapping[str, list[str]]) -> MachineFacts:
    """Picks what stays the same: cores with part and features, kernel, memory, model, system."""
    info = values.get("/proc/cpuinfo", [])
    release = dict(line.split("=", 1) for line in values.get("/etc/os-release", []) if "=" in line)
    features = sorted(set(_info(info, "Features") or _info(info, "flags")))
    props = {key.removeprefix("getprop."): lines[0] for key, lines in values.items() if key.startswith("getprop.")}
    model = first(values, "/proc/device-tree/model") or " ".join(
        filter(None, (props.get("ro.product.manufacturer"), props.get("ro.product.model")))
    )
    return {
        "model": model or None,
        "soc": props.get("ro.soc.model") or props.get("ro.board.platform") or _compatible(values) or None,
        "cpu": next(iter(dict.fromkeys(_lines(info, "model name") or _lines(info, "Hardware"))), None),
        "cpu_parts": _parts(info) or None,
        "features": [name for name in features if name in _TELLING] or None,
        "cores": _whole(first(values, "nproc")),
        "online": first(values, f"{_CPU}/online"),
        "max_khz": _per_cpu(values, "cpufreq/cpuinfo_max_freq") or None,
        "kernel": first(values, "uname") or first(values, "/proc/version"),
        "system": release.get("PRETTY_NAME", "").strip('"') or _android(props) or None,
        "memory_kb": _memory(values, "MemTotal"),
        "aslr": _whole(first(values, "/proc/sys/kernel/randomize_va_space")),
        "hypervisor": ("hypervisor" in features) if info else None,
    }


# Of a hundred flags only these decide which kernels a runtime picks.
_TELLING = {
    "asimd", "neon", "asimddp", "asimdhp", "i8mm", "bf16", "sve", "sve2", "fphp", "vfpv4",
    "sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "hypervisor",
}  # fmt: skip


def snapshot(values: Mapping[str, list[str]]) -> Snapshot:
    """Picks what changes; see `Snapshot`."""
    found: dict[str, Any] = {
        "frequencies": _per_cpu(values, "cpufreq/scaling_cur_freq"),
        "governors": {cpu: lines[0] for cpu, lines in _cpu_files(values, "cpufreq/scaling_governor")},
        "limits": _per_cpu(values, "cpufreq/scaling_max_freq"),
        "temperatures": _temperatures(values),
        "cooling": _named(values, "/sys/class/thermal/cooling_device", "cur_state"),
        "throttled": _throttled(values),
        "load": number((first(values, "/proc/loadavg") or "").split(" ")[0]),
        "memory_kb": _memory(values, "MemAvailable"),
        "power_w": watts_of(values),
        "power_source": source_of(values),
    }
    kept = {key: (None if value in ({}, "") else value) for key, value in found.items()}
    missing = {key: _REASONS[key] for key, value in kept.items() if value is None}
    if "/proc/meminfo" not in values:
        missing.pop("memory_kb", None)
    return Snapshot(**kept, missing=missing)


def _whole(text: str | None) -> int | None:
    value = number(text)
    return int(value) if value is not None else None


def _lines(info: Sequence[str], key: str) -> list[str]:
    return [line.partition(":")[2].strip() for line in info if line.partition(":")[0].strip() == key]


def _info(info: Sequence[str], key: str) -> list[str]:
    return [word for line in _lines(info, key)[:1] for word in line.split()]


def _parts(info: Sequence[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for part in _lines(info, "CPU part"):
        counts[part] = counts.get(part, 0) + 1
    return counts


def _compatible(values: Mapping[str, list[str]]) -> str:
    names = (first(values, "/proc/device-tree/compatible") or "").split()
    return names[-1] if names else ""


def _android(props: Mapping[str, str]) -> str:
    release = props.get("ro.build.version.release")
    return f"Android {release}" if release else ""


def _memory(values: Mapping[str, list[str]], key: str) -> int | None:
    for line in values.get("/proc/meminfo", []):
        name, _, rest = line.partition(":")
        if name == key:
            return _whole(rest.split()[0]) if rest.split() else None
    return None


def _cpu_files(values: Mapping[str, list[str]], name: str) -> list[tuple[str, list[str]]]:
    found = []
    for path, lines in values.items():
        match = re.fullmatch(rf"{_CPU}/cpu(\d+)/{re.escape(name)}", path)
        if match and lines:
            found.append((match[1], lines))
    return sorted(found, key=lambda item: int(item[0]))


def _per_cpu(values: Mapping[str, list[str]], name: str) -> dict[str, int]:
    pairs = [(cpu, _whole(lines[0])) for cpu, lines in _cpu_files(values, name)]
    return {cpu: value for cpu, value in pairs if value is not None}


def _named(values: Mapping[str, list[str]], prefix: str, leaf: str) -> dict[str, int]:
    found = {}
    for path, lines in values.items():
        if path.startswith(prefix) and path.endswith(f"/{leaf}"):
            stem = path.removesuffix(f"/{leaf}")
            value = _whole(lines[0])
            if value is not None:
                found[f"{stem.rsplit('/', 1)[1]} {first(values, f'{stem}/type') or ''}".strip()] = value
    return found


def _temperatures(values: Mapping[str, list[str]]) -> dict[str, float]:
    found = {name: value / 1000 for name, value in _named(values, "/sys/class/thermal/thermal_zone", "temp").items()}
    for path, lines in values.items():
        match = re.fullmatch(r"/sys/class/hwmon/(hwmon\d+)/(temp\d+)_input", path)
        value = number(lines[0]) if match else None
        if match and value is not None:
            label = first(values, f"/sys/class/hwmon/{match[1]}/name") or match[1]
            found[f"{label} {match[2]}"] = value / 1000
    # A zone that is switched off answers -274 or the like.
    return {name: value for name, value in found.items() if _CELSIUS[0] < value < _CELSIUS[1]}


def _throttled(values: Mapping[str, list[str]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for path, lines in values.items():
        if path.endswith("_throttle_count"):
            kind = path.rsplit("/", 1)[1]
            found[kind] = found.get(kind, 0) + (_whole(lines[0]) or 0)
        elif path.endswith("/get_throttled"):
            try:
                # Raspberry Pi: bit 0 undervoltage, 1 frequency capped, 2 throttled, 3 soft limit; above 16: since boot.
                found["raspberry"] = int(lines[0], 16) & 0xF
            except ValueError:
                continue
    return found
