"""The stand-in runtime on emulated ARM: the host's answers for what was recorded, a refusal for everything else."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from cpp_program import FAST, ROOT, config_for, emulator, lines, refused, run

from edge.bundle.toolchain import build_program
from edge.bundle.zoo import ModelPair
from edge.photo.listing import SAMPLES
from edge.runtime.store import library_version

sys.path.insert(0, str(ROOT / "tests" / "replay"))
from replay_runtime import build_replay, record

PHOTOS = sorted(SAMPLES.glob("*.jpg"))


@pytest.fixture(scope="module")
def recordings(program: Path, conf: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return record(program, conf, PHOTOS[:2], tmp_path_factory.mktemp("runs"), *FAST)


@pytest.mark.parametrize("abi", ["arm64"])
def test_recorded_answers_come_back(
    abi: str, program: Path, conf: Path, ocr_models: ModelPair, recordings: dict[str, Path], tmp_path: Path
) -> None:
    qemu = emulator(abi)
    if shutil.which(qemu[0]) is None:
        pytest.skip(f"{qemu[0]} is not installed (Debian: qemu-user-static)")
    # The stand-in knows a model by its content; here the content of one for ARM is made from the host's.
    models = {}
    for task in ("det", "rec"):
        nb = tmp_path / f"{task}.nb"
        nb.write_bytes(getattr(ocr_models, task).file(".nb").read_bytes().replace(b"/2/1/1\0", b"/4/1/1\0"))
        models[task] = nb
    library = build_replay(abi, {models[task]: recordings[task] for task in models})
    assert library_version(library / "libpaddle_light_api_shared.so").endswith("-replay")
    board = build_program(abi, tests=True).program
    config = config_for(tmp_path / "plate.conf", ocr_models, det_model=str(models["det"]), rec_model=str(models["rec"]))
    argv = [*qemu, "-E", f"LD_LIBRARY_PATH={library}", str(board)]

    host = lines(run(program, "run", "--config", conf, *FAST, *PHOTOS[:2]))
    there = run(Path(argv[0]), *argv[1:], "run", "--config", config, *FAST, *PHOTOS[:2])
    assert there.returncode == 0, there.stderr
    for expected, found in zip(host, lines(there), strict=True):
        assert [plate["text"] for plate in found["plates"]] == [plate["text"] for plate in expected["plates"]]
        for a, b in zip(found["plates"], expected["plates"], strict=True):
            assert a["score"] == pytest.approx(b["score"], abs=1e-4)
            np.testing.assert_allclose(a["box"], b["box"], atol=0.01)

    other = refused(run(Path(argv[0]), *argv[1:], "run", "--config", config, *FAST, PHOTOS[3]), 4)
    assert "not recorded" in other
    shape = refused(run(Path(argv[0]), *argv[1:], "run", "--config", config, PHOTOS[0]), 4)
    assert "no input of this shape" in shape
    models["det"].write_bytes(models["det"].read_bytes().replace(b"v2.13-rc", b"v2.13-rd"))
    assert "nothing was recorded" in refused(run(Path(argv[0]), *argv[1:], "run", "--config", config, PHOTOS[0]), 4)
