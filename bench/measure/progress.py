"""What a person sees while a session runs: a bar with the current median of the cell, on standard error."""

from __future__ import annotations

import sys
from bisect import insort

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bench.measure.session import Reporter
from bench.plan.plan import Plan, Slot


class Watch(Reporter):
    """Reports on standard error: a live bar in a terminal, one line a process elsewhere.

    Args:
        quiet: Report only what is wrong.
        board: Where several boards are measured at once: begins every line, and no bar is shown.
    """

    def __init__(self, quiet: bool = False, board: str = "") -> None:
        self._console = Console(stderr=True, highlight=False)
        self._live = self._console.is_terminal and not quiet and not board
        self._name = f"{board}: " if board else ""
        self._quiet = quiet
        self._totals: dict[str, list[float]] = {}
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._count = 0

    def step(self, text: str) -> None:
        """Says what is being built or sent before the session begins."""
        if not self._quiet:
            dim = "dim" if self._live else ""
            # What boards and tools say is text: `[/tmp/x]` would be taken for markup that is never opened.
            self._console.print(text if self._live else f"{self._name}{text}", style=dim, markup=False)

    def begin(self, plan: Plan, done: int) -> None:
        """See `Reporter`."""
        self._count = len(plan.slots)
        if done:
            self.step(f"{done} of {self._count} processes were measured before; continuing from there")
        if self._live:
            self._progress = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                TextColumn("{task.fields[now]}", markup=False), console=self._console, transient=True,
            )  # fmt: skip
            self._progress.start()
            self._task = self._progress.add_task("measuring", total=self._count, completed=done, now="")

    def process(self, slot: Slot, text: str) -> None:
        """See `Reporter`."""
        self._update(slot, text)

    def iteration(self, slot: Slot, total_ms: float, count: int) -> None:
        """See `Reporter`."""
        totals = self._totals.setdefault(slot.cell.key, [])
        insort(totals, total_ms)
        if self._live:
            self._update(slot, f"median {_median(totals):.1f} ms, n={len(totals)}")

    def end_process(self, slot: Slot, why: str) -> None:
        """See `Reporter`."""
        totals = self._totals.get(slot.cell.key, [])
        if why:
            said = f"{self._name}{slot.cell.key}, process {slot.index + 1}: {why}"
            self._console.print(said, style="yellow", markup=False)
        elif not self._live and not self._quiet:
            median = f"median so far {_median(totals):.1f} ms, n={len(totals)}" if totals else "no iterations"
            said = f"{self._name}process {slot.index + 1} of {self._count}: {slot.cell.key}: {median}"
            self._console.print(said, markup=False)
            sys.stderr.flush()
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task)

    def close(self) -> None:
        """See `Reporter`."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _update(self, slot: Slot, text: str) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, description=slot.cell.key, now=text)


def _median(ordered: list[float]) -> float:
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
