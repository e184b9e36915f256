"""What several tests of training share: rendered crops with labels, and commands run in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def rendered_crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with twelve rendered crops of blue plates and their `rec.txt`; to be read, or copied."""
    import cv2

    from edge.plate.country import load_country
    from train.synth.crop import render_crop

    folder = tmp_path_factory.mktemp("crops")
    rng, lines = np.random.default_rng(5), []
    for index in range(12):
        image, text = render_crop(rng, load_country(), kind="blue")
        cv2.imwrite(str(folder / f"{index}.png"), image)
        lines.append(f"{index}.png\t{text}")
    (folder / "rec.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def edge_here() -> Callable[..., str]:
    """Runs an `edge` command in this process, without the seconds that Paddle takes to load; returns what it printed.

    Errors come out as they are raised. How a process ends is for tests that start one.
    """
    from click.testing import CliRunner

    from edge.cli import edge

    def run(*arguments: object) -> str:
        answer = CliRunner().invoke(edge, list(map(str, arguments)), catch_exceptions=False)
        assert answer.exit_code == 0, answer.output
        return answer.stdout

    return run
