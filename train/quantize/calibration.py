"""What a network is calibrated with: network inputs made from photos of plates, rendered or real."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.base.errors import InputError, UsageError
from edge.model.card import Card
from edge.photo.labels import LABELS_NAME
from edge.photo.listing import READ, list_photos
from edge.plate.country import DEFAULT, Country, load_country
from train.quantize.judge import is_one_colour, sample_images

Tensor = NDArray[np.float32]
_RENDERED_SAMPLES = 8
"""In the place of a country's sample photos, where it has none."""


@dataclass(frozen=True)
class Samples:
    """Network inputs.

    Attributes:
        calibration: float32 `[1, 3, H, W]` each, for the ranges of activations.
        check: Likewise, others, by which the quantised model is judged.
        source: For the model card.
        known: Of a folder's photos: inputs of the country's sample photos, which are among `check` too.
        notes: What the user should know of the photos.
    """

    calibration: list[Tensor]
    check: list[Tensor]
    source: dict[str, Any]
    known: list[Tensor] = field(default_factory=list)
    notes: tuple[str, ...] = ()


def make_samples(card: Card, folder: Path | None, seed: int, count: int, check: int, country: str = "") -> Samples:
    """Makes network inputs from the photos of a folder, or from rendered ones.

    Args:
        card: Of the float model; its input and pipeline settings decide how photos become inputs.
        folder: Photos, searched recursively (see `list_photos`). For a recogniser, photos with CCPD names are cut at their
            plates, others are taken as crops. None renders photos.
        seed: Chooses among the photos, or renders them.
        count: Inputs for calibration, at most.
        check: Inputs for judging, at most. Those of a folder are joined by sample photos and, where they are few,
            by rendered ones, so that the proof does not rest only on the folder.
        country: Code or folder of the country whose plates are rendered and whose sample photos are taken; "" for the
            card's. Where the card's is not at hand, a folder's photos are joined by the kit's own sample photos.

    Raises:
        UsageError: There is no such country.
        InputError: The folder holds fewer than two readable photos that show anything; or there is none, and the card's
            country is not at hand.
    """
    plates = _country(card, country, needed=folder is None)
    if folder is None:
        assert plates is not None
        tensors = [_tensor(card, image) for image in _rendered(card.task, plates, seed, count + check)]
        source: dict[str, Any] = {"photos": "rendered by train.synth", "seed": seed, "count": count}
        return Samples(tensors[:count], tensors[count:], source)
    images, names, plain = _from_folder(card.task, folder, seed, count + check)
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
    source = {"photos": f"{len(names)} of a folder", "seed": seed, "names_sha256": digest}
    tensors = [_tensor(card, image) for image in images]
    split = max(1, len(tensors) * count // (count + check))
    source["count"] = split
    known = [_tensor(card, image) for image in _samples(card.task, plates, seed)]
    judged = [*tensors[split:], *known]
    if plates is not None:
        judged += [_tensor(card, image) for image in _rendered(card.task, plates, seed, check - len(judged))]
    notes = (f"left out, of one colour: {', '.join(plain[:5])}{' ...' if len(plain) > 5 else ''}",) if plain else ()
    return Samples(tensors[:split], judged, source, known, notes)


def _tensor(card: Card, image: NDArray[np.uint8]) -> Tensor:
    from dataclasses import replace

    from edge.ocr.config import PipelineConfig
    from edge.ocr.detect import det_pre
    from edge.ocr.recognise import rec_pre
    from edge.ocr.settings import fit_cards

    if card.task == "det":
        # The smaller input: the ranges are the same, and calibration takes a fifth of the time.
        config = fit_cards(replace(PipelineConfig(), det_limit_type="max", det_limit_side=640), det=card)
        return det_pre(image, config)
    return rec_pre(image, fit_cards(PipelineConfig(), rec=card))


def _country(card: Card, named: str, needed: bool) -> Country | None:
    """Returns the country that was named, else the card's; None when that one is neither at hand nor needed."""
    if named:
        return load_country(named)
    try:
        return load_country(card.country or DEFAULT)
    except UsageError:
        if not needed:
            return None
        raise InputError(
            f"{card.name} reads plates of {card.country!r}, a country that the kit does not ship, so none can be rendered.",
            "Give the country's folder (--country DIR), or photos of its plates (--calibrate DIR).",
        ) from None


def _samples(task: str, country: Country | None, seed: int) -> list[NDArray[np.uint8]]:
    if country is None:
        return sample_images(task)
    if (country.samples / LABELS_NAME).is_file():
        return sample_images(task, country.samples)
    return _rendered(task, country, seed + 1, _RENDERED_SAMPLES)


def _rendered(task: str, country: Country, seed: int, number: int) -> list[NDArray[np.uint8]]:
    from train.synth.crop import render_crop
    from train.synth.scene import render_scene

    rng = np.random.default_rng(seed)
    if task == "det":
        return [render_scene(rng, country).image for _ in range(number)]
    return [render_crop(rng, country)[0] for _ in range(number)]


def _from_folder(
    task: str, folder: Path, seed: int, number: int
) -> tuple[list[NDArray[np.uint8]], list[str], list[str]]:
    """Returns pictures, their names, and the names of those that show nothing, which are left out."""
    from edge.ocr.image import load_image

    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder.", "--calibrate takes a folder of photos or of crops.")
    paths = sorted(list_photos([folder], recursive=True).photos)
    order = np.random.default_rng(seed).permutation(len(paths))
    images: list[NDArray[np.uint8]] = []
    names: list[str] = []
    plain: list[str] = []
    for index in order:
        if len(images) == number:
            break
        name = paths[index].relative_to(folder).as_posix()
        try:
            image = load_image(paths[index])
            picture = image if task == "det" else _plate(paths[index], image)
        except InputError:
            continue
        if is_one_colour(picture):
            plain.append(name)
            continue
        images.append(picture)
        names.append(name)
    if len(images) < 2 and plain:
        raise InputError(
            f"{folder} holds {len(images) + len(plain)} readable photos, and {len(plain)} of them are of one colour "
            f"({', '.join(plain[:5])}{' ...' if len(plain) > 5 else ''}); at least two that show plates are needed.",
            "Calibrate with photos of plates, or without --calibrate.",
        )
    if len(images) < 2:
        raise InputError(f"{folder} holds {len(images)} readable photos; at least two are needed.", f"{READ}.")
    return images, names, plain


def _plate(path: Path, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from edge.ocr.crop import crop_plate
    from edge.plate.ccpd import parse_name

    try:
        name = parse_name(path, (image.shape[1], image.shape[0]))
    except InputError:
        return image
    return crop_plate(image, np.asarray(name.vertices, np.float64))
