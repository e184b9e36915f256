"""Searches for settings that are fast and still read the plates, by successive halving.

This host first reads every labelled photo with every candidate's settings; those that read far too little never
reach the board. The rest are timed there, on a few of the photos; the faster half is measured again for twice as
long, and so on until a few are left. What the board reads meanwhile is compared with what the host read. After
Jamieson and Talwalkar, "Non-stochastic best arm identification" (2016).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.judge.accuracy import accuracy, answers_of
from bench.judge.summary import column
from bench.measure.host_reader import HostReader
from bench.measure.session import Reporter, Session
from bench.measure.target import SystemUnderTest
from bench.plan.candidate import Candidate
from bench.plan.model_sets import own_decode
from bench.plan.plan import Plan
from edge.base.errors import DeviceError, InputError, NotValidError

LEFT_AT_THE_END = 3
# A candidate this much slower than the fastest of its accuracy is never the answer, whatever the noise of one round.
HOPELESS = 3.0
# Candidates so far below the accuracy asked for are still timed, since the front shows what a little less would bring.
NEARLY = 0.05
# Timing needs no more photos than these; accuracy needs all of them.
BOARD_PHOTOS = 8
DEFAULT_SIDES = ("min:736", "max:960", "max:800", "max:640", "max:512", "max:416")


@dataclass(frozen=True)
class Trial:
    """What the last measurement of a candidate gave.

    Attributes:
        candidate: Which.
        rung: How many times the field was halved before.
        median_ms: Of a photo.
        f_measure: End to end.
        n: Photos timed.
        why: Reason when it could not be measured; then the figures are infinite and 0.
        differing: Photos in which the board read something else than the host.
    """

    candidate: Candidate
    rung: int
    median_ms: float
    f_measure: float
    n: int
    why: str = ""
    differing: int = 0


@dataclass(frozen=True)
class Search:
    """The outcome.

    Attributes:
        trials: The last trial of every candidate, the fastest first.
        front: Keys of those that none beats in both time and accuracy.
        chosen: Key of the fastest that reads enough.
        min_f: What was enough.
    """

    trials: tuple[Trial, ...]
    front: tuple[str, ...]
    chosen: str
    min_f: float

    def trial(self, key: str) -> Trial:
        """The last trial of a candidate."""
        return next(trial for trial in self.trials if trial.candidate.key == key)

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        rows = [
            {
                "key": trial.candidate.key, "settings": trial.candidate.settings(),
                "variant": trial.candidate.cell.variant, "rung": trial.rung, "n": trial.n, "why": trial.why,
                "differing": trial.differing, "f_measure": trial.f_measure,
                "median_ms": trial.median_ms if trial.n else None,
            }
            for trial in self.trials
        ]  # fmt: skip
        chosen = self.trial(self.chosen).candidate
        return {
            "min_f": self.min_f, "trials": rows, "front": list(self.front), "chosen": self.chosen,
            "variant": chosen.cell.variant, "settings": chosen.settings(),
        }  # fmt: skip


Measure = Callable[[Candidate, int], Trial]


def candidates(plan: Plan, decodes: Sequence[str] = ()) -> list[Candidate]:
    """All combinations of a plan and the ways to decode; without any, each set's own way."""
    return [Candidate(cell, decode) for cell in plan.cells for decode in decodes or (own_decode(cell.model),)]


def tune(field: Sequence[Candidate], measure: Measure, min_f: float, *, budget_s: float = 600.0) -> Search:
    """Halves the field until a few are left.

    Args:
        field: The candidates.
        measure: Measures one on a rung; a later rung takes twice as long.
        min_f: Least accuracy.
        budget_s: After this many seconds no further rung begins, and no further candidate on a later rung.

    Raises:
        DeviceError: Nothing could be measured.
        NotValidError: None reads enough; names the best.
    """
    started = time.monotonic()
    last: dict[str, Trial] = {}
    alive = list(field)
    rung = 0
    while alive:
        for candidate in alive if rung % 2 == 0 else reversed(alive):
            if rung and time.monotonic() - started > budget_s:
                break
            last[candidate.key] = measure(candidate, rung)
        good = sorted(
            (last[item.key] for item in alive if last[item.key].f_measure >= min_f and last[item.key].n),
            key=lambda trial: trial.median_ms,
        )
        if len(good) <= 1 or (len(good) <= LEFT_AT_THE_END and rung >= 2) or time.monotonic() - started > budget_s:
            break
        keep = max(LEFT_AT_THE_END, (len(good) + 1) // 2)
        alive = [trial.candidate for trial in good[:keep] if trial.median_ms <= HOPELESS * good[0].median_ms]
        rung += 1
    trials = tuple(sorted(last.values(), key=lambda trial: trial.median_ms))
    measured = [trial for trial in trials if trial.n]
    if not measured and not any(trial.f_measure for trial in trials):
        raise DeviceError(f"nothing could be measured: {trials[0].why if trials else 'no candidates'}.")
    enough = [trial for trial in measured if trial.f_measure >= min_f]
    if not enough:
        best = max(trials, key=lambda trial: trial.f_measure)
        raise NotValidError(
            f"no setting reaches F {min_f:.1%}; the best is {best.candidate.key} with {best.f_measure:.1%}.",
            "Lower --min-f, give larger --det-side, or train the models on such photos.",
        )
    return Search(trials, pareto(measured), _choose(enough).candidate.key, min_f)


def pareto(trials: Iterable[Trial]) -> tuple[str, ...]:
    """Keys of the trials that none beats in both time and accuracy, the fastest first."""
    front: list[str] = []
    best = -1.0
    for trial in sorted(trials, key=lambda item: (item.median_ms, -item.f_measure)):
        if trial.f_measure > best:
            front.append(trial.candidate.key)
            best = trial.f_measure
    return tuple(front)


def measure_on(
    target: SystemUnderTest,
    plan: Plan,
    out: Path,
    reporter: Reporter | None = None,
    *,
    host: HostReader | None = None,
    min_f: float = 0.0,
) -> Measure:
    """Returns a `Measure` that runs sessions on a board, each in a folder of its own, so that a rerun goes on.

    Args:
        target: The board; photos without ground truth say nothing about accuracy.
        plan: Its warm-up and limits are used.
        out: Folder.
        reporter: Watches.
        host: Tells the accuracy; None to take the board's own answers for it.
        min_f: What is far below is not timed at all; needs `host`.

    Raises:
        InputError: No photo has ground truth.
    """
    known = replace(target, photos=tuple(photo for photo in target.photos if photo.truth is not None))
    if not known.photos:
        raise InputError(
            "no photo has ground truth, so accuracy cannot be measured.", "Put a labels.json beside the photos."
        )

    if host is not None:
        step = max(1, len(known.photos) // BOARD_PHOTOS)
        known = replace(known, photos=known.photos[::step][:BOARD_PHOTOS])

    def measure(candidate: Candidate, rung: int) -> Trial:
        try:
            read = (host.accuracy(candidate).f_measure or 0.0) if host is not None else None
        except DeviceError as error:
            # One setting that this host cannot run (fp16, too large a photo) is no reason to lose the others.
            return Trial(candidate, rung, float("inf"), 0.0, 0, f"this host: {error.message}")
        if read is not None and read < min_f - NEARLY:
            return Trial(candidate, rung, float("inf"), read, 0, "reads too little on this host; not timed")
        cell = candidate.cell
        starts = min(2**rung, 4)
        single = replace(
            plan, name=f"tune rung {rung}", models=(cell.model,), precisions=(cell.precision,), threads=(cell.threads,),
            power_modes=(cell.power_mode,), det_sides=(f"{cell.side.kind}:{cell.side.pixels}",), processes=starts,
            repeats=len(known.photos) * 2**rung // starts, min_ms=0, options=(*plan.options, ("decode", candidate.decode)),
        )  # fmt: skip
        folder = out / f"rung-{rung}" / candidate.key
        try:
            result = Session(known, single, folder, reporter=reporter, sample_seconds=0).run()
        except DeviceError as error:
            return Trial(candidate, rung, float("inf"), 0.0, 0, error.message)
        totals = np.concatenate(column(result.of(cell.key), "total"))
        if host is not None and read is not None:
            board = {result.photos[index].sha256: plates for index, plates in answers_of(result, cell.key).items()}
            differing = host.differing(candidate, board)
            return Trial(candidate, rung, float(np.median(totals)), read, int(totals.size), differing=differing)
        found = accuracy(result.photos, answers_of(result, cell.key))
        # A photo that was not reached (too slow a board) counts as not read.
        share = (found.f_measure or 0.0) * found.photos / len(known.photos) if found else 0.0
        return Trial(candidate, rung, float(np.median(totals)), share, int(totals.size))

    return measure


def _choose(enough: Sequence[Trial]) -> Trial:
    # Those that were measured longest are the only ones whose times were compared carefully.
    rung = max(trial.rung for trial in enough)
    return min((trial for trial in enough if trial.rung == rung), key=lambda trial: trial.median_ms)


def config_lines(search: Search) -> str:
    """The chosen settings as lines of `plate.conf`."""
    return "".join(f"{key} = {value}\n" for key, value in search.trial(search.chosen).candidate.settings().items())
