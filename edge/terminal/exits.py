"""The one place where errors become exits: a sentence, a hint and a documented code, never a traceback."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import NoReturn

import click

from edge.base.errors import EdgeError, ExitCode, HostError
from edge.host.streams import BrokenPipe, drop_output, prepare_streams, printable, reader_is_gone

_OWN = ("edge", "bench", "convert", "train")


def fail(error: EdgeError) -> NoReturn:
    """Prints an error as `error:` and `hint:` lines (or one JSON object under `--json`) and exits with its code."""
    _json_error(error.message, error.hint, int(error.exit_code))
    with suppress(OSError):  # The exit code counts even where nothing can be written.
        click.echo(f"error: {printable(error.message)}", err=True)
        if error.hint:
            click.echo(f"hint:  {printable(error.hint)}", err=True)
    sys.exit(int(error.exit_code))


def _json_error(message: str, hint: str, code: int) -> None:
    """Prints the error as the one JSON document that `--json` promises, when it was asked for."""
    if "--json" not in sys.argv:
        return
    with suppress(OSError):
        click.echo(json.dumps({"error": message, "hint": hint, "code": code}, ensure_ascii=False))


def run_cli(group: click.Command, name: str) -> NoReturn:
    """Runs a Click command line; every failure ends as a sentence and a documented exit code, never a traceback.

    `PLATE_EDGE_DEBUG=1` lets tracebacks through, for developers of the kit.
    """
    prepare_streams()
    try:
        _run_group(group, name)
    except SystemExit as stop:
        _leave(_flushed(stop))


def _flushed(stop: SystemExit) -> SystemExit:
    """Writes what is left of the output while there is somebody to say that it cannot be written."""
    # Rich answers a broken pipe by an exit with 1.
    gone = isinstance(stop.__context__, BrokenPipeError)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        gone = True
    except OSError as error:
        drop_output()
        with suppress(OSError):
            click.echo(f"error: the output cannot be written: {error.strerror or error}", err=True)
        return SystemExit(int(ExitCode.ENVIRONMENT))
    if gone:
        drop_output()
        return SystemExit(int(ExitCode.NO_READER))
    return stop


def _leave(stop: SystemExit) -> NoReturn:
    """Ends the process, without unloading Paddle or Paddle Lite when one of them was used.

    Paddle's last graph is freed after the interpreter, whose lock its own Python layers then ask for: the process
    crashes or sleeps for ever with all its work done. Two MKLs in one process can crash on the way out too.
    """
    if not {"paddle", "paddlelite"} & sys.modules.keys() or not isinstance(stop.code, (int, type(None))):
        raise stop
    code = stop.code or 0
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # Its reader went away, or it is closed already.
            continue
    os._exit(code)


def _run_group(group: click.Command, name: str) -> NoReturn:
    debug = os.environ.get("PLATE_EDGE_DEBUG") == "1"
    try:
        code = group.main(prog_name=name, standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f"`{context.command_path} --help` shows the options." if context else ""
        _json_error(error.format_message(), hint, error.exit_code)
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _json_error("interrupted", "What was finished is kept; the same command goes on from there.", ExitCode.INTERRUPTED)
        click.echo("interrupted; what was finished is kept, and the same command goes on from there", err=True)
        sys.exit(int(ExitCode.INTERRUPTED))
    except BrokenPipe as error:
        # The reader of our output went away (`| head`): no error of ours, and nothing left to say.
        if reader_is_gone():
            drop_output()
            sys.exit(int(ExitCode.NO_READER))
        fail(_os_error(error.cause, ""))
    except EdgeError as error:
        if debug:
            raise
        fail(error)
    except OSError as error:
        if debug:
            raise
        where = f" ({error.filename})" if error.filename else ""
        fail(_os_error(error, where))
    except Exception as error:
        if debug:
            raise
        fail(_unexpected(error))


def _unexpected(error: Exception) -> EdgeError:
    if isinstance(error, ImportError) and (error.name or "").partition(".")[0] not in _OWN:
        return HostError(
            f"A Python package of this environment cannot be loaded: {error}.",
            "`edge doctor` names what is missing and the command that brings it.",
        )
    return EdgeError(
        f"internal error: {type(error).__name__}: {error}",
        "This is a bug of the kit. Run again with PLATE_EDGE_DEBUG=1 for the traceback and report it.",
    )


def _os_error(error: OSError, where: str) -> EdgeError:
    wrapped = EdgeError(
        f"{error.strerror or error}{where}",
        "Check the path, its permissions and the free space of its disk.",
    )
    wrapped.exit_code = ExitCode.ENVIRONMENT
    return wrapped
