"""Building and loading the C++ kernel of this folder, and the process settings that must come before Paddle."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

import edge.host.process
from edge.base.paths import cache_dir

SOURCE = Path(__file__).with_name("depthwise.cc")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-fPIC", "-shared", "-fopenmp")

def prepare_fit(threads: int = 0) -> None:
    """Applies the settings of `edge.host.process`, and Paddle's own.

    `import zlib` comes first, or Python's zlib binds to Paddle's own and breaks.

    Args:
        threads: OpenMP threads, 0 for the environment's choice.
    """
    edge.host.process.prepare_process()
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)
    import zlib  # noqa: F401


@lru_cache(maxsize=1)
def load_kernel() -> ctypes.CDLL | None:
    """Compiles `depthwise.cc` once for this machine and loads it.

    Returns:
        The library, or None when there is no C++ compiler, it fails, or `PLATE_EDGE_ACCEL=0`: callers then keep
        Paddle's own.
    """
    if os.environ.get("PLATE_EDGE_ACCEL") == "0":
        return None
    compiler = shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")
    if compiler is None:
        return None
    parts = SOURCE.read_bytes() + " ".join(FLAGS).encode() + _machine().encode()
    key = hashlib.sha256(parts).hexdigest()[:16]
    library = cache_dir("build") / f"train-accel-{key}.so"
    if not library.is_file():
        temporary = library.with_name(f".{library.name}.{os.getpid()}")
        command = [compiler, *FLAGS, str(SOURCE), "-o", str(temporary)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=120, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        if done.returncode != 0:
            temporary.unlink(missing_ok=True)
            return None
        temporary.replace(library)
    try:
        kernel = ctypes.CDLL(str(library))
    except OSError:
        return None
    pointers, sizes = ctypes.c_void_p, ctypes.c_int
    kernel.depthwise_forward.argtypes = [pointers] * 3 + [sizes] * 7
    kernel.depthwise_backward.argtypes = [pointers] * 5 + [sizes] * 7
    return kernel


def _machine() -> str:
    # -march=native makes the library this processor's own; a cache on a shared home must not hand it to another one.
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n")
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith("flags")), platform.processor())
