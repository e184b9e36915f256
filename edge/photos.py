"""Reading photos of this host on a board: brings them there, runs `plate_ocr`, and gives each photo's answer."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge.errors import DeviceError, InputError
from edge.ocr.config import PipelineConfig
from edge.ocr.settings import override
from edge.paths import sha256_file
from edge.release import Release
from edge.smoke import explain
from edge.suggest import did_you_mean
from edge.transport import Transport

SUFFIXES = (".jpg", ".jpeg", ".png")
MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
UNREAD = 5
"""`plate_ocr`'s exit code when photos could not be read; the others were."""

Answer = dict[str, Any]


def list_photos(paths: Sequence[Path]) -> list[Path]:
    """Returns the photos that a command line names: files as they are, of folders all JPEG and PNG files, sorted.

    Raises:
        InputError: Missing, a folder without photos, or a name that a list file cannot hold.
    """
    photos: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(item for item in path.iterdir() if item.suffix.lower() in SUFFIXES and item.is_file())
            if not found:
                raise InputError(f"{path} holds no photos ({', '.join(SUFFIXES)}).")
            photos += found
        elif path.is_file():
            photos.append(path)
        else:
            near = (str(item) for item in path.parent.glob("*") if item.is_dir() or item.suffix.lower() in SUFFIXES)
            guess = did_you_mean(str(path), near)
            raise InputError(f"{path} does not exist.{guess}", "Give photos, or folders of photos (JPEG, PNG).")
    for photo in photos:
        if "\n" in str(photo) or "\r" in str(photo):
            raise InputError(f"{str(photo)!r} has a line break in its name.", "Rename it.")
    return photos


def check_photo(path: Path) -> None:
    """Checks, before a board is asked, that a file can be a photo of a measurement.

    Raises:
        InputError: It is no JPEG or PNG file by its first bytes, or has a name that no report can hold.
    """
    with path.open("rb") as stream:
        head = stream.read(8)
    if not head.startswith(MAGIC):
        what = "neither a JPEG nor a PNG file" if head else "empty"
        raise InputError(f"{path} is {what}.", "Leave it away, or give the photo itself.")
    try:
        path.name.encode()
    except UnicodeEncodeError:
        raise InputError(f"The name of {path} is not UTF-8.", "Rename it: results and reports are UTF-8.") from None


def check_settings(settings: Mapping[str, str]) -> None:
    """Checks, before anything is built or sent, that settings are keys of `plate.conf` and their values in range.

    Raises:
        UsageError: Names the key.
    """
    override(PipelineConfig(), settings)


def read_on_board(
    transport: Transport,
    release: Release,
    variant: str,
    photos: Sequence[Path],
    *,
    settings: Mapping[str, str] | None = None,
    local: bool = False,
    timeout: float | None = None,
    on_answer: Callable[[Answer], None] | None = None,
) -> list[Answer]:
    """Runs `plate_ocr run` over photos.

    Args:
        transport: The board.
        release: On it.
        variant: Such as `ppocrv3-fp32`.
        photos: On this host.
        settings: Keys of `plate.conf` that differ for this run.
        local: The board sees this host's files: nothing is copied.
        timeout: Seconds for all; None for 120 and 30 more a photo.
        on_answer: Called with each answer as it arrives.

    Returns:
        Per photo, in the order given: `image` (its path here), and either `plates` and `ms` or `error`.

    Raises:
        DeviceError: The program failed, crashed or answered nonsense.
        LinkError: The board cannot be reached.
    """
    folder = f"{release.path.rsplit('/releases/', 1)[0]}/inbox/{secrets.token_hex(6)}"
    names: dict[str, Path] = {}
    with tempfile.TemporaryDirectory(prefix="plate-edge-") as scratch:
        listed = Path(scratch) / "photos.txt"
        try:
            if local:
                names = {_local_name(photo, Path(scratch)): photo for photo in photos}
                where = str(listed)
            else:
                for photo in photos:
                    # Named by content: the same photo twice is one file, and no name needs quoting.
                    suffix = photo.suffix.lower() if photo.suffix.lower() in SUFFIXES else ""
                    name = f"{folder}/{sha256_file(photo)[:24]}{suffix}"
                    transport.put(photo, name)
                    names[name] = photo
                where = f"{folder}/photos.txt"
            listed.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
            if not local:
                transport.put(listed, where)
            answers = _run(transport, release, variant, where, names, settings or {}, timeout, on_answer)
        finally:
            if not local and names:
                transport.run(["rm", "-rf", folder], timeout=60)
    by_photo = {answer["image"]: answer for answer in answers}
    same = {str(photo): str(first) for photo, first in _twins(photos, names).items()}
    return [{**by_photo[same[str(photo)]], "image": str(photo)} for photo in photos]


def _local_name(photo: Path, scratch: Path) -> str:
    """Returns a photo's path as the program can repeat it: JSON has no way to write a name that is no UTF-8."""
    name = str(photo.resolve())
    try:
        name.encode()
    except UnicodeEncodeError:
        link = scratch / hashlib.sha256(os.fsencode(name)).hexdigest()[:24]
        if not link.is_symlink():
            link.symlink_to(photo.resolve())
        return str(link)
    return name


def _twins(photos: Sequence[Path], names: Mapping[str, Path]) -> dict[Path, Path]:
    """Maps every photo to the one of the same content under whose name it was read."""
    kept = set(names.values())
    twins: dict[Path, Path] = {photo: photo for photo in kept}
    missing = [photo for photo in photos if photo not in kept]
    if missing:
        by_hash = {sha256_file(photo): photo for photo in kept}
        twins |= {photo: by_hash[sha256_file(photo)] for photo in missing}
    return twins


def _run(
    transport: Transport,
    release: Release,
    variant: str,
    listed: str,
    names: Mapping[str, Path],
    settings: Mapping[str, str],
    timeout: float | None,
    on_answer: Callable[[Answer], None] | None,
) -> list[Answer]:
    options = [word for key, value in settings.items() for word in (f"--{key}", value)]
    argv, env = release.command(variant, "run", *options, "--list", listed)
    answers: list[Answer] = []

    def take(line: str) -> None:
        if line.strip():
            answers.append(_answer(line, names, transport.name))
            if on_answer is not None:
                on_answer(answers[-1])

    limit = timeout if timeout is not None else 120 + 30 * len(names)
    result = transport.run(argv, env=env, timeout=limit, on_stdout=take)
    if result.code not in (0, UNREAD):
        own = re.search(r"^plate_ocr: error: (.*)$", result.stderr, re.MULTILINE)
        if own:
            raise DeviceError(f"plate_ocr ({variant}) on {transport.name}: {own[1]}")
        explain(result, transport.name, variant)
    if len(answers) != len(names):
        raise DeviceError(f"plate_ocr on {transport.name} answered for {len(answers)} of {len(names)} photos.")
    return answers


def _answer(line: str, names: Mapping[str, Path], where: str) -> Answer:
    try:
        document = json.loads(line)
        photo = names[document["image"]]
        if "error" not in document and not ("plates" in document and "ms" in document):
            raise KeyError("plates")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DeviceError(f"plate_ocr on {where} printed nonsense: {line[:120]!r} ({error}).") from error
    return {**document, "image": str(photo)}
