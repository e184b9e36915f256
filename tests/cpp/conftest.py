"""The program of the host, its sanitized unit tests, and a config for the published models."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cpp_program import config_for

from edge.bundle.toolchain import BuildResult, build_program
from edge.bundle.zoo import ModelPair


@pytest.fixture(scope="session")
def program() -> Path:
    return build_program("host").program


@pytest.fixture(scope="session")
def sanitized() -> BuildResult:
    return build_program("host", sanitize=True, tests=True)


@pytest.fixture(scope="session")
def conf(tmp_path_factory: pytest.TempPathFactory, ocr_models: ModelPair) -> Path:
    return config_for(tmp_path_factory.mktemp("conf") / "plate.conf", ocr_models)


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What counts the instructions of an ARM64 program; see `cpp_program.count_instructions`."""
    if shutil.which("qemu-aarch64") is None or shutil.which("aarch64-linux-gnu-g++") is None:
        pytest.skip("needs Debian's qemu-user and g++-aarch64-linux-gnu")
    out = tmp_path_factory.mktemp("plugin") / "count.so"
    source = Path(__file__).with_name("count_insns.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(out), str(source)], check=True)
    return out
