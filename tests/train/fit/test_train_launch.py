"""What a GPU machine does differently, as far as a CPU can show it: two processes, mixed precision, the event log."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge

pytest.importorskip("paddle")
pytestmark = pytest.mark.paddle

RECIPE = """\
task: rec
steps: 2
batch: 2
eval_every: 10
save_every: 2
threads: 1
model: {init: random, width: 64, freeze_norm: true}
data: {synth_share: 1.0, holdout: 0.0}
optim: {rate: 0.001, warmup: 0, ema: 0.0}
"""


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, timeout=600, check=False)


def test_two_processes_do_what_one_does_with_twice_the_batches(tmp_path: Path) -> None:
    """Each process has its own batches and their gradients are averaged: the same as two batches summed up."""
    from train.weights.checkpoint import load_state

    (tmp_path / "recipe.yml").write_text(RECIPE)
    fit = ("train", "fit", "rec", "--recipe", tmp_path / "recipe.yml", "--out")
    launch = ("-m", "paddle.distributed.launch", "--nproc_per_node", 2, "--log_dir", tmp_path / "log")
    program = Path(edge.__file__).with_name("__main__.py")
    two = run(*launch, program, *fit, tmp_path / "two")
    assert two.returncode == 0, two.stdout[-2000:] + two.stderr[-2000:]
    one = run("-m", "edge", *fit, tmp_path / "one", "-o", "optim.accumulate=2")
    assert one.returncode == 0, one.stderr
    ours, theirs = (load_state(tmp_path / name / "last.ckpt") for name in ("two", "one"))
    assert ours.step == theirs.step == 2
    moved = max(float(np.abs(value).max()) for name, value in ours.optimiser.items() if "moment1" in name)
    assert moved > 1e-4
    for name, value in ours.optimiser.items():
        if "moment1" in name:  # A tenth of the mean gradient; the weights themselves move by its sign.
            np.testing.assert_allclose(value, theirs.optimiser[name], atol=1e-3 * moved, err_msg=name)


def test_mixed_precision_without_a_gpu_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.yml").write_text(RECIPE)
    done = run("-m", "edge", "train", "fit", "rec", "--recipe", tmp_path / "recipe.yml", "-o", "amp=true", "--out", tmp_path)
    assert done.returncode == 2 and "needs a GPU" in done.stderr and not (tmp_path / "last.ckpt").exists()


def events_of(path: Path) -> Iterator[Any]:
    """Yields the events of a file; TensorFlow's `record_writer.h`: length, checksum, data, checksum."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    data, at = path.read_bytes(), 0
    while at + 12 <= len(data) and (end := at + 16 + struct.unpack_from("<Q", data, at)[0]) <= len(data):
        record = data[at + 12 : end - 4]
        assert struct.unpack("<I", data[end - 4 : end])[0] == masked_crc32c(record)
        yield Event.FromString(record)
        at = end


def test_event_files_show_no_step_twice(tmp_path: Path) -> None:
    """As TensorBoard reads them: a start of a session hides what an earlier one wrote from its step on."""
    from train.fit.log import RunLog

    log = RunLog(tmp_path / "log.csv", 0)
    for step in range(1, 31):
        log.write({"step": step, "rate": 0.5, "loss": 1.0 / step, **({"accuracy": 0.25} if step == 20 else {})})
    log.close()
    (killed,) = tmp_path.glob("*tfevents*")
    with killed.open("ab") as stream:
        stream.write(struct.pack("<Q", 40) + b"cut")
    log = RunLog(tmp_path / "log.csv", 20)
    log.write({"step": 21, "rate": 0.5, "loss": 7.0})
    log.close()
    shown: dict[str, dict[int, float]] = {}
    for path in sorted(tmp_path.glob("*tfevents*")):
        for event in events_of(path):
            if event.session_log.status == event.session_log.START:
                shown = {tag: {step: of for step, of in rows.items() if step < event.step} for tag, rows in shown.items()}
            for value in event.summary.value:
                assert event.step not in shown.setdefault(value.tag, {})
                shown[value.tag][event.step] = value.simple_value
    assert sorted(shown) == ["accuracy", "loss", "rate"] and shown["accuracy"] == {20: 0.25}
    assert list(shown["loss"]) == list(range(1, 22)) and shown["loss"][4] == 0.25 and shown["loss"][21] == 7.0
