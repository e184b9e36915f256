"""Progress of a label run on disk: what an interrupted run has finished, and the final files made from it.

One JSON line a photo, in the order of the photos, appended chunk by chunk. A run that was killed resumes after the
last whole line whose crop is there. The label files are written from the journal when it is complete, so they
appear at once or not at all, and nothing grows in memory.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, TextIO

from edge.base.errors import InputError
from edge.base.paths import replacing, write_atomic
from edge.plate.country import load_country
from train.labels.photo import TABLE_COLUMNS, PhotoRow
from train.labels.plan import Phase

SCHEMA = "plate-edge/labels/1"
STATE = "labels.json"
_JOURNAL = ".labels.partial"
_CROP = re.compile(r"[0-9]+(_[0-9]+){7,8}\.jpg")


@dataclass(frozen=True)
class LabelOutcome:
    """What became of one photo: its row and label points, or why it was skipped.

    Attributes:
        photo: Path relative to the data set.
        row: None when skipped.
        points: Vertices clockwise from top left.
        crop_bytes: Size of the crop's file.
        reason: Kind of fault, for the counts; empty when labelled.
        message: The fault in words.
    """

    photo: str
    row: PhotoRow | None = None
    points: tuple[tuple[int, int], ...] = ()
    crop_bytes: int = 0
    reason: str = ""
    message: str = ""


class Journal:
    """The journal of one phase.

    Args:
        root: Folder of the data set.
        out: Output folder of all phases.
        phase: The phase.
    """

    def __init__(self, root: Path, out: Path, phase: Phase) -> None:
        self.root = root
        self.out = out
        self.phase = phase
        self.folder = out / phase.name if phase.name else out
        self._path = self.folder / _JOURNAL
        self._state = self.folder / STATE

    def finished(self) -> dict[str, Any] | None:
        """Returns the summary of a complete earlier run over the same photos, else None."""
        state = read_state(self.folder)
        if state is None or state["fingerprint"] != self.phase.fingerprint:
            return None
        there = all((self.folder / name).is_file() for name in ("det.txt", "rec.txt", "table.csv"))
        return state if there else None

    def conflict(self) -> str | None:
        """Returns which file of an earlier run over other photos is in the way, or None."""
        if self._header() not in (None, self._wanted()):
            return str(self._path)
        if self._path.is_file():
            return None
        return next((str(self.folder / name) for name in ("det.txt", "rec.txt") if (self.folder / name).exists()), None)

    def clear(self) -> None:
        """Removes what an earlier run wrote."""
        for name in (_JOURNAL, STATE, "det.txt", "rec.txt", "table.csv", "skipped.csv"):
            (self.folder / name).unlink(missing_ok=True)
        for crop in (self.folder / "crop_imgs").glob("*.jpg"):
            if _CROP.fullmatch(crop.name):
                crop.unlink()

    def resume(self) -> int:
        """Makes the folder and the journal ready; returns how many photos are done already."""
        (self.folder / "crop_imgs").mkdir(parents=True, exist_ok=True)
        if self._header() is None:
            self._path.write_text(json.dumps(self._wanted()) + "\n", encoding="utf-8")
            return 0
        done, end = 0, 0
        with self._path.open("rb") as stream:
            end = len(stream.readline())
            for line in stream:
                outcome = _parse(line)
                if outcome is None or not self._crop_is_there(outcome):
                    break
                done, end = done + 1, end + len(line)
        os.truncate(self._path, end)
        return done

    def append(self, outcomes: list[LabelOutcome]) -> None:
        """Adds finished photos, and waits until they are on the disk."""
        lines = "".join(_format(outcome) + "\n" for outcome in outcomes)
        with self._path.open("ab") as stream:
            stream.write(lines.encode())
            stream.flush()
            os.fsync(stream.fileno())

    def outcomes(self) -> Iterator[LabelOutcome]:
        """Reads the journal photo by photo."""
        with self._path.open("rb") as stream:
            stream.readline()
            for line in stream:
                outcome = _parse(line)
                if outcome is not None:
                    yield outcome

    def finish(self) -> dict[str, Any]:
        """Writes `det.txt`, `rec.txt`, `table.csv`, `skipped.csv` and the summary; removes the journal.

        Returns:
            The summary.
        """
        counts: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        with contextlib.ExitStack() as stack:
            det = stack.enter_context(_whole(self.folder / "det.txt"))
            rec = stack.enter_context(_whole(self.folder / "rec.txt"))
            table = csv.writer(stack.enter_context(_whole(self.folder / "table.csv")), lineterminator="\n")
            skipped = csv.writer(stack.enter_context(_whole(self.folder / "skipped.csv")), lineterminator="\n")
            table.writerow(TABLE_COLUMNS)
            skipped.writerow(("photo", "reason", "message"))
            for outcome in self.outcomes():
                row = outcome.row
                if row is None:
                    counts["skipped"] += 1
                    reasons[outcome.reason] += 1
                    skipped.writerow((outcome.photo, outcome.reason, outcome.message))
                    continue
                counts["labelled"] += 1
                counts[row.kind] += 1
                info = [{"points": [list(point) for point in outcome.points], "transcription": row.text}]
                det.write(f"{row.photo}\t{json.dumps(info, ensure_ascii=False)}\n")
                rec.write(f"{row.crop}\t{row.text}\n")
                table.writerow(astuple(row))
        summary = {
            **self._wanted(),
            "phase": self.phase.name,
            "source": str(self.root.resolve()),
            "photos": len(self.phase.photos),
            **{key: counts[key] for key in ("labelled", *(kind.name for kind in load_country().kinds), "skipped")},
            "reasons": dict(sorted(reasons.items())),
        }
        write_atomic(self._state, json.dumps(summary, ensure_ascii=False, indent=2) + "\n")
        self._path.unlink()
        return summary

    def _wanted(self) -> dict[str, Any]:
        return {"schema": SCHEMA, "fingerprint": self.phase.fingerprint}

    def _header(self) -> dict[str, Any] | None:
        try:
            with self._path.open("rb") as stream:
                header = json.loads(stream.readline())
        except (OSError, ValueError):
            return None
        return header if isinstance(header, dict) else None

    def _crop_is_there(self, outcome: LabelOutcome) -> bool:
        if outcome.row is None:
            return True
        try:
            return (self.out / outcome.row.crop).stat().st_size == outcome.crop_bytes
        except OSError:
            return False


def read_state(folder: Path) -> dict[str, Any] | None:
    """Returns the summary that a finished run left in a phase's folder, or None.

    Raises:
        InputError: It was written by another version of the kit.
    """
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(state, dict) or "fingerprint" not in state:
        return None
    if state.get("schema") != SCHEMA:
        raise InputError(f"{folder / STATE} has schema {state.get('schema')!r}, not {SCHEMA}.", "Use --force.")
    return state


def label_roots(labels: Path) -> list[Path]:
    """Returns the folders to which the paths in a label file may be relative, the likeliest first.

    PP-OCR's label files hold paths relative to a data folder that is configured elsewhere: `rec.txt` of a phase to
    the folder above it, `det.txt` to the photos' folder, which `labels.json` beside it remembers.

    Args:
        labels: A `det.txt` or `rec.txt`, made by the kit or not.
    """
    folder = labels.parent
    state = read_state(folder)
    if state is None:
        return [folder, folder.parent]
    above = folder
    for _ in Path(state["phase"]).parts:
        above = above.parent
    return list(dict.fromkeys((above, Path(state["source"]), folder)))


def find_image(roots: list[Path], name: str) -> Path:
    """Returns where an image named in a label file is: below the first of `label_roots` that has it, else the first.

    Labels made on Windows may have backslashes between folders.
    """
    names = (name, name.replace("\\", "/"))
    found = (root / spelled for spelled in names for root in roots if (root / spelled).is_file())
    return next(found, roots[0] / name)


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[TextIO]:
    """Opens a text file that appears under its name only when the block ends without an error."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


def _format(outcome: LabelOutcome) -> str:
    if outcome.row is None:
        record: list[object] = [outcome.photo, outcome.reason, outcome.message]
    else:
        values = [getattr(outcome.row, column) for column in TABLE_COLUMNS[1:]]
        record = [outcome.photo, outcome.points, outcome.crop_bytes, values]
    return json.dumps(record)


def _parse(line: bytes) -> LabelOutcome | None:
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
        if len(record) == 3:
            return LabelOutcome(record[0], reason=record[1], message=record[2])
        photo, points, size, values = record
        return LabelOutcome(photo, PhotoRow(photo, *values), tuple((x, y) for x, y in points), size)
    except (ValueError, TypeError, IndexError):
        return None
