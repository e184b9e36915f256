"""What a fit is trained on: samples by file and label, split into training and validation by the plate's text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.base.errors import InputError
from edge.base.progress import Say
from edge.ocr.geometry import Points
from edge.ocr.image import Image, image_size
from edge.photo.listing import PHOTO_SUFFIXES, is_hidden
from edge.plate.ccpd import parse_name
from edge.plate.corners import FARTHEST, CornerError, plate_corners
from edge.plate.label_notes import LabelNotes, tell
from edge.plate.polygon import area as polygon_area
from edge.plate.polygon import convex_hull
from edge.plate.text import is_ignored, is_unread
from train.data.label_lines import LabelLine, read_lines


@dataclass(frozen=True)
class LabelledPlate:
    """A labelled plate on a photo: corners clockwise from top left (float64 [4, 2], pixels) and text."""

    quad: Points
    text: str

    @property
    def ignored(self) -> bool:
        """Whether it does not count (`###` or `*`, as in PP-OCR's labels): neither right nor wrong, box and text."""
        return is_ignored(self.text)

    @property
    def unread(self) -> bool:
        """Whether its text is not known: it is ignored, or nobody has typed the text; then its box counts."""
        return is_unread(self.text)


@dataclass(frozen=True)
class Sample:
    """One image and what is on it; a crop has one plate that fills it and no corners.

    Attributes:
        path: The image.
        plates: Those on a photo.
        text: Of a crop, in normal form.
        where: File and line of the label, or the name of a CCPD photo, for messages.
    """

    path: Path
    plates: tuple[LabelledPlate, ...] = ()
    text: str = ""
    where: str = ""

    @property
    def legible(self) -> LabelledPlate | None:
        """The first plate that can be read, None when there is none."""
        return next((plate for plate in self.plates if not plate.unread), None)

    @property
    def plate_text(self) -> str:
        """Text of the crop, or of the first plate that can be read; empty when there is none."""
        if self.text:
            return "" if is_unread(self.text) else self.text
        return self.legible.text if self.legible else ""

    @property
    def key(self) -> str:
        """What decides on which side of the split a sample goes: the plate's text, or the file's name."""
        return self.plate_text or self.path.name


def read_image(path: Path) -> Image:
    """Reads an image as uint8 BGR.

    Raises:
        InputError: Missing or not an image.
    """
    try:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except (cv2.error, UnicodeError, SystemError):  # A billion pixels by its header; a name that is not UTF-8.
        image = None
    if image is None:
        what = "cannot be read as an image" if path.is_file() else "is missing"
        raise InputError(f"{path} {what}.", "Every file of a label list must exist; make the labels again.")
    return np.asarray(image)


def read_crops(labels: Path, note: Say = tell) -> list[Sample]:
    """Reads a recognition label file: `path<TAB>text` a line; see `train.data.label_lines` and `edge.plate.label_notes`.

    Args:
        labels: The file.
        note: Told what is odd about the labels.

    Raises:
        InputError: Missing or empty file, a malformed line, or a picture that does not exist.
    """
    return _from_lines(labels, read_lines(labels), False, note)


def read_photos(source: Path, note: Say = tell) -> list[Sample]:
    """Reads a folder of CCPD photos, or a detection label file: `path<TAB>[{"points": ..., "transcription": ...}]`.

    Hidden files (such as the `._photo.jpg` that macOS writes beside each photo on foreign disks) are skipped.

    Args:
        source: Folder or file.
        note: Told what is odd about the labels.

    Raises:
        InputError: Missing or empty source, a malformed line or name, or a picture that does not exist.
    """
    return _from_names(source) if source.is_dir() else _from_lines(source, read_lines(source), True, note)


def read_labels(labels: Path, note: Say = tell, missing: bool = False) -> list[Sample]:
    """Reads a label file of either kind; see `read_crops` and `read_photos`.

    Args:
        labels: The file.
        note: Told what is odd about the labels.
        missing: Whether pictures may be missing; they are noted.
    """
    lines = read_lines(labels, note if missing else None)
    return _from_lines(labels, lines, lines[0].is_photo, note)


def note_held_out(held_out: int, samples: int, holdout: float, note: Say) -> None:
    """Notes that nothing is held out of the labelled samples, so that nothing will be measured while training."""
    if not held_out:
        why = f": data.holdout {holdout:g} of {samples} samples, chosen by their texts, is none" if samples else ""
        note(f"nothing is held out{why}; validation measures nothing, and the last weights count as the best.")


def _from_names(source: Path) -> list[Sample]:
    samples, foreign = [], []
    for path in sorted(find_photos(source)):
        try:
            name = parse_name(path)
        except InputError as error:
            foreign.append((path, error))
            continue
        quad = np.array(name.vertices, np.float64)
        if np.abs(quad).max() > FARTHEST:
            raise InputError(f"{path}: its vertices lie outside any photo.", "Is it a CCPD name?")
        samples.append(Sample(path, (LabelledPlate(quad, name.text),), where=path.name))
    if foreign:
        path, first = foreign[0]
        also = f" Neither are {len(foreign) - 1} more names in that folder." if len(foreign) > 1 else ""
        hint = "Remove it, or train on the det.txt of `edge train labels`, which skips and lists such photos."
        if (labels := source / "det.txt").is_file():
            hint = f"This is a folder of labels: give {labels}."
        raise InputError(f"{path.parent}: {first.message}{also}", hint) from first
    if not samples:
        raise InputError(
            f"{source} holds no photos.", "Give a folder of CCPD photos or a det.txt of `edge train labels`."
        )
    return samples


def _from_lines(labels: Path, lines: list[LabelLine], photos: bool, note: Say) -> list[Sample]:
    found = LabelNotes(labels)
    samples = []
    for line in lines:
        if photos != line.is_photo:
            kinds = ("the text of a crop", "a list of plates on a photo")
            raise InputError(
                f"{line.where}: this is {kinds[line.is_photo]}, not {kinds[photos]}: {line.label.strip()[:60]!r}.",
                "A file lists photos or crops; a recipe takes them as data.photos and data.crops.",
            )
        if photos:
            found.picture(line.image, line.label, line.where)
            plates = _plates(line, found)
            samples.append(Sample(line.image, plates, where=line.where))
            _check_inside(plates, line, found)
        else:
            text = found.text(line.label, line.where)
            found.picture(line.image, text, line.where)
            samples.append(Sample(line.image, text=text, where=line.where))
    for sentence in found.sentences():
        note(sentence)
    return samples


def find_photos(folder: Path) -> Iterator[Path]:
    """Yields the photos in a folder and in folders below, hidden ones left out."""
    for path in folder.rglob("*"):
        hidden = any(is_hidden(part) for part in path.relative_to(folder).parts)
        if path.suffix.lower() in PHOTO_SUFFIXES and not hidden and path.is_file():
            yield path


def split(samples: list[Sample], holdout: float, salt: int) -> tuple[list[Sample], list[Sample]]:
    """Splits samples into training and validation by a hash of their plate, the same on every machine.

    Args:
        samples: Of any order.
        holdout: Part for validation, 0 to 1.
        salt: Gives another split.

    Returns:
        Training and validation samples, in the order given; no plate is on both sides.
    """
    train: list[Sample] = []
    validation: list[Sample] = []
    for sample in samples:
        digest = hashlib.sha256(f"{salt}/{sample.key}".encode()).digest()
        place = int.from_bytes(digest[:8], "big") / 2**64
        (validation if place < holdout else train).append(sample)
    return train, validation


def _plates(line: LabelLine, found: LabelNotes) -> tuple[LabelledPlate, ...]:
    try:
        items: Any = json.loads(line.label)
        return tuple(_plate(item, line.where, found) for item in items)
    except CornerError as error:
        raise InputError(f"{line.where}: {error}.") from error
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        if isinstance(error, json.JSONDecodeError):
            why = f"{error.msg} at character {error.pos + 1}"
        shown = line.label.strip()[:60]
        raise InputError(f"{line.where}: not a list of points and transcription: {why}: {shown!r}.") from error


def _plate(item: Any, where: str, found: LabelNotes) -> LabelledPlate:
    quad = plate_corners(item["points"])
    if polygon_area(convex_hull(quad)) < 1:
        found.flat(where)
    return LabelledPlate(quad, found.text(item["transcription"], where, item.get("difficult") in (True, "true")))


def _check_inside(plates: tuple[LabelledPlate, ...], line: LabelLine, found: LabelNotes) -> None:
    """Notes plates with a corner outside their photo."""
    size = _size(line.image) if plates else None
    if size is None or not any(_outside(plate, size) for plate in plates):
        return
    height, width = read_image(line.image).shape[:2]  # EXIF may turn what the header says.
    for plate in plates:
        if corners := _outside(plate, (width, height)):
            found.outside(corners[0], (width, height), line.where)


def _outside(plate: LabelledPlate, size: tuple[int, int]) -> list[tuple[float, float]]:
    corners = [(float(x), float(y)) for x, y in plate.quad]
    return [(x, y) for x, y in corners if not (-1 <= x <= size[0] + 1 and -1 <= y <= size[1] + 1)]


def _size(path: Path) -> tuple[int, int] | None:
    try:
        with path.open("rb") as stream:
            head = stream.read(4096)
            size = image_size(head)
            if size == (0, 0):  # A header longer than most.
                size = image_size(head + stream.read())
    except OSError:
        return None
    return None if size == (0, 0) else size
