"""Measuring a board under another chip's name, see `edge.device.soc_alias`: only where it computes the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from bench.measure.target import SystemUnderTest
from bench.plan.plan import Plan
from edge.base.errors import DeviceError
from edge.base.progress import Say
from edge.device.soc_alias import ALIAS, AliasTransport, accept_answers, open_alias
from edge.plate.answer import Answer
from edge.protocol.base import CommandError, Transport

# Loading from a slow card, and for each photo.
_TIMEOUT = 120.0
_TIMEOUT_PHOTO = 30.0
NOTE = (
    f"Measured under the chip's name {ALIAS} (--soc-alias), so that the runtime uses the int8 dot product; the plates were "
    "compared with those of the plain run, and are equal. Without the option this board is slower."
)


def aliased(target: SystemUnderTest, plan: Plan, report: Say = lambda text: None) -> SystemUnderTest:
    """Returns the target with its program under another name, after it read every photo alike both ways.

    Args:
        target: The board.
        plan: Its variants are compared.
        report: Called with a line before each variant.

    Raises:
        DeviceError: The board gains nothing from it or does not allow it, or the program fails.
        VerifyError: Under the other name it computes something else.
    """
    alias = open_alias(target.transport)
    for variant in plan.variants:
        report(f"{variant}: comparing what it reads under the name {ALIAS}")
        plain = _read(target, target.transport, variant)
        accept_answers(plain, _read(target, alias, variant), str(target.device.get("name")))
    return replace(
        target,
        command=_under(alias, target),
        device={**target.device, "soc_alias": ALIAS},
        notes=(*target.notes, NOTE),
    )


def _under(alias: AliasTransport, target: SystemUnderTest) -> Callable[..., tuple[list[str], dict[str, str]]]:
    def command(variant: str, subcommand: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
        argv, env = target.command(variant, subcommand, *arguments)
        return alias.wrap(argv), env

    return command


def _read(target: SystemUnderTest, transport: Transport, variant: str) -> list[Answer]:
    """What the program reads in the target's photos, in their order; no times."""
    argv, env = target.command(variant, "run", *(photo.remote for photo in target.photos))
    try:
        answer = transport.run_check(argv, env=env, timeout=_TIMEOUT + _TIMEOUT_PHOTO * len(target.photos))
        return [Answer.from_json(json.loads(line)) for line in answer.stdout.splitlines() if line.strip()]
    except CommandError as error:
        raise DeviceError(f"{variant} on {transport.name}: {error.message}", error.hint) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DeviceError(f"{variant} on {transport.name} printed something that is not an answer: {error}.") from error
