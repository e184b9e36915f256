"""The folder of one `bench run`: which it is, what may be replaced there, and that nobody else writes into it."""

from __future__ import annotations

import shutil
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from bench.plan.plan import Plan
from bench.record.raw import RAW, SESSION_NAME, is_done, read_session
from bench.record.result import RESULT_NAME
from bench.report.write import REPORT_NAMES
from edge.base.alone import alone_in
from edge.base.errors import InputError, UsageError


def choose_folder(device: str, plan: Plan, out: Path | None, *, resume: bool, force: bool) -> Path:
    """Chooses the folder, and refuses to overwrite a finished result.

    Args:
        device: Its name.
        plan: A session of another plan is not continued.
        out: The folder asked for; None for an unfinished session of the plan in `out/NAME`, else a new folder there.
        resume: Only continue a session.
        force: Replace what is there.

    Raises:
        UsageError: The folder holds what must not be replaced, nothing to continue, or a session that is running.
        InputError: Nothing can be written there.
    """
    _check_writable(out or Path("out"))
    mine = plan.document()

    def unfinished(folder: Path) -> bool:
        return (folder / SESSION_NAME).is_file() and not all(is_done(folder / RAW, slot) for slot in plan.slots)

    if out is None:
        parent = Path("out") / device
        for folder in sorted(parent.glob("*/"), reverse=True):
            if (folder / SESSION_NAME).is_file() and read_session(folder)["plan"] == mine and unfinished(folder):
                return folder
        if resume:
            raise UsageError(f"there is no unfinished session of this plan in {parent}.", "Remove --resume.")
        return parent / datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
    if not (out / SESSION_NAME).is_file():
        if resume:
            raise UsageError(f"{out} holds no session to continue.", "Remove --resume.")
        if (out / RESULT_NAME).exists() and not force:
            raise UsageError(f"{out / RESULT_NAME} exists.", "Give another folder, or --force to replace it.")
        if force:
            _discard(out, RESULT_NAME)
        return out
    same = read_session(out)["plan"] == mine
    if (same and unfinished(out)) or resume:
        return out
    if not force:
        raise UsageError(
            f"{out} holds a {'finished session' if same else 'session of another plan'}.",
            "Give another folder with --out, or --force to replace it.",
        )
    with alone_in(out, "edge bench run"):
        # Only what a session wrote; the user's own files beside it stay.
        shutil.rmtree(out / RAW, ignore_errors=True)
        _discard(out, SESSION_NAME, RESULT_NAME)
    return out


def _discard(out: Path, *names: str) -> None:
    """Removes files of an earlier session; its reports too, which would show its verdict beside other figures."""
    for name in (*names, *REPORT_NAMES):
        (out / name).unlink(missing_ok=True)


def _check_writable(folder: Path) -> None:
    """Refuses a folder that could not be made, before a board is asked for anything."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        # Tried rather than asked: root may write everywhere, but not to a disk that is mounted read-only.
        with tempfile.TemporaryFile(dir=there):
            return
    except OSError as error:
        raise InputError(
            f"Nothing can be written to {there.resolve()}: {error.strerror}.", "Name a folder for the result with --out."
        ) from error
