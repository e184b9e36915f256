"""Shared fixtures: where the real photos are, and an isolated cache for tests that must not see the user's."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from edge.bundle.zoo import ModelPair
    from train.data.dataset import Sample
    from train.evaluate.ladder import Row
    from train.evaluate.pipeline import PhotoOutput

# What tests measure is nothing for the user's own history.
os.environ.setdefault("PLATE_EDGE_HISTORY", "off")
# Nor are the user's boards and trusted keys theirs: an empty place of each process, unless a test has its own.
_CONFIG = tempfile.TemporaryDirectory(prefix="plate-edge-config-")
os.environ["XDG_CONFIG_HOME"] = _CONFIG.name
os.environ.pop("PLATE_EDGE_INVENTORY", None)
ROOT = Path(__file__).resolve().parent.parent


# Files whose tests share something dear, and so a process: an emulated board; a minute's readings.
TOGETHER = {
    "test_quickstart_virtual.py": "virtual board",
    "test_virtual.py": "virtual board",
    "test_virtual_replay.py": "virtual board",
    "test_cpp_reference.py": "readings",
    "test_ladder.py": "readings",
}
# What takes longest begins first: begun last, it would go on alone while the other processes have nothing left to do.
LONGEST = (
    "virtual board",
    "test_cpp_units.py",
    "test_train_chain.py",
    "readings",
    "test_verify.py",
    "test_docs_walks.py",
    "test_flash_real.py",
    "test_transport_contract.py",
    "test_faults_flash.py",
    "test_faults_lock.py",
    "test_cpp_fuzz.py",
    "test_eval.py",
    "test_convert_nb.py",
    "test_bench_session_resumed.py",
    "test_bench_session.py",
    "test_bench_count.py",
    "test_fit_run.py",
    "test_train_launch.py",
    "test_qat.py",
    "test_packaging.py",
)


def _group(item: pytest.Item) -> str:
    return TOGETHER.get(item.path.name, item.path.name)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps the tests of a file in one process where several run (`--dist loadgroup`), and begins the longest first."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    if hasattr(config, "workerinput"):
        rank = {group: number for number, group in enumerate(LONGEST)}
        items.sort(key=lambda item: rank.get(_group(item), len(rank)))


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
    from edge.bundle.zoo import ensure_models

    return ensure_models("ppocrv3", ["fp32"], "x86")["fp32"]


@dataclass(frozen=True)
class RealReadings:
    """What the Python reference reads in the photos of `full/test`, published fp32 models on Paddle Lite, min side 736.

    Attributes:
        samples: The photos with their truth.
        outputs: For each photo what `PipelineConfig()` gives.
        rows: The note's ladder.
    """

    samples: list[Sample]
    outputs: list[PhotoOutput]
    rows: list[Row]


@pytest.fixture(scope="session")
def real_readings(real_data: Path, ocr_models: ModelPair) -> RealReadings:
    """See `RealReadings`; takes a minute, so everybody shares it."""
    from edge.ocr.config import PipelineConfig
    from train.data.dataset import read_photos
    from train.evaluate.ladder import make_rows, rung_configs
    from train.evaluate.pipeline import photo_outputs
    from train.evaluate.sources import find_sources

    samples = read_photos(real_data / "full" / "test")
    sources = find_sources([ocr_models.det.folder, ocr_models.rec.folder], ("det", "rec"))
    configs = rung_configs("published", sources, ("min", 736))
    outputs = photo_outputs(sources, samples, configs, jobs=os.cpu_count() or 1)
    default = configs.index(PipelineConfig())
    return RealReadings(samples, [output[default] for output in outputs], make_rows("published", samples, outputs))


_status = 0


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remembers how the tests ended, for `pytest_unconfigure`."""
    global _status
    _status = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leaves without unloading libraries: Paddle and Paddle Lite bring an MKL each, and one process that used both
    can die when they are torn down, after every test has passed and reported."""
    _CONFIG.cleanup()
    if "paddle" in sys.modules or "paddlelite" in sys.modules:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_status)
