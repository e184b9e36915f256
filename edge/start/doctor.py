"""What this machine, the user's boards and the cache are able to do, one finding a line, each with the next step.

A finding is `ok`, `warn` (something optional is missing: names what cannot be done without it) or `fail` (the main
job on this machine, or a purpose that was named, cannot work).
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from pathlib import Path

from edge.base.errors import EdgeError
from edge.base.finding import Finding
from edge.base.paths import cache_dir
from edge.bundle.jpeg_library import host_library
from edge.bundle.toolchain import host_abi
from edge.bundle.zoo import model_sets
from edge.device.board import Device, inventory_path, load_inventory
from edge.host.processor import NEEDS, SHOWN, Processor, host_processor
from edge.plate.country import load_country
from edge.transport.connect import connect

LEVELS = ("ok", "warn", "fail")
_GIB = 1 << 30

# What somebody may want to do beside the main job; `edge doctor --for` makes what it needs a failure when missing.
PURPOSES = ("arm64", "armhf", "android", "ssh", "adb", "virtual")

# Program -> (Debian package, what needs it, the purposes that cannot do without; none: the main job)
PROGRAMS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "g++": ("g++", "building the program for this host", ()),
    "cmake": ("cmake", "building the program", ()),
    "ninja": ("ninja-build", "building the program", ()),
    "aarch64-linux-gnu-g++": ("g++-aarch64-linux-gnu", "building for 64-bit ARM boards", ("arm64",)),
    "arm-linux-gnueabihf-g++": ("g++-arm-linux-gnueabihf", "building for 32-bit ARM boards", ("armhf",)),
    "ssh": ("openssh-client", "`edge shell` on ssh boards, and the virtual ARM board", ("ssh", "virtual")),
    "adb": ("adb", "Android phones, and boards over adb", ("adb",)),
    "qemu-aarch64-static": ("qemu-user-static", "the virtual ARM board", ("virtual",)),
    "update-binfmts": ("binfmt-support", "the virtual ARM board", ("virtual",)),
    "arch-test": ("arch-test", "making the virtual ARM board", ("virtual",)),
    "mmdebstrap": ("mmdebstrap", "making the virtual ARM board", ("virtual",)),
}

# Module -> (distribution, what needs it, level when it is missing, extra)
PACKAGES: dict[str, tuple[str, str, str, str]] = {
    "paddlelite": ("paddlelite", "the runtime on this host and conversion", "fail", ""),
    "fabric": ("fabric", "boards over ssh", "fail", ""),
    "cv2": ("opencv-python-headless", "the reference pipeline", "fail", ""),
    "paddle": ("paddlepaddle", "training, and the published models", "warn", "train"),
    "paddleslim": ("paddleslim", "quantising", "warn", "train"),
    "rapidocr_onnxruntime": ("rapidocr-onnxruntime", "the published PP-OCRv3 weights", "warn", "models"),
}
APT = "apt-get install "
_AVX512 = {"Paddle": "; the kit leaves out its one step that executes avx512f unasked"}


def examine(
    *, devices: bool = True, inventory: Path | None = None, purposes: Collection[str] = ()
) -> Iterator[tuple[str, Finding]]:
    """Yields findings as they are made, the quick ones first, each after its area: `host`, `project` or `device`.

    Args:
        devices: Also connect to every device of the inventory.
        inventory: The inventory; None for the user's own.
        purposes: Of `PURPOSES`: what must work here beside the main job.
    """
    yield from (("host", finding) for finding in _host(purposes))
    yield from (("project", finding) for finding in _project())
    if devices:
        yield from (("device", finding) for finding in _devices(inventory, connect_and_ask))


def install_command(findings: Collection[Finding]) -> str:
    """Returns the one command that brings all Debian packages that findings ask for; empty when there are none."""
    hints = {finding.hint for finding in findings if finding.hint.startswith(APT)}
    return APT + " ".join(sorted(hint.removeprefix(APT) for hint in hints)) if hints else ""


def _host(purposes: Collection[str]) -> Iterator[Finding]:
    version = platform.python_version()
    good = sys.version_info[:2] == (3, 10)
    yield Finding(
        "ok" if good else "fail", "CPython", f"{version}, {platform.machine()}, {platform.system()}",
        "" if good else "Paddle Lite's wheels end at CPython 3.10: `make setup` finds or gets one.",
    )  # fmt: skip
    yield from examine_processor(host_processor())
    for module, (distribution, purpose, level, extra) in PACKAGES.items():
        if importlib.util.find_spec(module) is None:
            install = f"pip install 'plate-edge-kit[{extra}]'" if extra else "pip install plate-edge-kit"
            yield Finding(level, distribution, f"not installed; needed for {purpose}", install)
        else:
            yield _package(module, distribution, level)
    for program, (package, purpose, needed_by) in PROGRAMS.items():
        found = _which(program)
        if found is None:
            level = "fail" if not needed_by or set(needed_by) & set(purposes) else "warn"
            yield Finding(level, program, f"not found; needed for {purpose}", APT + package)
        else:
            yield Finding("ok", program, found)
    stb = any(Path(folder, "stb", "stb_image.h").is_file() for folder in ("/usr/include", "/usr/local/include"))
    yield Finding(
        "ok" if stb else "fail", "stb_image.h",
        "found" if stb else "not found; the program decodes PNGs with it",
        "" if stb else f"{APT}libstb-dev",
    )  # fmt: skip
    turbo = host_library(host_abi()) is not None
    yield Finding(
        "ok" if turbo else "warn", "libjpeg.a",
        "found" if turbo else "not found; fetched from Debian where possible, else stb_image refuses some JPEGs",
        "" if turbo else f"{APT}libjpeg-dev",
    )  # fmt: skip
    country = load_country()
    font = next(iter(country.installed_fonts), None)
    yield Finding(
        "ok" if font else "warn", "Chinese font",
        str(font.path) if font else "not found; rendered plates need it (training, calibrating int8), and labels on photos",
        "" if font else f"{APT}{country.font_package}",
    )  # fmt: skip
    ndk = os.environ.get("ANDROID_NDK_HOME", "")
    if not (ndk and Path(ndk, "build", "cmake", "android.toolchain.cmake").is_file()):
        detail = f"{ndk} is none" if ndk else "not set"
        yield Finding(
            "fail" if "android" in purposes else "warn", "ANDROID_NDK_HOME",
            f"{detail}; needed for building for Android phones",
            "Unpack the Android NDK (r21 or later, https://developer.android.com/ndk/downloads) and set "
            "ANDROID_NDK_HOME to its folder.",
        )  # fmt: skip
    else:
        yield Finding("ok", "ANDROID_NDK_HOME", ndk)
    free = shutil.disk_usage(cache_dir("models")).free
    yield Finding(
        "ok" if free > 2 * _GIB else "warn" if free > _GIB // 4 else "fail", "disk",
        f"{free / _GIB:.1f} GiB free in {cache_dir('models').parent}",
        "" if free > 2 * _GIB else "Free some space, or point PLATE_EDGE_CACHE at another disk.",
    )  # fmt: skip


def examine_processor(processor: Processor) -> Iterator[Finding]:
    """Yields what a processor is, and what its features mean for Paddle, Paddle Lite and int8."""
    name = processor.name or "unknown"
    if processor.machine != "x86_64":
        yield Finding(
            "fail", "processor", f"{name} ({processor.machine})",
            "Run the kit on an x86-64 computer: Paddle Lite's Python package exists for no other. "
            "Reach ARM boards from there.",
        )  # fmt: skip
        return
    if not processor.flags:
        yield Finding("warn", "processor", "/proc/cpuinfo lists no features")
        return
    guest = " (a virtual machine's)" if processor.guest else ""
    detail = f"{name}{guest}: {', '.join(processor.has) or 'none of ' + ', '.join(SHOWN)}"
    lacks = f"; not {', '.join(processor.lacks)}" if processor.has and processor.lacks else ""
    yield Finding("ok", "processor", detail + lacks)
    for library, level in (("Paddle Lite", "fail"), ("Paddle", "warn")):
        missing = processor.missing(library)
        needed = ", ".join(NEEDS[library])
        if missing:
            detail = f"does not run: it needs {needed}; this processor lacks {', '.join(missing)}"
            yield Finding(level, f"{library} here", detail, processor.remedy())
        else:
            yield Finding("ok", f"{library} here", f"runs: it needs {needed}" + _AVX512.get(library, ""))
    yield Finding("ok", "int8 here", "saves bytes only: both libraries compute int8 models in float on x86")


def _package(module: str, distribution: str, level: str) -> Finding:
    """Looks at a package that is installed; OpenCV is imported, since two of its wheels need a library of the system."""
    try:
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        version = "installed under another name"
    if module == "cv2":
        try:
            version = importlib.import_module("cv2").__version__
        except ImportError as error:
            return Finding(
                level, distribution, f"cannot be loaded: {error}",
                "pip uninstall -y opencv-python opencv-contrib-python; "
                "pip install --force-reinstall --no-deps opencv-python-headless==4.6.0.66",
            )  # fmt: skip
    return Finding("ok", distribution, version)


def _which(program: str) -> str | None:
    """Finds a program also where only root's PATH leads: `update-binfmts` lies in /usr/sbin."""
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]))


def _project() -> Iterator[Finding]:
    sets = model_sets()
    yield Finding("ok", "model sets", ", ".join(sets))
    made = sorted(path.parent.name for path in cache_dir("models").glob("*/*/card.json"))
    detail = f"{len(made)} in the cache" if made else "none yet"
    yield Finding("ok", "converted models", detail, "" if made else "`make run` makes them.")
    built = sorted(path.name for path in cache_dir("build").iterdir() if path.is_dir())
    detail = f"{len(built)} builds in the cache" if built else "none yet"
    yield Finding("ok", "program", detail, "" if built else "`edge build --abi host` builds it.")


def _devices(inventory: Path | None, ask: Callable[[Device], str]) -> Iterator[Finding]:
    try:
        known = load_inventory(inventory)
    except EdgeError as error:
        yield Finding("fail", "inventory", error.message, error.hint)
        return
    if not known:
        hint = "Add a board: edge device add NAME --board PROFILE --ssh USER@ADDRESS"
        yield Finding("ok", "inventory", f"no devices in {inventory_path(inventory)}", hint)
    for name, device in known.items():
        try:
            yield Finding("ok", name, f"{device.address}: {ask(device)}")
        except EdgeError as error:
            yield Finding("warn", name, error.message, error.hint)


def connect_and_ask(device: Device) -> str:
    """Connects to a device and returns its `uname -srm`.

    Raises:
        EdgeError: It cannot be reached, or did not answer.
    """
    with closing(connect(device)) as transport:
        return transport.run_check(["uname", "-srm"], timeout=20).stdout.strip()
