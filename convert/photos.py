"""Photos by which a model is verified: pictures with known plates, as inputs of a detector or of a recogniser."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import edge
from edge.ccpd import parse_name
from edge.errors import InputError
from edge.models import Card
from edge.ocr.config import PipelineConfig
from edge.ocr.crop import crop_plate
from edge.ocr.detect import det_pre
from edge.ocr.image import load_image
from edge.ocr.recognise import rec_pre
from edge.ocr.settings import fit_cards

SAMPLES = Path(edge.__file__).resolve().parent / "samples"


@dataclass(frozen=True)
class Photo:
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


def load_photos(folder: Path | None, most: int) -> list[Photo]:
    """Loads photos from a folder with `labels.json`, or with CCPD names; the kit's own samples when None.

    Photos without a plate, and files that have no CCPD name, are left out.

    Raises:
        InputError: No photo with a known plate, a photo that cannot be read, or a `labels.json` of another form.
    """
    folder = folder or SAMPLES
    labels = folder / "labels.json"
    found = _from_labels(labels) if labels.is_file() else _from_names(folder)
    if not found:
        raise InputError(f"{folder} holds no photo with a known plate.", "Give CCPD photos, or a labels.json.")
    step = max(1, len(found) // most)
    return [Photo(path.name, load_image(path), text, box) for path, text, box in found[::step][:most]]


def _from_labels(labels: Path) -> list[tuple[Path, str, NDArray[np.float64]]]:
    found = []
    try:
        for name, plates in json.loads(labels.read_text(encoding="utf-8")).items():
            for plate in plates[:1]:
                box = np.asarray(plate["box"], np.float64)
                if box.shape != (4, 2) or not np.isfinite(box).all():
                    raise ValueError(f"the box of {name} is not four corners")
                found.append((labels.parent / name, str(plate["text"]), box))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{labels} cannot be used: {type(error).__name__}: {error}.",
            'It holds {"photo.jpg": [{"text": "...", "box": [[x, y], four of them]}]}.',
        ) from error
    return found


def _from_names(folder: Path) -> list[tuple[Path, str, NDArray[np.float64]]]:
    found = []
    for path in sorted(folder.rglob("*.jpg")) if folder.is_dir() else []:
        try:
            name = parse_name(path)
        except InputError:
            continue
        found.append((path, name.text, np.asarray(name.vertices, np.float64)))
    return found


def settings(card: Card) -> PipelineConfig:
    """Returns the pipeline's settings for one model, as its card says."""
    return fit_cards(PipelineConfig(), **{card.task: card})


def network_input(card: Card, photo: Photo) -> NDArray[np.float32]:
    """Returns a model's input for a photo: the whole one for a detector, the plate for a recogniser."""
    config = settings(card)
    if card.task == "det":
        return det_pre(photo.image, config)
    return rec_pre(crop_plate(photo.image, photo.box), config)
