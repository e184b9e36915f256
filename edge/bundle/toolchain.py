"""Building the C++ program for this host or a board, with CMake, once for each combination of sources and options.

A build lives in the cache under a hash of everything that goes into it: sources, ABI, options, the compiler's version
and the runtime library. Where that build exists nothing is run, so every command may ask for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.base.errors import BuildError, HostError, InputError, UsageError
from edge.base.paths import cache_dir, cpp_dir, locked, replacing, write_atomic
from edge.base.progress import PhaseProgress
from edge.bundle.jpeg_library import jpeg_library

SOURCE = cpp_dir()
ABIS = ("x86_64", "arm64", "armhf", "android-arm64", "android-armv7")
LIBRARY_NAMES = ("libpaddle_light_api_shared.so", "liblite_pybind.so")
STAMP = "built.json"
# Where there are more builds than this, the ones unused for longest are removed.
KEEP = 24

_CROSS = {
    "arm64": ("aarch64-linux-gnu-g++", "g++-aarch64-linux-gnu", "aarch64-linux-gnu.cmake"),
    "armhf": ("arm-linux-gnueabihf-g++", "g++-arm-linux-gnueabihf", "arm-linux-gnueabihf.cmake"),
}
_ANDROID = {"android-arm64": "arm64-v8a", "android-armv7": "armeabi-v7a"}
_PROGRESS = re.compile(r"^\[\s*(\d+)(?:/(\d+)|%)\]\s*(.*)")


@dataclass(frozen=True)
class BuildResult:
    """A finished build.

    Attributes:
        program: `plate_ocr`.
        tests: The unit tests' program; None when they were not asked for.
        folder: The build's folder; `lib` in it leads to the runtime library, where the program looks for it.
        abi: What it was built for.
        seconds: How long the build took when it was made.
        skipped: True when nothing had to be done now.
        jpeg: What decodes JPEGs in it; with stb_image, why it is not libjpeg-turbo.
    """

    program: Path
    tests: Path | None
    folder: Path
    abi: str
    seconds: float
    skipped: bool
    jpeg: str


def host_abi() -> str:
    """Returns the ABI of this machine, as in `ABIS`."""
    machine = os.uname().machine
    return {"aarch64": "arm64", "armv7l": "armhf"}.get(machine, machine)


def build_program(
    abi: str,
    *,
    runtime_dir: Path | None = None,
    cpu: str | None = None,
    sanitize: bool = False,
    static_libstdcxx: bool = False,
    tests: bool = False,
    slow: str = "",
    progress: PhaseProgress | None = None,
) -> BuildResult:
    """Builds `plate_ocr`, or finds the build that is there already.

    Args:
        abi: One of `ABIS`, or `host`.
        runtime_dir: Folder that holds Paddle Lite's library, at any depth, and its headers if it has them. None takes
            the wheel's on this host, and elsewhere links against a stub: such a program runs with the real library.
        cpu: `-mcpu` for ARM (`cortex-a72`), `-march` for x86; None builds for every CPU of the ABI.
        sanitize: With address and undefined-behaviour sanitizers.
        static_libstdcxx: Link libstdc++ statically. The program then needs the compiler's own glibc (its libstdc++.a does),
            so that this is for boards without a libstdc++, not for old ones: `cpp/cmake/floor.cmake` serves those.
        tests: Build the unit tests too.
        slow: A stage that takes longer on purpose (`kDetPre:15`, in percent), by which `make bench-self` tests the bench.
        progress: Called with what is being done, steps done and steps in all.

    Returns:
        The build.

    Raises:
        UsageError: An unknown ABI.
        InputError: `runtime_dir` holds no library.
        HostError: CMake, the compiler or the Android NDK is missing; says what to install.
        BuildError: It does not compile; holds the first error lines.
    """
    abi = host_abi() if abi == "host" else abi
    if abi not in ABIS:
        raise UsageError(f"unknown ABI {abi!r}.", f"Known: {', '.join(ABIS)}, host.")
    library, include = _runtime(abi, runtime_dir)
    jpeg = jpeg_library(abi, host_abi(), lambda text: progress(text, 0, 1) if progress else None)
    options = {
        "PLATE_LIBRARY": str(library or ""),
        "PLATE_INCLUDE": str(include or ""),
        "PLATE_JPEG_LIBRARY": str(jpeg.archive or ""),
        "PLATE_JPEG_INCLUDE": ";".join(map(str, jpeg.includes)),
        "PLATE_CPU": cpu or "",
        "PLATE_SANITIZE": "ON" if sanitize else "OFF",
        "PLATE_STATIC_LIBSTDCXX": "ON" if static_libstdcxx else "OFF",
        "PLATE_TESTS": "ON" if tests else "OFF",
        "PLATE_SLOW_STAGE": slow.partition(":")[0],
        "PLATE_SLOW_PERCENT": slow.partition(":")[2] or "15",
        "CMAKE_BUILD_TYPE": "Debug" if sanitize else "Release",
    }
    if sanitize:
        # Half of the time; `make lint` sees to it that all files of a folder can be compiled as one.
        options |= {"CMAKE_UNITY_BUILD": "ON", "CMAKE_UNITY_BUILD_BATCH_SIZE": "12"}
    result = build_cmake(SOURCE, "plate_ocr", abi, options, content=[library, jpeg.archive], progress=progress)
    if library is not None:
        link_folder(library.parent, result.folder / "lib")
    return BuildResult(
        program=result.folder / "bin" / "plate_ocr",
        tests=result.folder / "bin" / "plate_tests" if tests else None,
        folder=result.folder,
        abi=abi,
        seconds=result.seconds,
        skipped=result.skipped,
        jpeg="libjpeg-turbo" if jpeg.archive else f"stb_image ({jpeg.why})",
    )


@dataclass(frozen=True)
class CmakeBuild:
    """A finished CMake build: its folder, the seconds that it took, and whether it was there already."""

    folder: Path
    seconds: float
    skipped: bool


def build_cmake(
    source: Path,
    name: str,
    abi: str,
    options: dict[str, str],
    *,
    content: Sequence[Path | None] = (),
    progress: PhaseProgress | None = None,
) -> CmakeBuild:
    """Builds any CMake project for an ABI, in a cache folder of its own.

    Args:
        source: Folder with `CMakeLists.txt`.
        name: For the folder's name and messages.
        abi: One of `ABIS`.
        options: CMake variables.
        content: Files whose content matters to the build beside the sources; None is nobody's.
        progress: See `build_program`.

    Raises:
        HostError: A tool is missing.
        BuildError: It does not configure or compile.
    """
    if shutil.which("cmake") is None:
        raise HostError("CMake is not installed.", "apt-get install cmake ninja-build")
    compiler = _compiler(abi)
    key = _key(source, abi, options, compiler, content)
    folder = cache_dir("build") / f"{name}-{abi}-{key}"
    with locked(folder):
        stamp = folder / STAMP
        if stamp.is_file():
            os.utime(folder)
            return CmakeBuild(folder, float(json.loads(stamp.read_text())["seconds"]), True)
        started = time.monotonic()
        _configure_and_build(source, folder, abi, options, progress)
        seconds = round(time.monotonic() - started, 2)
        write_atomic(stamp, json.dumps({"seconds": seconds, "compiler": compiler, "options": options}) + "\n")
    _prune(folder)
    return CmakeBuild(folder, seconds, False)


def link_folder(target: Path, link: Path) -> None:
    """Makes `link` a symbolic link to `target`, replacing one that leads elsewhere."""
    if link.is_symlink() and link.readlink() == target:
        return
    with replacing(link) as temporary:
        temporary.symlink_to(target)


def _runtime(abi: str, folder: Path | None) -> tuple[Path | None, Path | None]:
    if folder is None:
        if abi != host_abi():
            return None, None
        from edge.runtime.wheel import wheel_library

        return wheel_library().library, None
    if folder.is_file():
        return folder.absolute(), None
    for name in LIBRARY_NAMES:
        found = sorted(folder.rglob(name), key=lambda path: ("cxx" not in path.parts, len(path.parts), str(path)))
        if found:
            headers = sorted(folder.rglob("paddle_api.h"), key=lambda path: (len(path.parts), str(path)))
            return found[0].absolute(), headers[0].parent.absolute() if headers else None
    raise InputError(f"There is no Paddle Lite library in {folder}.", f"Looked for {' and '.join(LIBRARY_NAMES)}.")


def _ndk(abi: str) -> Path:
    home = os.environ.get("ANDROID_NDK_HOME", "")
    toolchain = Path(home) / "build" / "cmake" / "android.toolchain.cmake"
    if not home or not toolchain.is_file():
        raise HostError(
            f"Building for {abi} needs the Android NDK" + (f", and {home} does not hold one." if home else "."),
            "Unpack the NDK (r21 or later) and set ANDROID_NDK_HOME to its folder.",
        )
    return toolchain


def _compiler(abi: str) -> str:
    """Returns a line that changes when the compiler does."""
    if abi in _ANDROID:
        return (_ndk(abi).parents[2] / "source.properties").read_text() if _ndk(abi).exists() else ""
    if abi in _CROSS and abi != host_abi():
        names, package = [_CROSS[abi][0]], _CROSS[abi][1]
    elif abi != host_abi():
        raise HostError(f"There is no cross-compiler for {abi} on a {host_abi()} host.", "Build it on such a machine.")
    else:
        names, package = [*filter(None, [os.environ.get("CXX")]), "c++", "g++", "clang++"], "g++"
    for name in names:
        path = shutil.which(name)
        if path:
            version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            return f"{path} {version.splitlines()[0] if version else ''}"
    raise HostError(f"There is no C++ compiler for {abi} ({names[0]}).", f"apt-get install {package}")


def _key(source: Path, abi: str, options: dict[str, str], compiler: str, content: Sequence[Path | None]) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(source)}\0".encode())
        digest.update(path.read_bytes())
    digest.update((Path(__file__).resolve().parents[1] / "__init__.py").read_bytes())
    facts = {"abi": abi, "options": options, "compiler": compiler, "ndk": os.environ.get("ANDROID_NDK_HOME", "")}
    for file in filter(None, content):
        status = file.stat()
        facts[str(file)] = f"{status.st_size} {status.st_mtime_ns}"
    digest.update(json.dumps(facts, sort_keys=True).encode())
    return digest.hexdigest()[:16]


def _configure_and_build(
    source: Path, folder: Path, abi: str, options: dict[str, str], progress: PhaseProgress | None
) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    argv = ["cmake", "-S", str(source), "-B", str(folder)]
    if shutil.which("ninja"):
        argv += ["-G", "Ninja"]
    if abi in _ANDROID:
        argv += [f"-DCMAKE_TOOLCHAIN_FILE={_ndk(abi)}", f"-DANDROID_ABI={_ANDROID[abi]}"]
        argv += ["-DANDROID_PLATFORM=android-23", "-DANDROID_STL=c++_static", "-DANDROID_ARM_NEON=ON"]
    elif abi != host_abi():
        argv += [f"-DCMAKE_TOOLCHAIN_FILE={SOURCE / 'cmake' / _CROSS[abi][2]}"]
    argv += [f"-D{name}={value}" for name, value in options.items()]
    if progress:
        progress("configuring", 0, 1)
    _run(argv, folder / "configure.log", "configured", None)
    jobs = str(len(os.sched_getaffinity(0)))
    _run(["cmake", "--build", str(folder), "--parallel", jobs], folder / "build.log", "compiled", progress)


def _run(argv: list[str], log: Path, done: str, progress: PhaseProgress | None) -> None:
    environment = {**os.environ, "NINJA_STATUS": "[%f/%t] ", "LC_ALL": "C"}
    lines: list[str] = []
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            match = _PROGRESS.match(line)
            if match and progress:
                progress(match[3].strip(), int(match[1]), int(match[2] or 100))
    log.write_text("".join(lines))
    if process.returncode != 0:
        raise BuildError(f"plate_ocr could not be {done}:\n{_errors(lines)}", f"The whole log: {log}")


def _errors(lines: list[str]) -> str:
    """The first error lines of a log, or its last lines when none says `error`."""
    wanted = re.compile(r"\b(fatal )?error\b|undefined reference|cannot find|No space left", re.IGNORECASE)
    found = [line.rstrip()[:300] for line in lines if wanted.search(line) and "-Werror" not in line]
    shown = found[:5] or [line.rstrip()[:300] for line in lines[-5:]]
    return "\n".join(f"  {line}" for line in shown)


def _prune(current: Path) -> None:
    builds = sorted((p for p in current.parent.iterdir() if (p / STAMP).is_file()), key=lambda p: p.stat().st_mtime)
    for old in builds[:-KEEP]:
        if old != current:
            shutil.rmtree(old, ignore_errors=True)
