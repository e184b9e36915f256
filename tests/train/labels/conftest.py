"""A small CCPD for the tests of labelling."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from notes_loop import sample_names


@pytest.fixture
def ccpd(tmp_path) -> Path:
    """A CCPD2020-like folder with the samples: five in `train`, two in `test`."""
    root = tmp_path / "my ccpd, 2020"
    for phase in ("train", "test"):
        (root / phase).mkdir(parents=True)
    for number, (name, photo) in enumerate(sample_names().items()):
        shutil.copy(photo, root / ("test" if number >= 5 else "train") / name)
    return root
