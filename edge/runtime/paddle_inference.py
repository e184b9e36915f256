"""Paddle Inference, on which inference models (`.pdmodel` and `.pdiparams`) run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edge.base.errors import HostError, ModelError
from edge.host.process import prepare_process
from edge.host.processor import check_processor
from edge.model.card import Model
from edge.ocr.detect import Tensor

# Passes of Paddle 2.6.2 that execute AVX-512 without asking whether the processor has it (PaddleOCR #11597, fixed by
# Paddle #64132 after 2.6): on one that does not, every network with attention ends by SIGILL.
UNGUARDED_PASSES = ("self_attention_fuse_pass",)


def open_model(model: Model, threads: int = 1) -> InferenceNetwork:
    """Loads a model as `edge.runtime.engines.open_network` asks for it."""
    return InferenceNetwork(model.file(".pdmodel"), model.file(".pdiparams"), threads)


class InferenceNetwork:
    """An inference model (`.pdmodel` + `.pdiparams`) on Paddle Inference, CPU.

    Args:
        program: The `.pdmodel` file.
        weights: The `.pdiparams` file.
        threads: CPU threads.

    Raises:
        HostError: Paddle is not installed.
        ModelError: It refuses the files.
    """

    def __init__(self, program: Path, weights: Path, threads: int = 1) -> None:
        prepare_process()
        self._predictor = open_predictor(program, weights, threads)
        self._input = self._predictor.get_input_handle(self._predictor.get_input_names()[0])
        self._output = self._predictor.get_output_handle(self._predictor.get_output_names()[0])

    def run(self, tensor: Tensor) -> Tensor:
        """Runs the network on float32 NCHW; see `Network`."""
        self._input.copy_from_cpu(np.ascontiguousarray(tensor, np.float32))
        self._predictor.run()
        return np.asarray(self._output.copy_to_cpu(), np.float32)


def open_predictor(program: Path, weights: Path, threads: int = 1, *, optimised: bool = True) -> Any:
    """Makes a predictor of Paddle Inference, on the CPU.

    Args:
        program: The `.pdmodel` file.
        weights: The `.pdiparams` file.
        threads: CPU threads.
        optimised: Let Paddle fuse operators; False keeps every variable of the program, so that each can be fetched.

    Raises:
        HostError: Paddle is not installed, or this processor cannot run it.
        ModelError: It refuses the files.
    """
    check_processor("Paddle Inference")
    # libpaddle.so brings a zlib of its own; Python's must be loaded first.
    import zlib  # noqa: F401

    try:
        from paddle import inference
    except ImportError as error:
        hint = "Install the extra: `pip install plate-edge-kit[train]`."
        raise HostError("Paddle is not installed.", hint) from error
    config = inference.Config(str(program), str(weights))
    config.disable_gpu()
    config.disable_glog_info()
    config.set_cpu_math_library_num_threads(threads)
    if optimised:
        config.enable_memory_optim()
        for name in UNGUARDED_PASSES:
            config.delete_pass(name)
    else:
        config.switch_ir_optim(False)
    try:
        return inference.create_predictor(config)
    except Exception as error:
        raise ModelError(f"Paddle cannot load {program}: {str(error).strip().splitlines()[-1][:200]}") from error
