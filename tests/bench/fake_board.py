"""A board for the tests of `bench`: this host, the real local transport, `fake_program.py` in place of plate_ocr."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.measure.session import Session
from bench.measure.target import SystemUnderTest, push_photos
from bench.plan.plan import PRESETS, Plan
from bench.record.result import Result, ResultPhoto
from edge.transport.local import LocalTransport

PROGRAM = Path(__file__).with_name("fake_program.py")
TRUTH = ({"text": "皖A12345", "box": [[12, 10], [90, 10], [90, 40], [12, 40]]},)
# A JPEG's first bytes are all that bench itself ever looks at.
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 64


def fake_plan(**changes: Any) -> Plan:
    """A small plan that runs in a second."""
    values: dict[str, Any] = {
        "name": "test", "processes": 2, "warmup": 1, "warmup_ms": 0, "repeats": 6, "min_ms": 0, "max_ms": 60_000,
        "threads": (1,), "power_modes": ("none",),
    }  # fmt: skip
    from dataclasses import replace

    return replace(PRESETS["default"], **{**values, **changes})


def fake_target(
    folder: Path, environment: Mapping[str, str] | None = None, *, kind: str = "board", transport: Any = None
) -> SystemUnderTest:
    """A target whose program is `fake_program.py`; two photos, the second without ground truth."""
    photos = []
    for number in range(2):
        path = folder / f"photo {number}.jpg"
        path.write_bytes(JPEG + bytes([number]))
        photos.append((path, TRUTH if number == 0 else None))
    link = transport or LocalTransport()

    starts = itertools.count()

    def command(variant: str, subcommand: str, *args: str) -> tuple[list[str], dict[str, str]]:
        # Other noise in every process and folder, the same whenever the test runs.
        seed = f"{folder.name} {next(starts)}"
        argv = [sys.executable, "-S", str(PROGRAM), subcommand, "--config", f"/models/{variant}/plate.conf", *args]
        return argv, {"FAKE_SEED": seed, **(environment or {})}

    def variant(det: int, rec: int) -> dict[str, Any]:
        return {
            "det_bytes": det,
            "rec_bytes": rec,
            "hashes": {"det": "d" * 64, "rec": "e" * 64},
            "opt": {"det": "v2.13"},
        }

    return SystemUnderTest(
        device={
            "name": "fake", "board": "rk3399", "title": "Fake board", "soc": "RK3399", "kind": kind, "transport": "ssh",
            "abi": "arm64",
        },
        transport=link,
        sampler=link,
        command=command,
        photos=push_photos(link, str(folder / "board" / "photos"), photos, folder),
        variants={"ppocrv3-fp32": variant(2_500_000, 10_700_000), "ppocrv3-int8": variant(909_000, 4_900_000)},
        release="0123456789abcdef0123",
        runtime={"version": "v2.13-rc", "build": "test", "sha256": "a" * 64, "replay": False},
        program="b" * 64,
    )  # fmt: skip


def run(folder: Path, environment: Mapping[str, str] | None = None, **changes: Any) -> Result:
    """Runs a small plan on the fake board."""
    target = fake_target(folder, environment)
    return Session(target, fake_plan(**changes), folder / "out", sample_seconds=0).run()


def shown_result(folder: Path) -> Result:
    """A result with two of the kit's sample photos, the second misread by int8, and conditions while it ran."""
    from dataclasses import replace

    from edge.base.paths import sha256_file
    from edge.photo.labels import read_labels
    from edge.photo.listing import SAMPLES

    labels = read_labels(SAMPLES / "labels.json")
    photos = tuple(
        ResultPhoto(path.name, sha256_file(path), path.stat().st_size, labels[path.name])
        for path in sorted(SAMPLES.glob("*.jpg"))[:2]
    )
    result = run(folder, processes=5, repeats=20)
    processes = []
    for process in result.processes:
        answers = {str(number): list(photo.truth or ()) for number, photo in enumerate(photos)}
        if "int8" in process.cell:
            answers["1"] = [{**plate, "text": "京<script>1"} for plate in answers["1"]]
        processes.append(replace(process, answers=answers))
    samples_read = tuple(
        {
            "t": 0.1 * i,
            "process": i % 10,
            "temperatures": {"cpu": 40.0 + i},
            "frequencies": {"0": 1_800_000},
            "load": 0.5,
        }
        for i in range(12)
    )
    return replace(result, photos=photos, processes=tuple(processes), samples=samples_read)
