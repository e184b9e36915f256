"""The folder of one session: what every process printed, word for word.

    session.json             plan, board, photos, hashes: everything known before the first process
    raw/0003_<cell>.jsonl    one process that ran to its end: a header, its lines, a trailer
    raw/0004_<cell>.jsonl.part   one that was broken off; a rerun replaces it and keeps it as `.old`
    raw/0007_<cell>.left-out a process for which the plan's time box had no room, with the reason
    raw/samples.jsonl        conditions while processes ran
    result.json              made from the above, at any time, by `bench.record.collect`

Nothing measured is ever only in memory for longer than a second.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, cast

from bench.conditions.environment import Snapshot
from bench.conditions.knobs import TuningFacts
from bench.plan.plan import Slot
from bench.record.parts import (
    HostCheck,
    ProcessHeader,
    ProcessTrailer,
    SessionFile,
)
from edge.base.errors import InputError
from edge.base.paths import write_atomic
from edge.model.json_types import mistyped

SCHEMA = "plate-edge/session/1"
SESSION_NAME = "session.json"
RAW = "raw"
SAMPLES_NAME = "samples.jsonl"
_FLUSH_SECONDS = 1.0
# More than any trailer has: what the program said at its end, and the board's conditions.
_TRAILER_BYTES = 1 << 20


class RawWriter:
    """Writes one process' lines to `<slot>.jsonl.part`; `finish` gives the file its final name.

    Args:
        folder: The `raw` folder.
        slot: What runs.
        header: Beside the slot's own: time, conditions, command.
    """

    def __init__(self, folder: Path, slot: Slot, header: ProcessHeader) -> None:
        self.final = folder / f"{slot.name}.jsonl"
        self.part = folder / f"{slot.name}.jsonl.part"
        _keep_old(self.part)
        # It exists although the slot is not done: it lost its end.
        _keep_old(self.final)
        self._stream: IO[str] = self.part.open("w", encoding="utf-8", newline="\n")
        self._flushed = time.monotonic()
        document = {"event": "process", "index": slot.index, "round": slot.round, "cell": slot.cell.key, **header}
        self.line(json.dumps(document, ensure_ascii=False))

    def line(self, text: str) -> None:
        """Keeps one line."""
        self._stream.write(text + "\n")
        now = time.monotonic()
        if now - self._flushed >= _FLUSH_SECONDS:
            self._stream.flush()
            self._flushed = now

    def finish(self, trailer: ProcessTrailer, *, final: bool) -> None:
        """Writes the trailer and closes; with `final` the process counts as done and is not run again."""
        self.line(json.dumps({"event": "exit", **trailer}, ensure_ascii=False))
        if final:
            # A power cut might else leave the final name on an empty file.
            self._stream.flush()
            os.fsync(self._stream.fileno())
        self.close()
        if final:
            self.part.replace(self.final)

    def close(self) -> None:
        """Closes the file as it is."""
        self._stream.close()


def is_done(folder: Path, slot: Slot) -> bool:
    """True when a slot ran to its end, or was left out for good."""
    return _is_whole(folder / f"{slot.name}.jsonl") or (folder / f"{slot.name}.left-out").is_file()


def _is_whole(path: Path) -> bool:
    """True for a file that ends with its trailer: what a copy or a full disk cut short has lost its end."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _TRAILER_BYTES))
        tail = stream.read()
    last = tail.removesuffix(b"\n").rpartition(b"\n")[2]
    return tail.endswith(b"\n") and read_object(last.decode(errors="replace"), "exit") is not None


def last_offset(folder: Path) -> float:
    """When the last process of a session began, in seconds after the session; 0 when none did."""
    offsets = [0.0]
    for path in folder.glob("[0-9]*.jsonl*"):
        with path.open(encoding="utf-8", errors="replace") as stream:
            header = read_object(stream.readline(), "process") or {}
        offsets.append(float(header.get("offset_s", 0.0)))
    return max(offsets)


def leave_out(folder: Path, slot: Slot, why: str) -> None:
    """Notes that the time box had no room for a slot; a rerun does not run it either."""
    write_atomic(folder / f"{slot.name}.left-out", why + "\n")


def write_session(out: Path, document: SessionFile) -> None:
    """Writes `session.json`."""
    write_atomic(out / SESSION_NAME, json.dumps({"schema": SCHEMA, **document}, ensure_ascii=False, indent=1) + "\n")


def read_session(out: Path) -> SessionFile:
    """Reads `session.json`.

    Raises:
        InputError: There is none, or it is malformed.
    """
    path = out / SESSION_NAME
    if not path.is_file():
        raise InputError(f"{out} holds no session: {SESSION_NAME} is missing.", "`bench run` makes one.")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise InputError(f"{path} is not a session of this version of the kit.", "Start a new one in another folder.")
    del document["schema"]
    # Sessions from before knobs were recorded have those that were added later.
    document.setdefault("knobs", (document.get("tuning") or {}).get("knobs", {}))
    fault = next(mistyped(document, SessionFile), "")
    if fault:
        raise InputError(f"{path}: {fault}.", "It was edited, or is damaged; start a new session in another folder.")
    return cast(SessionFile, document)


def note_tuning(out: Path, tuning: TuningFacts) -> None:
    """Keeps what became of the board's knobs in `session.json`."""
    document = read_session(out)
    earlier = document.get("tuning", TuningFacts())
    # A resumed session set them twice; whatever went wrong the first time still did.
    problems = list(dict.fromkeys([*earlier.get("problems", []), *tuning["problems"]]))
    document["tuning"] = {**tuning, "problems": problems}
    write_session(out, document)


def note_host_check(out: Path, found: dict[str, HostCheck]) -> None:
    """Keeps how far the board agreed with this host in `session.json`."""
    write_session(out, {**read_session(out), "host_check": found})


def append_sample(folder: Path, offset_s: float, process: int, snapshot: Snapshot) -> None:
    """Keeps conditions that were read while a process ran."""
    values = {key: value for key, value in asdict(snapshot).items() if key != "missing" and value is not None}
    with (folder / SAMPLES_NAME).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"t": round(offset_s, 3), "process": process, **values}, ensure_ascii=False) + "\n")


def read_object(line: str, event: str) -> dict[str, Any] | None:
    """Reads a line of one kind; None where it is another, or not JSON."""
    try:
        document = json.loads(line)
    except ValueError:
        return None
    return document if isinstance(document, dict) and document.get("event") == event else None


def _keep_old(part: Path) -> None:
    if part.exists():
        number = 1
        while (old := part.with_name(f"{part.name.removesuffix('.part')}.old{number}")).exists():
            number += 1
        part.replace(old)
