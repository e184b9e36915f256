"""Runtimes on which the reference pipeline runs: Paddle Lite's Python API for `.nb`, Paddle Inference for the rest."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edge.base.errors import HostError, ModelError
from edge.base.utf8 import read_utf8
from edge.host.ending import ended_here, signal_number
from edge.host.process import prepare_process
from edge.host.processor import check_processor
from edge.model.card import Model, load_model
from edge.model.dictionary import read_dictionary
from edge.ocr.config import PipelineConfig
from edge.ocr.detect import Tensor
from edge.ocr.reader import Network, Networks
from edge.plate.country import card_grammar
from edge.plate.grammar import parse_grammar

# Passes of Paddle 2.6.2 that execute AVX-512 without asking whether the processor has it (PaddleOCR #11597, mended by
# Paddle #64132 after 2.6): on one that has not, every network with attention ends by SIGILL.
UNGUARDED_PASSES = ("self_attention_fuse_pass",)
_TRIAL = """
import sys
from paddlelite import lite
config = lite.MobileConfig()
config.set_model_from_file(sys.argv[1])
lite.create_paddle_predictor(config)
"""


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
    # libpaddle.so brings a zlib of its own; Python's must be there first.
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


def open_network(model: Model, threads: int = 1) -> Network:
    """Loads a model of either format on the runtime that fits it.

    Args:
        model: `inference`, or `nb` for x86; verified against its card (`load_model` does it).
        threads: Of Paddle Inference; Paddle Lite's Python API uses one.

    Raises:
        ModelError: An `.nb` of another target, or the runtime refuses it.
        HostError: The runtime is not installed.
    """
    if model.card.format == "nb":
        if model.card.target != "x86":
            raise ModelError(
                f"{model.folder} is an .nb for {model.card.target}, this host needs x86.",
                "Convert the inference model again with `--target x86`.",
            )
        return LiteNetwork(model.file(".nb"), trusted=True)
    return InferenceNetwork(model.file(".pdmodel"), model.file(".pdiparams"), threads)


def open_networks(det: Path, rec: Path, threads: int = 1) -> Networks:
    """Loads a detector and a recogniser from their model folders.

    Args:
        det: Model folder of a detector.
        rec: Model folder of a recogniser.
        threads: See `open_network`.

    Raises:
        ModelError: A folder holds a model of the other task, or does not load.
        InputError: Not a model folder.
    """
    models = {task: load_model(folder) for task, folder in (("det", det), ("rec", rec))}
    for task, model in models.items():
        if model.card.task != task:
            raise ModelError(f"{model.folder} is a {model.card.task} model, a {task} model is needed here.")
    dictionary = models["rec"].dictionary
    assert dictionary is not None
    networks = [open_network(models[task], threads) for task in ("det", "rec")]
    card = models["rec"].card
    return Networks(networks[0], networks[1], read_dictionary(dictionary), card_grammar(card.grammar, card.name))


def open_config_networks(config: PipelineConfig, folder: Path) -> Networks:
    """Loads the `.nb` files, the dictionary and the grammar that a `plate.conf` names, as the C++ program does.

    Args:
        config: Uses `det_model`, `rec_model`, `dict`, and for `decode = plate` `grammar`.
        folder: To which they are relative.
    """
    det, rec = LiteNetwork(folder / config.det_model), LiteNetwork(folder / config.rec_model)
    path = folder / config.grammar
    grammar = parse_grammar(read_utf8(path), str(path)) if config.decode == "plate" else None
    return Networks(det, rec, read_dictionary(folder / config.dict), grammar)
