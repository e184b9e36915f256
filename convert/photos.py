"""Photos by which a model is verified: pictures with known plates, as inputs of a detector or of a recogniser."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edge
from edge.errors import InputError
from edge.models import Card
from edge.ocr.config import PipelineConfig
from edge.ocr.crop import crop_plate
from edge.ocr.detect import det_pre
from edge.ocr.image import load_image
from edge.ocr.recognise import rec_pre
from edge.ocr.settings import fit_cards

SAMPLES = Path(edge.__file__).resolve().parent / "samples"
_PROVINCES = "皖沪津渝冀晋蒙辽吉黑苏浙京闽赣鲁豫鄂湘粤桂琼川贵云藏陕甘青宁新警学"
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_SERIALS = _LETTERS + "0123456789"


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

    Raises:
        InputError: No photo with a known plate.
    """
    folder = folder or SAMPLES
    labels = folder / "labels.json"
    found: list[tuple[Path, str, Any]] = []
    if labels.is_file():
        for name, plates in json.loads(labels.read_text(encoding="utf-8")).items():
            found.append((folder / name, plates[0]["text"], plates[0]["box"]))
    else:
        for path in sorted(folder.rglob("*.jpg")) if folder.is_dir() else []:
            plate = _from_name(path.stem)
            if plate:
                found.append((path, *plate))
    if not found:
        raise InputError(f"{folder} holds no photo with a known plate.", "Give CCPD photos, or a labels.json.")
    step = max(1, len(found) // most)
    return [
        Photo(path.name, load_image(path), text, np.asarray(box, np.float64))
        for path, text, box in found[::step][:most]
    ]


def _from_name(stem: str) -> tuple[str, list[list[float]]] | None:
    """Reads plate and vertices (clockwise from top left) of a CCPD name; None when it is no such name."""
    fields = stem.split("-")
    points = re.findall(r"(\d+)&(\d+)", fields[3]) if len(fields) == 7 else []
    indices = [int(text) for text in fields[4].split("_") if text.isdecimal()] if len(fields) == 7 else []
    if len(points) != 4 or len(indices) not in (7, 8):
        return None
    try:
        text = _PROVINCES[indices[0]] + _LETTERS[indices[1]] + "".join(_SERIALS[index] for index in indices[2:])
    except IndexError:
        return None
    by_x = sorted([float(x), float(y)] for x, y in points)
    left, right = sorted(by_x[:2], key=lambda p: p[1]), sorted(by_x[2:], key=lambda p: p[1])
    return text, [left[0], right[0], right[1], left[1]]


def settings(card: Card) -> PipelineConfig:
    """Returns the pipeline's settings for one model, as its card says."""
    return fit_cards(PipelineConfig(), **{card.task: card})


def network_input(card: Card, photo: Photo) -> NDArray[np.float32]:
    """Returns a model's input for a photo: the whole one for a detector, the plate for a recogniser."""
    config = settings(card)
    if card.task == "det":
        return det_pre(photo.image, config)
    return rec_pre(crop_plate(photo.image, photo.box), config)
