"""`edge train labels --backend dask`: a cluster writes what one machine does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.base.errors import HostError, InputError
from train.labels.make import LabelOptions, label_batch, make_labels

distributed = pytest.importorskip("distributed", reason="dask[distributed] of the extra [dev] is not installed")
NAME = "0200-90_90-10&10_200&80-200&80_10&80_10&10_200&10-0_0_22_27_27_33_{}-37-15"


def written(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in out.rglob("*")
        if path.name in ("det.txt", "rec.txt", "table.csv") or path.parent.name == "crop_imgs"
    }


def test_a_dask_cluster_labels_as_one_machine_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edge_here: Callable[..., str]
) -> None:
    import dask

    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for number in range(20):  # More than a worker is given at once.
        photo = np.random.default_rng(number).integers(0, 256, (100, 220, 3)).astype(np.uint8)
        cv2.imwrite(f"photos/{NAME.format(number)}.jpg", photo)
    Path("photos", NAME.format(3) + ".jpg").write_bytes(b"cut short")
    make_labels(Path("photos"), Path("here"))
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster,
        dask.config.set({"scheduler-address": cluster.scheduler_address}),
    ):
        said = edge_here("train", "labels", "--ccpd", "photos", "--out", "there", "--backend", "dask")
        with pytest.raises(InputError, match="not a photo"):
            make_labels(Path("photos"), Path("strict"), LabelOptions(backend="dask", strict=True))
    assert "19 labelled" in said and "1 skipped" in said
    ours, theirs = written(Path("here")), written(Path("there"))
    assert len(ours) == 22 and ours == theirs


def test_a_machine_without_the_photos_ends_the_run_and_skips_nothing(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"no folder .*nowhere on ") as error:
        label_batch(tmp_path / "nowhere", tmp_path, [], strict=False)
    assert "same paths" in error.value.hint


def test_a_scheduler_that_does_not_answer_is_said(tmp_path: Path) -> None:
    import dask

    (tmp_path / (NAME.format(1) + ".jpg")).write_bytes(b"")
    silent = {"scheduler-address": "tcp://127.0.0.1:9", "distributed.comm.timeouts.connect": "50ms"}
    with dask.config.set(silent), pytest.raises(HostError, match="No dask scheduler answers"):
        make_labels(tmp_path, tmp_path / "out", LabelOptions(backend="dask"))
