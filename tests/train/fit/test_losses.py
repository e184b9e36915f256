"""Losses against implementations written from their definitions, in numpy."""

from __future__ import annotations

import itertools
import zlib  # noqa: F401

import numpy as np
import pytest

pytest.importorskip("paddle")
pytestmark = pytest.mark.paddle


def _softmax(logits: np.ndarray) -> np.ndarray:
    power = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return power / power.sum(axis=-1, keepdims=True)


def _collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(mark for mark, _ in itertools.groupby(path) if mark)


def _ctc_by_enumeration(probabilities: np.ndarray, labels: tuple[int, ...]) -> float:
    steps, classes = probabilities.shape
    total = sum(
        float(np.prod([probabilities[step, mark] for step, mark in enumerate(path)]))
        for path in itertools.product(range(classes), repeat=steps)
        if _collapse(path) == labels
    )
    return -np.log(total)


@pytest.mark.parametrize("labels", [(1,), (1, 2), (2, 2), (3, 1, 2), (1, 1, 2)])
def test_ctc_equals_the_sum_over_all_paths(labels: tuple[int, ...]) -> None:
    import paddle

    from train.fit.losses import ctc_loss
    from train.fit.tasks import path_loss

    logits = np.random.default_rng(5).normal(0, 1.5, (1, 5, 4)).astype(np.float32)
    wanted = _ctc_by_enumeration(_softmax(logits[0].astype(np.float64)), labels)
    ours = ctc_loss(
        paddle.to_tensor(logits),
        paddle.to_tensor(np.array([labels], np.int32)),
        paddle.to_tensor(np.array([len(labels)], np.int64)),
    )
    assert float(ours) == pytest.approx(wanted, abs=1e-5)
    assert path_loss(_softmax(logits[0]), np.array(labels)) == pytest.approx(wanted, abs=1e-5)


def test_ctc_is_the_mean_over_texts_of_different_length() -> None:
    import paddle

    from train.fit.losses import ctc_loss
    from train.fit.tasks import path_loss

    logits = np.random.default_rng(6).normal(0, 2, (3, 20, 30)).astype(np.float32)
    labels = np.array([[4, 4, 9, 0, 0], [1, 2, 3, 4, 5], [7, 0, 0, 0, 0]], np.int32)
    lengths = np.array([3, 5, 1], np.int64)
    wanted = np.mean([path_loss(_softmax(row), mark[:n]) for row, mark, n in zip(logits, labels, lengths, strict=True)])
    loss = ctc_loss(paddle.to_tensor(logits), paddle.to_tensor(labels), paddle.to_tensor(lengths))
    assert float(loss) == pytest.approx(wanted, abs=1e-4)


def test_path_loss_of_a_text_that_does_not_fit_is_infinite() -> None:
    from train.fit.tasks import path_loss

    assert path_loss(np.full((2, 4), 0.25, np.float32), np.array([1, 2, 3])) == np.inf
    assert path_loss(np.full((2, 4), 0.25, np.float32), np.array([1, 1])) == np.inf


def _db_by_hand(maps: np.ndarray, targets: np.ndarray, ratio: float) -> dict[str, float]:
    shrink, threshold, binary = (maps[:, i].astype(np.float64) for i in range(3))
    truth, mask, border, border_mask = (targets[:, i].astype(np.float64) for i in range(4))
    entropy = -(truth * np.log(np.maximum(shrink, 1e-12)) + (1 - truth) * np.log(np.maximum(1 - shrink, 1e-12)))
    positive = entropy[(truth == 1) & (mask == 1)]
    negative = np.sort(entropy[(truth == 0) & (mask == 1)])[::-1][: int(len(positive) * ratio)]
    bce = (positive.sum() + negative.sum()) / max(len(positive) + len(negative), 1e-6)
    l1 = (np.abs(threshold - border) * border_mask).sum() / (border_mask.sum() + 1e-6)
    dice = 1 - 2 * (binary * truth * mask).sum() / ((binary * mask).sum() + (truth * mask).sum() + 1e-6)
    return {"shrink": 5 * bce, "threshold": 10 * l1, "binary": dice}


@pytest.mark.parametrize("case", ["usual", "no text", "all masked", "all text", "no border"])
def test_db_loss_equals_its_definition(case: str) -> None:
    import paddle

    from train.fit.losses import DBWeights, db_loss

    rng = np.random.default_rng(7)
    maps = rng.uniform(0.01, 0.99, (2, 3, 16, 24)).astype(np.float32)
    targets = np.zeros((2, 4, 16, 24), np.float32)
    targets[:, 0, 4:9, 5:15] = 1
    targets[:, 1] = rng.random((2, 16, 24)) > 0.1
    targets[:, 2] = rng.uniform(0.3, 0.7, (2, 16, 24))
    targets[:, 3, 2:11, 3:17] = 1
    if case == "no text":
        targets[:, 0] = 0
    elif case == "all masked":
        targets[:, 1] = 0
    elif case == "all text":
        targets[:, 0] = targets[:, 1] = 1
    elif case == "no border":
        targets[:, 3] = 0
    ours = db_loss(paddle.to_tensor(maps), paddle.to_tensor(targets), DBWeights())
    wanted = _db_by_hand(maps, targets, 3.0)
    for name, value in wanted.items():
        assert float(ours[name]) == pytest.approx(value, abs=1e-5, rel=1e-5), name
    assert float(ours["loss"]) == pytest.approx(sum(wanted.values()), rel=1e-5)


def test_db_loss_has_finite_gradients_at_the_edge_of_certainty() -> None:
    import paddle

    from train.fit.losses import DBWeights, db_loss

    maps = paddle.to_tensor(np.tile(np.array([0.0, 1.0], np.float32), (1, 3, 8, 4)))
    maps.stop_gradient = False
    targets = np.zeros((1, 4, 8, 8), np.float32)
    targets[:, 0, 2:5, 2:5] = targets[:, 1] = targets[:, 3] = 1
    db_loss(maps, paddle.to_tensor(targets), DBWeights())["loss"].backward()
    assert np.isfinite(maps.grad.numpy()).all()
