"""What `/proc/cpuinfo`, cpufreq and an ELF header say about a board's processor."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

POWER_MODES = ("high", "low", "full", "none")
"""The cores to which Paddle Lite binds its threads: the big ones, the small ones, all, or wherever the system puts them."""
# `CPU part` of Arm's own cores (implementer 0x41), from their technical reference manuals' MIDR_EL1.
CORES = {
    "0xc05": "cortex-a5",
    "0xc07": "cortex-a7",
    "0xc09": "cortex-a9",
    "0xc0d": "cortex-a17",
    "0xc0e": "cortex-a17",
    "0xc0f": "cortex-a15",
    "0xd01": "cortex-a32",
    "0xd03": "cortex-a53",
    "0xd04": "cortex-a35",
    "0xd05": "cortex-a55",
    "0xd07": "cortex-a57",
    "0xd08": "cortex-a72",
    "0xd09": "cortex-a73",
    "0xd0a": "cortex-a75",
    "0xd0b": "cortex-a76",
    "0xd0c": "neoverse-n1",
    "0xd0d": "cortex-a77",
    "0xd40": "neoverse-v1",
    "0xd41": "cortex-a78",
    "0xd44": "cortex-x1",
    "0xd46": "cortex-a510",
    "0xd47": "cortex-a710",
    "0xd48": "cortex-x2",
}
FEATURES = ("asimd", "neon", "asimddp", "asimdhp", "i8mm", "sve", "bf16")


@dataclass(frozen=True)
class Core:
    """One core.

    Attributes:
        index: Number of the core in `/sys/devices/system/cpu`.
        core: `cortex-a72`, or the part number where the name is not known; empty on other machines than ARM.
        part: `CPU part` of `/proc/cpuinfo`; empty when not there.
        features: Those of `FEATURES` that `/proc/cpuinfo` lists for it.
        online: Whether it is switched on.
        governor: cpufreq governor; empty when there is no cpufreq.
        governors: Those that can be chosen.
        max_mhz: Highest clock of the core; 0 when not known.
        limit_mhz: Highest clock allowed now; 0 when not known.
        now_mhz: Clock now; 0 when not known.
    """

    index: int
    core: str
    part: str
    features: tuple[str, ...]
    online: bool
    governor: str
    governors: tuple[str, ...]
    max_mhz: int
    limit_mhz: int
    now_mhz: int


def field(info: str, name: str) -> str:
    """Returns the first value of a field of `/proc/cpuinfo`; empty when there is none."""
    match = re.search(rf"^{re.escape(name)}\s*:\s*(.+)$", info, re.MULTILINE)
    return match[1].strip() if match else ""


def parse_abi(elf: Sequence[str], android: bool) -> str:
    """Returns the ABI of the programs from the ELF header of one (System V ABI; ARM: float flag 0x400 in e_flags).

    Args:
        elf: The first 40 bytes, each as two hexadecimal digits.
        android: Whether the system is Android.

    Returns:
        `x86_64`, `arm64`, `armhf`, `armel`, `android-arm64`, `android-armv7`; empty when it is not an ELF header.
    """
    if len(elf) < 40 or "".join(elf[:4]) != "7f454c46":
        return ""
    machine = int(elf[19] + elf[18], 16)
    if machine == 0xB7:
        return "android-arm64" if android else "arm64"
    if machine == 0x28:
        return "android-armv7" if android else ("armhf" if int(elf[37], 16) & 4 else "armel")
    return {0x3E: "x86_64", 0x03: "i386", 0xF3: "riscv"}.get(machine, f"machine {machine}")


def parse_cores(lines: Sequence[str], info: str) -> tuple[Core, ...]:
    """Returns the cores.

    Args:
        lines: `index|online|governor|max|limit|now|governors` of each, in kHz.
        info: `/proc/cpuinfo`, which lists online cores only.
    """
    details = {}
    for block in re.split(r"\n(?=processor\s*:)", "\n" + info):
        number = field(block, "processor")
        if re.fullmatch("[0-9]{1,6}", number):
            flags = set((field(block, "Features") or field(block, "flags")).split())
            part = field(block, "CPU part").lower()
            details[int(number)] = part, tuple(name for name in FEATURES if name in flags)
    # 32-bit kernels of old list the features once, after all cores.
    common = tuple(name for name in FEATURES if name in field(info, "Features").split())
    cores = []
    # Containers and emulated boards have no /sys; then the online cores are all there is to know.
    for line in lines if any(line[:1].isdigit() for line in lines) else [str(number) for number in details]:
        index, online, governor, high, limit, now, governors = (line.split("|") + [""] * 7)[:7]
        if not re.fullmatch("[0-9]{1,6}", index):
            continue
        part, features = details.get(int(index), ("", ()))
        if int(index) in details:
            part, features = part or field(info, "CPU part").lower(), features or common
        cores.append(
            Core(
                int(index),
                CORES.get(part, part),
                part,
                features,
                online != "0",
                governor,
                tuple(governors.split()),
                *(int(value) // 1000 if re.fullmatch("[0-9]{1,12}", value) else 0 for value in (high, limit, now)),
            )
        )
    return tuple(sorted(cores, key=lambda core: core.index))
