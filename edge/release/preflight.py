"""Checks of a board, and of what is to be installed on it: each returns what it finds, nothing where all is well.

Three levels, after pyperf: *advice* would make it better, a *warning* makes results doubtful, an *error* stops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge.base.errors import DeviceError
from edge.base.finding import Finding, gravest_first
from edge.bundle.manifest import Manifest
from edge.device.board import Board, Cluster, Device
from edge.device.probe import LIBRARIES, Probe, probe
from edge.protocol.base import Transport
from edge.runtime.elf import FAMILIES, SYSTEM_ANDROID, SYSTEM_LINUX, version_key

LEVELS = ("advice", "warning", "error")
# Chips for which Paddle Lite v2.13-rc turns the int8 dot product on: it goes by name, not by feature
# (lite/core/device_info.cc, SetCPUInfoByName).
DOT_CHIPS = ("SM8150", "KIRIN980", "KIRIN990")
# Parts in the same file's table of core types (get_cpu_arch); others are logged as "Unknow cpu arch".
KNOWN_PARTS = frozenset(
    [f"0xd{number}" for number in ("03", "05", "07", "08", "09", "0a", "40")]
    + [f"0x{number}" for number in (205, 800, 801, 802, 803, 804, 805)]
)
SPARE_MB = 16
HOT = 70.0


@dataclass(frozen=True)
class BoardFacts:
    """What the checks look at.

    Attributes:
        probe: What the board says.
        board: Its profile; None where only the bundle is compared with the board.
        manifest: What is to be installed; None when nothing is.
        threads: Threads that will be used; 0 when not known.
    """

    probe: Probe
    board: Board | None = None
    manifest: Manifest | None = None
    threads: int = 0


def run_checks(facts: BoardFacts) -> list[Finding]:
    """Runs all checks that apply; errors first, advice last."""
    found = [finding for check in CHECKS for finding in check(facts)]
    return gravest_first(found, LEVELS)


def examine(transport: Transport, device: Device, root: str) -> tuple[Probe, list[Finding]]:
    """Probes a device and compares it with its profile; see `edge.device.probe.probe`."""
    truth = probe(transport, root)
    return truth, run_checks(BoardFacts(truth, device.board, threads=device.board.threads))


def check_board(transport: Transport, manifest: Manifest, root: str = "/") -> list[str]:
    """Checks, before anything is pushed, that a board can run a bundle.

    Args:
        transport: The board.
        manifest: Of the bundle.
        root: Folder of the releases, absolute.

    Returns:
        Advice and warnings as sentences.

    Raises:
        DeviceError: It cannot; with every reason.
    """
    wanted = {*LIBRARIES, *(str(name) for name in manifest.requires.get("libraries", []))}
    facts = BoardFacts(probe(transport, root, sorted(wanted)), manifest=manifest)
    findings = run_checks(facts)
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        others = "".join(f" Also: {finding.message}" for finding in errors[1:])
        raise DeviceError(f"{transport.name}: {errors[0].message}{others}", errors[0].hint)
    return [str(finding) for finding in findings]


def _abi(facts: BoardFacts) -> list[Finding]:
    have = facts.probe.abi
    want = facts.manifest.abi if facts.manifest is not None else facts.board.abi if facts.board is not None else ""
    if not have or not want or want == "host" or have == want:
        return []
    what = "the bundle is" if facts.manifest is not None else "its profile says"
    fits = {"arm64": "generic-arm64", "armhf": "generic-armhf"}.get(have, have)
    hint = f"Use a profile for {have}, such as {fits!r}, in your devices.yml." if have in FIT else "No build fits it."
    kernel = f" (the kernel is {facts.probe.machine})" if facts.probe.machine == "aarch64" and have == "armhf" else ""
    return [Finding("error", "abi", f"The board runs {have} programs{kernel}, {what} {want}.", hint)]


FIT = ("arm64", "armhf", "android-arm64", "android-armv7")


def _cores(facts: BoardFacts) -> list[Finding]:
    if facts.board is None or not facts.board.clusters or not facts.probe.cores:
        return []
    real, said = _count(facts.probe.clusters), _count(facts.board.clusters)
    if real == said:
        return []
    hint = "Is it the right profile? `edge device list --profiles` shows all."
    text = f"The profile {facts.board.name} says {_words(said)}, the board has {_words(real)}."
    return [Finding("warning", "cores", text, hint)]


def _count(clusters: Sequence[Cluster]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for cluster in clusters:
        name = cluster.core or "core of another kind"
        counts[name] = counts.get(name, 0) + cluster.count
    return counts


def _words(counts: dict[str, int]) -> str:
    return " + ".join(f"{count}x {name}" for name, count in sorted(counts.items())) or "no cores"


def _features(facts: BoardFacts) -> list[Finding]:
    if facts.board is None or not facts.board.clusters or not facts.probe.cores:
        return []
    want, have = set(facts.board.features), set(facts.probe.features)
    lost, won = want - have, {"asimddp", "asimdhp"} & have - want
    found = []
    if lost:
        text = f"The profile promises {', '.join(sorted(lost))}, but /proc/cpuinfo does not list it for every core."
        found.append(
            Finding("warning", "features", text, "A build that uses it would crash with an illegal instruction.")
        )
    if won:
        text = f"The board has {', '.join(sorted(won))}, which its profile does not know of."
        found.append(Finding("advice", "features", text))
    return found


def _clock(facts: BoardFacts) -> list[Finding]:
    if facts.board is None or not facts.board.clusters or not facts.probe.cores:
        return []
    real = {cluster.core: cluster.max_mhz for cluster in facts.probe.clusters if cluster.max_mhz}
    found = []
    for cluster in facts.board.clusters:
        mhz = real.get(cluster.core, 0)
        if mhz and cluster.max_mhz and abs(mhz - cluster.max_mhz) > 0.03 * cluster.max_mhz:
            text = f"{cluster.core} runs at up to {mhz} MHz here; the profile says {cluster.max_mhz}."
            found.append(Finding("advice", "clock", text, "Compare times only with boards of the same clock."))
    for core in facts.probe.cores:
        if core.limit_mhz and core.limit_mhz < core.max_mhz:
            text = f"Core {core.index} is held at {core.limit_mhz} of {core.max_mhz} MHz."
            found.append(Finding("warning", "clock", text, "Look for a power mode, a governor's limit or heat."))
            break
    return found


def _online(facts: BoardFacts) -> list[Finding]:
    off = [str(core.index) for core in facts.probe.cores if not core.online]
    if not off:
        return []
    text = f"Cores {', '.join(off)} are switched off; Paddle Lite then gives up binding threads to cores."
    return [Finding("warning", "online", text, "echo 1 > /sys/devices/system/cpu/cpuN/online (as root)")]


def _counted(facts: BoardFacts) -> list[Finding]:
    # lite/core/device_info.cc sizes its tables by /sys and fills them by the "CPU part" lines of /proc/cpuinfo.
    named = sum(1 for core in facts.probe.cores if core.part)
    counted = facts.probe.counted
    if counted < 0 or named <= max(counted, 1):
        return []
    text = (
        f"/sys/devices/system/cpu shows {counted} processors and /proc/cpuinfo {named}; Paddle Lite then fails with "
        '"vector::_M_range_check" when it loads a model.'
    )
    return [Finding("error", "counted", text, "In a container: let it see the host's /sys (read-only is enough).")]


def _threads(facts: BoardFacts) -> list[Finding]:
    clusters = facts.probe.clusters
    big = clusters[0].count if clusters else 0
    if not facts.threads or not big or facts.threads <= big:
        return []
    text = f"{facts.threads} threads, but {big} cores of the fastest kind; the slower ones hold up every parallel loop."
    return [Finding("warning", "threads", text, f"Use --threads {big}.")]


def _governor(facts: BoardFacts) -> list[Finding]:
    slow = sorted({core.governor for core in facts.probe.cores if core.governor not in ("", "performance")})
    if not slow:
        return []
    can = any("performance" in core.governors for core in facts.probe.cores)
    hint = "For steady times, as root: echo performance | tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    return [Finding("advice", "governor", f"The governor is {', '.join(slow)}.", hint if can else "")]


def _heat(facts: BoardFacts) -> list[Finding]:
    hot = {name: value for name, value in facts.probe.temperatures.items() if HOT <= value < 150}
    if not hot:
        return []
    text = "Hot: " + ", ".join(f"{name} {value:.0f} °C" for name, value in hot.items()) + "."
    return [Finding("warning", "heat", text, "Let it cool; it will slow itself down.")]


def _load(facts: BoardFacts) -> list[Finding]:
    if facts.probe.load < 0.5:
        return []
    return [
        Finding(
            "advice", "load", f"Other programs keep it busy (load {facts.probe.load:.1f}).", "Stop them to measure."
        )
    ]


def _dot(facts: BoardFacts) -> list[Finding]:
    truth = facts.probe
    if "asimddp" not in truth.features or any(name in truth.soc_text for name in DOT_CHIPS):
        return []
    chip = truth.soc[0] if truth.soc else truth.model or "this chip"
    text = (
        "The cores have the int8 dot product (asimddp), but Paddle Lite v2.13-rc turns it on by name, for "
        f"{', '.join(DOT_CHIPS)} only, and does not know {chip}: int8 runs the slower kernels."
    )
    return [Finding("advice", "dot", text, "`bench run --soc-alias` shows what it would bring.")]


def _parts(facts: BoardFacts) -> list[Finding]:
    unknown = sorted({core.part for core in facts.probe.cores if core.part.startswith("0xd")} - KNOWN_PARTS)
    if not unknown:
        return []
    text = f'Paddle Lite v2.13-rc has no tuning for part {", ".join(unknown)} and logs "Unknow cpu arch".'
    return [Finding("advice", "parts", text, "Harmless; its general kernels are used.")]


def _libc(facts: BoardFacts) -> list[Finding]:
    if facts.probe.system != "linux" or facts.probe.libc != "musl":
        return []
    return [Finding("error", "libc", "The system uses musl; Paddle Lite's builds need glibc.", "Use a glibc system.")]


def _versions(facts: BoardFacts) -> list[Finding]:
    if facts.manifest is None:
        return []
    found = []
    for family, want in sorted(facts.manifest.requires.get("versions", {}).items()):
        have = facts.probe.versions.get(family)
        if have is not None and version_key(want) > version_key(have):
            name = _who_needs(facts.manifest, family, want)
            text = f"{name} needs {family}_{want} ({FAMILIES.get(family, family)}), the board has {family}_{have}."
            # The program itself is bound to old versions (cpp/src/floor.cc): mostly it is the library.
            remedy = "Take a Paddle Lite library that an older compiler built"
            if name == "plate_ocr":
                remedy = "Build it with an older compiler"
            found.append(Finding("error", "versions", text, f"{remedy}, or update the board's system."))
    return found


def _who_needs(manifest: Manifest, family: str, version: str) -> str:
    """Names the file of a bundle that asks for a symbol version."""
    for path, item in manifest.libraries.items():
        if item.get("versions", {}).get(family) == version:
            return path.rpartition("/")[2]
    return "plate_ocr" if manifest.program.get("versions", {}).get(family) == version else "The bundle"


def _needed(facts: BoardFacts) -> list[Finding]:
    if facts.manifest is None:
        return []
    system = SYSTEM_ANDROID if facts.manifest.abi.startswith("android") else SYSTEM_LINUX
    names = facts.manifest.requires.get("libraries", [])
    lost = [name for name in names if name not in facts.probe.libraries and name not in system]
    if not lost:
        return []
    packages = {"libgomp.so.1": "libgomp1", "libstdc++.so.6": "libstdc++6", "libgcc_s.so.1": "libgcc-s1"}
    install = " ".join(packages[name] for name in lost if name in packages)
    hint = f"On Debian and Ubuntu: apt install {install}" if install else "Add them to the runtime's folder."
    return [Finding("error", "libraries", f"The board lacks {', '.join(lost)}.", hint)]


def _disk(facts: BoardFacts) -> list[Finding]:
    truth = facts.probe
    found = []
    if not truth.disk_writable:
        text = f"{truth.user or 'The user'} cannot write to {truth.disk_path}."
        found.append(Finding("error", "disk", text, "Give the device a `root` where the user may write."))
    if truth.disk_noexec:
        text = f"Programs cannot be run from {truth.disk_path}: it is mounted noexec."
        found.append(Finding("error", "disk", text, "Give the device a `root` on another file system."))
    need = SPARE_MB + (-(-facts.manifest.size // (1 << 20)) if facts.manifest is not None else 0)
    if 0 <= truth.disk_free_mb < need:
        level = "error" if facts.manifest is not None else "warning"
        text = f"{truth.disk_path} has {truth.disk_free_mb} MiB free; {need} are needed."
        room = "Free space (edge clean --device NAME --keep 1), or give the device a `root` on another file system."
        found.append(Finding(level, "disk", text, room))
    return found


def _memory(facts: BoardFacts) -> list[Finding]:
    if not 0 < facts.probe.memory_free_mb < 200:
        return []
    return [
        Finding("warning", "memory", f"Only {facts.probe.memory_free_mb} MiB of memory are free.", "Stop other programs.")
    ]


def _date(facts: BoardFacts) -> list[Finding]:
    offset = facts.probe.clock_offset
    if abs(offset) < 86400:
        return []
    text = f"Its clock is {abs(offset) / 86400:.0f} days {'ahead' if offset > 0 else 'behind'}."
    return [Finding("advice", "date", text, "The kit does not depend on it; its logs will look odd.")]


CHECKS: tuple[Callable[[BoardFacts], list[Finding]], ...] = (
    _abi, _libc, _versions, _needed, _disk, _memory, _cores, _features, _clock, _online, _counted, _threads, _heat,
    _dot, _parts, _governor, _load, _date,
)  # fmt: skip
