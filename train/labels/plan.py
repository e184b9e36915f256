"""Which photos of a CCPD folder belong to which label file, in an order that is the same on every machine."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from edge.base.errors import InputError
from edge.base.utf8 import read_utf8
from edge.photo.listing import PHOTO_SUFFIXES, is_hidden

SPLITS = "splits"


@dataclass(frozen=True)
class Phase:
    """One `det.txt` and `rec.txt` to be made.

    Attributes:
        name: Folder of the photos relative to the data set (`train`), or name of a CCPD2019 split; `""` is the
            data set's folder itself.
        photos: Paths relative to the data set, sorted.
        fingerprint: SHA-256 over paths and sizes: tells whether a resumed run has the same photos.
    """

    name: str
    photos: tuple[str, ...]
    fingerprint: str

    @property
    def title(self) -> str:
        """The name, or a dot for the folder itself."""
        return self.name or "."


def find_phases(root: Path, out: Path) -> list[Phase]:
    """Looks for photos.

    CCPD2020's `train`, `val` and `test` folders are phases, as in the application note; so is any other folder
    with photos, however deep. Where a CCPD2019 `splits/*.txt` lies, each of its lists is a phase instead.

    Args:
        root: Folder of the data set.
        out: Output folder, skipped if it lies within `root`.

    Returns:
        The phases, by name.

    Raises:
        InputError: No such folder, or no photo in it.
    """
    if not root.is_dir():
        raise InputError(f"{root} is not a folder.", "Give the folder of CCPD photos, such as CCPD2020/ccpd_green.")
    groups = _from_splits(root) if any((root / SPLITS).glob("*.txt")) else _from_folders(root, out)
    if not groups:
        raise InputError(
            f"No photos in {root}.", f"Photos are {', '.join(PHOTO_SUFFIXES)} files, in the folder or its subfolders."
        )
    return [Phase(name, tuple(photos), _fingerprint(root, photos)) for name, photos in sorted(groups.items())]


def _from_folders(root: Path, out: Path) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    skipped = out.resolve()
    for folder, below, files in os.walk(root):
        here = Path(folder)
        below[:] = [name for name in below if not is_hidden(name) and (here / name).resolve() != skipped]
        photos = [name for name in files if Path(name).suffix.lower() in PHOTO_SUFFIXES and not is_hidden(name)]
        if photos:
            name = here.relative_to(root).as_posix()
            name = "" if name == "." else name
            groups[name] = sorted(f"{name}/{photo}" if name else photo for photo in photos)
    return groups


def _from_splits(root: Path) -> dict[str, list[str]]:
    groups = {}
    for file in sorted((root / SPLITS).glob("*.txt")):
        lines = read_utf8(file, "A split lists one photo a line.").split("\n")
        photos = sorted({line.strip() for line in lines} - {""})
        for photo in photos:
            if Path(photo).is_absolute() or ".." in Path(photo).parts:
                raise InputError(f"{file}: {photo!r} is not a path within {root}.")
        if photos:
            groups[file.stem] = photos
    return groups


def _fingerprint(root: Path, photos: list[str]) -> str:
    digest = hashlib.sha256()
    for photo in photos:
        try:
            size = (root / photo).stat().st_size
        except OSError:
            size = -1
        digest.update(os.fsencode(photo) + b"\0%d\n" % size)
    return digest.hexdigest()
