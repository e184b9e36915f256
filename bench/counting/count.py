"""Runs a release under `qemu-user` with the counting plugin and reads what it counted.

Counts are instructions, the same on every machine; they are never times and are never turned into any.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.record.events import STAGES
from edge.base.errors import BuildError, DeviceError, HostError
from edge.base.paths import cache_dir, sha256_file
from edge.host.ending import ended_by, signal_number

PLUGIN = Path(__file__).with_name("plugin.c")
INFERENCE = ("det_infer", "rec_infer")
# Decoding is libjpeg-turbo's work, inference the runtime's; the rest is the kit's own.
OURS = tuple(stage for stage in STAGES if stage != "decode" and stage not in INFERENCE)
EMULATORS = {"arm64": "qemu-aarch64", "armhf": "qemu-arm"}
SYSROOTS = {"arm64": "/usr/aarch64-linux-gnu", "armhf": "/usr/arm-linux-gnueabihf"}


@dataclass(frozen=True)
class PhotoCount:
    """Instructions of one photo: stage to count; the recogniser's are sums over the boxes."""

    stages: dict[str, int]

    @property
    def total(self) -> int:
        """All stages."""
        return sum(self.stages.values())


@dataclass(frozen=True)
class Counts:
    """What one process executed.

    Attributes:
        first: The first photo, cold.
        steady: The photos after it, in order.
        process: Instructions of the whole process, loading included.
    """

    first: PhotoCount
    steady: tuple[PhotoCount, ...]
    process: int

    def typical(self) -> dict[str, int]:
        """Median over the steady photos, stage by stage."""
        return {stage: int(median(photo.stages[stage] for photo in self.steady)) for stage in STAGES}


def build_plugin() -> Path:
    """Builds the plugin, or finds the one built before.

    Raises:
        HostError: No C compiler.
        BuildError: It does not compile.
    """
    place = cache_dir("count") / f"plugin-{sha256_file(PLUGIN)[:16]}.so"
    if place.is_file():
        return place
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise HostError("there is no C compiler.", "Install one: apt-get install gcc.")
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        built = Path(folder) / "count.so"
        flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
        answer = subprocess.run([compiler, *flags, "-o", str(built), str(PLUGIN)], capture_output=True, text=True)
        if answer.returncode != 0:
            raise BuildError(f"the counting plugin does not compile: {answer.stderr.strip()[-600:]}")
        built.replace(place)
    return place


def emulator(abi: str) -> str:
    """Path of the emulator for an ABI.

    Raises:
        HostError: It is not installed, or the ABI has none.
    """
    name = EMULATORS.get(abi)
    found = shutil.which(name) if name else None
    if found is None:
        raise HostError(
            f"{name or 'an emulator for ' + abi} is not installed.",
            "Install it: apt-get install qemu-user (the static one loads no plugins).",
        )
    return found


def run_counted(
    abi: str, cpu: str, program: Path, libraries: Path, arguments: Sequence[str], *, timeout: float = 900.0
) -> Counts:
    """Runs `plate_ocr bench` under emulation.

    Args:
        abi: `arm64` or `armhf`.
        cpu: CPU model of QEMU, such as `cortex-a72`.
        program: `plate_ocr` for that ABI.
        libraries: Folder with the runtime.
        arguments: After the program's name.
        timeout: Seconds.

    Raises:
        HostError: Emulator or C compiler missing.
        DeviceError: The program failed, or emitted no markers.
    """
    qemu, plugin = emulator(abi), build_plugin()
    with tempfile.TemporaryDirectory(prefix="plate-count-") as folder:
        out = Path(folder) / "counts"
        command = [
            qemu, "-cpu", cpu, "-L", SYSROOTS[abi], "-E", f"LD_LIBRARY_PATH={libraries}:{SYSROOTS[abi]}/lib",
            "-E", "PLATE_MARKERS=1", "-plugin", f"{plugin},out={out}", str(program), *arguments,
        ]  # fmt: skip
        # Address layout and environment decide about a handful of instructions; both are held still.
        still = [shutil.which("setarch") or "", "-R"] if shutil.which("setarch") else []
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}
        try:
            answer = subprocess.run(
                [*still, *command], capture_output=True, text=True, errors="replace", timeout=timeout, env=environment
            )
        except subprocess.TimeoutExpired:
            raise DeviceError(f"plate_ocr took over {timeout:g} s under emulation.", "Use a smaller photo.") from None
        if answer.returncode != 0:
            said = answer.stderr.strip().splitlines()[-3:]
            number = signal_number(answer.returncode)
            how = ended_by(number) if number else f"ended with code {answer.returncode}"
            raise DeviceError(f"plate_ocr {how} under {Path(qemu).name}: {' '.join(said)}")
        return parse_counts(out.read_text(encoding="ascii"))


def parse_counts(text: str) -> Counts:
    """Reads the plugin's lines: marker and instructions since the marker before.

    Raises:
        DeviceError: No photo in them.
    """
    photos: list[PhotoCount] = []
    current: dict[str, int] | None = None
    process = 0
    for line in text.splitlines():
        word, _, number = line.partition(" ")
        if word == "end":
            process = int(number)
        elif word == "-1":
            current = dict.fromkeys(STAGES, 0)
        elif current is not None and int(word) < len(STAGES):
            current[STAGES[int(word)]] += int(number)
        elif current is not None:
            photos.append(PhotoCount(current))
            current = None
    if len(photos) < 2:
        raise DeviceError(
            f"plate_ocr marked {len(photos)} photos; two are needed.",
            "Build it again: an older one marks none.",
        )
    return Counts(photos[0], tuple(photos[1:]), process)


def document(counts: Counts, *, replay: bool) -> dict[str, Any]:
    """Plain JSON; with the replay runtime inference is not counted: it and the sum `photo` are None."""

    def shown(stages: dict[str, int]) -> dict[str, int | None]:
        return {stage: None if replay and stage in INFERENCE else count for stage, count in stages.items()}

    typical = counts.typical()
    return {
        "unit": "instructions",
        "first": shown(counts.first.stages),
        "steady": shown(typical),
        "ours": sum(typical[stage] for stage in OURS),
        "photo": None if replay else sum(typical.values()),
        "photos": len(counts.steady),
        "replay": replay,
    }
