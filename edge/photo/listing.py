"""Which photos a command line names, what was left out and why: one rule for every command that takes photos.

Files count by their content, not by their suffix. A folder gives the photos in it, sorted by name; hidden files and
those of file managers are passed over. A file with a photo's suffix that is not a photo stays in the list, so that
the error names it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.base.errors import InputError
from edge.base.plural import counted
from edge.base.suggest import did_you_mean
from edge.photo.decode import can_read
from edge.photo.kinds import EMPTY, FileKind, file_kind
from edge.photo.labels import LABELS_NAME
from edge.plate.country import DEFAULT, samples_of

PHOTO_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".bmp", ".dib", ".webp", ".tif", ".tiff",
)  # fmt: skip
"""In lower case. A file that ends so is meant as a photo, whatever it holds."""

_EXTRA_SUFFIXES = (".heic", ".heif", ".hif", ".avif")

SAMPLES = samples_of(DEFAULT)
"""The kit's own photos, drawn by `train.synth`, with their `labels.json`."""

READ = "JPEG, PNG, BMP, WebP and TIFF are read"
MOST_COUNTED = 20_000
"""Files below a folder that are looked at to say what lies there."""

_SYSTEM = {"thumbs.db", "desktop.ini", "@eadir", "__macosx", "$recycle.bin", "system volume information", "lost+found"}


@dataclass(frozen=True)
class LeftOut:
    """A file of a folder that is not in the list.

    Attributes:
        path: The file.
        what: What it is, such as `HEIC` or `a text file`.
        advice: What to do to have it read; may be empty.
        picture: Whether it is a picture or a film.
    """

    path: Path
    what: str
    advice: str = ""
    picture: bool = False


@dataclass(frozen=True)
class PhotoList:
    """The photos that a command line names.

    Attributes:
        photos: In the order given, each file once.
        left_out: Files of the folders that are not photos, or of a format that is not read.
        below: Subfolders that were not looked into, with the number of photos there; those without any are not named.
        repeated: How many times a file was named again.
    """

    photos: tuple[Path, ...]
    left_out: tuple[LeftOut, ...] = ()
    below: tuple[tuple[Path, int], ...] = ()
    repeated: int = 0

    @property
    def note(self) -> str:
        """One line that says what was left out and why; empty when nothing was."""
        parts = []
        if self.left_out:
            were = "was" if len(self.left_out) == 1 else "were"
            parts.append(f"{counted(len(self.left_out), 'file')} {were} left out: {_told(self.left_out)}")
        if self.below:
            folders = ", ".join(f"{path} ({counted(count, 'photo')})" for path, count in self.below[:5])
            more = f" and {len(self.below) - 5} more" if len(self.below) > 5 else ""
            parts.append(f"not looked into: {folders}{more}; --recursive reads subfolders too")
        if self.repeated:
            parts.append(f"{self.repeated} named more than once, and read once")
        return "; ".join(parts)

    def document(self) -> dict[str, Any]:
        """The same for `--json`: `left_out` and `not_looked_into`, both empty when nothing was left out."""
        return {
            "left_out": [{"file": str(item.path), "what": item.what, "advice": item.advice} for item in self.left_out],
            "not_looked_into": [{"folder": str(path), "photos": count} for path, count in self.below],
        }


@dataclass
class _Search:
    recursive: bool
    photos: dict[str, Path] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    below: list[tuple[Path, int]] = field(default_factory=list)
    repeated: int = 0
    seen: set[tuple[int, int]] = field(default_factory=set)

    def named(self, path: Path) -> None:
        """Takes a path of the command line."""
        if path.is_dir():
            left, below, hidden = len(self.left_out), len(self.below), list[Path]()
            known = path.stat()
            self.seen.add((known.st_dev, known.st_ino))
            if not self.folder(path, hidden):
                raise _no_photos(path, self.left_out[left:], self.below[below:], hidden)
        elif path.is_file() or path.is_symlink():
            self.add(path)
        elif path.exists():
            raise InputError(f"{path} is neither a file nor a folder.", "Give photos, or folders of photos.")
        else:
            raise _missing(path)

    def add(self, photo: Path) -> None:
        """Adds a photo; the same path again only counts."""
        if self.photos.setdefault(_absolute(photo), photo) is not photo:
            self.repeated += 1

    def folder(self, path: Path, hidden: list[Path]) -> int:
        """Looks through a folder; returns the number of its photos."""
        found = 0
        for item in _entries(path):
            if is_hidden(item.name):
                hidden.append(item)
            elif item.is_dir():
                found += self.subfolder(item, hidden)
            elif item.name != LABELS_NAME:
                left = _left_out(item)
                if left is None:
                    self.add(item)
                    found += 1
                else:
                    self.left_out.append(left)
        return found

    def subfolder(self, path: Path, hidden: list[Path]) -> int:
        if not self.recursive:
            count = _count_below(path)
            if count:
                self.below.append((path, count))
            return 0
        known = path.stat()
        if (known.st_dev, known.st_ino) in self.seen:  # a link back up
            return 0
        self.seen.add((known.st_dev, known.st_ino))
        return self.folder(path, hidden)


def list_photos(paths: Sequence[Path], *, recursive: bool = False) -> PhotoList:
    """Lists the photos that a command line names: files as they are, of folders the photos in them, sorted by name.

    Args:
        paths: Files and folders.
        recursive: Look into subfolders too.

    Raises:
        InputError: A path that does not exist or cannot be looked into, a folder without photos (with what is there
            instead), or a name with a line break.
    """
    search = _Search(recursive)
    for path in paths:
        try:
            search.named(path)
        except OSError as error:
            raise InputError(f"{path} cannot be looked at: {_spoken(error)}.", "Check name and permissions.") from error
    for photo in search.photos.values():
        if "\n" in str(photo) or "\r" in str(photo):
            raise InputError(f"{str(photo)!r} has a line break in its name.", "Rename it.")
    return PhotoList(tuple(search.photos.values()), tuple(search.left_out), tuple(search.below), search.repeated)


def photo_problem(path: Path) -> tuple[FileKind | None, str]:
    """Says why a file cannot be a photo, before anything decodes it.

    Returns:
        Its kind, None where it cannot be opened, and the reason in words without its name; "" when it can be one.
    """
    try:
        kind = file_kind(path)
    except OSError as error:
        return None, "a link to a file that does not exist" if path.is_symlink() and not path.exists() else _spoken(error)
    if can_read(kind):
        return kind, ""
    if kind is EMPTY:
        return kind, "the file is empty"
    advice = f": {kind.advice}" if kind.advice else ""
    return kind, f"{kind.name}{advice}" if kind.picture else f"{kind.name}, not a photo{advice} ({READ})"


def check_photo(path: Path) -> FileKind:
    """Checks, before a board is asked, that a file can be a photo of a measurement.

    Returns:
        Its kind.

    Raises:
        InputError: It is not a photo by its content, or has a name that no report can hold.
    """
    kind, problem = photo_problem(path)
    if problem or kind is None:
        said = f"{path}: {problem}" if kind is None or kind is EMPTY else f"{path} is {problem}"
        raise InputError(f"{said}.", "Leave it out, or put a photo in its place.")
    try:
        path.name.encode()
    except UnicodeEncodeError:
        raise InputError(f"The name of {path} is not UTF-8.", "Rename it: results and reports are UTF-8.") from None
    return kind


def is_hidden(name: str) -> bool:
    """Says whether a file or folder is one that its owner does not see, or that a file manager left there."""
    return name.startswith(".") or name.lower() in _SYSTEM


def converted_note(formats: Iterable[str]) -> str:
    """Says which photos are decoded on this host for the program; "" when none is.

    Args:
        formats: Names of the kinds of such photos, one a photo.
    """
    counts = Counter(formats)
    told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    return f"converted to PNG on this host, without loss, for the program: {told}; `decode` is the PNG's" if counts else ""


def distinct_names(paths: Iterable[Path]) -> dict[Path, str]:
    """Names photos for a table: by their file names, those that are called alike by as much of their paths as is needed."""
    wanted = list(dict.fromkeys(paths))
    parts = {path: Path(_absolute(path)).parts for path in wanted}
    names = {path: path.name for path in wanted}
    depth = 1
    while True:
        groups: dict[str, list[Path]] = {}
        for path, name in names.items():
            groups.setdefault(name, []).append(path)
        depth += 1
        alike = [path for group in groups.values() if len(group) > 1 for path in group]
        longer = {path: str(Path(*parts[path][-depth:])) for path in alike if len(parts[path]) >= depth}
        if not longer:
            return names
        names |= longer


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder} cannot be looked into: {_spoken(error)}.", "Check its permissions.") from error


def _left_out(path: Path) -> LeftOut | None:
    """Says why a file of a folder is not in the list, None when it is."""
    meant = path.suffix.lower() in PHOTO_SUFFIXES
    if path.exists() and not path.is_file():
        return LeftOut(path, "a pipe, a socket or a device")
    kind, problem = photo_problem(path)
    if not problem or meant:
        return None
    if kind is None:
        return LeftOut(path, problem)
    return LeftOut(path, "an empty file" if kind is EMPTY else kind.name, kind.advice, kind.picture)


def _count_below(folder: Path) -> int:
    """Counts the photos in a folder and below, by suffix, or by content where there is none."""
    count = seen = 0
    for here, below, files in os.walk(folder):
        below[:] = [name for name in below if not is_hidden(name)]
        for name in files:
            if is_hidden(name):
                continue
            seen += 1
            if seen > MOST_COUNTED:
                return count
            suffix = Path(name).suffix.lower()
            count += suffix in (*PHOTO_SUFFIXES, *_EXTRA_SUFFIXES) or not (suffix or photo_problem(Path(here, name))[1])
    return count


def _told(items: Sequence[LeftOut]) -> str:
    """Groups files by what they are: pictures first, with what to do about them."""
    groups: dict[tuple[bool, str, str], list[Path]] = {}
    for item in items:
        groups.setdefault((not item.picture, item.what, item.advice), []).append(item.path)
    said = []
    for (_, what, advice), paths in sorted(groups.items(), key=lambda group: group[0]):
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        said.append(f"{what} ({paths[0].name}{more}{f': {advice}' if advice else ''})")
    return ", ".join(said)


def _no_photos(
    path: Path, left: Sequence[LeftOut], below: Sequence[tuple[Path, int]], hidden: Sequence[Path]
) -> InputError:
    told = []
    if left:
        told.append(f"{counted(len(left), 'file')} that cannot be read: {_told(left)}" if len(left) > 1 else _told(left))
    if below:
        folders = ", ".join(f"{counted(count, 'photo')} in {folder}" for folder, count in below[:5])
        told.append(folders)
    if hidden:
        told.append(f"{counted(len(hidden), 'hidden file')} ({hidden[0].name})")
    said = f"{path} holds no photos{' itself' if below else ''}"
    hint = f"{READ}."
    if below:
        hint = "Give that folder, or --recursive." if len(below) == 1 else "Give one of those folders, or --recursive."
    return InputError(f"{said}, but {'; '.join(told)}." if told else f"{said}; it is empty.", hint)


def _missing(path: Path) -> InputError:
    if "://" in str(path) or str(path).startswith(("http:/", "https:/", "rtsp:/")):
        return InputError(f"{path} is an address, not a file.", "Download the photo, or save a frame of the stream, first.")
    near: Iterator[str] = iter(())
    if path.parent.is_dir():
        near = (str(item) for item in path.parent.glob("*") if item.is_dir() or item.suffix.lower() in PHOTO_SUFFIXES)
    return InputError(
        f"{path} does not exist.{did_you_mean(str(path), near)}", f"Give photos, or folders of photos ({READ})."
    )


def _absolute(path: Path) -> str:
    """A path by which a file is known here. A link stays a link: it is another photo than the one that it leads to."""
    return os.path.abspath(path)  # noqa: PTH100


def _spoken(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
