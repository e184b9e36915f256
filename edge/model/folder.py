"""Making a model folder: whole or not at all, and never over something else."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.base.errors import EdgeError, InputError
from edge.model.card import CARD_NAME, load_model


def check_free(out: Path, force: bool) -> None:
    """Checks that a model folder can be made, before long work starts.

    Raises:
        InputError: `out` exists, is not empty, and `force` is off (says so when the model there is damaged, and why);
            or it is not a model folder at all.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / CARD_NAME).is_file():
        raise InputError(
            f"{out} is not empty and not a model folder ({CARD_NAME} is missing), so it is not replaced.",
            "Give another --out, or remove it.",
        )
    if force:
        return
    try:
        load_model(out)
    except EdgeError as error:
        raise InputError(
            f"{out} exists already, and the model there is damaged: {error.message}",
            "Run the same command with --force to make it again, or give another --out.",
        ) from error
    raise InputError(f"{out} exists already.", "Give another --out, or --force to replace it.")


@contextmanager
def new_folder(out: Path, force: bool) -> Iterator[Path]:
    """Yields a temporary folder that takes the place of `out` when the block ends well, and vanishes when not.

    Whenever it is interrupted, `out` is what it was, or the new folder, or (killed between two renames) not there.

    Args:
        out: The model folder to make.
        force: Replace one that is there.

    Raises:
        InputError: See `check_free`.
    """
    check_free(out, force)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    old = temporary.with_name(f"{temporary.name}.old")
    try:
        yield temporary
        temporary.chmod(0o755)
        if out.exists():
            out.rename(old)
        temporary.rename(out)
    finally:
        if old.exists() and not out.exists():
            old.rename(out)
        for folder in (temporary, old):
            shutil.rmtree(folder, ignore_errors=True)
