"""The objects inside a result and a session, as they stand in the JSON; a board or an editor may have put anything there.

`edge.model.json_types` reads and checks them, and `scripts/schemas.py` makes the JSON Schema of them. A key that is
not named here is kept as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypedDict

from bench.conditions.environment import Look, MachineFacts
from bench.conditions.knobs import TuningFacts
from bench.plan.plan import PlanFacts
from edge.model.json_types import Count, Figure

Kind = Literal["host", "board", "emulated", "replay"]
Corner = tuple[float, float]
# Clockwise from top left, in pixels of the photo.
Box = tuple[Corner, Corner, Corner, Corner]


class _TrueText(TypedDict):
    text: str
    box: Box


class TruePlate(_TrueText, total=False):
    """A plate that is on a photo, and its kind where the country of the models that were measured tells it."""

    kind: str


def without_kinds(plates: Iterable[TruePlate] | None) -> list[tuple[str, Box]] | None:
    """Returns text and box of true plates: their kinds follow from the texts, and files of 0.1 have none."""
    return None if plates is None else [(plate["text"], plate["box"]) for plate in plates]


class _ReadText(TypedDict):
    text: str


class RecordedPlate(_ReadText, total=False):
    """A plate that the program read."""

    box: Box
    score: float


class KitFacts(TypedDict, total=False):
    """The kit that measured: version, and commit and state of its work tree where it is one."""

    version: str
    git: str | None
    dirty: bool | None


class _NamedDevice(TypedDict):
    name: str
    kind: Kind


class DeviceFacts(_NamedDevice, total=False):
    """The device; no address, for results are handed on."""

    board: str
    title: str
    soc: str
    transport: str
    abi: str
    soc_alias: str


class ProgramFacts(TypedDict, total=False):
    """`plate_ocr`, as it reported itself; None where it did not start."""

    sha256: str
    version: str | None
    compiler: str | None
    abi: str | None
    runtime: str | None


class RuntimeFacts(TypedDict, total=False):
    """The library of Paddle Lite."""

    version: str | None
    build: str | None
    sha256: str | None
    replay: bool


class AskedThreads(TypedDict, total=False):
    """Threads asked for, started, and running at once."""

    requested: Count
    effective: Count | None
    started: Count


class AskedMode(TypedDict, total=False):
    """Power mode asked for and in effect."""

    requested: str
    effective: str | None


class Effective(TypedDict, total=False):
    """What the program said about itself when it started, and how it was called."""

    version: str
    runtime: str
    compiler: str
    abi: str
    threads: AskedThreads
    power_mode: AskedMode
    affinity: list[Count]
    cpu_features: list[str]
    config: dict[str, Any]
    process_threads: Count
    argv: list[str]


class _Timed(TypedDict):
    t: Figure


class TimedLook(_Timed, Look, total=False):
    """Conditions while a process ran; `t` is in seconds since the session began."""

    process: Count


class HostCheck(TypedDict):
    """How far a board read what this host reads: photos, of these the same, edits of the texts, least overlap."""

    photos: Count
    same: Count
    edits: Count
    least_iou: Figure | None


class VariantFacts(TypedDict):
    """Sizes, hashes and converter versions of one pair of models."""

    det_bytes: Count
    rec_bytes: Count
    hashes: dict[str, str]
    opt: dict[str, str]


class SessionPhoto(TypedDict):
    """A photo and its path on the board."""

    name: str
    sha256: str
    bytes: Count
    remote: str
    truth: list[TruePlate] | None


class SessionStart(TypedDict):
    """What a session is: one that is continued must be the same."""

    plan: PlanFacts
    device: DeviceFacts
    release: str
    program: str
    knobs: dict[str, str]
    runtime: RuntimeFacts
    variants: dict[str, VariantFacts]
    photos: list[SessionPhoto]


class _SessionBegun(SessionStart):
    created: str
    kit: KitFacts
    command: list[str]
    facts: MachineFacts
    notes: list[str]


class SessionFile(_SessionBegun, total=False):
    """`session.json`: what is known before the first process, and what became of knobs and comparison."""

    tuning: TuningFacts
    host_check: dict[str, HostCheck]


class ProcessHeader(TypedDict, total=False):
    """First line of a raw file."""

    started: str
    offset_s: Figure
    before: Look | None
    argv: list[str]


class ProcessTrailer(TypedDict, total=False):
    """Last line of a raw file."""

    code: int
    signal: int | None
    about: str
    error: str
    seconds: Figure
    after: Look | None
    stderr: str
