"""Shared fixtures: where the real photos are, and an isolated cache for tests that must not see the user's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from edge.prepare import ModelPair

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real CCPD photos (`full/`, `crops/`), or a skip that says where they were looked for."""
    folder = Path(os.environ.get("PLATE_REAL_DATA", ROOT.parent / "shared" / "data" / "ccpd"))
    if not (folder / "full" / "test").is_dir():
        pytest.skip(f"real photos not found in {folder} (set PLATE_REAL_DATA)")
    return folder


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache and configuration of this test's own."""
    monkeypatch.setenv("PLATE_EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def ocr_models() -> ModelPair:
    """The published detector and recogniser as fp32 x86 `.nb`, made once into the user's own cache."""
    from edge.prepare import ensure_models

    return ensure_models("ppocrv3", ["fp32"], "x86")["fp32"]
