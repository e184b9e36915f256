"""How long a plan will take: from an earlier result of the same device where there is one, else its bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench.plan.plan import Plan
from bench.record.result import RESULT_NAME, load_result
from edge.base.errors import EdgeError


def expected_seconds(plan: Plan, device: str, folder: Path = Path("out")) -> dict[str, Any]:
    """Returns `seconds` (None when not known), `low`, `high` and a sentence `text`.

    Args:
        plan: What is to be measured.
        device: Name of the device.
        folder: Where earlier results are looked for, `<folder>/<device>/`.
    """
    low, high = plan.minimum_seconds(), plan.maximum_seconds()
    known = _earlier(device, folder)
    total = 0.0
    for cell in plan.cells:
        earlier = known.get(cell.key)
        if earlier is None:
            text = f"{_span(low)} to {_span(high)}, depending on the board (no earlier result of it in {folder})"
            return {"seconds": None, "low": low, "high": high, "text": text}
        load, photo = earlier
        warm = max(plan.warmup * photo, plan.warmup_ms)
        measured = min(max(plan.repeats * photo, plan.min_ms), plan.max_ms)
        total += plan.processes * (load + photo + warm + measured) / 1000
    if plan.box_s:
        total = min(total, max(plan.box_s, total * plan.least_processes / plan.processes))
    return {"seconds": total, "low": low, "high": high, "text": f"{_span(total)}, from an earlier result of {device}"}


def _earlier(device: str, folder: Path) -> dict[str, tuple[float, float]]:
    """Cell key to milliseconds of loading and of one photo, of the newest results."""
    known: dict[str, tuple[float, float]] = {}
    for path in sorted((folder / device).glob(f"**/{RESULT_NAME}"), key=lambda item: item.stat().st_mtime):
        try:
            result = load_result(path)
        except EdgeError:
            continue
        for cell in result.cells:
            processes = result.of(cell.key)
            if processes:
                photo = float(np.median(np.concatenate([process.ms["total"] for process in processes])))
                load = float(np.median([sum(process.load_ms.values()) for process in processes]))
                known[cell.key] = (load, photo)
    return known


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
