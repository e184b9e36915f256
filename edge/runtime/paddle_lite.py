"""Paddle Lite's Python API, on which `.nb` files made for x86 run."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edge.base.errors import HostError, ModelError
from edge.host.ending import ended_here, signal_number
from edge.host.process import prepare_process
from edge.host.processor import check_processor
from edge.model.card import Model
from edge.ocr.detect import Tensor

_TRIAL = """
import sys
from paddlelite import lite
config = lite.MobileConfig()
config.set_model_from_file(sys.argv[1])
lite.create_paddle_predictor(config)
"""


def open_model(model: Model, threads: int = 1) -> LiteNetwork:
    """Loads a model as `edge.runtime.engines.open_network` asks for it; `threads` is 1, whatever is asked.

    Raises:
        ModelError: An `.nb` of another target.
    """
    if model.card.target != "x86":
        raise ModelError(
            f"{model.folder} is an .nb for {model.card.target}, this host needs x86.",
            "Convert the inference model again with `--target x86`.",
        )
    return LiteNetwork(model.file(".nb"), trusted=True)


class LiteNetwork:
    """An `.nb` on Paddle Lite's Python API: one thread (that API has no setting), one instance per thread of yours.

    Args:
        path: An `.nb` made for x86.
        trusted: The file is known to be whole and for x86. Otherwise it is first loaded in a child process, because
            Paddle Lite's Python API ends the process on a bad file instead of raising.

    Raises:
        HostError: Paddle Lite is not installed, or this processor cannot run it.
        ModelError: It refuses the file (truncated, for another target, of another version).
    """

    def __init__(self, path: Path, *, trusted: bool = False) -> None:
        prepare_process()
        check_processor("Paddle Lite")
        try:
            from paddlelite import lite
        except ImportError as error:
            raise HostError("Paddle Lite is not installed.", "Run `make setup` (CPython 3.10).") from error
        if not path.is_file():
            raise ModelError(f"{path} is missing.")
        if not trusted:
            _try_loading(path)
        config = lite.MobileConfig()
        config.set_model_from_file(str(path))
        self._predictor: Any = lite.create_paddle_predictor(config)
        self._input = self._predictor.get_input(0)

    def run(self, tensor: Tensor) -> Tensor:
        """Runs the network on float32 NCHW; see `Network`."""
        self._input.from_numpy(np.ascontiguousarray(tensor, np.float32))
        self._predictor.run()
        return np.array(self._predictor.get_output(0).numpy(), np.float32)


def _try_loading(path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", _TRIAL, str(path)], capture_output=True, text=True, errors="replace", check=False
    )
    if child.returncode == 0:
        return
    hint = "It must be whole, and converted with `--target x86` to run on this host."
    number = signal_number(child.returncode)
    if number and number != signal.SIGABRT:
        raise ended_here(f"Paddle Lite, loading {path},", number, library="Paddle Lite", hint=hint)
    reason = re.search(r"Check failed: (.*)", child.stderr)
    raise ModelError(
        f"Paddle Lite cannot load {path}" + (f": {reason[1][:200]}" if reason else "."),
        hint,
    )
