"""Batches for the recogniser: crops, plates cut out of photos, rendered plates; each drawn from (seed, step, place)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.base.errors import InputError
from edge.base.progress import Say
from edge.ocr.config import PipelineConfig
from edge.ocr.detect import to_tensor
from edge.ocr.geometry import order_corners
from edge.ocr.image import Image
from edge.ocr.settings import fit_inputs
from edge.plate.country import load_country
from edge.plate.label_notes import tell
from train.augment.geometry import cut_box, jittered_box, moved_corners, whole
from train.augment.photometric import Random, photometric
from train.data.dataset import Sample, note_held_out, read_crops, read_image, read_photos, split
from train.data.photo_pool import PhotoPool
from train.data.swap import swap_plate
from train.data.writable import Writable
from train.recipes.recipe import Recipe, recipe_architecture

_DRAWS = 20  # Attempts to find a sample whose text the charset can write.


@dataclass(frozen=True)
class RecBatch:
    """One batch.

    Attributes:
        images: float32 [N, 3, H, W], BGR, normalised.
        labels: int32 [N, L], classes padded with 0.
        lengths: int64 [N].
        texts: As labelled.
    """

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int64]
    texts: list[str]


class RecData:
    """Training and validation samples of a recipe.

    Args:
        recipe: Its `data` and `model` parts.
        characters: Of classes 1, 2, ...
        note: Told what is odd about the labels, what is left out, and when nothing is held out.

    Raises:
        InputError: A source is missing or malformed, or nothing is left to train on.
    """

    def __init__(self, recipe: Recipe, characters: Sequence[str], note: Say = tell) -> None:
        data = recipe.data
        root = Path(data.root)
        self.data = data
        arch = recipe_architecture(recipe)
        self.config = fit_inputs(PipelineConfig(), rec=arch.taken(recipe.model.width))
        self.size = (self.config.rec_width, self.config.rec_height)
        self.classes = {character: index for index, character in enumerate(characters, 1)}
        told: list[str] = []
        self.writable = writable = Writable(self.classes, self.size[0], arch.stride, recipe.model.charset)
        crops = writable.crops([sample for name in data.crops for sample in read_crops(root / name, told.append)])
        photos = writable.photos([sample for name in data.photos for sample in read_photos(root / name, told.append)])
        for text in told:
            note(text)
        writable.tell(told, data.synth_share > 0, note)
        self.crops, crops_out = split(crops, data.holdout, data.holdout_seed)
        self.photos, photos_out = split(photos, data.holdout, data.holdout_seed)
        self.validation = crops_out + photos_out
        self.country = load_country(data.country)
        self.pool = PhotoPool(self.photos, data.kind_share, self.country)
        self.sources = [
            (share, draw)
            for share, draw, there in (
                (data.crops_share, self._crop, bool(self.crops)),
                (data.photos_share, self._photo, bool(self.photos)),
                (data.synth_share, self._rendered, True),
            )
            if share > 0 and there
        ]
        if not self.sources:
            given = (*data.crops, *data.photos) and not crops and not photos
            why = ": no crop and no plate has a text that can be learnt" if given else ""
            raise InputError(
                f"The recipe leaves nothing to train on{why}.", "Give data.crops or data.photos, or data.synth_share."
            )
        note_held_out(len(self.validation), len(crops) + len(photos), data.holdout, note)

    def batch(self, seed: int, step: int, size: int) -> RecBatch:
        """Draws one augmented training batch; the same arguments give the same batch."""
        drawn = [self.draw(np.random.default_rng([seed, step, place])) for place in range(size)]
        return self._pack([image for image, _ in drawn], [text for _, text in drawn])

    def draw(self, rng: Random) -> tuple[Image, str]:
        """Draws one augmented sample: uint8 [H, W, 3] and its text."""
        shares = np.array([share for share, _ in self.sources])
        for _ in range(_DRAWS):
            image, text = self.sources[int(rng.choice(len(shares), p=shares / shares.sum()))][1](rng)
            if self.writable.can(text):  # A swapped or rendered plate's may be another.
                return image, text
        raise self.writable.never(text)

    def validation_batches(self, size: int) -> list[RecBatch]:
        """Returns the validation samples, cut as annotated and not augmented."""
        images = [_plain(sample, self.size) for sample in self.validation]
        texts = [sample.key for sample in self.validation]
        return [self._pack(images[at : at + size], texts[at : at + size]) for at in range(0, len(images), size)]

    def _pack(self, images: list[Image], texts: list[str]) -> RecBatch:
        stacked = np.concatenate([to_tensor(image, self.config.rec_mean, self.config.rec_std) for image in images])
        longest = max(len(text) for text in texts)
        labels = np.zeros((len(texts), longest), np.int32)
        for row, text in zip(labels, texts, strict=True):
            row[: len(text)] = [self.classes.get(mark, 0) for mark in text]
        lengths = np.array([len(text) for text in texts], np.int64)
        return RecBatch(stacked, labels, lengths, texts)

    def _crop(self, rng: Random) -> tuple[Image, str]:
        sample = self.crops[int(rng.integers(len(self.crops)))]
        image = _cached(sample.path)
        box = moved_corners(whole(image), rng, self.data.strength, grow=(-0.04, 0.04))
        return self._finish(image, box, rng), sample.text

    def _photo(self, rng: Random) -> tuple[Image, str]:
        sample = self.pool.draw(rng)
        plates = [plate for plate in sample.plates if not plate.unread]
        plate = plates[int(rng.integers(len(plates)))]
        image, text = _cached(sample.path), plate.text
        if rng.random() < self.data.swap:
            image, new = swap_plate(image, plate.quad, rng, self.country)
            text = new or text
        return self._finish(image, jittered_box(plate.quad, rng, self.data.strength), rng), text

    def _rendered(self, rng: Random) -> tuple[Image, str]:
        from train.synth.crop import render_crop

        return render_crop(rng, self.country, size=self.size)

    def _finish(self, image: Image, box: npt.NDArray[np.float64], rng: Random) -> Image:
        return photometric(cut_box(image, box, self.size), rng, self.data.strength)


def _plain(sample: Sample, size: tuple[int, int]) -> Image:
    image = read_image(sample.path)
    if sample.legible is None:
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR))
    box = cv2.boxPoints(cv2.minAreaRect(sample.legible.quad.astype(np.float32))).astype(np.float64)
    return cut_box(image, order_corners(box, False), size)


@lru_cache(maxsize=4096)
def _cached(path: Path) -> Image:
    # 1,500 crops are 30 MB, 127 photos of 720x1160 320 MB; decoding each time would cost more than all augmentation.
    return read_image(path)
