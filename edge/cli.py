"""The umbrella command `edge`, and the one place where errors become exits."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import NoReturn

import click

from edge.errors import EdgeError, ExitCode, HostError
from edge.lazy import LazyGroup
from edge.streams import BrokenPipe, drop_output, prepare_streams, printable, reader_is_gone

COMMANDS: dict[str, tuple[str, str]] = {
    "quickstart": ("edge.commands.quickstart:quickstart", "Go from nothing to a first report; asks what it needs."),
    "doctor": ("edge.commands.doctor:doctor", "Check this host, your boards and the cache."),
    "run": ("edge.commands.run:run", "Read the plates in photos, on this host or on a board."),
    "build": ("edge.commands.build:build", "Build the C++ program for a board."),
    "bundle": ("edge.commands.bundle:bundle", "Pack program, runtime and models for a board."),
    "flash": ("edge.commands.flash:flash", "Install a bundle on a board, verified and atomic."),
    "status": ("edge.commands.flash:status", "Show what is installed on a board."),
    "rollback": ("edge.commands.flash:rollback", "Switch a board back to its previous release."),
    "clean": ("edge.commands.flash:clean", "Remove old releases from a board."),
    "shell": ("edge.commands.flash:shell", "Open a shell, or run a command, on a board."),
    "device": ("edge.commands.device:device", "Add, list, show and remove your boards."),
    "probe": ("edge.commands.device:probe", "Read what a board really is and compare it with its profile."),
    "runtime": ("edge.commands.runtime:runtime", "Get and check Paddle Lite libraries."),
    "virtual": ("edge.commands.virtual:virtual", "Run a virtual ARM board on this host."),
    "convert": ("convert.cli:convert", "Inference models to `.nb`: convert, inspect, verify, shrink."),
    "train": ("train.cli:train", "Weights, data, fitting, quantising, evaluation."),
    "bench": ("bench.cli:bench", "Measure on a board, compare, report."),
    "completion": ("edge.commands.completion:completion", "Print what bash, zsh or fish need to complete commands."),
}

_OWN = ("edge", "bench", "convert", "train")


def fail(error: EdgeError) -> NoReturn:
    """Prints an error as `error:` and `hint:` lines (or one JSON object under `--json`) and exits with its code."""
    _json_error(error.message, error.hint, int(error.exit_code))
    with suppress(OSError):  # The code is told even where nothing can be written.
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
        _json_error("interrupted", "What was finished is kept, the same command goes on from there.", ExitCode.INTERRUPTED)
        click.echo("interrupted; what was finished is kept, the same command goes on from there", err=True)
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
        "Check that the path exists, is of the right kind, writable, and that the disk is not full.",
    )
    wrapped.exit_code = ExitCode.ENVIRONMENT
    return wrapped


def _print_version(ctx: click.Context, option: click.Parameter, asked: bool) -> None:
    """Prints the versions of the kit, of Paddle Lite and of the model sets, and ends; looks nothing up before."""
    if not asked or ctx.resilient_parsing:
        return
    from edge.versions import version_lines

    click.echo("\n".join(version_lines()))
    ctx.exit()


@click.group(
    cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]},
    epilog="New here? `edge quickstart` leads to a first report, and `edge doctor` says what is missing.",
)  # fmt: skip
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version,
              help="Show the versions of the kit, Paddle Lite and the models.")  # fmt: skip
def edge() -> None:
    """Train, quantise, convert, flash and benchmark PP-OCRv3 licence plate models on ARM boards."""


def main() -> None:
    """Entry point of the console script `edge`."""
    run_cli(edge, "edge")
