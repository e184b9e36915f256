"""Which processes a plan with a time box still has room for."""

from __future__ import annotations

import time

from bench.plan.plan import Plan, Slot


class TimeBox:
    """Decides which processes a plan with a time box still has room for; the clock is this run's, not the session's.

    Args:
        plan: Its `box_s`, `min_processes` and `processes`.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._longest: dict[str, float] = {}
        self._began = time.monotonic()

    def took(self, slot: Slot, seconds: float) -> None:
        """A process ended after this many seconds."""
        self._longest[slot.cell.key] = max(seconds, self._longest.get(slot.cell.key, 0.0))

    def refuses(self, slot: Slot) -> str:
        """Why there is no room for a process; empty when there is."""
        if slot.round < self._plan.least_processes:
            return ""
        spent = time.monotonic() - self._began
        needed = self._longest.get(slot.cell.key, 0.0)
        if spent + needed <= self._plan.box_s:
            return ""
        return f"{spent:.1f} s of {self._plan.box_s:g} s were spent, and it needs {needed:.1f} s"
