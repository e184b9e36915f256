"""The own CPU kernel computes what Paddle computes: values and gradients."""

from __future__ import annotations

import copy
import zlib  # noqa: F401

import numpy as np
import pytest

pytest.importorskip("paddle")
pytestmark = pytest.mark.paddle


@pytest.fixture(scope="module", autouse=True)
def _kernels() -> None:
    from train.accel.native import load_kernel

    if load_kernel() is None:
        pytest.skip("no C++ compiler: Paddle's own kernel is used")


def _close(ours, theirs) -> None:  # type: ignore[no-untyped-def]
    ours, theirs = ours.numpy(), theirs.numpy()
    assert np.abs(ours - theirs).max() <= 1e-5 * max(1.0, float(np.abs(theirs).max()))


def _compare(layer, shape: list[int]) -> None:  # type: ignore[no-untyped-def]
    import paddle

    from train.accel.depthwise import accelerate

    fast = copy.deepcopy(layer)
    assert accelerate(fast) >= 1
    paddle.seed(4)
    x, results = paddle.randn(shape) * 2 + 0.5, []
    for net in (layer, fast):
        net.train()
        given = x.detach()
        given.stop_gradient = False
        y = net(given)
        paddle.seed(5)
        (y * paddle.randn(y.shape)).sum().backward()
        results.append((y, given.grad, net))
    (y, dx, plain), (fast_y, fast_dx, fast) = results
    _close(fast_y, y)
    _close(fast_dx, dx)
    for ours, theirs in zip(fast.parameters(), plain.parameters(), strict=True):
        if theirs.grad is not None:
            _close(ours.grad, theirs.grad)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2, (2, 1), (1, 2)])
@pytest.mark.parametrize("size", [(24, 80), (7, 9), (6, 33), (1, 1), (2, 1)])
def test_depthwise_convolution(kernel: int, stride: int | tuple[int, int], size: tuple[int, int]) -> None:
    import paddle

    paddle.seed(1)
    layer = paddle.nn.Conv2D(5, 5, kernel, stride=stride, padding=kernel // 2, groups=5)
    _compare(layer, [3, 5, *size])


def test_other_convolutions_are_left_alone() -> None:
    import paddle

    from train.accel.depthwise import accelerate

    for layer in (
        paddle.nn.Conv2D(4, 4, 1),
        paddle.nn.Conv2D(4, 4, 3, padding=1),
        paddle.nn.Conv2D(4, 8, 3, padding=1, groups=4),
        paddle.nn.Conv2D(4, 4, 3, padding=0, groups=4),
        paddle.nn.Conv2D(4, 4, 3, padding=2, dilation=2, groups=4),
        paddle.nn.Conv2D(4, 4, 1, stride=2),
        paddle.nn.Conv2D(4, 4, 7, padding=3, groups=4),
        paddle.nn.Conv2D(4, 4, 3, padding="same", groups=4),
    ):
        assert accelerate(layer) == 0


def test_whole_recogniser_in_evaluation() -> None:
    import paddle

    from train.accel.depthwise import accelerate
    from train.arch.architecture import find_architecture

    paddle.seed(3)
    plain = find_architecture("", "rec").build(20)
    plain.eval()
    fast = copy.deepcopy(plain)
    assert accelerate(fast) > 10
    x = paddle.randn([2, 3, 48, 168])
    _close(fast(x), plain(x))


def test_switched_off_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    from train.accel.native import load_kernel

    monkeypatch.setenv("PLATE_EDGE_ACCEL", "0")
    load_kernel.cache_clear()
    try:
        assert load_kernel() is None
    finally:
        load_kernel.cache_clear()
