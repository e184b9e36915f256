"""A run's log: a CSV that grows by one line a step and never holds a step twice, and the same for TensorBoard."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from edge.base.paths import write_atomic
from train.arch import load_paddle

COLUMNS = (
    "step", "rate", "loss", "shrink", "threshold", "binary", "seconds_a_step",
    "accuracy", "val_loss", "precision", "recall", "hmean", "iou", "samples", "score",
)  # fmt: skip


class RunLog:
    """Appends rows to a CSV and an event file, after dropping those that a resumed run will write again.

    The event file of a killed run keeps them, and the next one's file tells TensorBoard to hide them.

    Args:
        path: The file.
        step: Steps done; later rows are of a run that was killed after its last checkpoint.

    Raises:
        HostError: tensorboardX is not installed.
    """

    def __init__(self, path: Path, step: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = []
        if path.is_file() and step:
            with path.open(newline="", encoding="utf-8") as stream:
                # A line cut short by a kill has no step that can be read, or too few columns.
                kept = [row for row in csv.DictReader(stream) if _done(row, step)]
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        writer.writerows(kept)
        write_atomic(path, text.getvalue())
        self.path = path
        # A file is named after its second and this suffix; what a kill may lose is the last second's.
        self.events = load_paddle("tensorboardX").SummaryWriter(
            str(path.parent), purge_step=step + 1 if step else None, flush_secs=1, filename_suffix=f".{step:07d}"
        )

    def write(self, row: dict[str, Any]) -> None:
        """Appends one row; the CSV leaves out keys that are not a column, such as parts of an own loss."""
        with self.path.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, COLUMNS, extrasaction="ignore")
            writer.writerow({key: _short(value) for key, value in row.items()})
        for key in row.keys() - {"step", "steps"}:
            self.events.add_scalar(key, row[key], int(row["step"]))

    def close(self) -> None:
        """Writes what is still waiting; a process that ends by an exception does so by itself."""
        self.events.close()


def _short(value: Any) -> Any:
    return f"{value:.7g}" if isinstance(value, float) else value


def _done(row: dict[str, str], step: int) -> bool:
    whole = None not in row and None not in row.values()
    return whole and (row["step"] or "").isdigit() and int(row["step"]) <= step
