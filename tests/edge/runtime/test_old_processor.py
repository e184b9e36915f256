"""Paddle Inference on a processor without AVX-512, whatever the processor that the tests run on."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zlib  # noqa: F401  (before Paddle, whose library brings one of its own)
from pathlib import Path
from typing import Any

import pytest

from edge.runtime import paddle_inference

PADDLE = importlib.util.find_spec("paddle")
pytestmark = [pytest.mark.paddle, pytest.mark.skipif(PADDLE is None, reason="paddlepaddle is not installed")]
REC = Path(paddle_inference.__file__).parents[1] / "zoo" / "plate-v1" / "rec-int8"
FILES = REC / "inference.pdmodel", REC / "inference.pdiparams"

# The kit's own `InferenceNetwork`. Most of `import paddle` is Python that no predictor needs, and slow under emulation:
# `paddle.inference` is made here of what the kit uses of the library. argv: folder of Paddle, program, weights.
SCRIPT = """
import importlib.util, os, sys, types
from pathlib import Path
import numpy as np

package = Path(sys.argv[1])
for name in ("paddle", "paddle.base"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [str(package.parent / name.replace(".", "/"))]
spec = importlib.util.spec_from_file_location("paddle.base.libpaddle", package / "base" / "libpaddle.so")
library = importlib.util.module_from_spec(spec)
spec.loader.exec_module(library)
library.PaddleInferTensor.copy_from_cpu = library.PaddleInferTensor._copy_from_cpu_bind
inference = types.ModuleType("paddle.inference")
inference.Config, inference.create_predictor = library.AnalysisConfig, library.create_predictor
sys.modules["paddle.inference"] = sys.modules["paddle"].inference = inference
from edge.runtime.paddle_inference import InferenceNetwork

answer = InferenceNetwork(*map(Path, sys.argv[2:4])).run(np.zeros((1, 3, 48, 16), np.float32))
print(answer.shape, np.allclose(answer.sum(-1), 1, atol=1e-4), flush=True)
os._exit(0)
"""


@pytest.mark.skipif(shutil.which("qemu-x86_64") is None, reason="qemu-user is not installed")
def test_the_recogniser_runs_without_avx512(tmp_path: Path) -> None:
    """A Haswell has AVX2 and no AVX-512, as every AMD before Zen 4; it ended by SIGILL in a fused attention."""
    assert PADDLE is not None and PADDLE.origin is not None
    command = ["qemu-x86_64", "-cpu", "Haswell", sys.executable, "-c", SCRIPT, str(Path(PADDLE.origin).parent)]
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {**os.environ, **one, "PYTHONPATH": str(Path(paddle_inference.__file__).parents[2])}
    answer = subprocess.run(
        [*command, *map(str, FILES)], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    assert answer.stdout.split("\n")[0] == "(1, 2, 75) True"


def test_no_predictor_keeps_a_pass_that_asks_for_avx512_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    from paddle import inference

    made: list[Any] = []
    monkeypatch.setattr(inference, "create_predictor", made.append)
    for optimised in (True, False):
        paddle_inference.open_predictor(*FILES, optimised=optimised)
    usual, plain = made
    assert usual.ir_optim() and "self_attention_fuse_pass" not in usual.pass_builder().all_passes()
    assert not plain.ir_optim()
