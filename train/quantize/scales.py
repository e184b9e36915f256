"""Scales of activations for int8: for each layer the clipping value with the least squared error on real inputs.

A recogniser's activations have outliers ten times their usual size. Scaled by the largest value, most of them share a
handful of the 255 levels, and the network reads nothing; clipping the few is far cheaper (Banner et al. 2019, arXiv
1810.05723, derive the optimum for given distributions; here it is searched for on a histogram).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from train.arch.border import Array, Arrays, Layer, Tensor

LEVELS = 127
BINS = 4096
CLIPS = np.geomspace(0.02, 1.0, 80)
"""Clipping values tried, as parts of the largest absolute value."""


def best_scales(net: Layer, batches: Sequence[Array]) -> dict[str, float]:
    """Finds the scale of the input of every convolution and linear layer of a float network.

    Args:
        net: In the form that will be quantised; it is run in evaluation mode and left in the mode it was in.
        batches: float32 [N, 3, H, W] each; none gives no scales.

    Returns:
        Layer name to the absolute value that becomes 127.
    """
    import paddle

    kinds = (paddle.nn.Conv2D, paddle.nn.Linear, paddle.nn.Conv2DTranspose)
    layers = {name: layer for name, layer in net.named_sublayers() if isinstance(layer, kinds)}
    histograms: Arrays = {}
    tops: dict[str, float] = {}

    def watch(name: str) -> Callable[[Layer, tuple[Tensor, ...]], None]:
        def hook(layer: Layer, inputs: tuple[Tensor, ...]) -> None:
            values = np.abs(inputs[0].numpy()).ravel()
            tops[name], histograms[name] = _add(tops.get(name, 0.0), histograms.get(name), values)

        return hook

    hooks = [layer.register_forward_pre_hook(watch(name)) for name, layer in layers.items()]
    training = net.training
    net.eval()
    try:
        with paddle.no_grad():
            for images in batches:
                net(paddle.to_tensor(images))
    finally:
        for item in hooks:
            item.remove()
        if training:
            net.train()
    return {name: least_error_clip(histograms[name], tops[name]) for name in histograms}


def least_error_clip(histogram: Array, top: float) -> float:
    """Returns the clipping value with the least squared error of rounding to 127 levels and clipping.

    The error is sum over bins of count * (centre - min(round(centre / step), 127) * step)^2 with step = clip / 127, for
    each of the 80 clipping values in `CLIPS`.

    Args:
        histogram: int64 [4096], counts of absolute values in equal bins of 0..top.
        top: The largest absolute value; 0 gives a scale of 1.
    """
    if top <= 0:
        return 1.0
    centres = (np.arange(len(histogram)) + 0.5) * (top / len(histogram))
    best, least = top, np.inf
    for clip in CLIPS * top:
        step = clip / LEVELS
        kept = np.minimum(np.round(centres / step), LEVELS) * step
        error = float((histogram * (centres - kept) ** 2).sum())
        if error < least:
            best, least = float(clip), error
    return best


def _add(top: float, histogram: Array | None, values: Array) -> tuple[float, Array]:
    """Adds values to a histogram of 0..top, widening it by doubling when a value lies beyond."""
    largest = float(values.max(initial=0.0))
    if histogram is None:
        top = max(largest, 1e-6)
        histogram = np.zeros(BINS, np.int64)
    while largest > top:
        folded = histogram.reshape(-1, 2).sum(axis=1)
        histogram = np.concatenate([folded, np.zeros(BINS - len(folded), np.int64)])
        top *= 2
    return top, histogram + np.histogram(values, bins=BINS, range=(0.0, top))[0]
