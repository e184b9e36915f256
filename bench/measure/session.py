"""Runs a plan on a board: process after process, everything kept as it arrives, resumable wherever it breaks off."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, cast

from bench.conditions.board_tuner import SystemTuning, bound
from bench.conditions.environment import Look, Snapshot, read_board, sample_or_none
from bench.measure.target import SystemUnderTest
from bench.plan.plan import Plan, Slot
from bench.plan.timebox import TimeBox
from bench.record.collect import collect
from bench.record.events import EventLog, printable
from bench.record.parts import KitFacts, ProcessHeader, ProcessTrailer, SessionFile, SessionStart, without_kinds
from bench.record.raw import (
    RAW,
    SESSION_NAME,
    RawWriter,
    append_sample,
    is_done,
    last_offset,
    leave_out,
    note_tuning,
    read_session,
    write_session,
)
from bench.record.result import Result
from edge.base.errors import DeviceError, EdgeError, LinkError, UsageError
from edge.release.smoke import ended_there

ATTEMPTS = 3
SAMPLE_SECONDS = 2.0
# How long to wait for a look that is under way when a process ends.
LOOK_SECONDS = 10.0
# Beyond the program's own limits: loading from a slow card, warming up, one photo on a very slow board.
GRACE_SECONDS = 300.0
_MAX_OUTPUT = 512 << 20
_COOL_STEP = 5.0
_COOL_WITHIN = 2.0


class Reporter:
    """Watches a session; this one says nothing."""

    def begin(self, plan: Plan, done: int) -> None:
        """The session begins; `done` processes were already there."""

    def process(self, slot: Slot, text: str) -> None:
        """A process begins, waits or is tried again; `text` says which."""

    def iteration(self, slot: Slot, total_ms: float, count: int) -> None:
        """A photo was read."""

    def end_process(self, slot: Slot, why: str) -> None:
        """A process ended; `why` is empty when it went well."""

    def close(self) -> None:
        """The session ended, however."""


class Sampler:
    """Looks at the board's conditions in the background while a process runs.

    Args:
        target: Its `sampler` is used; None there means that nothing is looked at.
        folder: The `raw` folder.
        began: `time.monotonic()` when the session began; one that goes on began as long before as it says.
        seconds: Between two looks.
    """

    def __init__(self, target: SystemUnderTest, folder: Path, began: float, seconds: float) -> None:
        self._target, self._folder, self._began, self._seconds = target, folder, began, seconds
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, process: int) -> None:
        """Begins to look, on behalf of a process."""
        if self._target.sampler is None or self._seconds <= 0:
            return
        # One each: a look that hung when its process ended must not go on in the name of the next.
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(process, self._stop), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends looking; waits for the look that is under way."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=LOOK_SECONDS)
            self._thread = None

    def _watch(self, process: int, stop: threading.Event) -> None:
        # The first look comes early, so that short processes have one too.
        wait = min(0.5, self._seconds)
        while not stop.wait(wait):
            wait = self._seconds
            assert self._target.sampler is not None
            found = sample_or_none(self._target.sampler)
            if found is not None and not stop.is_set():
                with suppress(OSError):
                    append_sample(self._folder, time.monotonic() - self._began, process, found)


class Session:
    """One run of a plan on a board, in a folder.

    Args:
        target: The board.
        plan: With everything resolved.
        out: Folder of this session; made when missing.
        kit: Facts about the kit for the record.
        command: Command line for the record.
        reporter: Watches.
        sample_seconds: Between two looks at the conditions; 0: none while a process runs.
        tuning: Knobs of the board that are set.
    """

    def __init__(
        self,
        target: SystemUnderTest,
        plan: Plan,
        out: Path,
        *,
        kit: KitFacts | None = None,
        command: tuple[str, ...] = (),
        reporter: Reporter | None = None,
        sample_seconds: float = SAMPLE_SECONDS,
        tuning: SystemTuning | None = None,
    ) -> None:
        self.tuning = tuning
        self.target, self.plan, self.out = target, plan, out
        self.kit = kit or {}
        self.command = command
        self.reporter = reporter or Reporter()
        self.sample_seconds = sample_seconds
        self.folder = out / RAW
        self.broken: dict[str, str] = {}
        self._box = TimeBox(plan)
        self._began = 0.0
        self._sampler: Sampler | None = None
        self._cool: float | None = None

    def run(self) -> Result:
        """Runs what is missing and makes the result.

        Returns:
            The result; complete unless a program failed on the board.

        Raises:
            LinkError: The link broke and stayed broken. What was measured is in the folder, see `collect`.
            DeviceError: Every process failed.
            UsageError: The folder holds a session of another plan, board, release, photos or knobs.
        """
        self.begin()
        try:
            for slot in self.plan.slots:
                self.step(slot)
        finally:
            self.close()
        return self.result()

    def begin(self) -> None:
        """Opens the folder. `run` is `begin`, a `step` for each slot, `close` and `result`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._began = self._open()
        if self.tuning is not None:
            note_tuning(self.out, self.tuning.document())
        self._sampler = Sampler(self.target, self.folder, self._began, self.sample_seconds)
        self.reporter.begin(self.plan, sum(is_done(self.folder, slot) for slot in self.plan.slots))

    def step(self, slot: Slot) -> None:
        """Runs one process, unless it is done, its cell is broken, or the time box has no room for it."""
        if is_done(self.folder, slot) or slot.cell.key in self.broken:
            return
        why = self._box.refuses(slot)
        if why:
            leave_out(self.folder, slot, why)
            self.reporter.end_process(slot, "")
            return
        self._cool = self._cool_down(slot, self._cool)
        started = time.monotonic()
        self._run_slot(slot)
        self._box.took(slot, time.monotonic() - started)

    def close(self) -> None:
        """Ends what runs in the background."""
        if self._sampler is not None:
            self._sampler.stop()
        self.reporter.close()

    def result(self) -> Result:
        """Makes the result of what was measured; see `run` for what it raises."""
        if len(self.broken) == len(self.plan.cells):
            key, why = next(iter(self.broken.items()))
            raise DeviceError(f"nothing could be measured; {key}: {why}", f"What it printed is in {self.folder}.")
        return collect(self.out)

    def _open(self) -> float:
        """Writes `session.json`, or checks that the one in the folder is the same session.

        Returns:
            When it began, by this host's monotonic clock: the other one may be set back while processes run, and a
            result whose processes began before itself would be refused by whoever reads it.
        """
        mine = self._identity()
        if (self.out / SESSION_NAME).is_file():
            session = read_session(self.out)
            asked = _comparable(json.loads(json.dumps(mine)))
            for key, before in _comparable(session).items():
                if key in asked and asked[key] != before:
                    raise UsageError(
                        f"{self.out} holds a session with another {_SAME[key]}.",
                        "Give another folder with --out, or start again with --force"
                        + ("; --installed goes on while the board runs that release." if key == "release" else "."),
                    )
            self._check_machine(session)
            passed = time.time() - datetime.fromisoformat(session["created"]).timestamp()
            return time.monotonic() - max(passed, last_offset(self.folder))
        facts, _ = read_board(self.target.transport)
        now = datetime.now(timezone.utc)
        about = {
            "created": now.isoformat(timespec="milliseconds"), "kit": self.kit, "command": list(self.command),
            "facts": facts, "notes": list(self.target.notes),
        }  # fmt: skip
        write_session(self.out, cast(SessionFile, {**mine, **about}))
        return time.monotonic()

    def _check_machine(self, session: SessionFile) -> None:
        """Refuses another machine of the same name: `local` on a home that several share, or a board replaced."""
        facts, _ = read_board(self.target.transport)
        for key, before, now in (
            ("model", session["facts"].get("model"), facts.get("model")),
            ("cpu", session["facts"].get("cpu"), facts.get("cpu")),
        ):
            if before and now and now != before:
                raise UsageError(
                    f"{self.out} holds a session of another machine: its {key} is {before}, this one's {now}.",
                    "Give another folder with --out, or start again with --force.",
                )

    def _identity(self) -> SessionStart:
        return {
            "plan": self.plan.document(),
            "device": self.target.device,
            "release": self.target.release,
            "program": self.target.program,
            "knobs": dict(self.tuning.knobs) if self.tuning is not None else {},
            "runtime": self.target.runtime,
            "variants": {name: self.target.variants[name] for name in self.plan.variants},
            "photos": [
                {
                    "name": photo.name, "sha256": photo.sha256, "bytes": photo.bytes, "remote": photo.remote,
                    "truth": list(photo.truth) if photo.truth is not None else None,
                }
                for photo in self.target.photos
            ],
        }  # fmt: skip

    def _run_slot(self, slot: Slot) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            self.reporter.process(slot, "starting" if attempt == 1 else f"trying again ({attempt} of {ATTEMPTS})")
            try:
                why = self._once(slot)
            except LinkError:
                if attempt == ATTEMPTS:
                    raise
                time.sleep(2.0**attempt)
                continue
            self.reporter.end_process(slot, why)
            if why:
                # A program that failed once fails again: the other cells go on, this one is over.
                self.broken[slot.cell.key] = why
            return

    def _once(self, slot: Slot) -> str:
        """Runs one process; returns why it failed, empty when it did not."""
        sampler = self._sampler
        assert sampler is not None
        before = sample_or_none(self.target.transport)
        photos = self.target.photos
        words = [*self.plan.arguments(slot.cell, len(photos)), *(photo.remote for photo in photos)]
        argv, env = self.target.command(slot.cell.variant, "bench", *words)
        argv = bound(argv, self.tuning.knobs) if self.tuning is not None else argv
        header: ProcessHeader = {
            "started": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "offset_s": round(time.monotonic() - self._began, 3),
            "before": _plain(before),
            "argv": argv,
        }
        writer = RawWriter(self.folder, slot, header)
        log = EventLog()

        def on_line(line: str) -> None:
            writer.line(line)
            count = log.iterations
            log.feed(line)
            if log.iterations > count:
                self.reporter.iteration(slot, log.ms["total"][-1], log.iterations)

        started = time.monotonic()
        trailer: ProcessTrailer = {}
        try:
            sampler.start(slot.index)
            try:
                answer = self.target.transport.run(
                    argv, env=env, timeout=self._timeout(), on_stdout=on_line, max_output=_MAX_OUTPUT
                )
                said = _tail(answer.stderr) if answer.code else ""
                trailer = {"code": answer.code, "signal": answer.signal, "stderr": said}
                if answer.signal:
                    trailer["about"] = ended_there(answer.signal, self.target.transport)[0]
            except LinkError as error:
                writer.finish({"error": error.message, "seconds": time.monotonic() - started}, final=False)
                raise
            except EdgeError as error:
                trailer = {"error": error.message}
            finally:
                sampler.stop()
            trailer["seconds"] = round(time.monotonic() - started, 3)
            trailer["after"] = _plain(sample_or_none(self.target.transport))
            failed = trailer.get("error") or trailer.get("code") != 0 or not log.complete or not log.iterations
            writer.finish(trailer, final=not failed)
        finally:
            writer.close()
        if not failed:
            return ""
        from bench.record.collect import make_process

        return make_process(log, slot, header, trailer, []).why or "it failed"

    def _timeout(self) -> float:
        return 2 * (self.plan.max_ms + self.plan.warmup_ms) / 1000 + GRACE_SECONDS

    def _cool_down(self, slot: Slot, start: float | None) -> float | None:
        """Waits until the board is as cool as it was at the start; returns that temperature."""
        if self.plan.cooldown_s <= 0:
            return start
        deadline = time.monotonic() + self.plan.cooldown_s
        while True:
            now = sample_or_none(self.target.transport)
            hottest = now.hottest if now else None
            if start is None or hottest is None:
                return hottest if start is None else start
            if hottest <= start + _COOL_WITHIN or time.monotonic() >= deadline:
                return start
            self.reporter.process(slot, f"cooling down: {hottest:.0f} °C, {start:.0f} °C at the start")
            time.sleep(_COOL_STEP)


def _comparable(session: Mapping[str, Any]) -> dict[str, Any]:
    photos = [{**photo, "truth": without_kinds(photo["truth"])} for photo in session["photos"]]
    return {**session, "photos": photos}


_SAME = {
    "plan": "plan", "device": "board", "release": "release", "program": "program", "variants": "set of models",
    "photos": "list of photos", "knobs": "setting of the board's knobs",
}  # fmt: skip


def _plain(snapshot: Snapshot | None) -> Look | None:
    return cast(Look, asdict(snapshot)) if snapshot is not None else None


def _tail(text: str) -> str:
    return "\n".join(printable(line) for line in text.strip().splitlines()[-12:])[-2000:]
