"""Numbers about repeated timings: order statistics, intervals, ratios, drift and modes.

The data are hierarchical: a *process* (one start of the program) holds *iterations*. Iterations of one process share
its memory layout, its core and the temperature of its minute, so they are not independent, and only several processes
tell how far a figure would move if the whole thing were done again. Nothing here drops an outlier.

Every function takes a sequence of processes, each a 1-D float64 array of milliseconds (any positive unit will do).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# Samples from which MLPerf's loadgen bounds a percentile at 99 % confidence (early stopping; see docs/statistics.md).
MIN_SAMPLES = {50: 1, 90: 64, 95: 130, 99: 662}
REPLICATES = 2000
_THIN = 256
_BLOCK = 2_000_000


@dataclass(frozen=True)
class Interval:
    """A 95 % interval.

    Attributes:
        low: Lower end, in the unit of the estimate.
        high: Upper end.
    """

    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half of the interval's length."""
        return (self.high - self.low) / 2

    def excludes(self, value: float) -> bool:
        """True when `value` lies outside."""
        return not self.low <= value <= self.high


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
        cv: Standard deviation over mean, each value first divided by its group's median (see `coefficient`).
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
    cv: float
    interval: Interval | None


def summarise(
    processes: Sequence[Array], *, groups: Sequence[npt.NDArray[np.int64]] | None = None, seed: int = 0
) -> Summary | None:
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
        interval=median_interval(kept, seed=seed),
    )


def percentile(values: Array, percent: int) -> float | None:
    """Returns a sample quantile, or None when `MIN_SAMPLES` says there are too few values for it."""
    if values.size < MIN_SAMPLES[percent]:
        return None
    return float(np.quantile(values, percent / 100))


def normalised(values: Array, groups: npt.NDArray[np.int64] | None) -> Array:
    """Divides every value by the median of its group.

    Photos differ (one plate or three, small or large); that difference is a property of the photos and no noise.

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


def coefficient(values: Array, groups: npt.NDArray[np.int64] | None = None) -> float:
    """Coefficient of variation (standard deviation / mean) within photos, 0 for fewer than two values."""
    if values.size < 2:
        return 0.0
    ratio = normalised(values, groups)
    mean = float(ratio.mean())
    return float(ratio.std(ddof=1)) / mean if mean > 0 else 0.0


def median_interval(processes: Sequence[Array], *, seed: int = 0, replicates: int = REPLICATES) -> Interval | None:
    """95 % interval of the pooled median by a calibrated hierarchical bootstrap.

    Processes are drawn with replacement, then iterations within each. With a handful of processes the plain
    percentile interval of that bootstrap is wrong both ways: too short, since five draws from five processes
    understate their spread by sqrt((P-1)/P) and ignore Student's t, and too long, since what varies within a process
    is counted at both levels (Davison and Hinkley, Bootstrap Methods, section 3.8). So the bootstrap gives the shape
    (its skew), and its width is set by the processes: the distribution is scaled about the estimate by
    `t(P-1) / z * se / sd`, with `se` the standard error of the mean of the process medians, known from the data, and
    `sd` what the bootstrap makes of the same figure (or of the pooled median, when that is smaller). The simulation in
    the tests shows the coverage.

    Args:
        processes: Non-empty arrays, one a process.
        seed: The same data and seed give the same interval.
        replicates: Bootstrap draws.

    Returns:
        The interval; None with fewer than two processes, whose spread nothing can be said about.
    """
    if len(processes) < 2:
        return None
    centre = float(np.median(np.concatenate(list(processes))))
    draws = bootstrap_medians(processes, seed=seed, replicates=replicates)
    error = _standard_error(np.array([np.median(values) for values in processes]))
    return _calibrated(centre, draws.pooled, draws.average, error, len(processes) - 1)


@dataclass(frozen=True)
class Draws:
    """A bootstrap distribution.

    Attributes:
        pooled: Median of all drawn iterations, [replicates].
        average: Mean of the medians of the drawn processes, [replicates]; the data tell what its spread should be.
    """

    pooled: Array
    average: Array


def bootstrap_medians(processes: Sequence[Array], *, seed: int = 0, replicates: int = REPLICATES) -> Draws:
    """Draws processes, then iterations within each, and takes the pooled median.

    A process with more than 256 iterations is first reduced to 256 evenly spaced order statistics: the median moves by
    less than half a percentile, and the work no longer grows with the length of a run.

    Returns:
        Both distributions.
    """
    generator = np.random.default_rng(seed)
    thin = [_thinned(values) for values in processes]
    count = len(thin)
    longest = max(values.size for values in thin)
    # A rectangle with NaN where a process is shorter lets one fancy index serve every draw.
    table = np.full((count, longest), np.nan)
    for row, values in enumerate(thin):
        table[row, : values.size] = values
    sizes = np.array([values.size for values in thin])
    equal = bool((sizes == longest).all())
    block = max(1, _BLOCK // (count * longest))
    pooled, average = np.empty(replicates), np.empty(replicates)
    for start in range(0, replicates, block):
        draws = min(block, replicates - start)
        rows = generator.integers(0, count, size=(draws, count))
        # Uniform numbers rather than integers, for the bound differs from row to row.
        columns = (generator.random((draws, count, longest)) * sizes[rows][..., None]).astype(np.intp)
        sample = table[rows[..., None], columns]
        if not equal:
            beyond = np.arange(longest)[None, None, :] >= sizes[rows][..., None]
            sample[beyond] = np.nan
        middle = np.median if equal else np.nanmedian
        pooled[start : start + draws] = middle(sample.reshape(draws, -1), axis=1)
        average[start : start + draws] = middle(sample, axis=2).mean(axis=1)
    return Draws(pooled, average)


@dataclass(frozen=True)
class Ratio:
    """How much slower B is than A.

    Attributes:
        ratio: median(B) / median(A).
        interval: 95 % interval of it; None when either side has a single process.
        paired: Whether processes were compared in pairs run one after the other.
    """

    ratio: float
    interval: Interval | None
    paired: bool


def ratio_of_medians(
    a: Sequence[Array], b: Sequence[Array], *, paired: bool = False, seed: int = 0, replicates: int = REPLICATES
) -> Ratio:
    """Compares two sets of processes by the ratio of their medians.

    The bootstrap draws from both sides on the logarithm; its width is set as in `median_interval`, with Welch's degrees
    of freedom (or those of the pairs). Pairing takes out what both halves of a pair share: the temperature and load of
    their minute.

    Args:
        a: The baseline.
        b: The candidate.
        paired: Process i of A ran next to process i of B (ABBA order); needs equal counts.
        seed: Of the bootstrap.
        replicates: Bootstrap draws.

    Returns:
        The ratio. The estimate is of the pooled medians, pairs or not.
    """
    centre = math.log(float(np.median(np.concatenate(list(b))))) - math.log(float(np.median(np.concatenate(list(a)))))
    if len(a) < 2 or len(b) < 2:
        return Ratio(math.exp(centre), None, False)
    logs_a = np.log([np.median(values) for values in a])
    logs_b = np.log([np.median(values) for values in b])
    draws_a = bootstrap_medians(a, seed=seed + 1, replicates=replicates)
    draws_b = bootstrap_medians(b, seed=seed, replicates=replicates)
    pooled = np.log(draws_b.pooled) - np.log(draws_a.pooled)
    average = np.log(draws_b.average) - np.log(draws_a.average)
    paired = paired and len(a) == len(b)
    if paired:
        error = _standard_error(logs_b - logs_a)
        freedom = float(len(a) - 1)
    else:
        parts = [float(np.var(logs, ddof=1)) / logs.size for logs in (logs_a, logs_b)]
        error = math.sqrt(sum(parts))
        spread = sum(part * part / (logs.size - 1) for part, logs in zip(parts, (logs_a, logs_b), strict=True))
        freedom = sum(parts) ** 2 / spread if spread > 0 else float(len(a) + len(b) - 2)
    interval = _calibrated(centre, pooled, average, error, freedom)
    return Ratio(math.exp(centre), Interval(math.exp(interval.low), math.exp(interval.high)), paired)


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
    error = _standard_error(logs) if logs.size >= 2 else math.inf
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


@lru_cache(maxsize=256)
def student_t(freedom: float, level: float = 0.975) -> float:
    """Quantile of Student's t distribution, by bisection on its distribution function.

    The distribution function is the regularised incomplete beta function, evaluated by Lentz's continued fraction
    (Press et al., Numerical Recipes, 6.4). Correct to 1e-9 for freedom >= 1; SciPy is no dependency for one number.
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


def _calibrated(centre: float, pooled: Array, average: Array, error: float, freedom: float) -> Interval:
    # Which of the two has the smaller spread depends on what dominates: processes, or a second mode within them.
    spread = min(float(average.std(ddof=1)), float(pooled.std(ddof=1)))
    if spread <= 0 or error <= 0:
        reach = student_t(freedom) * error
        return Interval(centre - reach, centre + reach)
    scale = student_t(freedom) / 1.959963984540054 * error / spread
    low, high = np.quantile(pooled, [0.025, 0.975])
    # The estimate may lie outside its own bootstrap quantiles when the data are odd; an interval holds its estimate.
    return Interval(centre + scale * min(0.0, float(low) - centre), centre + scale * max(0.0, float(high) - centre))


def _standard_error(values: Array) -> float:
    return float(np.std(values, ddof=1)) / math.sqrt(values.size)


def _thinned(values: Array) -> Array:
    if values.size <= _THIN:
        return values
    positions = (np.arange(_THIN) + 0.5) / _THIN * values.size
    return np.asarray(np.sort(values)[positions.astype(np.intp)], dtype=np.float64)


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
