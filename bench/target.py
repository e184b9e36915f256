"""A board that is ready to be measured: how to reach it, what runs there, which photos lie there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.errors import InputError
from edge.paths import sha256_file
from edge.photos import check_photo
from edge.transport.base import Transport

Command = Callable[..., tuple[list[str], dict[str, str]]]
PHOTO_ENDINGS = (".jpg", ".jpeg", ".png")
LABELS_NAME = "labels.json"


@dataclass(frozen=True)
class TargetPhoto:
    """One photo on the board.

    Attributes:
        local: The same file on this host.
        remote: Its path on the board.
        sha256: Of both.
        bytes: Of both.
        truth: Plates that are on it, None when nobody said.
    """

    local: Path
    remote: str
    sha256: str
    bytes: int
    truth: tuple[dict[str, Any], ...] | None = None


@dataclass(frozen=True)
class Target:
    """See the module's text.

    Attributes:
        device: For the result: `name`, `board`, `title`, `soc`, `kind`, `transport`, `abi`.
        transport: The way to it.
        sampler: A second way for looking at its conditions while a program runs; None: do not look.
        command: As `edge.release.Release.command`: variant, subcommand, arguments to command and environment.
        photos: In the order of the list.
        variants: Variant to `det_bytes`, `rec_bytes`, `hashes`, `opt`.
        release: Hash of the release.
        runtime: Facts of the library.
        program: SHA-256 of the program.
        notes: Sentences for the reader of the result.
    """

    device: dict[str, Any]
    transport: Transport
    sampler: Transport | None
    command: Command
    photos: tuple[TargetPhoto, ...]
    variants: dict[str, dict[str, Any]]
    release: str
    runtime: dict[str, Any]
    program: str
    notes: tuple[str, ...] = field(default=())


def find_photos(paths: list[Path]) -> list[tuple[Path, tuple[dict[str, Any], ...] | None]]:
    """Lists photos with their ground truth.

    Args:
        paths: Photos, and folders of photos; a `labels.json` beside a photo holds its truth (see `read_labels`).

    Returns:
        Photos in the order given, a folder's sorted by name.

    Raises:
        InputError: No photo at all, something that is no photo, or a malformed `labels.json`.
    """
    photos: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(item for item in path.iterdir() if item.suffix.lower() in PHOTO_ENDINGS)
            if not found:
                raise InputError(f"{path} holds no photos.", f"Photos end with {', '.join(PHOTO_ENDINGS)}.")
            photos += found
        elif path.is_file() and path.suffix.lower() in PHOTO_ENDINGS:
            photos.append(path)
        else:
            raise InputError(f"{path} is no photo and no folder of photos.", f"Known: {', '.join(PHOTO_ENDINGS)}.")
    if not photos:
        raise InputError("no photos were given.")
    for photo in photos:
        check_photo(photo)
    truths: dict[Path, dict[str, Any]] = {}
    for folder in {photo.parent for photo in photos}:
        truths[folder] = read_labels(folder / LABELS_NAME) if (folder / LABELS_NAME).is_file() else {}
    return [(photo, truths[photo.parent].get(photo.name)) for photo in photos]


def read_labels(path: Path) -> dict[str, tuple[dict[str, Any], ...]]:
    """Reads a `labels.json`: photo name to its plates (`text`; `box` = four [x, y], clockwise from top left).

    Raises:
        InputError: Names the photo whose entry is malformed.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(document, dict):
        raise InputError(f"{path} is no object of photo names.")
    labels = {}
    for name, plates in document.items():
        if not isinstance(plates, list) or not all(_is_plate(plate) for plate in plates):
            raise InputError(f"{path}: {name!r} is no list of plates with `text` and `box` (four [x, y]).")
        labels[name] = tuple(plates)
    return labels


def push_photos(
    transport: Transport, folder: str, photos: list[tuple[Path, tuple[dict[str, Any], ...] | None]]
) -> tuple[TargetPhoto, ...]:
    """Brings photos to the board under the name of their content, so that odd names and equal ones do no harm.

    Args:
        transport: The board.
        folder: Absolute folder there.
        photos: From `find_photos`.

    Returns:
        The photos with their place on the board.
    """
    placed = []
    for path, truth in photos:
        digest = sha256_file(path)
        remote = f"{folder}/{digest[:20]}{path.suffix.lower()}"
        transport.put(path, remote)
        placed.append(TargetPhoto(path, remote, digest, path.stat().st_size, truth))
    return tuple(placed)


def _is_plate(plate: object) -> bool:
    return isinstance(plate, dict) and isinstance(plate.get("text"), str) and _is_box(plate.get("box"))


def _is_box(box: object) -> bool:
    return (
        isinstance(box, list)
        and len(box) == 4
        and all(
            isinstance(corner, list) and len(corner) == 2 and all(isinstance(value, (int, float)) for value in corner)
            for corner in box
        )
    )
