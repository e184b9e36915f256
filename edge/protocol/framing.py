"""How a program is run through a remote shell so that its answer is exact.

A login shell prints greetings, old Androids lose exit codes, a shell says "Segmentation fault" on its own account,
and a program may outlive the link. So a short POSIX script runs on the board around every program: it marks where
the program's output begins and ends, says its exit code, and ends the program's whole process group as soon as the
channel's input is closed - which is what a timeout, Ctrl-C, a killed kit and a broken link all come down to.
"""

from __future__ import annotations

import re
import secrets
import shlex

from edge.base.errors import InputError
from edge.protocol.base import Call

# Linux passes one argument of at most 128 KiB (MAX_ARG_STRLEN); the whole command is one argument of the login shell.
MAX_COMMAND = 120_000
# Greetings longer than this are not greetings.
MAX_NOISE = 1 << 20
FATAL_SIGNALS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 14, 15, 24, 25, 31})

# $1 is the script below; it needs a process group of its own, which OpenSSH and adbd give and Dropbear may not. There
# is a group of our number exactly when we lead one; qemu's /proc/self/stat does not tell.
LEAD = (
    "b=$1; shift; if ! kill -0 -$$ 2>/dev/null && command -v setsid >/dev/null 2>&1; "
    'then exec setsid sh -c "$b" sh "$@"; else eval "$b"; fi'
)
# $1 marker, $2 folder or empty, $3... program; {exports} are assignments. fd 3 keeps the real standard error and fd 4
# the real input, which some shells replace in background jobs.
BODY = (
    'm=$1 d=$2; shift 2; printf "%s\\n" "$m"; printf "%s\\n" "$m" >&2; exec 3>&2 4<&0 2>/dev/null; '
    "{{ read -r x <&4; kill -9 -$$; kill -9 $$; }} >/dev/null 3>&- & w=$!; "
    '( exec 2>&3 3>&- 4<&- </dev/null; {exports}if [ -n "$d" ]; then cd "$d" || exit 126; fi; exec "$@" ); '
    'c=$?; kill -9 $w; printf "%s%s." "$m" $c; printf "%s%s." "$m" $c >&3'
)


# For adb before shell v2, where there is one stream: the program's standard error goes to a file and comes last.
ONE_STREAM = (
    'm=$1 d=$2; shift 2; e=/data/local/tmp/.plate-err.$$; printf "%s\\n" "$m"; exec 4<&0 2>/dev/null; '
    '{{ trap "" HUP; read -r x <&4; rm -f $e; kill -9 -$$; kill -9 $$; }} >/dev/null & w=$!; '
    '( exec 2>$e 4<&- </dev/null; {exports}if [ -n "$d" ]; then cd "$d" || exit 126; fi; exec "$@" ); '
    'c=$?; kill -9 $w; printf "%s%s." "$m" $c; cat $e; rm -f $e; printf "%s%s." "$m" $c'
)


def new_marker() -> str:
    """Returns a word that no program prints by chance."""
    return f"-{secrets.token_hex(12)}-"


def wrap(call: Call, marker: str, *, one_stream: bool = False) -> str:
    """Returns the command line for a login shell that runs a program within the script.

    Args:
        call: Its arguments reach the program byte for byte.
        marker: See `new_marker`.
        one_stream: Output and error come back in one stream, one after the other; see `ONE_STREAM`.

    Raises:
        InputError: A variable's name is not valid, or the whole is longer than a command line may be.
    """
    if call.argv[0].startswith("-"):
        raise InputError(f"{call.argv[0]!r} is not a program.")
    # Messages in English and in ASCII, whatever the board speaks: they are read by `write_error`, and by people.
    exports = ""
    for name, value in {"LC_ALL": "C", **(call.env or {})}.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or "\0" in value:
            raise InputError(f"{name}={value!r} cannot be set as an environment variable.")
        exports += f"{name}={shlex.quote(value)}; export {name}; "
    body = (ONE_STREAM if one_stream else BODY).format(exports=exports)
    words = ["sh", "-c", LEAD, "sh", body, marker, call.cwd or "", *call.argv]
    command = "exec " + " ".join(shlex.quote(word) for word in words)
    if len(command.encode()) > MAX_COMMAND:
        raise InputError(
            f"The command line is {len(command.encode())} bytes long; a board takes at most {MAX_COMMAND}.",
            "Put long lists into a file (`--list FILE`).",
        )
    return command


class Frame:
    """Finds, in one stream, where a program's output begins and ends.

    Args:
        marker: See `new_marker`.
        begun: There is no begin marker to wait for.

    Attributes:
        begun: The begin marker was seen.
        code: Exit code from the end marker; None before it was seen.
        noise: What came before the begin marker.
        after: What came after the end marker.
    """

    def __init__(self, marker: str, *, begun: bool = False) -> None:
        self._begin = f"{marker}\n".encode()
        self._end = re.compile(re.escape(marker.encode()) + rb"(\d{1,3})\.")
        self._word = marker.encode()
        self._hold = len(marker) + 4
        self._rest = b""
        self.begun = begun
        self.after = b""
        self.code: int | None = None
        self.noise = b""

    def feed(self, data: bytes) -> bytes:
        """Takes bytes of the stream and returns those that are certainly the program's."""
        if self.code is not None:
            self.after += data
            return b""
        self._rest += data
        if not self.begun:
            head, found, tail = self._rest.partition(self._begin)
            if not found:
                self.noise = self._rest = self._rest[-MAX_NOISE:]
                return b""
            self.begun, self.noise, self._rest = True, head, tail
        match = self._end.search(self._rest)
        if match:
            self.code = int(match[1])
            data, self.after, self._rest = self._rest[: match.start()], self._rest[match.end() :], b""
            return data
        keep = self._maybe_end()
        data, self._rest = self._rest[:keep], self._rest[keep:]
        return data

    def _maybe_end(self) -> int:
        """Returns from where on the bytes could be the beginning of the end marker: only those are held back."""
        at = max(0, len(self._rest) - self._hold)
        while (at := self._rest.find(self._word[:1], at)) >= 0:
            if self._word.startswith(self._rest[at : at + len(self._word)]):
                return at
            at += 1
        return len(self._rest)

    def flush(self) -> bytes:
        """Returns what was held back, when the stream ended without an end marker."""
        data, self._rest = (self._rest if self.begun else b""), b""
        return data


def split_code(code: int) -> tuple[int, int | None]:
    """Returns exit code and signal: shells report a program killed by signal n as 128 + n."""
    return code, code - 128 if code - 128 in FATAL_SIGNALS else None
