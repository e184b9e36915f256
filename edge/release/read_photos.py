"""Reading photos of this host on a board: brings them there, runs `plate_ocr`, and gives each photo's answer."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge.base.errors import DeviceError, EdgeError
from edge.base.paths import sha256_file
from edge.ocr.config import PipelineConfig
from edge.ocr.settings import override
from edge.photo.decode import to_png
from edge.photo.listing import photo_problem
from edge.plate.answer import Answer
from edge.protocol.base import Transport
from edge.release.releases import Release
from edge.release.smoke import explain

UNREAD = 5
"""`plate_ocr`'s exit code when photos could not be read; the others were."""

MOST_CONVERTED = 256 << 20
"""Bytes of converted photos that lie on this host's disk at once."""


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
        on_answer: Called with each answer as it arrives.

    Returns:
        Per photo, in the order given: `image` (its path here), and either `plates` and `ms` or `error`. A photo that
        this host had to decode for the program has `converted`, the name of its format.

    Raises:
        DeviceError: The program failed, crashed or answered nonsense.
        LinkError: The board cannot be reached.
    """
    answers: dict[Path, Answer] = {}
    rest = list(dict.fromkeys(photos))
    while rest:
        with tempfile.TemporaryDirectory(prefix="plate-edge-") as scratch:
            own, sent, rest = _prepared(rest, Path(scratch))
            read = _Reading(transport, release, variant, settings or {}, on_answer)
            found = read.here(sent, Path(scratch)) if local else read.there(sent, Path(scratch))
        answers |= own
        for photo in sent:
            answers[photo] = replace(found[photo], converted=own[photo].converted if photo in own else None)
    return [replace(answers[photo], image=str(photo)) for photo in photos]


def _prepared(photos: Sequence[Path], scratch: Path) -> tuple[dict[Path, Answer], dict[Path, Path], list[Path]]:
    """Decides what the program is given.

    Returns:
        Per photo what this host says about it (`error`, or `converted`); per photo that the program reads, the file: the
        photo itself, or in `scratch` a PNG of the same pixels; and the photos that are left when these are enough.
    """
    own: dict[Path, Answer] = {}
    sent: dict[Path, Path] = {}
    converted = 0
    for number, photo in enumerate(photos):
        kind, problem = photo_problem(photo)
        if problem or kind is None:
            own[photo] = Answer(error=problem)
        elif kind.reader == "board":
            sent[photo] = photo
        elif converted >= MOST_CONVERTED:
            return own, sent, list(photos[number:])
        else:
            try:
                data = to_png(photo, kind)
            except (EdgeError, OSError) as error:
                told = error.message if isinstance(error, EdgeError) else str(error.strerror)
                own[photo] = Answer(error=told.removeprefix(f"{photo} is ").rstrip("."))
                continue
            sent[photo] = scratch / f"converted-{number}.png"
            sent[photo].write_bytes(data)
            own[photo] = Answer(converted=kind.name)
            converted += len(data)
    return own, sent, []


@dataclass(frozen=True)
class _Reading:
    """One call of the program for each batch of photos; the arguments are those of `read_on_board`."""

    transport: Transport
    release: Release
    variant: str
    settings: Mapping[str, str]
    on_answer: Callable[[Answer], None] | None

    def here(self, sent: Mapping[Path, Path], scratch: Path) -> dict[Path, Answer]:
        """Reads files that the program sees."""
        named = {photo: _local_name(file, scratch) for photo, file in sent.items()}
        listed = scratch / "photos.txt"
        _write_list(listed, named)
        return self._answers(named, str(listed))

    def there(self, sent: Mapping[Path, Path], scratch: Path) -> dict[Path, Answer]:
        """Brings files to the board, reads them, and removes them again."""
        if not sent:
            return {}
        folder = f"{self.release.path.rsplit('/releases/', 1)[0]}/inbox/{secrets.token_hex(6)}"
        # Named by content: the same photo twice is one file, and no name needs quoting.
        named = {photo: f"{folder}/{sha256_file(file)[:24]}" for photo, file in sent.items()}
        try:
            for name, photo in {name: photo for photo, name in named.items()}.items():
                self.transport.put(sent[photo], name)
            _write_list(scratch / "photos.txt", named)
            self.transport.put(scratch / "photos.txt", f"{folder}/photos.txt")
            return self._answers(named, f"{folder}/photos.txt")
        finally:
            self.transport.run(["rm", "-rf", folder], timeout=60)

    def _answers(self, named: Mapping[Path, str], listed: str) -> dict[Path, Answer]:
        first = {name: photo for photo, name in reversed(list(named.items()))}
        found = {answer.image: answer for answer in self._run(listed, first)} if first else {}
        return {photo: found[str(first[name])] for photo, name in named.items()}

    def _run(self, listed: str, names: Mapping[str, Path]) -> list[Answer]:
        """Runs the program over a list of files; `names` says which photo each stands for."""
        options = [word for key, value in self.settings.items() for word in (f"--{key}", value)]
        argv, env = self.release.command(self.variant, "run", *options, "--list", listed)
        board = self.transport.name
        answers: list[Answer] = []

        def take(line: str) -> None:
            if line.strip():
                answers.append(_answer(line, names, board))
                if self.on_answer is not None:
                    self.on_answer(answers[-1])

        result = self.transport.run(argv, env=env, timeout=120 + 30 * len(names), on_stdout=take)
        if result.code not in (0, UNREAD):
            own = re.search(r"^plate_ocr: error: (.*)$", result.stderr, re.MULTILINE)
            if own:
                raise DeviceError(f"plate_ocr ({self.variant}) on {board}: {own[1]}")
            explain(result, self.transport, self.variant)
        if len(answers) != len(names):
            raise DeviceError(f"plate_ocr on {board} answered for {len(answers)} of {len(names)} photos.")
        return answers


def _write_list(path: Path, named: Mapping[Path, str]) -> None:
    path.write_text("".join(f"{name}\n" for name in dict.fromkeys(named.values())), encoding="utf-8")


def _local_name(photo: Path, scratch: Path) -> str:
    """Returns a photo's path as the program can repeat it: JSON has no way to write a name that is not UTF-8."""
    name = str(photo.resolve())
    try:
        name.encode()
    except UnicodeEncodeError:
        link = scratch / hashlib.sha256(os.fsencode(name)).hexdigest()[:24]
        if not link.is_symlink():
            link.symlink_to(photo.resolve())
        return str(link)
    return name


def _answer(line: str, names: Mapping[str, Path], where: str) -> Answer:
    try:
        document = json.loads(line)
        photo = names[document["image"]]
        answer = replace(Answer.from_json(document), image=str(photo))
        if answer.error is None:
            float(answer.ms["total"])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise DeviceError(f"plate_ocr on {where} printed nonsense: {line[:120]!r} ({error}).") from error
    return answer
