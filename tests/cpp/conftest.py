"""The program of the host, its sanitized unit tests, and a config for the published models."""

from __future__ import annotations

from pathlib import Path

import pytest
from cpp_program import config_for

from edge.prepare import ModelPair
from edge.toolchain import BuildResult, build_program


@pytest.fixture(scope="session")
def program() -> Path:
    return build_program("host").program


@pytest.fixture(scope="session")
def sanitized() -> BuildResult:
    return build_program("host", sanitize=True, tests=True)


@pytest.fixture(scope="session")
def conf(tmp_path_factory: pytest.TempPathFactory, ocr_models: ModelPair) -> Path:
    return config_for(tmp_path_factory.mktemp("conf") / "plate.conf", ocr_models)
