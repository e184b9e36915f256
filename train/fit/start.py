"""Puts a run together: process settings, network, data, folder."""

from __future__ import annotations

import os
from pathlib import Path

from edge.base.errors import UsageError
from edge.base.progress import Say
from edge.plate.label_notes import tell
from train.accel.native import prepare_fit
from train.fit.loop import Fit, Report
from train.recipes.recipe import Recipe, recipe_document
from train.weights.checkpoint import begin_run


def start_fit(recipe: Recipe, out: Path, report: Report = lambda row: None, note: Say = tell) -> Fit:
    """Makes a run ready to be started or resumed.

    Under `paddle.distributed.launch` every process trains on its own batches; the first one writes.

    Args:
        recipe: Its settings.
        out: Its folder; `recipe.yml` and a recogniser's `dict.txt` are written at once.
        report: Called with each logged row.
        note: Told what is odd about the data.

    Raises:
        UsageError: Mixed precision that this machine lacks.
        InputError: A run of other settings lies in `out`.
        EdgeError: Of data, recipe or weights; see `train.data.dataset` and `train.fit.start_network`.
    """
    prepare_fit(recipe.threads)
    import cv2
    import paddle

    from train.accel.depthwise import accelerate
    from train.fit.start_network import start_network
    from train.fit.tasks import open_task

    check_precision(recipe)
    cv2.setNumThreads(1)  # The batches are made beside the training; OpenCV's own threads would take its cores.
    rank, world = int(os.environ.get("PADDLE_TRAINER_ID", "0")), int(os.environ.get("PADDLE_TRAINERS_NUM", "1"))
    if world > 1:
        paddle.distributed.init_parallel_env()
    net, characters = start_network(recipe)
    heard = note if rank == 0 else lambda text: None  # Every process reads the same labels.
    task = open_task(recipe, characters, (rank, world), heard)
    accelerate(net)
    if rank == 0:
        begin_run(out, recipe_document(recipe), characters)
    run = Fit(recipe, net, task, out, report, rank, world=world)
    if world > 1:
        run.net = paddle.DataParallel(net)
    return run


def check_precision(recipe: Recipe) -> None:
    """Refuses `amp` where Paddle would only warn and compute in float32.

    Raises:
        UsageError: On a CPU, or on a GPU without bfloat16.
    """
    if not recipe.amp:
        return
    import paddle

    if paddle.get_device().startswith("cpu"):
        raise UsageError(
            "amp: mixed precision needs a GPU; on a CPU, Paddle leaves it out.", "Leave amp out, or say -o amp=false."
        )
    if not paddle.amp.is_bfloat16_supported():
        raise UsageError("amp: this GPU has no bfloat16.", "Compute capability 8.0 or newer has it; say -o amp=false.")
