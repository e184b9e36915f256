"""A roofline for each layer, calibrated on the published table, with the error it makes on chips it has not seen.

Each layer costs cycles in proportion to its multiply-accumulates over the core's vector width (by kind of layer), or to
the values it moves, whichever is what binds; the proportions are the same on all chips and are what is fitted. Cycles
over the core's clock are milliseconds. In-order cores (A53, A55) cannot hide loads behind arithmetic and get a
factor of their own. What is not known: caches, memory bandwidth, thermal limits, firmware. Hence the error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from bench.estimate.networks import LayerCost, network
from bench.estimate.published import CHIPS, MOBILE, TABLES, Chip
from edge.base.errors import InputError

Array = npt.NDArray[np.float64]

# fp32 multiply-accumulates a cycle by the core's NEON units (Arm's software optimisation guides).
WIDTHS = {
    "cortex-a78": 8, "cortex-a77": 8, "cortex-a76": 8, "cortex-x1": 16, "cortex-a75": 4, "cortex-a73": 4,
    "cortex-a72": 4, "cortex-a57": 4, "cortex-a55": 4, "cortex-a53": 4,
}  # fmt: skip
IN_ORDER = ("cortex-a53", "cortex-a55")
# Where no in-order chip is among the calibration, half the rate: one of load and arithmetic issues at a time.
IN_ORDER_PRIOR = 1.5
KINDS = ("dense", "spatial", "depthwise")
FEATURES = (*KINDS, "moved", "layers")


@dataclass(frozen=True)
class Calibration:
    """Fitted proportions.

    Attributes:
        precision: `fp32` or `int8`.
        isa: `armv8` or `armv7`.
        dot: For int8: of chips with the dot product, or of those without.
        costs: Cycles a unit of each of `FEATURES`.
        in_order: Factor of in-order cores.
    """

    precision: str
    isa: str
    dot: bool
    costs: tuple[float, ...]
    in_order: float

    def milliseconds(self, layers: Sequence[LayerCost], core: str, mhz: float) -> float:
        """Time of a network on a core."""
        cycles = float(features(layers, core) @ np.array(self.costs))
        return cycles * (self.in_order if core in IN_ORDER else 1.0) / (mhz * 1000)


def features(layers: Sequence[LayerCost], core: str) -> Array:
    """Work of a network in the units of `FEATURES`: cycles at full rate by kind, 16-byte moves, number of layers.

    Raises:
        InputError: A core whose width is not known.
    """
    if core not in WIDTHS:
        raise InputError(f"nothing is known of the core {core!r}.", f"Known: {', '.join(sorted(WIDTHS))}.")
    width = WIDTHS[core]
    macs = [sum(layer.macs for layer in layers if layer.kind == kind) / width for kind in KINDS]
    moved = sum(layer.activations + layer.weights for layer in layers) / 4
    return np.array([*macs, moved, 1000.0 * len(layers)])


@lru_cache(maxsize=128)
def calibrate(precision: str, isa: str, dot: bool, without: str = "") -> Calibration:
    """Fits the proportions to the published table.

    Args:
        precision: `fp32` or `int8`.
        isa: `armv8` or `armv7`.
        dot: int8 with the dot product; for fp32 all chips serve together.
        without: Name of a chip that is left out.
    """
    chips = [
        (number, chip)
        for number, chip in enumerate(CHIPS)
        if chip.name != without and (precision == "fp32" or chip.dot == dot)
    ]
    ordered = [(number, chip) for number, chip in chips if chip.core not in IN_ORDER]
    costs = _fit(precision, isa, ordered)
    table = TABLES[precision, isa]
    plain = Calibration(precision, isa, dot, tuple(costs), 1.0)
    ratios = [
        times[number] / plain.milliseconds(network(name), "cortex-a72", chip.mhz)
        for number, chip in chips
        if chip.core in IN_ORDER
        for name, times in table.items()
    ]
    factor = float(np.exp(np.mean(np.log(ratios)))) if ratios else IN_ORDER_PRIOR
    return Calibration(precision, isa, dot, tuple(costs), factor)


@dataclass(frozen=True)
class Miss:
    """One prediction of a chip that was left out: what was said, what the table has."""

    chip: str
    network: str
    predicted: float
    published: float

    @property
    def error(self) -> float:
        """Relative error, signed."""
        return self.predicted / self.published - 1


@lru_cache(maxsize=16)
def leave_one_out(precision: str, isa: str, dot: bool | None = None) -> tuple[Miss, ...]:
    """Predicts every chip of the table from the others.

    Args:
        precision: `fp32` or `int8`.
        isa: `armv8` or `armv7`.
        dot: Only chips with (or without) the dot product; None for all.
    """
    misses = []
    for number, chip in enumerate(CHIPS):
        if dot is not None and chip.dot != dot:
            continue
        model = calibrate(precision, isa, chip.dot, chip.name)
        for name, times in TABLES[precision, isa].items():
            misses.append(Miss(chip.name, name, model.milliseconds(network(name), chip.core, chip.mhz), times[number]))
    return tuple(misses)


def mean_error(misses: Sequence[Miss], keep: Callable[[Miss], bool] = lambda miss: miss.network in MOBILE) -> float:
    """Mean absolute percentage error, by default over the MobileNet rows."""
    return float(np.mean([abs(miss.error) for miss in misses if keep(miss)]))


def _fit(precision: str, isa: str, chips: Sequence[tuple[int, Chip]]) -> Array:
    rows, goals = [], []
    for number, chip in chips:
        for name, times in TABLES[precision, isa].items():
            cycles = times[number] * chip.mhz * 1000
            rows.append(features(network(name), chip.core) / cycles)
            goals.append(1.0)
    return non_negative_least_squares(np.array(rows), np.array(goals))


def non_negative_least_squares(matrix: Array, goal: Array, rounds: int = 20_000) -> Array:
    """Minimises |matrix x - goal| with x >= 0 by coordinate descent.

    Args:
        matrix: [m, n].
        goal: [m].
        rounds: Most sweeps over the coordinates.

    Returns:
        x, [n].
    """
    scale = np.linalg.norm(matrix, axis=0)
    scaled = matrix / scale
    gram, target = scaled.T @ scaled, scaled.T @ goal
    x = np.zeros(matrix.shape[1])
    for _ in range(rounds):
        before = x.copy()
        for j in range(x.size):
            x[j] = max(0.0, x[j] + (target[j] - float(gram[j] @ x)) / gram[j, j])
        if float(np.abs(x - before).max()) < 1e-12:
            break
    return np.asarray(x / scale, dtype=np.float64)
