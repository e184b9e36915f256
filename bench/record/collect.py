"""Makes a result from a session's folder, see `bench.record.raw`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from bench.conditions.knobs import TuningFacts
from bench.plan.plan import Plan, Slot, plan_from_mapping
from bench.record.events import FATAL, STAGES, EndEvent, EventLog
from bench.record.parts import (
    Effective,
    ProcessHeader,
    ProcessTrailer,
    RecordedPlate,
    SessionFile,
    SessionPhoto,
    TimedLook,
)
from bench.record.raw import RAW, SAMPLES_NAME, SESSION_NAME, is_done, read_object, read_session
from bench.record.result import Process, Result, ResultCell, ResultPhoto
from edge.host.ending import ended_by
from edge.model.json_types import mistyped


def collect(out: Path, *, why: str = "") -> Result:
    """Makes the result of a session from its folder, finished or not.

    Args:
        out: The session's folder.
        why: Reason why it was broken off; worked out when empty.

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
        why = f"{len(missing)} of {len(plan.slots)} processes did not finish"
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
                header = cast("ProcessHeader | None", read_object(line, "process"))
                if header is None:
                    return None
            elif line.startswith('{"event": "exit"') and (found := read_object(line, "exit")) is not None:
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
        said = f"{counts.pop()} of {plan.processes} for every combination"
    else:
        said = ", ".join(f"{count} of {plan.processes} for {key}" for key, count in cells.items())
    return [f"The plan's time box of {plan.box_s:g} s left out processes: {said}."]


def _peaks(log: EventLog) -> dict[str, int | None]:
    """Peak memory after loading, after each stage of the first photo (where the program tells), and at the end."""
    told = log.first.get("hwm_kb", {}) if log.first else {}
    stages = {stage: told[stage] or None for stage in STAGES if stage in told}
    load, end = (event.get("hwm_kb") or None if event else None for event in (log.load, log.end))
    return {"load": load, **stages, "end": end}


def _samples(path: Path) -> Iterator[TimedLook]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            with suppress(ValueError):
                document = json.loads(line)
                if next(mistyped(document, TimedLook), "") == "":
                    yield document


def _photo(item: SessionPhoto) -> ResultPhoto:
    truth = item["truth"]
    return ResultPhoto(item["name"], item["sha256"], item["bytes"], tuple(truth) if truth is not None else None)
