"""This computer's processor: what it can do, and what Paddle, Paddle Lite and int8 make of that."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edge.base.errors import HostError
from edge.host.cpuinfo import field

SHOWN = ("sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni")
# What the x86 wheels execute without asking, found by running plate-v1's networks under qemu-x86_64 with the processors
# of `docs/howto/install.md`: without a feature named here the library ends by SIGILL, with all of them it reads plates.
NEEDS = {"Paddle": ("avx",), "Paddle Inference": ("avx",), "Paddle Lite": ("avx", "avx2", "fma")}
SINCE = "Intel's since Haswell (2013), AMD's since Excavator (2015) and Zen"


@dataclass(frozen=True)
class Processor:
    """What `/proc/cpuinfo` says.

    Attributes:
        name: `model name`; empty when it is not there.
        machine: As `uname -m` gives it.
        flags: All features of the first core.
    """

    name: str
    machine: str
    flags: frozenset[str]

    @property
    def has(self) -> tuple[str, ...]:
        """Those of `SHOWN` that it has."""
        return tuple(name for name in SHOWN if name in self.flags)

    @property
    def lacks(self) -> tuple[str, ...]:
        """Those of `SHOWN` that it lacks."""
        return tuple(name for name in SHOWN if name not in self.flags)

    @property
    def guest(self) -> bool:
        """Whether this is a virtual machine, which may hide features of the real processor."""
        return "hypervisor" in self.flags

    def document(self) -> dict[str, Any]:
        """What `edge doctor --json` prints of it."""
        facts = {"name": self.name, "machine": self.machine, "virtual_machine": self.guest}
        return {**facts, "has": list(self.has), "lacks": list(self.lacks)}

    def missing(self, library: str) -> tuple[str, ...]:
        """What a library of `NEEDS` needs and this processor lacks; empty where the features are not known."""
        return tuple(name for name in NEEDS.get(library, ()) if self.flags and name not in self.flags)

    def remedy(self) -> str:
        """The next step where a feature is missing."""
        guest = "Give the virtual machine its host's features (QEMU: `-cpu host`), or use" if self.guest else "Use"
        return f"{guest} a computer whose processor has them: {SINCE}."


def parse_processor(info: str, machine: str) -> Processor:
    """Reads `/proc/cpuinfo`."""
    features = field(info, "flags") or field(info, "Features")
    return Processor(field(info, "model name"), machine, frozenset(features.split()))


@cache
def host_processor() -> Processor:
    """This computer's; without features where `/proc/cpuinfo` cannot be read."""
    try:
        info = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        info = ""
    return parse_processor(info, platform.machine())


def check_processor(library: str) -> None:
    """Refuses to start a library that this processor cannot run: it would end the process by SIGILL.

    Args:
        library: One of `NEEDS`.

    Raises:
        HostError: Names the features that are missing.
    """
    here = host_processor()
    missing = here.missing(library)
    if missing:
        raise HostError(
            f"{library} needs a processor with {', '.join(missing)}, which this one ({here.name or here.machine}) lacks.",
            here.remedy(),
        )
