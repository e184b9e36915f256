"""What a command that works on several boards at once prints, and how it exits."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from edge.device.board import Device
from edge.device.fleet import BoardOutcome, fleet_exit
from edge.terminal.commandline import print_json

T = TypeVar("T")


def finish(
    outcomes: Sequence[BoardOutcome[T]],
    as_json: bool,
    describe: Callable[[Device, T], Mapping[str, Any]],
    show: Callable[[Device, T], None],
) -> None:
    """Prints what became of each board, and exits as the fleet did; a single board's error is raised as it is.

    Args:
        outcomes: One a board.
        as_json: One JSON document: an object, or a list of them where there are several boards.
        describe: Returns what the object holds beside the board's name.
        show: Prints the same for people.
    """
    if len(outcomes) == 1 and outcomes[0].error is not None:
        raise outcomes[0].error
    if as_json:
        documents = [outcome.document(describe) for outcome in outcomes]
        print_json(documents[0] if len(documents) == 1 else documents)
    else:
        for outcome in outcomes:
            if outcome.error is None:
                assert outcome.value is not None
                show(outcome.device, outcome.value)
            else:
                click.secho(f"{outcome.device.name}: error: {outcome.error.message}", fg="red", err=True)
                if outcome.error.hint:
                    click.echo(f"{outcome.device.name}: hint:  {outcome.error.hint}", err=True)
        if len(outcomes) > 1:
            bad = sum(not outcome.ok for outcome in outcomes)
            click.echo(f"{len(outcomes) - bad} of {len(outcomes)} boards done" + (f", {bad} failed" if bad else ""))
    if any(not outcome.ok for outcome in outcomes):
        sys.exit(int(fleet_exit(outcomes)))
