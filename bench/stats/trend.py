"""Change of speed over a session: drift within processes and across them, and two speeds side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.stats.sampling import Array, normalised, standard_error, student_t

MODE_SEPARATION = 5.0
MODE_SHARE = 0.10


@dataclass(frozen=True)
class Drift:
    """Change of speed over time.

    Attributes:
        within: Second half of a process over its first half, 1 = none; the geometric mean over processes.
        across: Last process over the first along a robust line (Theil-Sen), 1 = none.
        significant_within: The change within processes is larger than their scatter (95 %).
        significant_across: The processes' medians are (nearly) in order.
    """

    within: float
    across: float
    significant_within: bool
    significant_across: bool


def drift(processes: Sequence[Array], groups: Sequence[npt.NDArray[np.int64]] | None = None) -> Drift:
    """Looks for drift inside processes (heating up) and from process to process (a warmer and warmer board).

    Args:
        processes: In the order in which they ran.
        groups: Photo index of every iteration; values are first divided by their photo's median.
    """
    usable = [index for index, values in enumerate(processes) if len(values) >= 4]
    medians = np.array([np.median(processes[index]) for index in range(len(processes)) if len(processes[index])])
    halves = []
    if usable:
        pooled = np.concatenate([processes[i] for i in usable])
        labels = np.concatenate([groups[i] for i in usable]) if groups is not None else None
        flat = normalised(pooled, labels)
        start = 0
        for index in usable:
            values = flat[start : start + len(processes[index])]
            start += len(values)
            middle = len(values) // 2
            halves.append(math.log(float(np.median(values[middle:])) / float(np.median(values[:middle]))))
    logs = np.array(halves)
    mean = float(logs.mean()) if logs.size else 0.0
    error = standard_error(logs) if logs.size >= 2 else math.inf
    sure = logs.size >= 3 and abs(mean) > student_t(logs.size - 1) * error
    across, ordered = _trend(medians)
    return Drift(math.exp(mean), across, bool(sure), ordered)


@dataclass(frozen=True)
class Modes:
    """Two separate speeds in one run.

    Attributes:
        share: Fraction of iterations in the slower mode.
        ratio: Mean of the slower mode over mean of the faster.
        separation: Ashman's D: distance of the means in units of their spread; a normal cut in two has 2.7.
    """

    share: float
    ratio: float
    separation: float

    @property
    def apart(self) -> bool:
        """True when these are two speeds and not one with a tail: far apart, neither of them rare."""
        return self.separation >= MODE_SEPARATION and MODE_SHARE <= self.share <= 1 - MODE_SHARE


def two_modes(values: Array) -> Modes | None:
    """Finds the best split of the values into a fast and a slow part (Otsu's criterion), and how far apart they are.

    Args:
        values: Pooled, normalised values; heavy tails end up as a slow part with a tiny share.

    Returns:
        None with fewer than 16 values, or when nothing varies.
    """
    if values.size < 16:
        return None
    ordered = np.sort(values)
    count = ordered.size
    sums, squares = np.cumsum(ordered), np.cumsum(ordered * ordered)
    left = np.arange(1, count)
    mean_left = sums[:-1] / left
    mean_right = (sums[-1] - sums[:-1]) / (count - left)
    between = left * (count - left) * (mean_right - mean_left) ** 2
    cut = int(np.argmax(between))
    var_left = max(0.0, squares[cut] / left[cut] - mean_left[cut] ** 2)
    var_right = max(0.0, (squares[-1] - squares[cut]) / (count - left[cut]) - mean_right[cut] ** 2)
    spread = math.sqrt((var_left + var_right) / 2)
    distance = float(mean_right[cut] - mean_left[cut])
    if distance <= 0 or mean_left[cut] <= 0:
        return None
    return Modes((count - left[cut]) / count, float(mean_right[cut] / mean_left[cut]), distance / max(spread, 1e-12))


def _trend(medians: Array) -> tuple[float, bool]:
    count = medians.size
    if count < 3 or (medians <= 0).any():
        return 1.0, False
    logs = np.log(medians)
    first, second = np.triu_indices(count, 1)
    slopes = (logs[second] - logs[first]) / (second - first)
    # Kendall's tau: share of pairs in order; 1 for three to five processes, 0.6 and more for ten, has p < 0.02.
    tau = float(np.sign(slopes).mean())
    ordered = abs(tau) >= (1.0 if count <= 5 else 0.6) and count >= 5
    return math.exp(float(np.median(slopes)) * (count - 1)), ordered
