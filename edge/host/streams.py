"""Standard streams as a program may find them: closed, in another encoding, or with a reader that went away."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


class BrokenPipe(Exception):
    """A pipe broke: that of the output, or one to a program that a command started; no `OSError`.

    Click ends without a word, with code 1, at every `BrokenPipeError`; so it must not see one.

    Args:
        cause: The error itself.
    """

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


@contextmanager
def broken_pipe() -> Iterator[None]:
    """Makes a `BrokenPipe` of each `BrokenPipeError`.

    Raises:
        BrokenPipe: As said.
    """
    try:
        yield
    except BrokenPipeError as error:
        raise BrokenPipe(error) from error


def prepare_streams() -> None:
    """Makes the three streams usable, whatever the caller left of them.

    A closed one (`<&-`, `>&-`) is replaced by /dev/null: its number would otherwise go to the next file that is
    opened. What the terminal's encoding does not have (plates in a Latin locale, file names that are not UTF-8) is
    shown as an escape, which in JSON is an escape of JSON's own.
    """
    for number, (name, mode) in enumerate(_STREAMS):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))
    with suppress(AttributeError):  # A stream of a test has no encoding.
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def reader_is_gone() -> bool:
    """Whether nobody reads standard output any more (`| head`)."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), select.POLLOUT)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except (OSError, ValueError, AttributeError):
        return False


def drop_output() -> None:
    """Sends what is left of the output to /dev/null, so that nothing complains while the process ends."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def printable(text: str) -> str:
    """Returns a text for the terminal: what would move its cursor, set its title or turn its letters round is escaped.

    File names that are not UTF-8 are left as they are; the streams escape those.
    """
    return "".join(letter if _is_plain(letter) else letter.encode("unicode_escape").decode() for letter in text)


def _is_plain(letter: str) -> bool:
    return letter.isprintable() or letter in "\n\t\u00a0\u3000" or "\ud800" <= letter <= "\udfff"


def say_watched(text: str) -> None:
    """Says what is being done now, on standard error, where a person watches it; nothing where it is not a terminal."""
    if sys.stderr.isatty():
        print(f"{text} ...", file=sys.stderr, flush=True)
