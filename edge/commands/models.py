"""Options by which `edge bundle` and `edge flash` say what goes into a release."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from edge.board import Board
from edge.bundle import Bundle, make_bundle
from edge.errors import ModelError, UsageError
from edge.models import load_model
from edge.prepare import ModelPair

F = TypeVar("F", bound=Callable[..., Any])
PRECISIONS = ("fp32", "fp16", "int8")


@dataclass(frozen=True)
class Choice:
    """What was asked for.

    Attributes:
        sets: Names of model sets.
        precisions: Of the sets.
        own: The user's own pair of `.nb` model folders, None when there is none.
        settings: Keys of `plate.conf` that differ.
        force: Take models that failed their own checks.
    """

    sets: tuple[str, ...]
    precisions: tuple[str, ...]
    own: ModelPair | None
    settings: dict[str, str]
    force: bool


def release_options(command: F) -> F:
    """The options of `read_choice`, passed as `models`, `precision`, `det`, `rec`, `settings` and `force`."""
    folder = click.Path(exists=True, file_okay=False, path_type=Path)
    for option in (
        click.option("--force", is_flag=True, help="Take models that failed their checks, and answers that differ."),
        click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of plate.conf."),
        click.option("--rec", type=folder, help="Your own recogniser, likewise."),
        click.option("--det", type=folder, help="Your own detector: a model folder from `edge convert nb`."),
        click.option("--precision", default="fp32,int8", show_default=True, metavar="NAME[,NAME...]",
                     help="Precisions of the sets."),
        click.option("--models", metavar="SET[,SET...]", help="Model sets. [default: the kit's best]"),
    ):
        command = option(command)
    return command


def read_choice(
    models: str | None,
    precision: str,
    det: Path | None,
    rec: Path | None,
    settings: Sequence[str],
    force: bool,
) -> Choice:
    """Reads the options of `release_options`.

    Raises:
        UsageError: They do not fit together.
        InputError: A folder is no model.
    """
    from edge.install import parse_settings
    from edge.prepare import check_sets, model_sets

    if (det is None) != (rec is None):
        raise UsageError("--det and --rec belong together.", "Give both folders.")
    if det is not None and models is not None:
        raise UsageError("--models and --det/--rec exclude each other.", "Flash one or the other.")
    own = None
    if det is not None and rec is not None:
        pair = load_model(det), load_model(rec)
        kinds = {model.card.precision for model in pair}
        own = ModelPair("own", kinds.pop() if len(kinds) == 1 else "mixed", *pair)
    sets = () if own else tuple(_split(models) or model_sets()[:1])
    check_sets(sets)  # said before anything is built
    precisions = tuple(_split(precision))
    for name in precisions:
        if name not in PRECISIONS:
            raise UsageError(f"{name!r} is not a precision.", f"Precisions: {', '.join(PRECISIONS)}.")
    if sets and not precisions:
        raise UsageError("--precision names none.", f"Precisions: {', '.join(PRECISIONS)}.")
    return Choice(sets, precisions, own, parse_settings(settings), force)


def choose_bundle(board: Board, choice: Choice, report: Callable[[str], None]) -> Bundle:
    """Makes the bundle that was asked for.

    Raises:
        EdgeError: What the failing part says.
    """
    from edge.install import build_bundle, build_for

    if choice.own is None:
        return build_bundle(
            board, choice.sets, choice.precisions, report, settings=choice.settings, force=choice.force
        )
    if choice.own.det.card.format != "nb":
        raise ModelError(f"{choice.own.det.folder} is not an .nb model.", "Convert it: `edge convert nb MODEL`.")
    program, runtime = build_for(board, report)
    return make_bundle(
        board, program, runtime, [choice.own], settings=choice.settings, force=choice.force
    )


def _split(text: str | None) -> list[str]:
    return list(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))
