"""What intervals and trends both stand on: arrays of milliseconds, the photos' differences taken out, and Student's t."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Groups = npt.NDArray[np.int64]

# Of every interval that the kit gives.
LEVEL = 0.95


def normalised(values: Array, groups: Groups | None) -> Array:
    """Divides every value by the median of its group.

    Photos differ (one plate or three, small or large); that difference is a property of the photos, not noise.

    Args:
        values: Pooled milliseconds, [n].
        groups: Photo index of each value, [n]; None means one group.

    Returns:
        Values around 1, [n]; all 1 where a group's median is 0.
    """
    if groups is None:
        centre = float(np.median(values))
        return values / centre if centre > 0 else np.ones_like(values)
    out = np.ones_like(values)
    for group in np.unique(groups):
        mask = groups == group
        centre = float(np.median(values[mask]))
        if centre > 0:
            out[mask] = values[mask] / centre
    return out


def whole_rounds(processes: Sequence[Array], groups: Sequence[Groups]) -> list[Array] | None:
    """Keeps of each photo, in every process, only as many timings as its least often timed photo has: the first ones.

    Medians of what is left can be compared: no process had more of the large photos than another.

    Args:
        processes: Milliseconds, one array a process.
        groups: Photo index of every value, shaped like `processes`.

    Returns:
        Arrays like `processes`; None when a process lacks a photo that another one has.
    """
    photos = np.unique(np.concatenate(list(groups)))
    kept = []
    for values, labels in zip(processes, groups, strict=True):
        places = [np.flatnonzero(labels == photo) for photo in photos]
        rounds = min(place.size for place in places)
        if rounds == 0:
            return None
        kept.append(values[np.sort(np.concatenate([place[:rounds] for place in places]))])
    return kept


def standard_error(values: Array) -> float:
    """Standard error of the mean; needs two values."""
    return float(np.std(values, ddof=1)) / math.sqrt(values.size)


@lru_cache(maxsize=256)
def student_t(freedom: float, level: float = (1 + LEVEL) / 2) -> float:
    """Quantile of Student's t distribution, by bisection on its distribution function.

    The distribution function is the regularised incomplete beta function, evaluated by Lentz's continued fraction
    (Press et al., Numerical Recipes, 6.4). Correct to 1e-9 for freedom >= 1; one number is not worth a dependency on SciPy.
    """
    low, high = 0.0, 1e4
    for _ in range(200):
        middle = (low + high) / 2
        below = 1 - 0.5 * _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + middle * middle))
        low, high = (middle, high) if below < level else (low, middle)
    return (low + high) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 400):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / (1 + term * d)
            c = 1 + term / c
            value *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return front * value
