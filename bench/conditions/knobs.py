"""The settings of a board that `bench run --tune-board` may change: names, files, and what they are set to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from edge.base.errors import UsageError

# What `--tune-board` alone does: the clock no longer follows the load, which is most of what makes times differ.
DEFAULT = {"governor": "performance"}
_POLICY = "devices/system/cpu/cpufreq/policy[0-9]*"
_CPU = "devices/system/cpu"


@dataclass(frozen=True)
class Knob:
    """One setting.

    Attributes:
        name: As in `--knob NAME=VALUE`.
        files: Patterns below `/sys`; all files that fit are set.
        pattern: Regular expression of values allowed.
        form: What the values are, for messages.
        factor: Whole numbers are multiplied by it for the file.
        words: Value to what the file wants, where they differ; one for each of `files`.
    """

    name: str
    files: tuple[str, ...]
    pattern: str
    form: str
    factor: int = 1
    words: tuple[Mapping[str, str], ...] = ()

    def text(self, value: str, number: int) -> str:
        """Returns what is written into a file of the pattern `number`."""
        if self.words:
            return self.words[number][value]
        return str(int(value) * self.factor) if self.factor != 1 else value


class KnobFile(TypedDict):
    """One file that a knob set, see `board_tuner.Setting`."""

    knob: str
    path: str
    before: str
    wanted: str
    now: str


class TuningFacts(TypedDict, total=False):
    """Knobs that `--tune-board` set, see `board_tuner.SystemTuning`; empty without."""

    knobs: dict[str, str]
    settings: list[KnobFile]
    problems: list[str]
    restored: bool | None


KNOBS = (
    Knob("governor", (f"{_POLICY}/scaling_governor",), r"[a-z]\w{1,31}", "a governor, such as performance"),
    Knob("max_mhz", (f"{_POLICY}/scaling_max_freq",), r"\d{2,5}", "a number of MHz", 1000),
    Knob("min_mhz", (f"{_POLICY}/scaling_min_freq",), r"\d{2,5}", "a number of MHz", 1000),
    Knob(
        "boost", (f"{_CPU}/cpufreq/boost", f"{_CPU}/intel_pstate/no_turbo"), "on|off", "on or off",
        words=({"on": "1", "off": "0"}, {"on": "0", "off": "1"}),
    ),
)  # fmt: skip
# Not a file: the program is started on these CPUs.
CPUS = "cpus"


def parse_knobs(words: tuple[str, ...]) -> dict[str, str]:
    """Reads `governor=performance`, `max_mhz=1416`, `boost=off`, `cpus=4-5`; `DEFAULT` without any.

    Raises:
        UsageError: An unknown knob, or a value that it cannot have.
    """
    if not words:
        return dict(DEFAULT)
    known = {knob.name: knob for knob in KNOBS}
    found: dict[str, str] = {}
    for word in words:
        name, separator, value = word.partition("=")
        if not separator or (name != CPUS and name not in known):
            raise UsageError(
                f"--knob {word!r} is not a knob and a value.", f"Write NAME=VALUE; names: {', '.join([*known, CPUS])}."
            )
        if name == CPUS:
            cpu_mask(value)
        elif not re.fullmatch(known[name].pattern, value):
            raise UsageError(f"--knob {word!r}: {name} must be {known[name].form}.")
        found[name] = value
    if "min_mhz" in found and "max_mhz" in found and int(found["min_mhz"]) > int(found["max_mhz"]):
        raise UsageError("--knob min_mhz is above max_mhz.")
    return found


def cpu_list(text: str) -> list[int]:
    """Reads `4-5` or `0,2,4-7`.

    Raises:
        UsageError: Anything else.
    """
    cpus: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", part)
        if not match or int(match[2] or match[1]) < int(match[1]):
            raise UsageError(f"--knob cpus={text!r} is not a list of CPUs.", "Write 4-5 or 0,2,4-7.")
        cpus |= set(range(int(match[1]), int(match[2] or match[1]) + 1))
    return sorted(cpus)


def cpu_mask(text: str) -> str:
    """The hexadecimal mask of `cpu_list`, which every board's `taskset` understands."""
    return f"{sum(1 << cpu for cpu in cpu_list(text)):x}"
