"""Errors that a person can act on, and the exit code of each kind.

Everything in the kit raises `EdgeError` (or a subclass) for what a user can cause or fix; only the command
line (`edge.cli`) turns them into exits. An error says what is wrong (`message`), where it can, and what to do
next (`hint`). As in Arm's devlib, an error is either *stable* (asking again gives the same answer) or
*transient* (a link that broke, a board that is restarting): only transient ones are ever retried.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of `edge` and `bench`; documented in docs/troubleshooting.md and stable."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    INPUT = 3
    MODEL = 4
    ENVIRONMENT = 5
    BUILD = 6
    CONNECTION = 7
    DEVICE = 8
    VERIFY = 9
    NOT_VALID = 10
    PARTIAL = 11
    UNREAD = 12
    INTERRUPTED = 130
    NO_READER = 141


class EdgeError(Exception):
    """A failure that is explained to the user in one or two sentences.

    Args:
        message: What is wrong and where (file, option, board).
        hint: The next step; may be empty when the message already says it.
    """

    exit_code: ExitCode = ExitCode.INTERNAL
    transient: bool = False

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class UsageError(EdgeError):
    """Options that do not fit together, or an unknown name."""

    exit_code = ExitCode.USAGE


class InputError(EdgeError):
    """A file or value given by the user is missing, malformed or of the wrong kind."""

    exit_code = ExitCode.INPUT


class ModelError(EdgeError):
    """A model cannot be read, converted, or does not fit its card, dictionary, target or runtime."""

    exit_code = ExitCode.MODEL


class HostError(EdgeError):
    """This machine lacks something: a package, a compiler, disk space, a permission."""

    exit_code = ExitCode.ENVIRONMENT


class BuildError(EdgeError):
    """The C++ program could not be configured or compiled."""

    exit_code = ExitCode.BUILD


class LinkError(EdgeError):
    """A board cannot be reached, or the link broke; asking again may help."""

    exit_code = ExitCode.CONNECTION
    transient = True


class DeviceError(EdgeError):
    """The board was reached and refused, crashed, timed out or answered nonsense."""

    exit_code = ExitCode.DEVICE


class VerifyError(EdgeError):
    """What arrived or was computed is not what was sent or expected."""

    exit_code = ExitCode.VERIFY


class NotValidError(EdgeError):
    """A measurement or comparison was completed, and its verdict is not the one asked for."""

    exit_code = ExitCode.NOT_VALID
