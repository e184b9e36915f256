"""What a GPU machine does differently, as far as a CPU can show it: two processes, mixed precision, the event log."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

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


def parsed(record: bytes) -> tuple[int, dict[str, float]]:
    """Reads an `Event` message by protobuf's own decoder, with a schema made here."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="event.proto", package="t", syntax="proto3")
    value, summary, event = (file.message_type.add(name=name) for name in ("Value", "Summary", "Event"))
    kind = descriptor_pb2.FieldDescriptorProto
    value.field.add(name="tag", number=1, type=kind.TYPE_STRING, label=1)
    value.field.add(name="simple_value", number=2, type=kind.TYPE_FLOAT, label=1)
    summary.field.add(name="value", number=1, type=kind.TYPE_MESSAGE, type_name=".t.Value", label=3)
    event.field.add(name="wall_time", number=1, type=kind.TYPE_DOUBLE, label=1)
    event.field.add(name="step", number=2, type=kind.TYPE_INT64, label=1)
    event.field.add(name="file_version", number=3, type=kind.TYPE_STRING, label=1)
    event.field.add(name="summary", number=5, type=kind.TYPE_MESSAGE, type_name=".t.Summary", label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    made = message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Event"))()
    made.ParseFromString(record)
    return made.step, {item.tag: item.simple_value for item in made.summary.value} or {made.file_version: 0.0}


def test_event_log_is_tensorboards_and_holds_no_step_twice(tmp_path: Path) -> None:
    from train.fit.log import RunLog
    from train.fit.tensorboard import masked_crc, read_records

    # RFC 3720, B.4: 32 zeros have the CRC-32C 0x8a9136aa; masked as in TensorFlow's crc32c.h.
    assert masked_crc(bytes(32)) == ((0x8A9136AA >> 15 | 0x8A9136AA << 17) + 0xA282EAD8) & 0xFFFFFFFF
    log = RunLog(tmp_path / "log.csv", 0)
    for step in range(1, 301):
        log.write({"step": step, "rate": 0.5, "loss": 1.0 / step, **({"accuracy": 0.25} if step == 300 else {})})
    with (tmp_path / "events.out.tfevents.0000000000.plate-edge").open("ab") as stream:
        stream.write(struct.pack("<Q", 40) + b"cut")
    log = RunLog(tmp_path / "log.csv", 290)
    log.write({"step": 291, "rate": 0.5, "loss": 7.0})
    events = [parsed(data) for path in sorted(tmp_path.glob("*tfevents*")) for data in read_records(path.read_bytes())]
    assert events[0] == (0, {"brain.Event:2": 0.0})
    scalars = [(step, values) for step, values in events if step]
    assert [step for step, _ in scalars] == list(range(1, 292))
    assert scalars[3][1] == {"rate": 0.5, "loss": 0.25} and scalars[-1][1]["loss"] == 7.0
