"""Options that several commands share: what is called the same means the same, and is declared here once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from edge.terminal.commandline import ListOption, OneName, Option

F = TypeVar("F", bound=Callable[..., Any])


class Precision(click.Choice):  # type: ignore[type-arg]  # Generic since Click 8.2 only.
    """Precision of a set of models; says why there is no fp16.

    Args:
        own: Your own models of a board's release may be named too, and those may be fp16.
    """

    def __init__(self, *, own: bool = False) -> None:
        super().__init__(("fp32", "int8", "fp16") if own else ("fp32", "int8"))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Returns the precision."""
        if value == "fp16" and value not in self.choices:
            self.fail(
                "the kit's models are fp32 or int8. fp16 is for your own: `edge convert nb MODEL --fp16`, then "
                "`edge flash --det FOLDER --rec FOLDER`.", param, ctx,
            )  # fmt: skip
        return super().convert(value, param, ctx)


def several(*names: str, old: Sequence[str] = (), pairs: bool = False, **attributes: Any) -> Callable[[F], F]:
    """An option whose values are repeated or separated by commas; a tuple."""
    return click.option(*names, cls=ListOption, old=old, pairs=pairs, **attributes)


def renamed(*names: str, old: Sequence[str], changed: str = "", **attributes: Any) -> Callable[[F], F]:
    """An option that had another spelling in the release before."""
    return click.option(*names, cls=Option, old=old, changed=changed, **attributes)


def complete_countries(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Codes of the kit's plate countries for shell completion; of others one gives a folder."""
    from edge.plate.country import country_codes

    return [code for code in country_codes() if code.startswith(incomplete)]


def country_option(default: str = "the kit's own") -> Callable[[F], F]:
    """`--country CODE`, passed as `country: str | None`."""
    return click.option(
        "--country",
        metavar="CODE",
        shell_complete=complete_countries,
        help=f"Country of the plates: a code, or a folder with a plate.yml. [default: {default}]",
    )


def inventory_option(command: F) -> F:
    """`--inventory FILE`, passed as `inventory: Path | None`."""
    return click.option(
        "--inventory",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Your devices.yml. [default: $PLATE_EDGE_INVENTORY, else ~/.config/plate-edge/devices.yml]",
    )(command)


def complete_devices(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of devices for shell completion; none where the inventory cannot be read, since no error can be shown."""
    from edge.base.errors import EdgeError
    from edge.device.board import load_inventory

    try:
        names = ["local", *load_inventory()]
    except (EdgeError, OSError):
        names = ["local"]
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]


def complete_boards(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of devices and of kinds of boards for shell completion."""
    from edge.device.board import list_profiles

    names = [*complete_devices(context, parameter, ""), *list_profiles()]
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]


def device_option(command: F) -> F:
    """`--device NAME`, passed as `device: str`."""
    return click.option(
        "--device", type=OneName("device"), default="local", show_default=True, metavar="NAME",
        shell_complete=complete_devices, help="A device of your inventory; `local` is this computer.",
    )(command)  # fmt: skip


def board_option(default: str | None = "local", text: str = "") -> Callable[[F], F]:
    """`--device NAME` of a device or a kind of board, where nothing is asked of the board itself: `device: str`."""
    return click.option(
        "--device", type=OneName("device"), default=default, show_default=default is not None, metavar="NAME",
        shell_complete=complete_boards, help=f"A device, or a kind of board such as rk3399.{text}",
    )  # fmt: skip


def fleet_options(command: F) -> F:
    """`--device NAME,...` and `--group NAME,...`, passed as tuples `device` and `group`."""
    command = several("--group", metavar="NAME", help="All devices of these groups, instead of --device.")(command)
    return several(
        "--device", metavar="NAME", shell_complete=complete_devices,
        help="Devices of your inventory; `local` is this computer. [default: local]",
    )(command)  # fmt: skip


def model_options(
    *, models: str = "the kit's best", precisions: Sequence[str] = (), text: str = "", own: bool = False
) -> Callable[[F], F]:
    """`--models SET,...` and `--precision NAME,...`, passed as tuples `models` and `precisions`.

    Args:
        models: What help says of the default.
        precisions: The default.
        text: What help says of it where it is not fixed.
        own: See `Precision`.
    """

    def decorate(command: F) -> F:
        shown = f" [default: {text}]" if text else ""
        command = several(
            "--precision", "precisions", type=Precision(own=own), metavar="NAME", default=tuple(precisions),
            show_default=bool(precisions), help=f"Precision of the models: fp32 or int8.{shown}",
        )(command)  # fmt: skip
        return several("--models", metavar="SET", help=f"Model sets, such as plate-v1. [default: {models}]")(command)

    return decorate


def one_model_options(text: str = "Model set, such as plate-v1. [default: the kit's best]") -> Callable[[F], F]:
    """`--models SET` and `--precision NAME` of a command that takes one: `models: str | None`, `precision: str`."""

    def decorate(command: F) -> F:
        command = click.option(
            "--precision", type=Precision(), default="fp32", show_default=True, metavar="NAME",
            help="Precision of the models: fp32 or int8.",
        )(command)  # fmt: skip
        return click.option("--models", type=OneName("set of models"), metavar="SET", help=text)(command)

    return decorate


def settings_option(text: str = "Settings of plate.conf.") -> Callable[[F], F]:
    """`--set KEY=VALUE,...`, passed as `settings: tuple[str, ...]` for `edge.release.install.parse_settings`."""
    return several("--set", "settings", pairs=True, metavar="KEY=VALUE", help=text)


def override_option(text: str = "Settings of the recipe to change, such as data.root=DIR.") -> Callable[[F], F]:
    """`-o KEY=VALUE,...`, passed as `overrides: tuple[str, ...]`."""
    return several("-o", "overrides", pairs=True, metavar="KEY=VALUE", help=text)


def threads_option(default: str) -> Callable[[F], F]:
    """`--threads N,...`, passed as `threads: tuple[int, ...]`, empty where not given."""
    return several(
        "--threads", type=click.IntRange(1, 64), metavar="N", help=f"Numbers of threads. [default: {default}]"
    )


def det_side_option(default: Sequence[str] = (), text: str = "", *, name: str = "sides") -> Callable[[F], F]:
    """`--det-side SIDE,...`, passed as a tuple of texts; `bench.plan.plan.parse_side` reads one."""
    shown = f" [default: {text}]" if text else ""
    return several(
        "--det-side", name, default=tuple(default), show_default=bool(default), metavar="SIDE",
        help="Detector input size in pixels: min:736 or 736 (shorter side), max:640 (longer side), or own, the models' "
        f"own.{shown}",
    )  # fmt: skip


def photos_option(text: str, *, name: str = "photos", old: Sequence[str] = ()) -> Callable[[F], F]:
    """`--photos PATH,...`, passed as `photos: tuple[Path, ...]`."""
    return several("--photos", name, old=old, type=click.Path(path_type=Path), metavar="PATH", help=text)


def jobs_option(command: F) -> F:
    """`--jobs N`, passed as `jobs: int`; 0 is one per core."""
    return click.option(
        "--jobs", type=click.IntRange(0, 4096), default=0, show_default=True, metavar="N",
        help="Number of processes; 0: one per core.",
    )(command)  # fmt: skip


def force_option(text: str, **attributes: Any) -> Callable[[F], F]:
    """`--force`, passed as `force: bool`; it replaces files and does nothing else."""
    return click.option("--force", cls=Option, is_flag=True, help=text, **attributes)


def accept_failed_option(text: str, *, old: Sequence[str] = (), changed: str = "") -> Callable[[F], F]:
    """`--accept-failed`, passed as `accept_failed: bool`: goes on despite a failed check."""
    return renamed("--accept-failed", old=old, changed=changed, is_flag=True, help=text)


def json_option(command: F) -> F:
    """`--json`, passed as `as_json: bool`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")(command)


def recursive_option(command: F) -> F:
    """`--recursive`, passed as `recursive: bool`."""
    return click.option("--recursive", is_flag=True, help="Look for photos in subfolders too.")(command)


def examples(*lines: str) -> str:
    """Epilog of a command: command lines, kept as they are (the tests check that each is one)."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))
