"""Options by which `edge bundle` and `edge flash` say what goes into a release."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from edge.base.errors import ModelError, UsageError
from edge.base.progress import Say
from edge.bundle.bundle import Bundle, make_bundle
from edge.bundle.zoo import PRECISIONS, ModelPair
from edge.device.board import Board
from edge.model.card import load_model
from edge.terminal.commandline import given
from edge.terminal.options import accept_failed_option, model_options, settings_option

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Choice:
    """What was asked for.

    Attributes:
        sets: Names of model sets.
        precisions: Of the sets.
        own: The user's own pair of `.nb` model folders, None when there is none.
        settings: Keys of `plate.conf` that differ.
        accept_failed: Take models that failed their own checks.
    """

    sets: tuple[str, ...]
    precisions: tuple[str, ...]
    own: ModelPair | None
    settings: dict[str, str]
    accept_failed: bool


def release_options(*, old: Sequence[str] = (), changed: str = "") -> Callable[[F], F]:
    """The options of `read_choice`, passed as `models`, `precisions`, `det`, `rec`, `settings` and `accept_failed`.

    Args:
        old: Old spellings of `--accept-failed`.
        changed: What the warning of one adds.
    """
    folder = click.Path(exists=True, file_okay=False, path_type=Path)

    def decorate(command: F) -> F:
        for option in (
            accept_failed_option(
                "Take models that failed their checks, and answers that differ.", old=old, changed=changed
            ),
            settings_option(),
            click.option("--rec", type=folder, help="Your own recogniser, likewise."),
            click.option("--det", type=folder, help="Your own detector: a model folder from `edge convert nb`."),
            model_options(precisions=PRECISIONS),
        ):
            command = option(command)
        return command

    return decorate


def read_choice(
    models: Sequence[str],
    precisions: Sequence[str],
    det: Path | None,
    rec: Path | None,
    settings: Sequence[str],
    accept_failed: bool,
) -> Choice:
    """Reads the options of `release_options`.

    Raises:
        UsageError: They do not fit together.
        InputError: A folder is not a model.
    """
    from edge.bundle.zoo import check_sets, model_sets
    from edge.release.install import parse_settings

    if (det is None) != (rec is None):
        raise UsageError("--det and --rec belong together.", "Give both folders.")
    if det is not None and models:
        raise UsageError("--models names the kit's models, --det and --rec your own.", "Give one pair or the other.")
    own = None
    if det is not None and rec is not None:
        pair = load_model(det), load_model(rec)
        kinds = {model.card.precision for model in pair}
        own = ModelPair("own", kinds.pop() if len(kinds) == 1 else "mixed", *pair)
        if given("precisions") and set(precisions) != {own.precision}:
            raise UsageError(
                f"--precision {','.join(precisions)}: {det} and {rec} are {own.precision}.", "Leave --precision out."
            )
    sets = () if own else tuple(models or model_sets()[:1])
    check_sets(sets)  # said before anything is built
    return Choice(sets, tuple(precisions), own, parse_settings(settings), accept_failed)


def choose_bundle(board: Board, choice: Choice, report: Say) -> Bundle:
    """Makes the bundle that was asked for.

    Raises:
        EdgeError: What the failing part says.
    """
    from edge.release.install import build_bundle, build_for

    if choice.own is None:
        return build_bundle(
            board, choice.sets, choice.precisions, report, settings=choice.settings, force=choice.accept_failed
        )
    if choice.own.det.card.format != "nb":
        raise ModelError(f"{choice.own.det.folder} is not an .nb model.", "Convert it: `edge convert nb MODEL`.")
    program, runtime = build_for(board, report)
    return make_bundle(
        board, program, runtime, [choice.own], settings=choice.settings, force=choice.accept_failed
    )
