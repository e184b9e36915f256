"""Settings of this process that must be made before Paddle or Paddle Lite computes in it."""

from __future__ import annotations

import ctypes
import os
import platform

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def prepare_process() -> None:
    """Makes them; harmless where they do nothing, and a user's own environment wins.

    * `MKL_DEBUG_CPU_TYPE=5` lets the MKL inside both libraries use AVX2 on AMD processors (2.2x on a matrix product).
    * glibc keeps freed memory: both return every tensor to the system and take it back, zeroed page by page, at the
      next step (batch norm 35 -> 8 ms, hard-swish 28 -> 13 ms on a [16, 256, 12, 80] tensor).
    """
    os.environ.setdefault("MKL_DEBUG_CPU_TYPE", "5")
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, -1)  # Never.
        libc.mallopt(_M_TOP_PAD, 256 << 20)
