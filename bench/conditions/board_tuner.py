"""Sets a board's knobs for a measurement and puts them back, whatever happens.

Before anything is changed, the values found are written to `saved` in a folder of the kit on the board, and a watchdog
is started there. Then the knobs are put back by whoever comes first:

- this program, at the end, at Ctrl-C, or when something fails; over a new connection where the old one broke;
- the watchdog, when nobody has given a sign of life for a minute (this program was killed, the link is gone for good);
- the next `bench run` on the board, which finds `saved` (the watchdog was killed too);
- nobody, when the board was restarted: then the kernel has its own values again, and `saved` is only removed.

Only POSIX shell and `/sys` are needed. Without the right to write nothing is changed and the record says so.
"""

from __future__ import annotations

import secrets
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

from bench.conditions.environment import parse, script
from bench.conditions.knobs import CPUS, KNOBS, TuningFacts
from edge.base.errors import DeviceError, EdgeError
from edge.protocol.base import CompletedCommand, Transport

BEAT_SECONDS = 5.0
WATCHDOG_SECONDS = 60.0
_ATTEMPTS = 4
_TIMEOUT = 60.0

_SCRIPT = Path(__file__).with_name("board_tuner.sh").read_text(encoding="ascii")


@dataclass(frozen=True)
class Setting:
    """One file of a board that was to be set.

    Attributes:
        knob: Name of the knob.
        path: The file.
        before: What it held.
        wanted: What it was to hold.
        now: What it held afterwards.
    """

    knob: str
    path: str
    before: str
    wanted: str
    now: str

    @property
    def good(self) -> bool:
        """Whether the board took it."""
        return self.now == self.wanted


@dataclass
class SystemTuning:
    """What was asked for and what came of it; goes into the result.

    Attributes:
        knobs: As asked for.
        settings: Each file.
        problems: Sentences on what did not work.
        restored: `True` once everything was put back by this program; None while it is set.
    """

    knobs: dict[str, str]
    settings: list[Setting] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    restored: bool | None = None

    def document(self) -> TuningFacts:
        """Plain JSON."""
        return cast(TuningFacts, asdict(self))


class BoardTuner:
    """See the module's text.

    Args:
        transport: The board.
        folder: Absolute folder of the kit's there, of its own.
        beat: A second way to the board, for signs of life; used by one thread only.
        sysfs: Where the kernel's files are.
        beat_s: Seconds between signs of life.
        watchdog_s: Seconds without any, after which the board puts everything back.
    """

    def __init__(
        self,
        transport: Transport,
        folder: str,
        *,
        beat: Transport,
        sysfs: str = "/sys",
        beat_s: float = BEAT_SECONDS,
        watchdog_s: float = WATCHDOG_SECONDS,
    ) -> None:
        self._link, self._beat, self._folder, self._sysfs = transport, beat, folder, sysfs
        self._beat_s, self._watchdog_s = beat_s, watchdog_s
        self._token = secrets.token_hex(8)
        self._root: list[str] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def recover(self) -> str:
        """Puts back what a killed run left behind; returns a sentence about it, empty when there was nothing.

        Raises:
            DeviceError: Somebody is measuring with knobs set.
        """
        if self._link.run(["test", "-f", f"{self._folder}/saved"], timeout=_TIMEOUT).code != 0:
            return ""
        self._find_root()
        # Three signs of life: one may be late on a slow link, and knobs put back would spoil what is being measured.
        wait = f"{3 * self._beat_s + 2:.0f}"
        said = self._run("recover", self._folder, wait).stdout.splitlines()
        if "alive" in said:
            raise DeviceError(
                "somebody else is measuring on this board with its knobs set.", "Wait until that run is over."
            )
        bad = [line.partition("\t")[2] for line in said if line.startswith("bad")]
        if bad:
            return f"a run that was killed left knobs behind, and some could not be put back: {'; '.join(bad)}"
        return "knobs that a killed run had left behind were put back" if "left" in said else ""

    @contextmanager
    def tuned(self, knobs: dict[str, str]) -> Iterator[SystemTuning]:
        """Sets knobs for the duration of a `with` block.

        Args:
            knobs: From `bench.conditions.knobs.parse_knobs`; `cpus` is left to the caller.

        Raises:
            LinkError: The board cannot be reached; nothing was changed, or the watchdog puts it back.
        """
        tuning = SystemTuning(dict(knobs))
        pairs = self._pairs(knobs, tuning)
        if not pairs:
            tuning.restored = True
            yield tuning
            return
        try:
            self._begin(pairs, tuning)
            self._start_beating()
            yield tuning
        finally:
            self._stop.set()
            with _no_interrupt():
                self._end(tuning)

    def _find_root(self) -> None:
        # Only with the switch that the user gave: writing below /sys is root's business on most boards.
        if self._link.run(["id", "-u"], timeout=_TIMEOUT).stdout.strip() != "0":
            can = self._link.run(["sudo", "-n", "true"], timeout=_TIMEOUT).code == 0
            self._root = ["sudo", "-n"] if can else []

    def _pairs(self, knobs: dict[str, str], tuning: SystemTuning) -> list[tuple[str, str, str, str]]:
        """Knob, file, value found and value wanted, of all files that the board has."""
        pairs = []
        for knob in KNOBS:
            if knob.name not in knobs:
                continue
            found = 0
            for number, pattern in enumerate(knob.files):
                text = self._link.run(["sh", "-c", script([f"{self._sysfs}/{pattern}"])], timeout=_TIMEOUT).stdout
                for path, lines in parse(text).items():
                    pairs.append((knob.name, path, lines[0], knob.text(knobs[knob.name], number)))
                    found += 1
            if not found:
                tuning.problems.append(f"{knob.name}: the board has no {self._sysfs}/{knob.files[0]}")
        # The governor first, since a fixed one may refuse limits; upper limits before lower ones.
        return pairs

    def _begin(self, pairs: list[tuple[str, str, str, str]], tuning: SystemTuning) -> None:
        self._find_root()
        step = max(1, round(self._beat_s))
        looks = max(2, round(self._watchdog_s / step))
        words = [word for _, path, _, wanted in pairs for word in (path, wanted)]
        answer = self._run("begin", self._folder, self._token, str(step), str(looks), _SCRIPT, *words)
        if answer.code != 0:
            raise DeviceError(
                f"the board's knobs cannot be set: no place to save them in {self._folder}: {answer.stderr.strip()}",
                "Free some space there, or remove --tune-board.",
            )
        now = {path: lines[-1] for path, lines in parse(answer.stdout).items()}
        for knob, path, before, wanted in pairs:
            setting = Setting(knob, path, before, wanted, now.get(path, ""))
            tuning.settings.append(setting)
            if not setting.good:
                why = "is not allowed to this user" if setting.now == before else "was not taken"
                tuning.problems.append(f"{knob}: {wanted} for {path} {why}; it is {setting.now}")

    def _start_beating(self) -> None:
        def beat() -> None:
            count = 0
            while not self._stop.wait(self._beat_s):
                count += 1
                command = ["sh", "-c", '[ -f "$1/saved" ] && printf "%s\\n" "$2" > "$1/alive"', "sh"]
                # A link that is gone for a while is no reason to give up; the watchdog waits longer.
                with suppress(Exception):
                    self._beat.run([*self._root, *command, self._folder, str(count)], timeout=_TIMEOUT)

        self._thread = threading.Thread(target=beat, daemon=True)
        self._thread.start()

    def _end(self, tuning: SystemTuning) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                said = self._run("end", self._folder, self._token).stdout.splitlines()
            except EdgeError as error:
                tuning.restored = False
                last = error.message
                if attempt + 1 < _ATTEMPTS:
                    time.sleep(2.0**attempt)
                continue
            tuning.restored = "mine" in said
            tuning.problems += [line.partition("\t")[2] for line in said if line.startswith("bad")]
            if "mine" not in said:
                tuning.problems.append(
                    "the knobs were put back before the end: the board had no sign of life from this host"
                )
            return
        tuning.problems.append(
            f"the knobs could not be put back ({last}); the board does it itself within {self._watchdog_s:.0f} s"
        )

    def _run(self, function: str, *words: str) -> CompletedCommand:
        return self._link.run([*self._root, "sh", "-c", _SCRIPT, "sh", function, *words], timeout=_TIMEOUT)


def bound(argv: list[str], knobs: dict[str, str]) -> list[str]:
    """Returns a command that runs on the CPUs of the knob `cpus`, or as it is."""
    from bench.conditions.knobs import cpu_mask

    return ["taskset", cpu_mask(knobs[CPUS]), *argv] if CPUS in knobs else argv


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait while the board is put in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
