"""The learning rate and the moving average, both functions of the step alone."""

from __future__ import annotations

import math

from train.recipes.recipe import OptimPart


def rate_at(step: int, steps: int, optim: OptimPart) -> float:
    """Returns the learning rate of a step (counted from 0).

    Linear warm-up, then constant or a half cosine from `rate` to `rate * final` (Loshchilov and Hutter 2017).
    """
    if step < optim.warmup:
        return optim.rate * (step + 1) / optim.warmup
    if optim.schedule == "constant":
        return optim.rate
    part = (step - optim.warmup) / max(1, steps - optim.warmup)
    return optim.rate * (optim.final + (1 - optim.final) * 0.5 * (1 + math.cos(math.pi * min(1.0, part))))


def ema_decay(step: int, decay: float) -> float:
    """Returns the moving average's decay at a step: small at first, so that the start is forgotten soon."""
    return min(decay, (1 + step) / (10 + step))
