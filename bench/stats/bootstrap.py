"""Intervals of medians and of their ratios by a calibrated hierarchical bootstrap.

Processes are drawn with replacement, then iterations within each. With a handful of processes the plain percentile
interval of that bootstrap is wrong both ways: too short, since five draws from five processes understate their spread
by sqrt((P-1)/P) and ignore Student's t, and too long, since what varies within a process is counted at both levels
(Davison and Hinkley, Bootstrap Methods, section 3.8). So the bootstrap gives the shape (its skew), and its width is set
by the processes: the distribution is scaled about the estimate by `t(P-1) / z * se / sd`, with `se` the standard error
of the mean of the process medians, known from the data, and `sd` what the bootstrap makes of the same figure (or of the
pooled median, when that is smaller). The simulation in the tests shows the coverage.

Photos differ, and the list of photos is fixed: what differs between them is not uncertainty. Where the photo of every
iteration is known, the bootstrap draws values divided by their photo's median, and the process medians are those of
whole rounds over the photos, in milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from bench.stats.sampling import LEVEL, Array, Groups, normalised, standard_error, student_t, whole_rounds
from bench.stats.trend import two_modes

REPLICATES = 1000
# The same data give the same interval, here and on the next computer.
SEED = 0
METHOD = "calibrated hierarchical bootstrap: processes, then iterations"
_THIN = 64
_BLOCK = 1_000_000
_Z = 1.959963984540054


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
class Draws:
    """A bootstrap distribution.

    Attributes:
        pooled: Median of all drawn iterations, [replicates].
        average: Mean of the medians of the drawn processes, [replicates]; the data tell what its spread should be.
    """

    pooled: Array
    average: Array


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


def method() -> dict[str, Any]:
    """How intervals are made, for the record: with these and the raw values anybody gets the same ones."""
    return {"interval": METHOD, "level": LEVEL, "replicates": REPLICATES, "seed": SEED}


def median_interval(
    processes: Sequence[Array],
    *,
    groups: Sequence[Groups] | None = None,
    seed: int = SEED,
    replicates: int = REPLICATES,
) -> Interval | None:
    """95 % interval of the pooled median; see the module's text.

    Args:
        processes: Non-empty arrays, one a process.
        groups: Photo index of every iteration, shaped like `processes`.
        seed: The same data and seed give the same interval.
        replicates: Bootstrap draws.

    Returns:
        The interval; None with fewer than two processes, whose spread nothing can be said about.
    """
    if len(processes) < 2:
        return None
    centre = float(np.median(np.concatenate(list(processes))))
    if groups is None:
        return _interval(processes, _error(processes), seed, replicates)
    flat = normalised(np.concatenate(list(processes)), np.concatenate(list(groups)))
    relative = np.split(flat, np.cumsum([len(values) for values in processes])[:-1])
    middle = float(np.median(flat))
    if middle <= 0 or centre <= 0:
        return None
    unit = centre / middle
    # The pooled median stands on few photos, those in the middle. How far it moves from process to process is seen in
    # milliseconds: relative to its photo's median, one value of an odd number is exactly 1, and so may be the median of
    # every process, whatever it does.
    whole = whole_rounds(processes, groups)
    inner = _interval(relative, _error(whole) / unit if whole else _error(relative), seed, replicates)
    return Interval(unit * inner.low, unit * inner.high)


def _error(processes: Sequence[Array]) -> float:
    return standard_error(np.array([np.median(values) for values in processes]))


def _interval(processes: Sequence[Array], error: float, seed: int, replicates: int) -> Interval:
    centre = float(np.median(np.concatenate(list(processes))))
    draws = bootstrap_medians(processes, seed=seed, replicates=replicates)
    interval = _positive(_calibrated(centre, draws, error, len(processes) - 1))
    modes = two_modes(np.concatenate([_thinned(values) for values in processes]))
    if modes is None or not modes.apart:
        return interval
    # Between two modes a median may jump; what the processes say of its width is then too little.
    low, high = np.quantile(draws.pooled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(min(interval.low, float(low)), max(interval.high, float(high)))


def ratio_of_medians(
    a: Sequence[Array],
    b: Sequence[Array],
    *,
    groups: tuple[Sequence[Groups], Sequence[Groups]] | None = None,
    paired: bool = False,
    tests: int = 1,
    seed: int = SEED,
    replicates: int = REPLICATES,
) -> Ratio:
    """Compares two sets of processes by the ratio of their medians.

    The bootstrap draws from both sides on the logarithm; its width is set as in `median_interval`, with Welch's degrees
    of freedom (or those of the pairs). Pairing takes out what both halves of a pair share: the temperature and load of
    their minute.

    Args:
        a: The baseline.
        b: The candidate.
        groups: Photo index of every iteration of `a` and of `b`; values of both are divided by A's median of their
            photo, and photos that A does not have are left out.
        paired: Process i of A ran next to process i of B (ABBA order); needs equal counts.
        tests: How many such comparisons are made together; the interval is as wide as 95 % for all of them asks for
            (Bonferroni).
        seed: Of the bootstrap.
        replicates: Bootstrap draws.

    Returns:
        The ratio. The estimate is of the pooled medians, pairs or not.
    """
    if groups is not None:
        a, b = _by_photo(a, b, *groups)
    centre = math.log(float(np.median(np.concatenate(list(b))))) - math.log(float(np.median(np.concatenate(list(a)))))
    if len(a) < 2 or len(b) < 2:
        return Ratio(math.exp(centre), None, False)
    logs_a = np.log([np.median(values) for values in a])
    logs_b = np.log([np.median(values) for values in b])
    draws_a = bootstrap_medians(a, seed=seed + 1, replicates=replicates)
    draws_b = bootstrap_medians(b, seed=seed, replicates=replicates)
    draws = Draws(np.log(draws_b.pooled) - np.log(draws_a.pooled), np.log(draws_b.average) - np.log(draws_a.average))
    paired = paired and len(a) == len(b)
    if paired:
        error = standard_error(logs_b - logs_a)
        freedom = float(len(a) - 1)
    else:
        parts = [float(np.var(logs, ddof=1)) / logs.size for logs in (logs_a, logs_b)]
        error = math.sqrt(sum(parts))
        spread = sum(part * part / (logs.size - 1) for part, logs in zip(parts, (logs_a, logs_b), strict=True))
        freedom = sum(parts) ** 2 / spread if spread > 0 else float(len(a) + len(b) - 2)
    interval = _calibrated(centre, draws, error, freedom, tests)
    return Ratio(math.exp(centre), Interval(math.exp(interval.low), math.exp(interval.high)), paired)


def bootstrap_medians(processes: Sequence[Array], *, seed: int = SEED, replicates: int = REPLICATES) -> Draws:
    """Draws processes, then iterations within each, and takes the pooled median.

    A process with more than 64 iterations is first reduced to 64 evenly spaced order statistics: the median moves by
    less than a percentile, and the work no longer grows with the length of a run.

    Returns:
        Both distributions.
    """
    thin = [_thinned(values) for values in processes]
    sizes = tuple(values.size for values in thin)
    count, longest = len(thin), max(sizes)
    # A rectangle with infinity where a process is shorter lets one fancy index serve every draw.
    table = np.full((count, longest), np.inf)
    for row, values in enumerate(thin):
        table[row, : values.size] = values
    block = max(1, _BLOCK // (count * longest))
    pooled, average = np.empty(replicates), np.empty(replicates)
    for start in range(0, replicates, block):
        draws = min(block, replicates - start)
        rows, columns, drawn = _indices(sizes, seed + 7919 * start, draws)
        sample = table[rows[..., None], columns]
        pooled[start : start + draws] = _medians(sample.reshape(draws, -1), drawn.sum(axis=1))
        each = _medians(sample.reshape(draws * count, longest), drawn.reshape(-1))
        average[start : start + draws] = each.reshape(draws, count).mean(axis=1)
    return Draws(pooled, average)


@lru_cache(maxsize=8)
def _indices(sizes: tuple[int, ...], seed: int, draws: int) -> tuple[Groups, Groups, Groups]:
    """Processes drawn [draws, P], iterations drawn [draws, P, longest], and their true numbers [draws, P].

    All stages of a combination have the same sizes, so one set of draws serves them all.
    """
    generator = np.random.default_rng(seed)
    counts = np.asarray(sizes, dtype=np.int64)
    rows = generator.integers(0, counts.size, size=(draws, counts.size))
    drawn = counts[rows]
    # Uniform numbers rather than integers, since the bound differs from row to row.
    columns = (generator.random((draws, counts.size, int(counts.max()))) * drawn[..., None]).astype(np.int64)
    # What a shorter process has too many of points at the infinity beyond its end.
    beyond = np.arange(int(counts.max()))[None, None, :] >= drawn[..., None]
    columns[beyond] = int(counts.max()) - 1
    return rows, columns, drawn


def _medians(sample: Array, drawn: Groups) -> Array:
    """Medians of the first `drawn` values of each row in order of size; the rest of a row is infinite."""
    if bool((drawn == sample.shape[1]).all()):
        return np.asarray(np.median(sample, axis=1), dtype=np.float64)
    ordered = np.sort(sample, axis=1)
    low = np.take_along_axis(ordered, ((drawn - 1) // 2)[:, None], axis=1)
    high = np.take_along_axis(ordered, (drawn // 2)[:, None], axis=1)
    return np.asarray((low + high)[:, 0] / 2, dtype=np.float64)


def _by_photo(
    a: Sequence[Array], b: Sequence[Array], groups_a: Sequence[Groups], groups_b: Sequence[Groups]
) -> tuple[list[Array], list[Array]]:
    pooled, labels = np.concatenate(list(a)), np.concatenate(list(groups_a))
    reference = {int(group): float(np.median(pooled[labels == group])) for group in np.unique(labels)}
    if any(value <= 0 for value in reference.values()):
        return list(a), list(b)
    highest = max(max(reference), max(int(group.max()) for group in groups_b)) + 1
    scale = np.full(highest, np.nan)
    scale[list(reference)] = list(reference.values())

    def divide(values: Array, group: Groups) -> Array:
        ratio = values / scale[group]
        return np.asarray(ratio[np.isfinite(ratio)], dtype=np.float64)

    first = [divide(values, group) for values, group in zip(a, groups_a, strict=True)]
    second = [divide(values, group) for values, group in zip(b, groups_b, strict=True)]
    kept = [values for values in second if values.size]
    # Not one photo in common: nothing to divide by.
    return (first, kept) if kept else (list(a), list(b))


def _positive(interval: Interval) -> Interval:
    """With two processes Student's t has one degree of freedom, and a time's interval would reach below nothing."""
    return Interval(max(0.0, interval.low), interval.high)


def _calibrated(centre: float, draws: Draws, error: float, freedom: float, tests: int = 1) -> Interval:
    quantile = student_t(freedom, 1 - (1 - LEVEL) / 2 / tests)
    # Which of the two has the smaller spread depends on what dominates: processes, or a second mode within them.
    spread = min(float(draws.average.std(ddof=1)), float(draws.pooled.std(ddof=1)))
    if spread <= 0 or error <= 0:
        reach = quantile * error
        return Interval(centre - reach, centre + reach)
    scale = quantile / _Z * error / spread
    low, high = np.quantile(draws.pooled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    # The estimate may lie outside its own bootstrap quantiles when the data are odd; an interval holds its estimate.
    return Interval(centre + scale * min(0.0, float(low) - centre), centre + scale * max(0.0, float(high) - centre))


def _thinned(values: Array) -> Array:
    if values.size <= _THIN:
        return values
    positions = (np.arange(_THIN) + 0.5) / _THIN * values.size
    return np.asarray(np.sort(values)[positions.astype(np.intp)], dtype=np.float64)
