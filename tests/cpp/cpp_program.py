"""Running `plate_ocr` from tests."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.bundle.zoo import ModelPair
from edge.model.card import Model
from edge.ocr.config import PipelineConfig, dump_config
from edge.photo.listing import SAMPLES as SAMPLES
from edge.plate.country import card_grammar

ROOT = Path(__file__).resolve().parents[2]
# Reads the kit's own samples well, at a third of the note's pixels.
FAST = ("--det-limit-type", "max", "--det-limit-side", "640")


def write_config(path: Path, det: Model, rec: Model, **values: Any) -> Path:
    lines = card_grammar(rec.card.grammar).lines()
    path.with_name("grammar.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    config = PipelineConfig(det_model=str(det.file(".nb")), rec_model=str(rec.file(".nb")), dict=str(rec.dictionary))
    path.write_text(dump_config(replace(config, **values)), encoding="utf-8")
    return path


def config_for(path: Path, pair: ModelPair, **values: Any) -> Path:
    return write_config(path, pair.det, pair.rec, **values)


def run(program: Path, *words: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(program), *map(str, words)], capture_output=True, text=True, check=False, timeout=600, **options
    )


def lines(result: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def refused(result: subprocess.CompletedProcess[str], code: int) -> str:
    """Asserts a documented exit with one line of explanation, and returns that line."""
    assert result.returncode == code, (result.returncode, result.stderr[-2000:])
    told = [line for line in result.stderr.splitlines() if line.startswith("plate_ocr: error: ")]
    assert len(told) == 1, result.stderr[-2000:]
    return told[0].removeprefix("plate_ocr: error: ")


def emulator(abi: str) -> list[str]:
    """How a program of an ABI is run on this host."""
    names = {"arm64": ("qemu-aarch64-static", "aarch64-linux-gnu"), "armhf": ("qemu-arm-static", "arm-linux-gnueabihf")}
    if abi not in names:
        return []
    qemu, triplet = names[abi]
    return [qemu, "-L", f"/usr/{triplet}"]


def count_instructions(plugin: Path, program: Path, *words: object) -> int:
    """How many instructions an ARM64 program executes: the same on every machine, however busy."""
    argv = ["qemu-aarch64", "-cpu", "cortex-a72", "-L", "/usr/aarch64-linux-gnu", "-plugin", str(plugin), str(program)]
    argv += map(str, words)
    result = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=600)
    if "unknown option" in result.stderr or "plugin" in result.stderr:
        pytest.skip(f"this qemu has no plugins: {result.stderr[:100]}")
    assert result.returncode == 0, result.stderr
    return int(result.stderr.split()[-1])


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without what would lead the program to libraries that its own search path does not."""
    return {key: value for key, value in os.environ.items() if key != "LD_LIBRARY_PATH"} | more
