"""Blocks of the documentation marked `small` are walked: every line of a page, in order, on a handful of photos."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_lines import REPO, Line, documents, find_lines

from edge.base.paths import cache_dir
from edge.photo.listing import SAMPLES

# What makes a line small without changing which command it is.
SMALLER = (
    (r"--count \d+", "--count 2"),
    (r"^(edge train fit .*)", r"\1 -o steps=1 -o batch=2"),
    (r"out/det-int8", "out/det-fp32"),  # Quantising takes longer than all the rest; tests/train does it.
    (r"^(bench run .*)--plan \w+", r"\1--plan small.yml"),
)
PLAN = """base: quick
models: [plate-v1]
precisions: [fp32]
processes: 1
repeats: 2
max_ms: 500
"""
PHOTOS = 4


def pages() -> dict[str, list[Line]]:
    """The lines marked `small`, by document."""
    found: dict[str, list[Line]] = {}
    for file in documents():
        for line in find_lines(file, file.read_text(encoding="utf-8")):
            if line.kind == "small":
                found.setdefault(str(file.relative_to(REPO)), []).append(line)
    return found


PAGES = pages()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a few rendered photos where the documentation says that CCPD lies."""
    folder = tmp_path_factory.mktemp("home")
    rendered = folder / "rendered"
    command = [sys.executable, "-m", "edge", "train", "synth", "--count", str(PHOTOS), "--jobs", "1"]
    subprocess.run([*command, "--out", str(rendered)], check=True, capture_output=True)
    for number, photo in enumerate(sorted(rendered.glob("*.jpg"))):
        part = folder / "CCPD2020" / "ccpd_green" / ("test", "val", "train", "train")[number]
        part.mkdir(parents=True, exist_ok=True)
        photo.rename(part / photo.name)
    return folder


def small_words(line: Line, cwd: Path, home: Path) -> list[str]:
    """The words of a line, made small and expanded as a shell would."""
    text = " ".join(line.words)
    for pattern, replacement in SMALLER:
        text = re.sub(pattern, replacement, text)
    words = []
    for word in text.split(" "):
        word = word.replace("~", str(home), 1) if word.startswith("~/") else word
        found = sorted(str(path.relative_to(cwd)) for path in cwd.glob(word)) if "*" in word else []
        words += found or [word]
    return words


@pytest.mark.paddle
@pytest.mark.parametrize("page", PAGES)
def test_page_is_walked(page: str, home: Path, tmp_path: Path) -> None:
    """Every line ends with 0, with what the lines before it left."""
    samples = SAMPLES.relative_to(REPO)
    (tmp_path / samples).parent.mkdir(parents=True)
    (tmp_path / samples).symlink_to(SAMPLES)
    (tmp_path / "small.yml").write_text(PLAN, encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPO),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "PLATE_EDGE_CACHE": str(cache_dir("models").parent),
        "HOME": str(home),
    }
    for line in PAGES[page]:
        words = small_words(line, tmp_path, home)
        command = [sys.executable, "-m", "edge", *(words if words[0] == "bench" else words[1:])]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}: {' '.join(words)}\n{done.stderr[-2000:]}"


def test_the_long_pages_are_walked() -> None:
    """The search finds them: a test of nothing would always pass."""
    assert {"docs/tutorials/laptop.md", "docs/tutorials/training.md"} <= set(PAGES)
