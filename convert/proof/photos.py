"""Photos by which a model is verified: pictures with known plates, as inputs of a detector or of a recogniser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.base.errors import InputError
from edge.base.progress import Say
from edge.model.card import Card
from edge.ocr.config import PipelineConfig
from edge.ocr.crop import crop_plate
from edge.ocr.detect import det_pre
from edge.ocr.image import load_image
from edge.ocr.recognise import rec_pre
from edge.ocr.settings import fit_cards
from edge.photo.labels import LABELS_NAME, read_labels
from edge.photo.listing import list_photos
from edge.plate.ccpd import parse_name
from edge.plate.text import is_unread


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo with one plate.

    Attributes:
        name: File name.
        image: uint8 BGR.
        text: The plate.
        box: float64 [4, 2], clockwise from top left.
    """

    name: str
    image: NDArray[np.uint8]
    text: str
    box: NDArray[np.float64]


_Found = list[tuple[Path, str, NDArray[np.float64]]]


def load_photos(
    paths: Sequence[Path], most: int, *, recursive: bool = False, say: Say = lambda line: None
) -> list[LabelledPhoto]:
    """Loads photos from folders with `labels.json`, or with CCPD names.

    Args:
        paths: Photos with CCPD names, and folders of photos.
        most: At most this many, spread over all.
        recursive: Look for CCPD names in subfolders too.
        say: Called with a line about what was left out.

    Raises:
        InputError: No photo with a known plate, a photo that cannot be read, or a `labels.json` in another form.
    """
    found: _Found = []
    for path in paths:
        labels = path / LABELS_NAME
        known, note = _from_labels(labels) if labels.is_file() else _from_names(path, recursive)
        if not known:
            raise InputError(f"{path} holds no photo with a known plate.", "Give CCPD photos, or a labels.json.")
        if note:
            say(note)
        found += known
    step = max(1, len(found) // most)
    return [LabelledPhoto(path.name, load_image(path), text, box) for path, text, box in found[::step][:most]]


def _from_labels(labels: Path) -> tuple[_Found, str]:
    found = [
        (labels.parent / name, str(plate["text"]), np.asarray(plate["box"], np.float64))
        for name, plates in read_labels(labels).items()
        for plate in [plate for plate in plates if not is_unread(plate["text"])][:1]
    ]
    return found, ""


def _from_names(path: Path, recursive: bool) -> tuple[_Found, str]:
    listed = list_photos([path], recursive=recursive)
    found = []
    for path in listed.photos:
        try:
            name = parse_name(path)
        except InputError:
            continue
        found.append((path, name.text, np.asarray(name.vertices, np.float64)))
    others = len(listed.photos) - len(found)
    notes = [f"left out: {others} of {len(listed.photos)} photos, which have no CCPD name"] if others else []
    return found, "; ".join([*notes, *filter(None, [listed.note])])


def settings(card: Card) -> PipelineConfig:
    """Returns the pipeline's settings for one model, as its card says."""
    return fit_cards(PipelineConfig(), **{card.task: card})


def network_input(card: Card, photo: LabelledPhoto) -> NDArray[np.float32]:
    """Returns a model's input for a photo: the whole one for a detector, the plate for a recogniser."""
    config = settings(card)
    if card.task == "det":
        return det_pre(photo.image, config)
    return rec_pre(crop_plate(photo.image, photo.box), config)
