"""Where a series of medians changed its level for good.

Binary segmentation: the split that explains most is kept when it lowers the Bayesian information criterion of a
piecewise constant mean with common variance, and when the levels differ by more than a stated part; then both halves
are split again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

MIN_RUN = 3
MIN_CHANGE = 0.03


def change_points(medians: Sequence[float], *, min_change: float = MIN_CHANGE) -> list[int]:
    """Finds the places where a new level begins.

    Args:
        medians: Positive figures in the order of time.
        min_change: Smallest change of level to report, as a fraction.

    Returns:
        Indices of the first figure of each new level, in order; empty for a steady series.
    """
    logs = np.log(np.asarray(medians, dtype=np.float64))
    found: list[int] = []
    pending = [(0, logs.size)]
    while pending:
        start, end = pending.pop()
        place = _split(logs[start:end], min_change)
        if place is not None:
            found.append(start + place)
            pending += [(start, start + place), (start + place, end)]
    return sorted(found)


def _split(logs: np.ndarray[tuple[int], np.dtype[np.float64]], min_change: float) -> int | None:
    count = logs.size
    if count < 2 * MIN_RUN:
        return None
    whole = float(((logs - logs.mean()) ** 2).sum())
    best, place = math.inf, 0
    for cut in range(MIN_RUN, count - MIN_RUN + 1):
        left, right = logs[:cut], logs[cut:]
        # Medians as levels, so that one odd run is not a new level.
        if abs(float(np.median(right)) - float(np.median(left))) < math.log1p(min_change):
            continue
        rest = float(((left - left.mean()) ** 2).sum() + ((right - right.mean()) ** 2).sum())
        if rest < best:
            best, place = rest, cut
    if not place:
        return None
    floor = 1e-8 * count
    # Two more parameters: the place and the second level; the place is searched for, hence 3 log n, not 2.
    gain = count * math.log((whole + floor) / (best + floor)) - 3 * math.log(count)
    return place if gain > 2.0 else None
