"""Figures about repeated timings: order statistics with their limits, variation, and the interval of the median.

The data are hierarchical: a *process* (one start of the program) holds *iterations*. Iterations of one process share
its memory layout, its core and the temperature of its minute, so they are not independent, and only several processes
tell how far a figure would move if the whole thing were done again. Nothing here drops an outlier.

Every function takes a sequence of processes, each a 1-D float64 array of milliseconds (any positive unit works).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.stats.bootstrap import SEED, Interval, median_interval
from bench.stats.sampling import Array, Groups, normalised

# Samples from which MLPerf's loadgen bounds a percentile at 99 % confidence (early stopping; see docs/measuring.md).
MIN_SAMPLES = {50: 1, 90: 64, 95: 130, 99: 662}


@dataclass(frozen=True)
class Summary:
    """What a column of a table needs about one stage.

    Attributes:
        n: Iterations over all processes.
        processes: Processes.
        median: Of the pooled iterations.
        mean: Likewise.
        minimum: Likewise.
        maximum: Likewise.
        p90: Sample quantile; with fewer than 64 iterations it is a description, not an estimate.
        p95: None below 130 iterations.
        p99: None below 662 iterations.
        mad: Median absolute deviation from the median, not scaled.
        cv: Standard deviation over mean, each value first divided by its group's median; None where no photo was
            timed twice (see `coefficient`).
        interval: 95 % interval of the median; None with a single process.
    """

    n: int
    processes: int
    median: float
    mean: float
    minimum: float
    maximum: float
    p90: float
    p95: float | None
    p99: float | None
    mad: float
    cv: float | None
    interval: Interval | None


def summarise(processes: Sequence[Array], *, groups: Sequence[Groups] | None = None, seed: int = SEED) -> Summary | None:
    """Reduces the iterations of several processes.

    Args:
        processes: Milliseconds, one array a process; empty ones are passed over.
        groups: Photo index of every iteration, shaped like `processes`; see `coefficient`.
        seed: Of the bootstrap.

    Returns:
        The summary, or None when there is no iteration at all.
    """
    kept = [np.asarray(values, dtype=np.float64) for values in processes if len(values)]
    if not kept:
        return None
    pooled = np.concatenate(kept)
    labels = [np.asarray(group) for group in groups if len(group)] if groups is not None else None
    median = float(np.median(pooled))
    return Summary(
        n=int(pooled.size),
        processes=len(kept),
        median=median,
        mean=float(pooled.mean()),
        minimum=float(pooled.min()),
        maximum=float(pooled.max()),
        p90=float(np.quantile(pooled, 0.90)),
        p95=percentile(pooled, 95),
        p99=percentile(pooled, 99),
        mad=float(np.median(np.abs(pooled - median))),
        cv=coefficient(pooled, np.concatenate(labels) if labels else None),
        interval=median_interval(kept, groups=labels, seed=seed),
    )


def percentile(values: Array, percent: int) -> float | None:
    """Returns a sample quantile, or None when `MIN_SAMPLES` says there are too few values for it."""
    if values.size < MIN_SAMPLES[percent]:
        return None
    return float(np.quantile(values, percent / 100))


def coefficient(values: Array, groups: Groups | None = None) -> float | None:
    """Coefficient of variation (standard deviation / mean) within photos; None where no photo was timed twice.

    Each photo's centre is taken from its own values, which costs a degree of freedom a photo: a photo that was timed
    once is exactly its own centre, and says nothing about variation.
    """
    freedom = values.size - (np.unique(groups).size if groups is not None else 1)
    if freedom < 1:
        return None
    ratio = normalised(values, groups)
    mean = float(ratio.mean())
    return math.sqrt(float(((ratio - mean) ** 2).sum()) / freedom) / mean if mean > 0 else 0.0
