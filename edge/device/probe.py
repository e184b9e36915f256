"""The truth about a board, read from it in one round trip by a POSIX script that needs nothing installed there."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edge.base.errors import DeviceError
from edge.device.board import Cluster
from edge.host.cpuinfo import FEATURES, Core, field, parse_abi, parse_cores
from edge.protocol.base import Transport

SCHEMA = "plate-edge/probe/1"
# Libraries that a program of the kit may ask a GNU system for, beyond the C library.
LIBRARIES = ("libstdc++.so.6", "libgomp.so.1", "libgcc_s.so.1")
TRIPLETS = {"arm64": "aarch64-linux-gnu", "armhf": "arm-linux-gnueabihf", "x86_64": "x86_64-linux-gnu"}

# $1 folder of the releases, $2... libraries to look for. Every section begins with a line "== name".
SCRIPT = r"""
root=$1; shift
s() { echo "== $1"; }
s uname; uname -s; uname -r; uname -m
s user; id -u; id -un
s elf; od -An -tx1 -N 40 /proc/self/exe 2>/dev/null || od -An -tx1 -N 40 /bin/sh 2>/dev/null
s model; for f in /proc/device-tree/model /sys/devices/virtual/dmi/id/product_name; do
  if [ -r $f ]; then tr -d '\000' <$f; echo; fi; done
s soc; [ -r /proc/device-tree/compatible ] && tr '\000' '\n' </proc/device-tree/compatible
s cpuinfo; cat /proc/cpuinfo
s cpus; for c in /sys/devices/system/cpu/cpu[0-9]*; do
  printf '%s' "${c##*/cpu}"
  for f in online cpufreq/scaling_governor cpufreq/cpuinfo_max_freq cpufreq/scaling_max_freq \
    cpufreq/scaling_cur_freq cpufreq/scaling_available_governors; do
    v=; [ -r "$c/$f" ] && read -r v <"$c/$f" 2>/dev/null; printf '|%s' "$v"
  done; echo
done
s counted; n=0; while [ -r /sys/devices/system/cpu/cpu$n/uevent ]; do n=$((n + 1)); done; echo $n
s thermal; for z in /sys/class/thermal/thermal_zone*; do
  t=; v=; [ -r $z/type ] && read -r t <$z/type; [ -r $z/temp ] && read -r v <$z/temp 2>/dev/null; echo "$t|$v"
done
s power; for p in /sys/class/power_supply/*; do
  t=; v=; [ -r $p/type ] && read -r t <$p/type; [ -r $p/status ] && read -r v <$p/status 2>/dev/null; echo "$t|$v"
done
s meminfo; cat /proc/meminfo
s load; cat /proc/loadavg
s disk; p=$root; while [ ! -d "$p" ]; do p=${p%/*}; [ -n "$p" ] || p=/; done
echo "$p"; df -Pk "$p" | tail -n 1; if [ -w "$p" ]; then echo writable; else echo read-only; fi
s mounts; cat /proc/mounts
s libc; getconf GNU_LIBC_VERSION 2>/dev/null || ldd --version 2>&1 | head -n 2
s libraries; for n in "$@"; do
  for d in /lib /usr/lib /usr/local/lib /lib64 /usr/lib64 /lib/*-linux-gnu* /usr/lib/*-linux-gnu* \
    /system/lib64 /system/lib; do
    if [ -e "$d/$n" ]; then r=$(readlink -f "$d/$n" 2>/dev/null); echo "$d|$n|${r##*/}"; fi
  done
done
s date; date +%s
if command -v getprop >/dev/null 2>&1; then s android
  for k in ro.build.version.release ro.build.version.sdk ro.product.manufacturer ro.product.model \
    ro.product.cpu.abilist ro.product.board ro.board.platform ro.chipname ro.soc.model; do
    echo "$k=$(getprop $k)"
  done
fi
exit 0
"""


@dataclass(frozen=True)
class Probe:
    """What a board says about itself.

    Attributes:
        model: Name of the board or phone.
        soc: Names of the system on chip, from the device tree or Android's properties.
        soc_text: By what Paddle Lite recognises the chip: `Hardware`, first `model name`, Android's names; upper case.
        system: `linux` or `android`.
        kernel: Release of the kernel.
        machine: `uname -m`: of the kernel, not of the programs.
        abi: Of the programs: `x86_64`, `arm64`, `armhf`, `armel`, `android-arm64` ...; empty when not known.
        cores: All cores.
        temperatures: Sensor to degrees Celsius.
        battery: `Charging`, `Discharging` ...; empty without one.
        memory_mb: Memory in MiB.
        memory_free_mb: Memory available to new programs in MiB.
        load: Load average of the last minute.
        disk_path: Folder of the releases, or the nearest one above it that exists.
        disk_free_mb: Free there, in MiB; -1 when not known.
        disk_writable: Whether the user may write there.
        disk_noexec: Whether programs may not be run from there.
        libc: `glibc 2.36`, `musl`, `bionic`, or empty.
        versions: Symbol version families that the system has, for `edge.release.preflight`: GLIBC, GLIBCXX.
        libraries: Those looked for that the system has.
        android: Android's properties; empty elsewhere.
        user: Name of the user who is logged in.
        is_root: Whether that is root.
        clock_offset: Seconds by which the board's clock is ahead of this host's.
        counted: Processors that Paddle Lite will count in `/sys/devices/system/cpu`; -1 when not known.
    """

    model: str
    soc: tuple[str, ...]
    soc_text: str
    system: str
    kernel: str
    machine: str
    abi: str
    cores: tuple[Core, ...]
    temperatures: dict[str, float]
    battery: str
    memory_mb: int
    memory_free_mb: int
    load: float
    disk_path: str
    disk_free_mb: int
    disk_writable: bool
    disk_noexec: bool
    libc: str
    versions: dict[str, str]
    libraries: tuple[str, ...]
    android: dict[str, str]
    user: str
    is_root: bool
    clock_offset: float
    counted: int = -1

    @property
    def clusters(self) -> tuple[Cluster, ...]:
        """Cores of one kind and clock together, fastest first."""
        kinds = Counter((core.max_mhz, core.core, core.part, core.features) for core in self.cores)
        return tuple(
            Cluster(name, part, count, mhz, features)
            for (mhz, name, part, features), count in sorted(kinds.items())[::-1]
        )

    @property
    def features(self) -> tuple[str, ...]:
        """Features that every core has."""
        sets = [set(core.features) for core in self.cores]
        return tuple(name for name in FEATURES if sets and all(name in each for each in sets))

    def to_json(self) -> dict[str, Any]:
        """The facts as one JSON object with its schema."""
        clusters = [asdict(cluster) for cluster in self.clusters]
        return {"schema": SCHEMA, **asdict(self), "clusters": clusters, "features": list(self.features)}


def probe(transport: Transport, root: str, libraries: Sequence[str] = LIBRARIES) -> Probe:
    """Reads the truth from a board.

    Args:
        transport: The board.
        root: Folder of the kit's releases, absolute; it need not exist.
        libraries: File names of shared libraries to look for.

    Raises:
        LinkError: The board cannot be reached.
        DeviceError: It does not answer as a Linux or Android system does.
    """
    result = transport.run(["sh", "-c", SCRIPT, "probe", root, *libraries], timeout=60)
    here = time.time()
    sections = _sections(result.stdout)
    if "date" not in sections or "uname" not in sections:
        tail = (result.stderr.strip() or result.stdout.strip())[-200:]
        raise DeviceError(f"{transport.name} does not answer as a Linux system does: {tail or 'no output'}")
    return parse_probe(sections, here)


def _sections(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("== "):
            lines = found.setdefault(line[3:].strip(), [])
        else:
            lines.append(line.rstrip("\r"))
    return found


def parse_probe(sections: Mapping[str, list[str]], here: float) -> Probe:
    """Turns the script's output, by section, into facts.

    Args:
        sections: Section name to its lines.
        here: This host's clock when the answer came, in seconds since 1970.
    """
    uname = [*sections["uname"], "", "", ""]
    android = dict(line.split("=", 1) for line in sections.get("android", []) if "=" in line)
    android = {key.removeprefix("ro."): value for key, value in android.items() if value}
    abi = parse_abi(" ".join(sections.get("elf", [])).split(), bool(android))
    amounts = (re.fullmatch(r"(\w+):\s*([0-9]{1,15}) kB", line) for line in sections.get("meminfo", []))
    memory = {match[1]: int(match[2]) for match in amounts if match}
    disk = [*sections.get("disk", []), "", "", ""]
    free = disk[1].split()
    user = [*sections.get("user", []), "", ""]
    libc, versions = _libc(" ".join(sections.get("libc", [])), bool(android))
    names, glibcxx = _libraries(sections.get("libraries", []), abi)
    if glibcxx and not android:
        versions["GLIBCXX"] = glibcxx
    info = "\n".join(sections.get("cpuinfo", []))
    models = [line.strip() for line in sections.get("model", []) if line.strip()]
    phone = " ".join(android.get(key, "") for key in ("product.manufacturer", "product.model")).strip()
    load = re.match(r"[0-9]{1,9}\.[0-9]+", " ".join(sections.get("load", [])))
    date = "".join(sections["date"][:1])
    return Probe(
        model=phone or (models[0] if models else field(info, "Model") or field(info, "model name")),
        soc=_soc(sections, info, android),
        soc_text=_soc_text(info, android),
        system="android" if android else uname[0].lower(),
        kernel=uname[1],
        machine=uname[2],
        abi=abi,
        cores=parse_cores(sections.get("cpus", []), info),
        temperatures=_temperatures(sections.get("thermal", [])),
        battery=next((line.split("|")[1] for line in sections.get("power", []) if line.startswith("Battery|")), ""),
        memory_mb=memory.get("MemTotal", 0) >> 10,
        memory_free_mb=memory.get("MemAvailable", memory.get("MemFree", 0)) >> 10,
        load=float(load[0]) if load else 0.0,
        disk_path=disk[0],
        disk_free_mb=_free_mb(free),
        disk_writable="writable" in disk,
        disk_noexec=_noexec(disk[0], sections.get("mounts", [])),
        libc=libc,
        versions=versions,
        libraries=names,
        android=android,
        user=user[1],
        is_root=user[0] == "0",
        clock_offset=round(int(date) - here, 1) if re.fullmatch(r"[0-9]{1,15}", date) else 0.0,
        counted=next((int(line) for line in sections.get("counted", []) if re.fullmatch("[0-9]{1,9}", line)), -1),
    )


def _free_mb(columns: Sequence[str]) -> int:
    """Returns what is free by a line of `df -Pk`, found by its percentage: names of file systems may hold blanks."""
    at = next((i for i, column in enumerate(columns) if re.fullmatch(r"[0-9]{1,3}%", column)), 0)
    return int(columns[at - 1]) >> 10 if at and re.fullmatch("[0-9]{1,18}", columns[at - 1]) else -1


def _soc(sections: Mapping[str, list[str]], info: str, android: Mapping[str, str]) -> tuple[str, ...]:
    names = [android.get("soc.model", ""), android.get("board.platform", ""), field(info, "Hardware")]
    # The last compatible entry of a board's device tree is its chip: "rockchip,rk3399".
    names += [line for line in sections.get("soc", []) if line][-1:]
    return tuple(dict.fromkeys(name for name in names if name))


def _soc_text(info: str, android: Mapping[str, str]) -> str:
    words = [field(info, "Hardware"), field(info, "model name")]
    words += [android.get(key, "") for key in ("product.board", "board.platform", "chipname")]
    return " ".join(word for word in words if word).upper()


def _temperatures(lines: list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for line in lines:
        name, _, text = line.partition("|")
        if name and re.fullmatch(r"-?[0-9]{1,9}", text):
            # The kernel says millidegrees; some vendors' drivers say degrees.
            value = int(text) / 1000 if abs(int(text)) >= 1000 else float(text)
            found[name if name not in found else f"{name} {len(found)}"] = round(value, 1)
    return found


def _libc(text: str, android: bool) -> tuple[str, dict[str, str]]:
    if android:
        return "bionic", {}
    match = re.search(r"(?:glibc|GLIBC|GNU libc)\D*(\d+\.\d+)", text)
    if match:
        return f"glibc {match[1]}", {"GLIBC": match[1]}
    return ("musl", {}) if "musl" in text else ("", {})


def _libraries(lines: list[str], abi: str) -> tuple[tuple[str, ...], str]:
    """Returns the libraries for the programs' own ABI, and GLIBCXX's version: libstdc++.so.6.0.30 has 3.4.30."""
    names, glibcxx = [], ""
    for line in lines:
        folder, name, real = [*line.split("|"), "", ""][:3]
        triplet = re.search(r"/([\w-]+-linux-gnu\w*)$", folder)
        if triplet and abi in TRIPLETS and triplet[1] != TRIPLETS[abi]:
            continue
        names.append(name)
        version = re.fullmatch(r"libstdc\+\+\.so\.6\.0\.(\d+)", real)
        if version:
            glibcxx = f"3.4.{version[1]}"
    return tuple(dict.fromkeys(names)), glibcxx


def _noexec(path: str, mounts: list[str]) -> bool:
    best, options = "", ""
    for line in mounts:
        fields = line.split()
        if len(fields) < 4:
            continue
        point = fields[1].replace("\\040", " ")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, options = point, fields[3]
    return "noexec" in options.split(",")
