"""Paddle's static mode for a while, and silence for what prints too much."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from train.arch import load_paddle


@contextmanager
def static_mode() -> Iterator[tuple[Any, Any]]:
    """Yields paddle in static mode with a scope and programs of its own, and an executor; then sets back the mode."""
    paddle = load_paddle()
    dynamic = paddle.in_dynamic_mode()
    paddle.enable_static()
    try:
        empty = paddle.static.Program
        with paddle.static.scope_guard(paddle.static.Scope()), paddle.static.program_guard(empty(), empty()):
            yield paddle, paddle.static.Executor(paddle.CPUPlace())
    finally:
        if dynamic:
            paddle.disable_static()


@contextmanager
def silence() -> Iterator[None]:
    """Sends what PaddleSlim prints (progress bars, logs, from Python and C++) nowhere."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(number) for number in (1, 2)]
    try:
        with Path(os.devnull).open("wb") as nowhere:
            for number in (1, 2):
                os.dup2(nowhere.fileno(), number)
            yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in zip((1, 2), saved, strict=True):
            os.dup2(copy, number)
            os.close(copy)
