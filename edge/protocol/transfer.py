"""Files to and from a board: verified there, atomic, skipped when already there, resumed after a break.

The steps are the same over ssh and adb: ask the board what it has, bring the missing bytes into a hidden neighbour of
the target, let the board check it, and rename. Only a rename touches the target.

A link that froze may wake up: what ran over it on the board then goes on. So every attempt writes to a file of its
own; what an earlier one brought is copied into it, since the earlier writer may still append. Before the last check
all other such files of the target are removed: an earlier attempt then has nothing left that it could rename.
"""

from __future__ import annotations

import logging
import posixpath
import re
import secrets
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edge.base.errors import DeviceError, EdgeError, InputError, LinkError, VerifyError
from edge.base.paths import sha256_file
from edge.base.progress import Progress
from edge.protocol.base import CompletedCommand, Transport, check_remote_path
from edge.protocol.digest import FUNCTION, digest_like, parse_digest

LOG = logging.getLogger(__name__)
# A transfer whose link breaks is resumed, until this many tries in a row brought it no further.
STALLS = 3
SCRIPT_TIMEOUT = 600.0
FULL = ("no space", "disk full", "disk is full", "quota exceeded")
# What arrived is taken over in whole blocks of this many bytes, so that `dd` can do it where there is no `head -c`.
BLOCK = 4096
# Defines `first SIZE FILE`, which prints so many bytes, a multiple of the block.
_FIRST = """
first() { head -c "$1" "$2" 2>/dev/null || dd if="$2" bs=4096 count=$(($1 / 4096)) 2>/dev/null; }
"""

# $1 target, $2 size, $3 mode, $4 beginning of the names of parts of this content, $5 of parts of the target.
LOOK = (
    FUNCTION
    + _FIRST
    + """
d=${1%/*}/
mkdir -p "$d" || exit 71
if [ -d "$1" ]; then echo "$1 is a folder" >&2; exit 72; fi
if [ -f "$1" ] && [ "$(wc -c <"$1")" -eq "$2" ]; then
  chmod "$3" "$1" 2>/dev/null
  echo "target $(digest "$2" <"$1")"
fi
for p in "$4".????????.part; do
  [ -f "$p" ] || continue
  n=$(wc -c <"$p") && name=${p%.part} || continue
  echo "part ${name##*.} $n $(first $((n / 4096 * 4096)) "$p" | digest "$2")"
done
for p in "$5".????????????????.????????.part*; do [ -e "$p" ] && echo stray; done
exit 0
"""
)
# $1 part of an earlier attempt, $2 part of this one, $3 bytes. Without room for both, nothing is kept.
TAKE = (
    _FIRST
    + """
if first "$3" "$1" >"$2"; then rm -f "$1"; else : >"$1"; rm -f "$1" "$2"; fi
[ -f "$2" ] && wc -c <"$2" || echo 0
"""
)
# $1 beginning of the names of parts, $2 the part to keep.
_FENCE = """
fence() {
  for p in "$1".????????????????.????????.part*; do [ "$p" = "$2" ] || rm -f "$p"; done
}
"""
FENCE = _FENCE + 'fence "$1" ""'
# $1 part, $2 size, $3 beginning of the names of parts of the target. Prints the digest of a part that is whole; the
# caller decides on the rename.
WHOLE = (
    FUNCTION
    + _FENCE
    + """
fence "$3" "$1"
[ -f "$1" ] || { echo "short 0"; exit 0; }
n=$(wc -c <"$1") || exit 73
if [ "$n" -ne "$2" ]; then echo "short $n"; exit 0; fi
{ sync "$1" 2>/dev/null || sync; } &
echo "whole $(digest "$2" <"$1")"
wait
"""
)
INSTALL = """
chmod "$3" "$2" && mv -f "$2" "$1" || exit 76
sync "${1%/*}/" 2>/dev/null
exit 0
"""
# $1 file
INSPECT = (
    FUNCTION
    + """
if [ ! -f "$1" ]; then exit 72; fi
n=$(wc -c <"$1") || exit 73
echo "$n"
digest "$n" <"$1"
"""
)


class Carrier(Transport, Protocol):
    """A transport that moves files by programs on the board: it offers `send` and `receive`, and gets `put` and `get`."""

    def put(self, local: Path, remote: str, *, mode: int = 0o644, progress: Progress | None = None) -> bool:
        """See `Transport.put`. Goes on where a broken link left off, also in a later call."""
        return put(self, local, remote, mode, progress)

    def get(self, remote: str, local: Path, *, progress: Progress | None = None) -> None:
        """See `Transport.get`."""
        get(self, remote, local, progress)

    def send(self, local: Path, offset: int, remote: str, progress: Progress | None) -> None:
        """Appends the bytes of `local` from `offset` on to the board's file `remote`, which has `offset` bytes.

        Raises:
            LinkError: The link broke; a part of the bytes may have arrived.
            DeviceError: The board could not write.
        """

    def receive(self, remote: str, offset: int, local: Path, progress: Progress | None, total: int) -> None:
        """Appends the bytes of the board's file `remote` from `offset` on to `local`, which has `offset` bytes."""


@dataclass(frozen=True)
class _Arrived:
    """What an earlier attempt left on the board: the name of its part, and the bytes of it that are right."""

    part: str = ""
    size: int = 0


def put(board: Carrier, local: Path, remote: str, mode: int, progress: Progress | None) -> bool:
    """Brings one file to a board; see `Transport.put`."""
    if not local.is_file():
        raise InputError(f"{local} is not a file.")
    target = check_remote_path(remote)
    want = sha256_file(local)
    arrived = _look(board, local, target, want, mode)
    if arrived is None:
        return False
    stalls = 0
    while True:
        part = part_name(target, want, secrets.token_hex(4))
        try:
            _bring(board, local, target, part, _take(board, arrived, part), mode, progress)
            return True
        except LinkError as error:
            if not error.transient or stalls == STALLS:
                raise
            broken = error
        try:
            again = _look(board, local, target, want, mode)
        except LinkError:
            raise broken from None
        if again is None:
            return True  # all of it had arrived; only the answer was lost
        stalls = stalls + 1 if again.size <= arrived.size else 0
        arrived = again


def part_name(target: str, digest: str, attempt: str) -> str:
    """Returns the hidden neighbour of a target in which one attempt (eight characters) gathers its content."""
    return f"{_stem(target)}.{digest[:16]}.{attempt}.part"


def _stem(target: str) -> str:
    """Returns how the names of all parts of a target begin."""
    folder, name = posixpath.split(target)
    # 255 bytes are a file name's most on every file system that matters.
    return posixpath.join(folder, "." + name.encode()[:180].decode("utf-8", "ignore"))


def _script(board: Carrier, script: str, *args: str) -> CompletedCommand:
    return board.run(["sh", "-c", script, "sh", *args], timeout=SCRIPT_TIMEOUT)


def _look(
    board: Carrier, local: Path, target: str, want: str, mode: int, *, fenced: bool = False
) -> _Arrived | None:
    """Returns what the board has of the file; None when the target is right and no earlier attempt can change it.

    Args:
        board: The board.
        local: The file here.
        target: Its path there.
        want: Its digest.
        mode: Its permissions there.
        fenced: What earlier attempts left was removed just before.

    Raises:
        DeviceError: It could not be removed.
    """
    size = local.stat().st_size
    stem = _stem(target)
    answer = _script(board, LOOK, target, str(size), f"{mode:04o}", f"{stem}.{want[:16]}", stem)
    if answer.code != 0:
        raise _refused(board, answer, posixpath.dirname(target) or "/")
    best = _Arrived()
    lines = answer.stdout.splitlines()
    for line in lines:
        kind, _, rest = line.partition(" ")
        if kind == "target":
            have = parse_digest(rest)
            if have == digest_like(local, have):
                if "stray" not in lines:
                    return None
                if fenced:
                    raise DeviceError(
                        f"{board.name} cannot remove what an earlier transfer left beside {target} ({stem}.*.part).",
                        "Remove it there, then run the same command again.",
                    )
                _script(board, FENCE, stem)
                return _look(board, local, target, want, mode, fenced=True)
        if kind == "part":
            attempt, _, rest = rest.partition(" ")
            count, _, rest = rest.strip().partition(" ")
            have = parse_digest(rest)
            there = _count(board, count)
            whole_blocks = there // BLOCK * BLOCK
            part = part_name(target, want, attempt)
            if there > size or have != digest_like(local, have, whole_blocks):
                _script(board, 'rm -f "$1"', part)
            elif whole_blocks > best.size:
                best = _Arrived(part, whole_blocks)
    return best


def _take(board: Carrier, arrived: _Arrived, part: str) -> int:
    """Copies what an earlier attempt brought into this one's part; returns how many bytes that has now."""
    if not arrived.size:
        return 0
    answer = _script(board, TAKE, arrived.part, part, str(arrived.size))
    if answer.code == 0 and _count(board, answer.stdout) == arrived.size:
        return arrived.size
    _script(board, 'rm -f "$1"', part)
    return 0


def _bring(
    board: Carrier, local: Path, target: str, part: str, offset: int, mode: int, progress: Progress | None
) -> None:
    size = local.stat().st_size
    if progress is not None:
        progress(offset, size)
    if offset < size or size == 0:
        board.send(local, offset, part, progress)
    answer = _script(board, WHOLE, part, str(size), _stem(target))
    kind, _, rest = answer.stdout.strip().partition(" ")
    if answer.code != 0 or kind not in ("whole", "short"):
        raise _refused(board, answer, part)
    if kind == "short":
        _count(board, rest)
        message = f"{rest.strip()} instead of {size} bytes of {target} arrived on {board.name}."
        raise LinkError(message, "Run the same command again.")
    have = parse_digest(rest)
    if have != digest_like(local, have):
        _script(board, 'rm -f "$1"', part)
        raise VerifyError(
            f"{target} arrived on {board.name} with other bytes than were sent (by {have[:20]}).",
            "Run the same command again; if it happens again, suspect the board's memory, card or cable.",
        )
    if have.startswith("cksum:"):
        LOG.warning("%s has no SHA-256 tool; %s was verified by size and CRC-32 (cksum) only.", board.name, target)
    answer = _script(board, INSTALL, target, part, f"{mode:04o}")
    if answer.code != 0:
        raise _refused(board, answer, target)


def get(board: Carrier, remote: str, local: Path, progress: Progress | None) -> None:
    """Brings one file from a board; see `Transport.get`."""
    source = check_remote_path(remote)
    answer = _script(board, INSPECT, source)
    if answer.code == 72:
        raise DeviceError(f"{source} is not a file on {board.name}.")
    count, _, rest = answer.stdout.strip().partition("\n")
    if answer.code != 0:
        raise _refused(board, answer, source)
    size, want = _count(board, count), parse_digest(rest)
    local.parent.mkdir(parents=True, exist_ok=True)
    part = local.with_name(f".{local.name[:60]}.{want.replace(':', '-')[:24]}.part")
    have = part.stat().st_size if part.exists() else 0
    if have > size:
        part.unlink()
        have = 0
    if progress is not None:
        progress(have, size)
    part.touch()
    if have < size:
        board.receive(source, have, part, progress, size)
    if part.stat().st_size < size:
        raise LinkError(f"Only a part of {source} arrived from {board.name}.", "Run the same command again.")
    if digest_like(part, want) != want:
        part.unlink()
        raise VerifyError(f"{source} changed on the way from {board.name}, or there meanwhile.", "Run it again.")
    part.replace(local)


def _count(board: Carrier, text: str) -> int:
    """Returns the number of bytes that a board's `wc` counted."""
    match = re.fullmatch(r"\s*([0-9]{1,18})\s*", text)
    if match is None:
        raise DeviceError(f"{board.name} counts {text[:60]!r} bytes.", "Its `wc -c` must print a number.")
    return int(match[1])


def append_command(remote: str) -> str:
    """Returns the command line for a login shell that appends its input to a file.

    What cannot be written whole (a full disk) is removed; what breaks off with the link stays, to go on from.
    """
    script = 'cat >>"$1" || { c=$?; rm -f "$1"; exit $c; }'
    return f"exec sh -c {shlex.quote(script)} sh {shlex.quote(remote)}"


def append_error(board: str, code: int, errors: str) -> EdgeError:
    """Returns the error for an append that the board ended with an exit code."""
    text = errors.strip().splitlines()[-1][-200:] if errors.strip() else f"exit code {code}"
    return write_error(board, text)


def _refused(board: Carrier, answer: CompletedCommand, path: str) -> EdgeError:
    text = answer.stderr.strip().splitlines()
    return write_error(board.name, text[-1][-300:] if text else f"{path}: exit code {answer.code}")


def write_error(board: str, text: str) -> EdgeError:
    """Returns the error for what a board said when it could not write, with the step that helps."""
    return disk_error(board, text) or DeviceError(
        f"{board} could not write: {text}", "`edge probe` shows its disk and memory."
    )


def disk_error(board: str, text: str) -> DeviceError | None:
    """Returns the error for a disk that is full, read-only or not the user's; None when a complaint is another."""
    low = text.lower()
    if any(words in low for words in FULL):
        return DeviceError(f"The disk of {board} is full: {text}", f"Free space: edge clean --device {board} --keep 1")
    if "read-only" in low:
        return DeviceError(f"{board} cannot write: {text}", "Remount it writable, or give the device another `root`.")
    if "permission denied" in low or "not permitted" in low:
        return DeviceError(f"{board} does not allow it: {text}", "Set a `root` that the user there may write to.")
    return None
