"""Shows on stderr what a long command is doing: a bar a board on a terminal, one line a step elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich import progress as rich
from rich.console import Console

from edge.base.progress import Progress, Say


class Steps:
    """Where boards report what they do; safe to call from several threads."""

    def __init__(self, progress: rich.Progress | None, quiet: bool, single: bool) -> None:
        self._progress, self._quiet, self._single = progress, quiet, single
        self._tasks: dict[str, rich.TaskID] = {}
        self._lock = threading.Lock()

    def board(self, name: str) -> tuple[Say, Progress]:
        """Returns what to call with each step's sentence, and with bytes done and bytes in all, for one board."""

        def report(text: str) -> None:
            if self._progress is not None:
                self._progress.update(self._task(name), description=f"{name}: {text}"[:100], completed=0, total=None)
            elif not self._quiet:
                click.echo(text if self._single else f"{name}: {text}", err=True)

        def count(done: int, total: int) -> None:
            if self._progress is not None:
                self._progress.update(self._task(name), completed=done, total=total)

        return report, count

    def _task(self, name: str) -> rich.TaskID:
        assert self._progress is not None
        with self._lock:
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=None)
            return self._tasks[name]


@contextmanager
def steps(*, quiet: bool = False, single: bool = True) -> Iterator[Steps]:
    """Shows progress while the block runs.

    Args:
        quiet: Say nothing where there is no terminal (`--json`).
        single: There is one board only, whose name need not be repeated.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Steps(None, quiet, single)
        return
    columns = (
        rich.SpinnerColumn(),
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(bar_width=20),
        rich.DownloadColumn(),
        rich.TransferSpeedColumn(),
    )
    with rich.Progress(*columns, console=console, transient=True) as progress:
        yield Steps(progress, quiet, single)
