"""Structured pruning of the recogniser by PaddleSlim: whole filters of its widest layers go, those of the least L1 norm.

(Li et al. 2017, "Pruning Filters for Efficient ConvNets".) The pointwise convolutions of 256 channels and more hold most of
the weights; the layers that read them (batch norms, depthwise convolutions, gates, the next pointwise ones) shrink
along. A short fit afterwards wins the accuracy back.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from edge.base.errors import InputError, UsageError
from train.arch.border import Arrays


def prune_recognizer(values: Arrays, classes: int, ratio: float, least: int = 256) -> Arrays:
    """Takes filters out of a recogniser.

    Args:
        values: Parameters by name.
        classes: Of its head.
        ratio: Part of each layer's filters that goes, between 0 and 1.
        least: Layers with fewer output channels are left alone.

    Returns:
        Parameters of the smaller network; `train.weights.assign.build(..., like=...)` builds it.

    Raises:
        UsageError: A ratio or width at which nothing, or everything, goes.
        InputError: The network was pruned before.
        HostError: paddleslim is not installed.
        ModelError: The parameters do not fit a recogniser.
    """
    import zlib  # noqa: F401

    import paddle

    from train.weights.assign import assign, block_widths, build

    if not 0 < ratio < 1:
        raise UsageError(f"--ratio {ratio:g} is not between 0 and 1.", "0.25 takes a quarter of the filters.")
    if block_widths(values) is not None:
        raise InputError("The network is pruned already.", "Start again from the whole one with a greater --ratio.")
    net = build("rec", classes)
    assign(net, values, "the checkpoint")
    net.eval()
    names = {parameter.name: name for name, parameter in net.state_dict().items()}
    chosen = [
        parameter.name
        for name, parameter in net.state_dict().items()
        if name.endswith("_pointwise_conv._conv.weight") and parameter.shape[0] >= least
    ]
    # The last block feeds the neck's concatenation, whose width the head expects.
    ratios = dict.fromkeys(chosen[:-1], ratio)
    if not ratios:
        raise UsageError(f"No layer has {least} channels.", "Give a smaller --least.")
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # It names every tensor that it does not look at.
    try:
        pruner = _filter_pruner()(net, [1, 3, 48, 160])
        pruner.prune_vars(ratios, axis=0)
    finally:
        logging.disable(level)
    state = net.state_dict()
    kept = {name: state[name].numpy() for name in names.values()}
    small = build("rec", classes, like=kept)
    assign(small, kept, "the pruned network")
    small.eval()
    x = paddle.to_tensor(np.random.default_rng(0).uniform(-1, 1, (1, 3, 48, 160)).astype(np.float32))
    with paddle.no_grad():
        assert np.abs(small(x).numpy() - net(x).numpy()).max() < 1e-4, "the rebuilt network is another one"
    return kept


def _filter_pruner() -> Any:
    from edge.base.errors import HostError

    try:
        from paddleslim.dygraph import L1NormFilterPruner
    except ImportError as error:
        raise HostError("paddleslim is not installed.", "pip install 'plate-edge-kit[train]'") from error
    return L1NormFilterPruner
