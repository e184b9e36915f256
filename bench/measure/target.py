"""A board that is ready to be measured: how to reach it, what runs there, which photos lie there."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.record.parts import DeviceFacts, RuntimeFacts, TruePlate, VariantFacts
from edge.base.paths import sha256_file
from edge.photo.decode import to_png
from edge.photo.labels import LABELS_NAME, read_labels
from edge.photo.listing import PhotoList, check_photo, converted_note, distinct_names, list_photos
from edge.plate.grammar import Grammar
from edge.protocol.base import Transport

Command = Callable[..., tuple[list[str], dict[str, str]]]
Truth = tuple[TruePlate, ...]


@dataclass(frozen=True)
class TargetPhoto:
    """One photo on the board.

    Attributes:
        name: Of the user's file.
        local: The same file on this host: the user's, or the PNG that was made of it.
        remote: Its path on the board.
        sha256: Of both.
        bytes: Of both.
        truth: Plates on it; None where it is not labelled.
    """

    name: str
    local: Path
    remote: str
    sha256: str
    bytes: int
    truth: Truth | None = None


@dataclass(frozen=True)
class SystemUnderTest:
    """See the module's text.

    Attributes:
        device: For the result: `name`, `board`, `title`, `soc`, `kind`, `transport`, `abi`.
        transport: The way to it.
        sampler: A second way for looking at its conditions while a program runs; None: do not look.
        command: As `edge.release.releases.Release.command`: variant, subcommand, arguments to command and environment.
        photos: In the order of the list.
        variants: Variant to `det_bytes`, `rec_bytes`, `hashes`, `opt`.
        release: Hash of the release.
        runtime: Facts of the library.
        program: SHA-256 of the program.
        notes: Sentences for the reader of the result.
        scratch: Holds the photos that were converted; removed when the target is closed.
    """

    device: DeviceFacts
    transport: Transport
    sampler: Transport | None
    command: Command
    photos: tuple[TargetPhoto, ...]
    variants: dict[str, VariantFacts]
    release: str
    runtime: RuntimeFacts
    program: str
    notes: tuple[str, ...] = field(default=())
    scratch: tempfile.TemporaryDirectory[str] | None = None


@dataclass(frozen=True)
class GivenPhotos:
    """Photos that a user gave.

    Attributes:
        photos: With their ground truth, None where they are not labelled.
        listed: What was left out.
        converted: A line about those that the board's program cannot decode; "" without any.
    """

    photos: tuple[tuple[Path, Truth | None], ...]
    listed: PhotoList
    converted: str = ""

    @property
    def notes(self) -> list[str]:
        """Lines for the user."""
        return [note for note in (self.converted, self.listed.note) if note]


def find_photos(paths: Sequence[Path], *, recursive: bool = False) -> GivenPhotos:
    """Lists photos with their ground truth.

    Args:
        paths: Photos, and folders of photos; a `labels.json` beside a photo holds its truth (see `read_labels`).
        recursive: Look into subfolders too.

    Raises:
        InputError: No photo at all, something that is not a photo, or a malformed `labels.json`.
    """
    listed = list_photos(paths, recursive=recursive)
    kinds = [check_photo(photo) for photo in listed.photos]
    truths: dict[Path, dict[str, Any]] = {}
    for folder in {photo.parent for photo in listed.photos}:
        truths[folder] = read_labels(folder / LABELS_NAME) if (folder / LABELS_NAME).is_file() else {}
    given = tuple((photo, truths[photo.parent].get(photo.name)) for photo in listed.photos)
    return GivenPhotos(given, listed, converted_note(kind.name for kind in kinds if kind.reader != "board"))


def with_kinds(photos: Sequence[TargetPhoto], grammar: Grammar) -> tuple[TargetPhoto, ...]:
    """Returns photos whose true plates name their kind, where the grammar of the models' country knows it."""
    return tuple(
        replace(
            photo,
            truth=tuple(
                {**plate, "kind": kind} if (kind := grammar.kind_of(plate["text"])) else plate for plate in photo.truth
            ),
        )
        if photo.truth is not None
        else photo
        for photo in photos
    )


def push_photos(
    transport: Transport, folder: str, photos: Sequence[tuple[Path, Truth | None]], scratch: Path
) -> tuple[TargetPhoto, ...]:
    """Brings photos to the board under the name of their content, so that odd names and equal ones do no harm.

    Args:
        transport: The board.
        folder: Absolute folder there.
        photos: From `find_photos`.
        scratch: Folder for what must be converted for the board's program.

    Returns:
        The photos with their place on the board.

    Raises:
        InputError: A photo cannot be decoded on this host.
    """
    names = distinct_names(path for path, _ in photos)
    placed = []
    for number, (path, truth) in enumerate(photos):
        kind, local = check_photo(path), path
        if kind.reader != "board":
            local = scratch / f"{number}.png"
            local.write_bytes(to_png(path, kind))
        digest = sha256_file(local)
        remote = f"{folder}/{digest[:20]}{local.suffix.lower()}"
        transport.put(local, remote)
        placed.append(TargetPhoto(names[path], local, remote, digest, local.stat().st_size, truth))
    return tuple(placed)
