"""Structured pruning by PaddleSlim: whole filters of a network's widest layers go, those of the least L1 norm.

(Li et al. 2017, "Pruning Filters for Efficient ConvNets".) In PP-OCRv3's recogniser the pointwise convolutions of 256
channels and more hold most of the weights; the layers that read them (batch norms, depthwise convolutions, gates, the next
pointwise ones) shrink along. A short fit afterwards wins the accuracy back.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from edge.base.errors import InputError, UsageError
from train.arch import load_paddle
from train.arch.architecture import class_count
from train.arch.border import Arrays
from train.weights.trained import Trained


def prune_filters(trained: Trained, ratio: float, least: int = 256) -> Arrays:
    """Takes filters out of a recogniser.

    Args:
        trained: Its float weights.
        ratio: Part of each layer's filters that goes, between 0 and 1.
        least: Layers with fewer output channels are left alone.

    Returns:
        Parameters of the smaller network; `Architecture.build(..., like=...)` builds it.

    Raises:
        UsageError: A ratio or width at which nothing, or everything, goes; or an architecture that cannot be pruned.
        InputError: The network was pruned before.
        HostError: paddleslim is not installed.
        ModelError: The parameters do not fit the network.
    """
    if not 0 < ratio < 1:
        raise UsageError(f"--ratio {ratio:g} is not between 0 and 1.", "0.25 takes a quarter of the filters.")
    arch, classes = trained.arch, class_count(trained.characters)
    whole = {name: value.shape for name, value in arch.build(classes).state_dict().items()}
    if any(list(value.shape) != list(whole.get(name, value.shape)) for name, value in trained.values.items()):
        raise InputError("The network is pruned already.", "Start again from the whole one with a greater --ratio.")
    net = trained.network()
    net.eval()
    state = net.state_dict()
    names = {parameter.name: name for name, parameter in state.items()}
    chosen = arch.prunable(net)
    if not chosen:
        raise UsageError(f"{arch.name} names no layers that pruning may narrow.", "Give a run of another model.arch.")
    ratios = {state[name].name: ratio for name in chosen if state[name].shape[0] >= least}
    if not ratios:
        raise UsageError(f"No layer has {least} channels.", "Give a smaller --least.")
    shape = [1, 3, arch.input.height, 20 * arch.stride]
    pruner = load_paddle("paddleslim.dygraph").L1NormFilterPruner
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # It names every tensor that it does not look at.
    try:
        pruner(net, shape).prune_vars(ratios, axis=0)
    finally:
        logging.disable(level)
    state = net.state_dict()
    kept = {name: state[name].numpy() for name in names.values()}
    small = replace(trained, values=kept).network()
    small.eval()
    paddle = load_paddle()
    x = paddle.to_tensor(np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32))
    with paddle.no_grad():
        assert np.abs(small(x).numpy() - net(x).numpy()).max() < 1e-4, "the rebuilt network is another one"
    return kept
