"""The int8 dot product for boards that have it and that Paddle Lite does not recognise.

Paddle Lite v2.13-rc turns the dot product on by the name of the chip, which it reads from `/proc/cpuinfo`. Here a
program runs in a private mount namespace in which that file names a chip that the runtime knows; nothing else on the
board sees it, and nothing is left behind. The chip's core numbers come with its name (`SM8150`: cores 4 to 7 are the
big ones), which is right for RK3588; on a board with fewer cores the runtime finds those cores missing and does not
bind its threads. So it is off by default, and what it computes must equal what the plain run computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge.base.errors import DeviceError, VerifyError
from edge.base.progress import Progress
from edge.device.probe import Probe, probe
from edge.plate.answer import Answer
from edge.protocol.base import Call, CompletedCommand, Transport

ALIAS = "SM8150"
# $1 alias, $2... program.
SCRIPT = r"""
mount --make-rprivate / 2>/dev/null
f=$(mktemp) && { cat /proc/cpuinfo; printf 'Hardware\t: %s\n' "$1"; } >"$f" &&
  mount --bind "$f" /proc/cpuinfo || { rm -f "$f"; exit 125; }
rm -f "$f"; shift; exec "$@"
"""
ROOT = ("unshare", "-m")
# Without root: a user namespace in which this user is root, where the kernel allows that.
USER = ("unshare", "-U", "-r", "-m")


class AliasTransport(Transport):
    """A transport whose programs see another chip in `/proc/cpuinfo`; files go as they do otherwise.

    Args:
        transport: The board.
        truth: What was probed there.

    Raises:
        DeviceError: The board gains nothing from it, or does not allow it; says which.
    """

    def __init__(self, transport: Transport, truth: Probe) -> None:
        self.name = transport.name
        self._transport = transport
        if truth.system != "linux":
            raise DeviceError(f"{self.name} is not Linux; only there can a chip be given another name.")
        if "asimddp" not in truth.features:
            raise DeviceError(
                f"The cores of {self.name} have no int8 dot product (asimddp), so another name gains nothing.",
                "Run it without --soc-alias.",
            )
        self._prefix = _working_prefix(transport, truth)

    def wrap(self, argv: Sequence[str]) -> list[str]:
        """Returns the command that runs `argv` under the other name."""
        return [*self._prefix, "sh", "-c", SCRIPT, "sh", ALIAS, *argv]

    def _run(self, call: Call) -> CompletedCommand:
        return self._transport._run(replace(call, argv=tuple(self.wrap(call.argv))))

    def put(self, local: Path, remote: str, *, mode: int = 0o644, progress: Progress | None = None) -> bool:
        """See `Transport.put`."""
        return self._transport.put(local, remote, mode=mode, progress=progress)

    def get(self, remote: str, local: Path, *, progress: Progress | None = None) -> None:
        """See `Transport.get`."""
        self._transport.get(remote, local, progress=progress)

    def shell(self, argv: Sequence[str] | None = None) -> int:
        """See `Transport.shell`."""
        return self._transport.shell(self.wrap(argv or ["sh", "-i"]))

    def close(self) -> None:
        """See `Transport.close`."""
        self._transport.close()


def open_alias(transport: Transport, root: str = "/") -> AliasTransport:
    """Probes a board and returns the way to it under another name.

    Args:
        transport: The board.
        root: Folder of the releases there, absolute.

    Raises:
        DeviceError: The board gains nothing from it, or does not allow it; says which.
    """
    return AliasTransport(transport, probe(transport, root))


def _working_prefix(transport: Transport, truth: Probe) -> tuple[str, ...]:
    said = ""
    for prefix in (ROOT,) if truth.is_root else (USER,):
        answer = transport.run(
            [*prefix, "sh", "-c", SCRIPT, "sh", ALIAS, "grep", "-c", f"^Hardware.*{ALIAS}", "/proc/cpuinfo"], timeout=30
        )
        if answer.code == 0 and answer.stdout.strip() == "1":
            return prefix
        said = (answer.stderr.strip() or f"exit code {answer.code}").splitlines()[-1]
    raise DeviceError(
        f"{transport.name} does not allow a private mount namespace: {said}",
        "Log in as root, or allow user namespaces there (sysctl kernel.unprivileged_userns_clone=1), or run it "
        "without --soc-alias.",
    )


def accept_answers(plain: Sequence[Answer], alias: Sequence[Answer], name: str) -> list[Answer]:
    """Returns what the program answered under another name, when it is what it answers without.

    Args:
        plain: Answers of `plate_ocr run`, by photo; times in them (`ms`) may differ.
        alias: The same, under the other name.
        name: Of the board.

    Raises:
        VerifyError: The answers differ: the other name must not be used on this board.
    """
    for one, other in zip(plain, alias, strict=True):
        if _timeless(one) != _timeless(other):
            raise VerifyError(
                f"Under the name {ALIAS}, {name} reads {_texts(other)} in {one.image}, and {_texts(one)} without.",
                "Run it without --soc-alias, and report board and kernel.",
            )
    return list(alias)


def _timeless(answer: Answer) -> dict[str, Any]:
    return replace(answer, ms={}).as_json()


def _texts(answer: Answer) -> str:
    return answer.error or ", ".join(f"{plate.text} ({plate.score:.6f})" for plate in answer.plates) or "nothing"
