"""`edge run`: the plates in photos, read by the C++ program on this host or on a board."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

import click

from edge.base.errors import DeviceError, ExitCode, InputError
from edge.base.plural import counted
from edge.base.progress import Say
from edge.device.board import Device, find_device
from edge.device.soc_alias import ALIAS, accept_answers, open_alias
from edge.host.streams import printable
from edge.ocr.hints import card_limits, hints, with_scale
from edge.photo.listing import SAMPLES, converted_note, distinct_names, list_photos
from edge.plate.answer import Answer
from edge.plate.country import Country, kit_country
from edge.protocol.base import Transport
from edge.release.read_photos import check_settings, read_on_board
from edge.release.releases import Release, current_release
from edge.terminal.commandline import command, print_json
from edge.terminal.options import (
    device_option,
    examples,
    force_option,
    inventory_option,
    json_option,
    one_model_options,
    photos_option,
    recursive_option,
    settings_option,
)
from edge.terminal.steps import steps
from edge.transport.connect import connect, device_root

SCHEMA = "plate-edge/run/1"
_DRAWN = (".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".webp", ".tif", ".tiff")
"""Suffixes that OpenCV writes."""


@command(epilog=examples(
    "edge run photo.jpg",
    "edge run --device gate --draw out/drawn photos",
    "edge run --set decode=plate --json photo.jpg",
))
@click.argument("photos", nargs=-1, type=click.Path(path_type=Path), metavar="[PHOTO|FOLDER]...")
@photos_option("Photos or folders, like the arguments.", name="more")
@device_option
@one_model_options()
@settings_option("Settings of plate.conf, for this run.")
@recursive_option
@click.option("--draw", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Write copies with the plates drawn to this folder.")  # fmt: skip
@force_option("Replace copies that are there.")
@click.option("--soc-alias", is_flag=True, help="Tell the runtime it is on a chip whose int8 dot product it uses.")
@json_option
@inventory_option
def run(
    photos: tuple[Path, ...],
    more: tuple[Path, ...],
    device: str,
    models: str | None,
    precision: str,
    settings: tuple[str, ...],
    recursive: bool,
    draw: Path | None,
    force: bool,
    soc_alias: bool,
    as_json: bool,
    inventory: Path | None,
) -> None:
    """Read the plates in photos, on this host or on a board.

    On this host, whatever is missing is built first; a board must be flashed before (`edge flash`). Without photos, the
    kit's own samples are read. Photos are JPEG, PNG, BMP, WebP, TIFF and, with the extra `photos`, HEIC and
    AVIF files, whatever their suffix; a folder is read whole, and what is left out is named. Exits with 12 when some
    photos could not be read. Each photo is read once, so its time is only a hint: to measure, use `bench run`.
    """
    from edge.bundle.zoo import check_sets, model_sets
    from edge.release.install import parse_settings

    asked = parse_settings(settings)
    check_settings(asked)
    listed = list_photos((*photos, *more) or (SAMPLES,), recursive=recursive)
    chosen = listed.photos
    copies = plan_copies(chosen, draw, force) if draw else {}
    found = find_device(device, inventory)
    if models is not None and found.transport == "local":
        check_sets([models])
    emulated = found.board.soc == "emulated"
    variant = f"{models or model_sets()[0]}-{precision}"
    transport = connect(found)
    try:
        with steps(quiet=as_json) as shown:
            report, _ = shown.board(found.name)
            release = choose_release(transport, found, variant, report)
            alias = open_alias(transport, device_root(transport, found)) if soc_alias else None
            report(f"reading {counted(len(chosen), 'photo')} with {variant}")
            numbers = itertools.count(1)

            def count(answer: Answer) -> None:
                if sys.stderr.isatty():
                    report(f"read {next(numbers)} of {len(chosen)} photos with {variant}")

            local = found.transport == "local"
            read = partial(read_on_board, release=release, variant=variant, photos=chosen, settings=asked, local=local)
            answers = read(transport, on_answer=count)
            if alias is not None:
                report(f"reading them again under the name {ALIAS}")
                answers = accept_answers(answers, read(alias), found.name)
    finally:
        transport.close()
    facts = release.manifest.variants[variant]
    least_width, not_covered = card_limits(facts)
    answers = [with_scale(answer, least_width) for answer in answers]
    notes = hints(answers, variant.rpartition("-")[0], least_width, not_covered)
    country = kit_country(facts.get("rec_card", {}).get("country", ""))
    notes += [*file_warnings(answers), *draw_copies(answers, copies, country)]
    if converted := converted_note(answer.converted for answer in answers if answer.converted):
        notes.append(converted)
    if precision == "int8" and local:
        notes.append("int8 runs slowly on x86, which has no fast kernels for it; it is for ARM boards")
    if soc_alias:
        notes.append(f"read under the chip's name {ALIAS}; the answers are those of the plain run, the times are not")
    if as_json:
        head = {"schema": SCHEMA, "device": found.name, "release": release.hash, "variant": variant}
        head["times"] = "emulated" if emulated else "host" if local else "board"
        if soc_alias:
            head["soc_alias"] = ALIAS
        found_here = {"photos": [answer.as_json() for answer in answers], **listed.document(), "notes": notes}
        print_json({**head, "settings": asked, **found_here})
    else:
        show(answers, f"{variant} on {found.name}", timed=not emulated)
    for note in [*notes, *filter(None, [listed.note])]:
        click.echo(f"note: {note}", err=True)
    unread = sum(answer.error is not None for answer in answers)
    if unread:
        sys.exit(int(ExitCode.INPUT if unread == len(answers) else ExitCode.UNREAD))


def choose_release(
    transport: Transport, device: Device, variant: str, report: Say = lambda text: None
) -> Release:
    """Returns the release that reads the photos: on this host an up-to-date one, on a board the one that it runs.

    Raises:
        DeviceError: The board runs none, or one without the variant.
        EdgeError: On this host: what building it says.
    """
    from edge.release.install import build_bundle, ensure_installed

    set_name, _, precision = variant.rpartition("-")
    root = device_root(transport, device)
    if device.transport != "local":
        release = current_release(transport, root)
        advice = f"Flash it: `edge flash --device {device.name} --models {set_name} --precision {precision}`."
        if release is None:
            raise DeviceError(f"{device.name} has no release yet.", advice)
        if variant not in release.variants:
            raise DeviceError(f"The release on {device.name} has {', '.join(release.variants)}, not {variant}.", advice)
        return release
    wanted = build_bundle(device.board, [set_name], [precision], report)
    try:
        release = current_release(transport, root)
    except DeviceError:
        release = None
    if release is not None:
        there = {item.path: (item.sha256, item.size) for item in release.manifest.files}
        # A release with more variants (such as `bench run` installs) also works; its samples do not matter.
        if all(there.get(item.path) == (item.sha256, item.size) for item in wanted.manifest.files):
            return release
    return ensure_installed(device, [set_name], [precision], report, transport=transport)


def plan_copies(photos: Sequence[Path], folder: Path, force: bool) -> dict[str, Path]:
    """Names the annotated copy of each photo; photos of the same name get a number.

    Raises:
        InputError: A copy exists already and `force` is off, or would overwrite a photo.
    """
    copies: dict[str, Path] = {}
    taken: set[Path] = set()
    sources = {photo.resolve() for photo in photos}
    for photo in dict.fromkeys(photos):
        # What cannot be written in its own format is written as PNG.
        suffix = photo.suffix if photo.suffix.lower() in _DRAWN else ".png"
        copy, number = folder / f"{photo.stem}{suffix}", 2
        while copy in taken:
            copy, number = folder / f"{photo.stem}-{number}{suffix}", number + 1
        if copy.resolve() in sources:
            raise InputError(f"{copy} is one of the photos.", "Draw into another folder.")
        if copy.exists() and not force:
            raise InputError(f"{copy} exists.", "Replace it with --force, or give another folder.")
        taken.add(copy)
        copies[str(photo)] = copy
    return copies


def file_warnings(answers: Sequence[Answer]) -> list[str]:
    """Says, a line a photo, what is wrong with files that were read all the same."""
    warned = [(Path(answer.image).name, answer.warnings) for answer in answers if answer.warnings]
    return [printable(f"{name} was read, but: {'; '.join(map(str, warnings))}") for name, warnings in warned]


def draw_copies(answers: Sequence[Answer], copies: dict[str, Path], country: Country) -> list[str]:
    """Writes the annotated copies, texts in the country's font.

    Returns:
        Notes for the user.

    Raises:
        InputError: A photo cannot be read any more, or its format cannot be written.
    """
    if not copies:
        return []
    import cv2

    from edge.base.paths import write_atomic
    from edge.ocr.draw import draw_plates, label_font
    from edge.ocr.image import load_image

    written, font = 0, label_font(country)
    for answer in answers:
        if answer.error is not None:
            continue
        copy = copies[answer.image]
        good, data = cv2.imencode(copy.suffix, draw_plates(load_image(Path(answer.image)), answer.plates, font))
        if not good:
            raise InputError(f"{copy} cannot be written as {copy.suffix!r}.")
        write_atomic(copy, data.tobytes())
        written += 1
    folder = next(iter(copies.values())).parent
    notes = [f"{written} annotated copies in {folder}"]
    if font is None:
        notes.append(f"boxes only: for the texts install Pillow and {country.font_package}")
    return notes


def show(answers: Sequence[Answer], title: str, *, timed: bool = True) -> None:
    """Prints the answers as a table, one line a plate, and a line that sums up.

    Args:
        answers: Of the program.
        title: Of the table.
        timed: Whether the times mean anything; those of an emulated CPU do not, and are left out.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left")
    table.add_column("photo", overflow="fold")
    table.add_column("plate")
    table.add_column("score", justify="right")
    if timed:
        table.add_column("ms", justify="right")
    names = distinct_names(Path(answer.image) for answer in answers)
    for answer in answers:
        name = escape(names[Path(answer.image)])
        if answer.error is not None:
            table.add_row(name, f"[red]{escape(answer.error)}", "")
            continue
        rows = [(escape(plate.text), f"{plate.score:.3f}") for plate in answer.plates] or [("-", "")]
        for i, row in enumerate(rows):
            spent = [f"{answer.ms['total']:.1f}" if i == 0 else ""] if timed else []
            table.add_row("" if i else name, *row, *spent)
    Console(soft_wrap=not sys.stdout.isatty()).print(table)
    read = [answer for answer in answers if answer.error is None]
    if read:
        count = sum(len(answer.plates) for answer in read)
        times = median(answer.ms["total"] for answer in read)
        said = f"median {times:.1f} ms, once each (`bench run` measures)" if timed else "the CPU is emulated: no times"
        click.echo(f"{counted(count, 'plate')} in {counted(len(read), 'photo')}; {said}.")
