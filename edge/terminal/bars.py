"""Progress bars on standard error, only where a person looks at them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from edge.base.progress import PhaseProgress


@contextmanager
def bars() -> Iterator[PhaseProgress]:
    """Yields a function (title, done, total) that draws one bar for each title; it does nothing without a terminal."""
    if not sys.stderr.isatty():
        yield lambda title, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    from edge.host.streams import printable

    # A title may be the name of a user's folder.
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        known: dict[str, TaskID] = {}

        def show(title: str, done: int, total: int) -> None:
            if title not in known:
                # Speed counts from here: an earlier run's work is not this run's.
                known[title] = progress.add_task(printable(title), total=total, completed=done)
            progress.update(known[title], completed=done, total=total)

        yield show
