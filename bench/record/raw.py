"""The folder of one session: what every process printed, word for word, and how a result is made of it.

    session.json             plan, board, photos, hashes: everything known before the first process
    raw/0003_<cell>.jsonl    one process that ran to its end: a header, its lines, a trailer
    raw/0004_<cell>.jsonl.part   one that was broken off; a rerun replaces it and keeps it as `.old`
    raw/0007_<cell>.left-out a process for which the plan's time box had no room, with the reason
    raw/samples.jsonl        conditions while processes ran
    result.json              made from the above, at any time, by `collect`

Nothing measured is ever only in memory for longer than a second.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any, cast

from bench.conditions.environment import Snapshot
from bench.conditions.knobs import TuningFacts
from bench.plan.plan import Plan, Slot, plan_from_mapping
from bench.record.events import FATAL, STAGES, EndEvent, EventLog
from bench.record.parts import (
    Effective,
    HostCheck,
    ProcessHeader,
    ProcessTrailer,
    RecordedPlate,
    Sample,
    SessionFile,
    SessionPhoto,
)
from bench.record.result import Process, Result, ResultCell, ResultPhoto
from edge.base.errors import InputError
from edge.base.paths import write_atomic
from edge.host.ending import ended_by
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
        # There, and yet to be written: it lost its end.
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
    return tail.endswith(b"\n") and _object(last.decode(errors="replace"), "exit") is not None


def last_offset(folder: Path) -> float:
    """When the last process of a session began, in seconds after the session; 0 when none did."""
    offsets = [0.0]
    for path in folder.glob("[0-9]*.jsonl*"):
        with path.open(encoding="utf-8", errors="replace") as stream:
            header = _object(stream.readline(), "process") or {}
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
    # Sessions of before knobs were written down have those that were noted later.
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


def collect(out: Path, *, why: str = "") -> Result:
    """Makes the result of a session from what lies in its folder, finished or not.

    Args:
        out: The session's folder.
        why: Reason why it was broken off; found out when empty.

    Raises:
        InputError: No session there.
    """
    session = read_session(out)
    plan = plan_from_mapping(dict(session["plan"]), SESSION_NAME)
    folder = out / RAW
    processes, missing = [], []
    left_out: dict[str, int] = {}
    for slot in plan.slots:
        final, part = folder / f"{slot.name}.jsonl", folder / f"{slot.name}.jsonl.part"
        path = final if final.is_file() else part
        process = read_process(path, slot, session) if path.is_file() else None
        if process is not None:
            processes.append(process)
        if not is_done(folder, slot):
            missing.append(slot)
        elif not final.is_file():
            left_out[slot.cell.key] = left_out.get(slot.cell.key, 0) + 1
    if missing and not why:
        why = f"{len(missing)} of {len(plan.slots)} processes did not run to their end"
    start = next((process.effective for process in processes if process.effective), Effective())
    last = timedelta(seconds=max((process.offset_s + process.seconds for process in processes), default=0.0))
    return Result(
        created=session["created"],
        finished="" if missing else (datetime.fromisoformat(session["created"]) + last).isoformat(timespec="seconds"),
        complete=not missing,
        why=why if missing else "",
        kit=session["kit"],
        command=tuple(session["command"]),
        device=session["device"],
        program={
            "sha256": session["program"], "version": start.get("version"), "compiler": start.get("compiler"),
            "abi": start.get("abi"), "runtime": start.get("runtime"),
        },
        runtime=session["runtime"],
        release=session["release"],
        plan=plan.document(),
        photos=tuple(_photo(item) for item in session["photos"]),
        cells=tuple(
            ResultCell(
                cell.key, cell.model, cell.precision, cell.threads, cell.power_mode, str(cell.side),
                **session["variants"][cell.variant],
            )
            for cell in plan.cells
        ),
        processes=tuple(processes),
        facts=session["facts"],
        samples=tuple(_samples(folder / SAMPLES_NAME)),
        notes=(*session["notes"], *_left_out(left_out, plan)),
        tuning=session.get("tuning", TuningFacts()),
        host_check=session.get("host_check", {}),
    )  # fmt: skip


def read_process(path: Path, slot: Slot, session: SessionFile) -> Process | None:
    """Reads one raw file, whole or broken off; None when not even its header was written."""
    log = EventLog()
    header: ProcessHeader | None = None
    trailer: ProcessTrailer | None = None
    with path.open("r", encoding="utf-8", errors="replace", newline="\n") as stream:
        for line in stream:
            if header is None:
                header = cast("ProcessHeader | None", _object(line, "process"))
                if header is None:
                    return None
            elif line.startswith('{"event": "exit"') and (found := _object(line, "exit")) is not None:
                trailer = cast(ProcessTrailer, found)
            else:
                log.feed(line)
    if header is None:
        return None
    return make_process(log, slot, header, trailer, [photo["remote"] for photo in session["photos"]])


def make_process(
    log: EventLog, slot: Slot, header: ProcessHeader, trailer: ProcessTrailer | None, remotes: list[str]
) -> Process:
    """Builds the record of one process from its events.

    Args:
        log: What it printed.
        slot: Its place in the plan.
        header: Of the raw file.
        trailer: Of the raw file; None when it was broken off.
        remotes: Paths of the photos on the board, by which answers are told apart.
    """
    code = trailer.get("code") if trailer else None
    why = _why(log, trailer)
    end = log.end or cast(EndEvent, {})
    keep = ("version", "runtime", "compiler", "abi", "threads", "power_mode", "affinity", "cpu_features", "config")
    effective = cast(Effective, {key: value for key, value in (log.start or {}).items() if key in keep})
    threads, cores = effective.get("threads"), effective.get("affinity")
    started = threads.get("effective") if threads else None
    if threads and cores and started and started > len(cores):
        # The runtime takes any number; what cannot run at once takes turns.
        effective["threads"] = {**threads, "started": started, "effective": len(cores)}
    if "process_threads" in end:
        effective["process_threads"] = end["process_threads"]
    if header.get("argv"):
        effective["argv"] = header["argv"]
    return Process(
        index=slot.index,
        round=slot.round,
        cell=slot.cell.key,
        started=str(header.get("started", "")),
        offset_s=float(header.get("offset_s", 0.0)),
        seconds=float(trailer.get("seconds", 0.0)) if trailer else log.times[-1] / 1000 if log.times else 0.0,
        exit_code=code,
        complete=not why,
        why=why,
        effective=effective,
        load_ms=log.load["ms"] if log.load else {},
        first_ms=log.first["ms"] if log.first else {},
        rss_kb=end.get("rss_kb") or None,
        hwm_kb=_peaks(log),
        warmups=tuple(log.warmups),
        times=tuple(log.times),
        images=tuple(log.images),
        plates=tuple(log.plates),
        boxes=tuple(log.boxes),
        ms={key: tuple(column) for key, column in log.ms.items()},
        answers=_answers(end, remotes),
        answers_ok=bool(end.get("ok", not end)),
        problems=tuple(log.problems),
        problem_count=log.problem_count,
        before=header.get("before"),
        after=trailer.get("after") if trailer else None,
        stderr=str(trailer.get("stderr", "")) if trailer else "",
    )


def _why(log: EventLog, trailer: ProcessTrailer | None) -> str:
    if trailer is None:
        return "it was broken off"
    if trailer.get("error"):
        return str(trailer["error"])
    if trailer.get("code") != 0:
        said = str(trailer.get("stderr", "")).strip().splitlines()
        tail = f": {said[-1][:200]}" if said else ""
        number = trailer.get("signal")
        if number:
            about = f" ({trailer['about']})" if trailer.get("about") else ""
            return f"the program {ended_by(number)}{about}{tail}"
        return f"the program ended with exit code {trailer.get('code')}{tail}"
    fatal = next((problem for problem in log.problems if problem.kind == FATAL), None)
    if log.fatal_count:
        return f"line {fatal.line}: {fatal.message}" if fatal else "its times cannot be believed"
    if not log.complete:
        return "its output has no end"
    if log.iterations == 0:
        return "it measured nothing"
    return ""


def _answers(end: EndEvent, remotes: list[str]) -> dict[str, list[RecordedPlate]]:
    places = {remote: index for index, remote in enumerate(remotes)}
    answers: dict[str, list[RecordedPlate]] = {}
    for item in end.get("answers", []):
        image, plates = item.get("image"), item.get("plates")
        index = image if isinstance(image, int) else places.get(image or "")
        if index is not None and plates is not None:
            answers[str(index)] = plates
    return answers


def _left_out(cells: dict[str, int], plan: Plan) -> list[str]:
    if not cells:
        return []
    counts = set(cells.values())
    if len(cells) == len(plan.cells) and len(counts) == 1:
        said = f"{counts.pop()} of {plan.processes} of every combination"
    else:
        said = ", ".join(f"{count} of {plan.processes} of {key}" for key, count in cells.items())
    return [f"The plan's time box of {plan.box_s:g} s left processes out: {said}."]


def _peaks(log: EventLog) -> dict[str, int | None]:
    """Peak memory after loading, after each stage of the first photo (where the program tells), and at the end."""
    told = log.first.get("hwm_kb", {}) if log.first else {}
    stages = {stage: told[stage] or None for stage in STAGES if stage in told}
    load, end = (event.get("hwm_kb") or None if event else None for event in (log.load, log.end))
    return {"load": load, **stages, "end": end}


def _object(line: str, event: str) -> dict[str, Any] | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None
    return document if isinstance(document, dict) and document.get("event") == event else None


def _samples(path: Path) -> Iterator[Sample]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            with suppress(ValueError):
                document = json.loads(line)
                if next(mistyped(document, Sample), "") == "":
                    yield document


def _keep_old(part: Path) -> None:
    if part.exists():
        number = 1
        while (old := part.with_name(f"{part.name.removesuffix('.part')}.old{number}")).exists():
            number += 1
        part.replace(old)


def _photo(item: SessionPhoto) -> ResultPhoto:
    truth = item["truth"]
    return ResultPhoto(item["name"], item["sha256"], item["bytes"], tuple(truth) if truth is not None else None)
