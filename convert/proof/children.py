"""Running networks in child processes, one library each.

Paddle Inference and Paddle Lite each bring their own MKL, and the two can end a process that loads both. So can a
broken model, or a kernel. Here each run is a process of its own; its inputs and outputs are files.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.base.errors import EdgeError, HostError, ModelError
from edge.base.paths import KIT_ROOT
from edge.host.ending import ended_here, signal_number

Tensor = NDArray[np.float32]
# Read by OpenMP and MKL when they start; Paddle Lite's Python API has no setting of its own.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_PATH = os.pathsep.join(filter(None, (str(KIT_ROOT), os.environ.get("PYTHONPATH"))))


@dataclass(frozen=True)
class Job:
    """A network and how it is run.

    Attributes:
        kind: `lite` (an x86 `.nb` on Paddle Lite) or `paddle` (`.pdmodel` and `.pdiparams` on Paddle Inference).
        files: The `.nb`, or program and parameters.
        threads: CPU threads.
        fresh: Load the network anew for each input, instead of running all on one.
        every: Give all outputs of the network, not only the first; Paddle Inference only, without its optimisations.
    """

    kind: str
    files: tuple[Path, ...]
    threads: int = 1
    fresh: bool = False
    every: bool = False


class RunError(ModelError):
    """A network did not load or run.

    Attributes:
        log: What the library printed to standard error.
    """

    log: str = ""


def paddle_is_here() -> bool:
    """Tells whether Paddle Inference is installed."""
    return importlib.util.find_spec("paddle") is not None


def run_network(job: Job, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Runs a network on inputs, in their order.

    Returns:
        The first output for each input; float32.

    Raises:
        RunError: The network does not load or run; with the library's reason, or the signal that ended it.
        HostError: The library is not installed, or this processor lacks what it executes.
    """
    return [outputs[0] for outputs in run_outputs(job, inputs)]


def run_outputs(job: Job, inputs: Sequence[Tensor]) -> list[list[Tensor]]:
    """Like `run_network`, with all outputs for each input."""
    if job.kind == "paddle" and not paddle_is_here():
        raise HostError("Paddle is not installed.", "Install the extra: `pip install plate-edge-kit[train]`.")
    with tempfile.TemporaryDirectory(prefix="plate-run-") as name:
        folder = Path(name)
        np.savez(folder / "inputs.npz", *inputs)
        spec = {"kind": job.kind, "files": [str(path.resolve()) for path in job.files], "threads": job.threads}
        (folder / "job.json").write_text(json.dumps({**spec, "fresh": job.fresh, "every": job.every}))
        child = subprocess.run(
            [sys.executable, "-m", "convert.proof.children", str(folder)],
            cwd=folder,  # Python looks there first: it must not find a `convert.py` or `edge.py` of the user's.
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, **dict.fromkeys(_THREADS, str(job.threads)), "PYTHONPATH": _PATH},
            check=False,
        )
        if child.returncode != 0 or not (folder / "outputs.npz").is_file():
            raise _failure(job, child)
        with np.load(folder / "outputs.npz") as found:
            counts = found["counts"]
            arrays = [found[f"arr_{index}"] for index in range(int(counts.sum()))]
    outputs = []
    for count in counts:
        outputs.append(arrays[:count])
        del arrays[:count]
    return outputs


def _failure(job: Job, child: subprocess.CompletedProcess[str]) -> EdgeError:
    library = "Paddle Lite" if job.kind == "lite" else "Paddle Inference"
    hint = "Convert the model again; `edge convert check` finds what would go wrong."
    number = signal_number(child.returncode)
    failure: EdgeError
    if number:
        what = f"{library}, with {job.files[0].name},"
        failure = ended_here(what, number, library=library, hint=hint, kind=RunError)
    else:
        lines = [line for line in child.stderr.splitlines() if line.strip()]
        reason = f"failed: {lines[-1][:300]}" if lines else f"ended with code {child.returncode}"
        failure = RunError(f"{library} {reason}, with {job.files[0].name}.", hint)
    if isinstance(failure, RunError):
        failure.log = child.stderr
    return failure


def main(folder: Path) -> None:
    """Does the job in `folder`; what the child process runs."""
    job: dict[str, Any] = json.loads((folder / "job.json").read_text())
    with np.load(folder / "inputs.npz") as found:
        inputs = [found[f"arr_{index}"] for index in range(len(found.files))]
    network = None
    outputs: list[list[Tensor]] = []
    for tensor in inputs:
        if network is None or job["fresh"]:
            network = _open(job)
        outputs.append(network(tensor))
    counts = np.asarray([len(item) for item in outputs])
    np.savez(folder / "outputs.npz", *[array for item in outputs for array in item], counts=counts)
    sys.stdout.flush()
    os._exit(0)  # skips the libraries' fragile cleanup


def _open(job: dict[str, Any]) -> Any:
    files = [Path(name) for name in job["files"]]
    if job["kind"] == "lite":
        from edge.runtime.paddle_lite import LiteNetwork

        lite = LiteNetwork(files[0], trusted=True)
        return lambda tensor: [lite.run(tensor)]
    if not job["every"]:
        from edge.runtime.paddle_inference import InferenceNetwork

        exact = InferenceNetwork(files[0], files[1], job["threads"])
        return lambda tensor: [exact.run(tensor)]
    return _open_all_outputs(files[0], files[1])


def _open_all_outputs(program: Path, parameters: Path) -> Any:
    from edge.runtime.paddle_inference import open_predictor

    predictor = open_predictor(program, parameters, optimised=False)
    source = predictor.get_input_handle(predictor.get_input_names()[0])
    results = [predictor.get_output_handle(name) for name in predictor.get_output_names()]

    def run(tensor: Tensor) -> list[Tensor]:
        source.copy_from_cpu(np.ascontiguousarray(tensor, np.float32))
        predictor.run()
        return [np.asarray(result.copy_to_cpu(), np.float32) for result in results]

    return run


if __name__ == "__main__":
    main(Path(sys.argv[1]))
