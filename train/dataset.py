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
import numpy.typing as npt

from edge.ccpd import parse_name, sort_vertices
from edge.errors import InputError
from edge.photolist import PHOTO_SUFFIXES, is_hidden
from train.labels_journal import find_image, label_roots
from train.metrics import IGNORED

Image = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]
Random = np.random.Generator
FARTHEST = 32767.0
"""Pixels, either way, beyond which OpenCV's warps cannot reach; no photo is larger, and no corner farther out."""


@dataclass(frozen=True)
class Plate:
    """A labelled plate on a photo: corners clockwise from top left (float64 [4, 2], pixels) and text."""

    quad: Points
    text: str

    @property
    def ignored(self) -> bool:
        """Whether the annotator could not read it (`###` or `*`, as in PP-OCR's labels): neither right nor wrong."""
        return self.text in IGNORED


@dataclass(frozen=True)
class Sample:
    """One image and what is on it; a crop has one plate that fills it and no corners."""

    path: Path
    plates: tuple[Plate, ...] = ()
    text: str = ""

    @property
    def legible(self) -> Plate | None:
        """The first plate that can be read, None when there is none."""
        return next((plate for plate in self.plates if not plate.ignored), None)

    @property
    def plate_text(self) -> str:
        """Text of the crop, or of the first plate that can be read; empty when there is none."""
        return self.text or (self.legible.text if self.legible else "")

    @property
    def key(self) -> str:
        """What decides on which side of the split a sample goes: the plate's text, or the file's name."""
        return self.plate_text or self.path.name

    @property
    def green(self) -> bool:
        """Whether its plate has eight characters."""
        return len(self.plate_text) == 8


def read_image(path: Path) -> Image:
    """Reads an image as uint8 BGR.

    Raises:
        InputError: Missing or not an image.
    """
    try:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except (cv2.error, UnicodeError, SystemError):  # A billion pixels by its header; a name that is no UTF-8.
        image = None
    if image is None:
        what = "is not an image that can be read" if path.is_file() else "is missing"
        raise InputError(f"{path} {what}.", "Every file of a label list must be there; make the labels again.")
    return np.asarray(image)


def read_crops(labels: Path) -> list[Sample]:
    """Reads a recognition label file: `path<TAB>text` a line, paths relative to the file's folder.

    Raises:
        InputError: Missing or empty file, a malformed line, or an image that does not exist.
    """
    samples = [Sample(path, text=text) for path, text in _lines(labels)]
    if not samples:
        raise InputError(f"{labels} lists nothing.", "Lines are `path<TAB>text`.")
    return samples


def read_photos(source: Path) -> list[Sample]:
    """Reads a folder of CCPD photos, or a detection label file: `path<TAB>[{"points": ..., "transcription": ...}]`.

    Hidden files (such as the `._photo.jpg` that macOS writes beside each photo on foreign disks) are passed over.

    Raises:
        InputError: Missing or empty source, a malformed line or name, or an image that does not exist.
    """
    if source.is_dir():
        samples = []
        for path in sorted(find_photos(source)):
            try:
                name = parse_name(path)
            except InputError as error:
                hint = "Remove it, or train on the det.txt of `edge train labels`, which skips and lists such photos."
                raise InputError(f"{path.parent}: {error.message}", hint) from error
            quad = np.array(name.vertices, np.float64)
            if np.abs(quad).max() > FARTHEST:
                raise InputError(f"{path}: its vertices lie outside of any photo.", "Is it a CCPD name?")
            samples.append(Sample(path, (Plate(quad, name.text),)))
    else:
        samples = [Sample(path, _plates(text, f"{source}, {path.name}")) for path, text in _lines(source)]
    if not samples:
        raise InputError(
            f"{source} holds no photos.", "Give a folder of CCPD photos or a det.txt of `edge train labels`."
        )
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
    train, validation = [], []
    for sample in samples:
        digest = hashlib.sha256(f"{salt}/{sample.key}".encode()).digest()
        place = int.from_bytes(digest[:8], "big") / 2**64
        (validation if place < holdout else train).append(sample)
    return train, validation


def _lines(labels: Path) -> list[tuple[Path, str]]:
    if not labels.is_file():
        raise InputError(f"{labels} is not a label file.", "Make labels with `edge train labels --ccpd DIR --out DIR`.")
    found = []
    roots = label_roots(labels)
    try:
        lines = labels.read_text(encoding="utf-8-sig").split("\n")  # Editors on Windows put a mark before it.
    except UnicodeDecodeError as error:
        raise InputError(f"{labels} is not UTF-8: {error}.", "Convert it: iconv -f GBK -t UTF-8 OLD > NEW.") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, tab, text = line.rstrip("\r").partition("\t")
        if not tab or not text:
            raise InputError(f"{labels}, line {number}: not `path<TAB>label`.")
        path = find_image(roots, name)
        if not path.is_file():
            raise InputError(
                f"{labels}, line {number}: {path} is missing.",
                f"Paths may be relative to: {', '.join(str(root) for root in roots)}.",
            )
        found.append((path, text))
    return found


def _plates(text: str, where: str) -> tuple[Plate, ...]:
    try:
        items: Any = json.loads(text)
        return tuple(_plate(item) for item in items)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise InputError(f"{where}: {text[:60]!r} is not a list of points and transcription: {error}.") from error


def _plate(item: Any) -> Plate:
    points = np.array(item["points"], np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
        raise ValueError("points must be at least three x, y pairs")
    if np.abs(points).max() > FARTHEST:
        raise ValueError(f"a point lies at {np.abs(points).max():.3g}, outside of any photo")
    if len(points) != 4:
        points = cv2.boxPoints(cv2.minAreaRect(points.astype(np.float32))).astype(np.float64)
    return Plate(np.array(sort_vertices([(x, y) for x, y in points.tolist()]), np.float64), str(item["transcription"]))
