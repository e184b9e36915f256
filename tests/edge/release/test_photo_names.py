"""Photos with names that a shell, a terminal, JSON or a table could take for something else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.bundle.zoo import ModelPair
from edge.commands.run import show
from edge.photo.listing import SAMPLES
from edge.plate.answer import Answer, ReadPlate

SAMPLE = SAMPLES / "blue-day.jpg"
# As archives of Windows leave them (GBK), and as nobody would call a photo.
NAMES = (b"\xbe\xa9A.jpg", b"[bold]a [copy].jpg", b" '$(x)\" -- .jpg", "\u2028 ä.jpg".encode())


def test_every_name_is_read_and_told_as_it_is(ocr_models: ModelPair, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    for name in NAMES:
        shutil.copy(SAMPLE, folder + b"/" + name)
    command = [sys.executable, "-m", "edge", "run", "--models", "ppocrv3", "--set", "det_limit_type=max"]
    done = subprocess.run([*command, "--json", str(tmp_path)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    photos = json.loads(done.stdout)["photos"]
    assert {os.fsencode(Path(photo["image"]).name) for photo in photos} == set(NAMES)
    assert all(photo["plates"] == photos[0]["plates"] and photo["plates"] for photo in photos)


def test_brackets_in_names_and_errors_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Rich takes them for markup: such parts vanished."""
    plate = ReadPlate(np.zeros((4, 2)), "皖A12345", 0.9)
    read, unread = Answer("photo [copy].jpg", (plate,), ms={"total": 1.0}), Answer("[bold].jpg", error="damaged [red]")
    show([read, unread], "a [b] c")
    out = capsys.readouterr().out
    for text in ("photo [copy].jpg", "[bold].jpg", "damaged [red]", "a [b] c", "皖A12345"):
        assert text in out
