"""The trial run of a release before it is switched on: does it run there, and read what the host reads?"""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from edge.base.errors import DeviceError, EdgeError, VerifyError
from edge.host.cpuinfo import FEATURES
from edge.host.ending import KILLED, ended_by, illegal_instruction, signal_number
from edge.host.processor import parse_processor
from edge.plate.answer import Answer
from edge.plate.metrics import match_boxes
from edge.plate.text import normal_text
from edge.protocol.base import CompletedCommand, Transport
from edge.release.releases import Release

# An answer is one line of JSON; Paddle Lite's own log goes to stderr, and a program gone wild to neither for long.
MAX_OUTPUT = 4 << 20
IOU_FP32 = 0.95
# Arm and x86 round int8 differently; the facts measured mask IoU 0.995 between them, a box moves by a pixel or two.
IOU_INT8 = 0.85
# What loaders and kernels say, and what it means. (pattern, meaning, next step)
LOADER_MESSAGES = (
    (
        r"version [`'\"](\S+?)['\"]? not found",
        "the board's libraries are too old: {0} is missing",
        "Build with an older toolchain, or update the board's system.",
    ),
    (
        r"(\S+\.so\S*): cannot open shared object file",
        "the library {0} is missing on the board",
        "Install it there, or put it beside Paddle Lite's library and use `edge runtime add FOLDER`.",
    ),
    (
        r'library "(\S+?)" not found',
        "the library {0} is missing on the phone",
        "Use a runtime build with c++_static, or put the library beside it and use `edge runtime add FOLDER`.",
    ),
    (r"Exec format error", "the program is for another processor", "Choose the board profile that fits: `edge probe`."),
    (
        r"wrong ELF class",
        "a library is for another word size",
        "Choose the board profile that fits: `edge probe`.",
    ),
    (
        r"(?:No such file or directory|not found)\s*$",
        "the program's loader is missing: the board's system is of another kind",
        "Choose the board profile that fits: `edge probe`.",
    ),
    (
        r"[Pp]ermission denied",
        "the board does not let the program run",
        "Is the folder mounted noexec? Give the device another `root`.",
    ),
)


_STAYS = "What ran before still runs."
# Paddle Lite's own words (lite/core/program.cc) for an operator or a kernel that it was built without.
LACKS_OPERATOR = r"(?:not supported, because |can ?not create )(operator|kernel)(?: for)? '([^']+)'"
WITH_EXTRA = (
    "Take a library that was built with extra operators: such official archives have `with_extra` in their names "
    "(`edge runtime get DEVICE`), and scripts/build_paddle_lite.sh makes one. What ran before still runs."
)


@dataclass(frozen=True)
class SmokeResult:
    """How a trial run went.

    Attributes:
        answer: What the board read.
        compared: Whether it was compared with the host's answer.
        agrees: Whether it agrees; True when it was not compared.
        iou: Smallest IoU of a pair of boxes; 1.0 when there are none.
        seconds: Wall time, loading included.
        reads: Whether it reads at least one sample photo: as its label says, or anything where there is none.
        truth: What stands in the photo of `answer`; empty when that is not known.
    """

    answer: Answer
    compared: bool
    agrees: bool
    iou: float
    seconds: float
    reads: bool = True
    truth: tuple[str, ...] = ()


def smoke(
    transport: Transport,
    release: Release,
    expected: Mapping[str, Answer],
    *,
    truth: Mapping[str, Sequence[str]] | None = None,
    timeout: float = 180.0,
    force: bool = False,
) -> dict[str, SmokeResult]:
    """Runs every variant of a release on its first sample photo, and on the others until it reads one.

    Args:
        transport: The board.
        release: On it, not necessarily switched on.
        expected: Per variant the host's answer; variants that are not in it are only run.
        truth: Per photo (its name) the texts that stand in it.
        timeout: Seconds per variant.
        force: Let a different answer pass, and one that reads nothing.

    Returns:
        Per variant the result; empty when the release has no sample photo.

    Raises:
        DeviceError: The program does not run; says why as far as the loader or the signal tells.
        VerifyError: It answers nonsense, reads other plates than the host, or reads no sample photo.
    """
    results: dict[str, SmokeResult] = {}
    photos = sorted(release.samples, key=lambda path: PurePosixPath(path).name)
    for variant in release.variants if photos else ():
        until = time.monotonic() + timeout

        def read(photo: str, variant: str = variant, until: float = until) -> tuple[Answer, float]:
            argv, env = release.command(variant, "run", photo)
            left = max(1.0, until - time.monotonic())
            answer = transport.run(argv, env=env, timeout=left, max_output=MAX_OUTPUT)
            explain(answer, transport, variant)
            return parse_answer(answer.stdout, transport.name), answer.seconds

        found, seconds = read(photos[0])
        result = same_answer(found, expected.get(variant), "int8" in variant, seconds)
        if not result.agrees and not force:
            raise VerifyError(_difference(result, expected[variant], transport.name, variant), _ADVICE)
        shown = {photo: tuple((truth or {}).get(PurePosixPath(photo).name, ())) for photo in photos}
        reads = _is_read(found, shown[photos[0]]) or any(_is_read(read(photo)[0], shown[photo]) for photo in photos[1:])
        result = replace(result, reads=reads, truth=shown[photos[0]])
        if not reads and not force:
            raise VerifyError(_unread(result, PurePosixPath(photos[0]).name, len(photos), transport.name, variant), _UNFIT)
        results[variant] = result
    return results


def _is_read(answer: Answer, truth: Sequence[str]) -> bool:
    """Whether one of the plates in a photo is read; without labels, whether anything is."""
    return any(not truth or normal_text(text)[0] in truth for text in answer.texts)


def _unread(result: SmokeResult, photo: str, count: int, board: str, variant: str) -> str:
    said, truth = (", ".join(texts) for texts in (result.answer.texts, result.truth))
    first = f"{said or 'nothing'} in {photo}" + (f", which shows {truth}" if truth else "")
    return f"{variant} reads none of the {count} sample photos right on {board}: {first}."


_ADVICE = (
    f"{_STAYS} Is the runtime of the same release as the opt that made the .nb? --accept-failed switches it on all the same."
)
_UNFIT = (
    f"{_STAYS} Are both models trained, and made for each other's output? For plates of another kind than the samples': "
    "--accept-failed switches it on all the same."
)


def smoke_sample(samples: Sequence[str]) -> str | None:
    """Returns the photo of the trial run: the first by name; None when there are none."""
    return min(samples, key=lambda path: PurePosixPath(path).name, default=None)


def explain(result: CompletedCommand, transport: Transport, what: str) -> None:
    """Turns a failed run of `plate_ocr` into an error that says what is wrong with the board or the release.

    Raises:
        DeviceError: The program did not end with code 0.
    """
    if result.code == 0:
        return
    board = transport.name
    tail = "\n".join(result.stderr.strip().splitlines()[-3:])[-500:]
    own = re.search(r"^plate_ocr: error: (.*)$", result.stderr, re.MULTILINE)
    if own:
        # A library built without exceptions says its reason on standard error, before the program says that it crashed.
        reason = re.search(LACKS_OPERATOR, result.stderr)
        said = own[1] if reason is None or reason[1] in own[1] else f"{own[1]}: no {reason[1]} for {reason[2]!r}"
        raise DeviceError(f"plate_ocr ({what}) on {board}: {said}", WITH_EXTRA if reason else _STAYS)
    number = result.signal or signal_number(result.code)
    if number:
        clause, hint = ended_there(number, transport)
        said = f"plate_ocr ({what}) on {board} {ended_by(number)}" + (f": {clause}." if clause else ".")
        raise DeviceError(
            said + (f"\n{tail}" if tail else ""),
            hint or "Take the runtime build that the profile recommends, and report this with the lines above.",
        )
    for pattern, meaning, step in LOADER_MESSAGES:
        match = re.search(pattern, tail)
        if match:
            raise DeviceError(f"plate_ocr does not start on {board}: {meaning.format(*match.groups())}.", step)
    raise DeviceError(f"plate_ocr ({what}) failed on {board} with code {result.code}." + (f"\n{tail}" if tail else ""))


def ended_there(number: int, transport: Transport) -> tuple[str, str]:
    """What can be said of `plate_ocr` that a signal ended on a board: a clause for the message (may be empty), a hint.

    Args:
        number: Of the signal.
        transport: The board, whose `/proc/cpuinfo` is read after a SIGILL.
    """
    if number == signal.SIGKILL:
        return "", KILLED.replace("`dmesg`", "`dmesg` there")
    if number != signal.SIGILL:
        return "", ""
    try:
        info = transport.run(["cat", "/proc/cpuinfo"], timeout=20).stdout
    except EdgeError:
        info = ""
    processor = parse_processor(info, "")
    arm = [name for name in FEATURES if name in processor.flags]
    if processor.flags and ("sse2" in processor.flags or not arm):
        return illegal_instruction("Paddle Lite", processor, f"the processor of {transport.name}")
    if not processor.flags:
        return f"the features of {transport.name}'s cores are not known", "`edge probe` shows the board's cores."
    lacks = ", ".join(name for name in FEATURES if name not in processor.flags and name != "neon")
    return (
        f"the cores of {transport.name} list {', '.join(arm)} and lack {lacks}",
        "Take a library that was built for such cores: the profile names one, and `edge probe` compares board and profile.",
    )


def parse_answer(text: str, where: str) -> Answer:
    """Reads the one line that `plate_ocr run` prints for one photo.

    Raises:
        VerifyError: It is not such a line.
    """
    lines = [line for line in text.split("\n") if line.strip()]
    try:
        if len(lines) != 1:
            raise ValueError(f"{len(lines)} lines instead of one")
        document = json.loads(lines[0])
        if "error" in document:
            raise ValueError(str(document["error"]))
        return Answer.from_json(document)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise VerifyError(
            f"plate_ocr on {where} printed nonsense: {error} ({text[:120]!r}).",
            "The release that was running is still switched on.",
        ) from error


def same_answer(found: Answer, expected: Answer | None, int8: bool, seconds: float = 0.0) -> SmokeResult:
    """Compares the board's answer with the host's: the same texts, each at the same place.

    Args:
        found: The board's.
        expected: The host's; None when there is none.
        int8: Whether the models are quantised, and boxes may therefore differ a little more.
        seconds: Kept in the result.
    """
    if expected is None:
        return SmokeResult(found, False, True, 1.0, seconds)
    ours, theirs = found.plates, expected.plates
    pairs = match_boxes([plate.box for plate in ours], [plate.box for plate in theirs], 0.0)
    smallest = min((value if ours[i].text == theirs[j].text else 0.0 for i, j, value in pairs), default=1.0)
    agrees = len(ours) == len(theirs) and smallest >= (IOU_INT8 if int8 else IOU_FP32)
    return SmokeResult(found, True, agrees, smallest, seconds)


def _difference(result: SmokeResult, expected: Answer, board: str, variant: str) -> str:
    if result.answer.texts != expected.texts:
        found, wanted = (", ".join(answer.texts) or "nothing" for answer in (result.answer, expected))
        return f"{variant} reads {found} on {board}, on the host {wanted}."
    return f"{variant} finds the plates elsewhere on {board} than on the host (IoU {result.iou:.2f})."
