"""Batches for the detector: photos and rendered scenes, each drawn from (seed, step, place)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.base.errors import InputError
from edge.base.progress import Say
from edge.ocr.config import PipelineConfig
from edge.ocr.detect import to_tensor
from edge.ocr.geometry import Points
from edge.ocr.image import Image
from edge.ocr.settings import fit_inputs, override
from edge.plate.country import Country, load_country
from edge.plate.label_notes import tell
from train.augment.photometric import Random, colour, compression, defocus, exposure, gradient, haze, motion, noise, specks
from train.augment.scene import square_crop
from train.data.dataset import note_held_out, read_image, read_photos, split
from train.data.db_maps import target_maps
from train.data.photo_pool import PhotoPool
from train.data.swap import swap_plate
from train.recipes.recipe import Recipe, recipe_architecture

RENDERED = 160
"""Number of different rendered scenes; each is kept once it is drawn."""
PLATE = 40
"""Height of a plate in pixels by which the blur and the specks of a whole photo are measured."""
CHANCES: tuple[tuple[Callable[[Image, Random], Image], float], ...] = (
    (exposure, 0.5),
    (colour, 0.5),
    (gradient, 0.15),
    (haze, 0.12),
    (partial(specks, plate=PLATE), 0.2),
    (partial(defocus, plate=PLATE), 0.2),
    (partial(motion, plate=PLATE), 0.1),
    (noise, 0.2),
    (compression, 0.25),
)


@dataclass(frozen=True)
class DetBatch:
    """One batch: images float32 [N, 3, S, S], normalised; targets float32 [N, 4, S, S] (`target_maps`)."""

    images: npt.NDArray[np.float32]
    targets: npt.NDArray[np.float32]


class DetData:
    """Training and validation photos of a recipe.

    Args:
        recipe: Its `data` part.
        note: Told what is odd about the labels, and when nothing is held out.

    Raises:
        InputError: A source is missing or malformed, or nothing is left to train on.
    """

    def __init__(self, recipe: Recipe, note: Say = tell) -> None:
        data = recipe.data
        self.data = data
        photos = [sample for name in data.photos for sample in read_photos(Path(data.root) / name, note)]
        self.photos, self.validation = split(photos, data.holdout, data.holdout_seed)
        self.country = load_country(data.country)
        self.pool = PhotoPool(self.photos, data.kind_share, self.country)
        self.share = data.synth_share / max(data.synth_share + data.photos_share, 1e-9)
        if not self.photos:
            self.share = 1.0 if data.synth_share > 0 else 0.0
        if not self.photos and not self.share:
            raise InputError("The recipe leaves nothing to train on.", "Give data.photos, or data.synth_share.")
        if self.share < 1 and all(plate.ignored for sample in self.photos for plate in sample.plates):
            message = f"None of the {len(self.photos)} photos to train on has a plate that counts"
            if not self.share:
                raise InputError(f"{message}.", "Label plates, or give data.synth_share.")
            note(f"{message}; only rendered scenes have one.")
        note_held_out(len(self.validation), len(photos), data.holdout, note)
        arch = recipe_architecture(recipe)
        self.config = override(fit_inputs(PipelineConfig(), det=arch.input), arch.pipeline)

    def batch(self, seed: int, step: int, size: int) -> DetBatch:
        """Draws one augmented training batch; the same arguments give the same batch."""
        drawn = [self.draw(np.random.default_rng([seed, step, place])) for place in range(size)]
        images = [to_tensor(image, self.config.det_mean, self.config.det_std)[0] for image, _ in drawn]
        return DetBatch(np.stack(images), np.stack([maps for _, maps in drawn]))

    def draw(self, rng: Random) -> tuple[Image, npt.NDArray[np.float32]]:
        """Draws one augmented sample: uint8 [S, S, 3] and its target maps."""
        data = self.data
        if rng.random() < self.share:
            image, quads, illegible = _rendered(int(rng.integers(RENDERED)), self.country)
        else:
            sample = self.pool.draw(rng)
            image = _cached(sample.path)
            quads, illegible = [plate.quad for plate in sample.plates], [plate.ignored for plate in sample.plates]
            for quad in quads:
                if rng.random() < data.swap:
                    image, _ = swap_plate(image, quad, rng, self.country)
        square, placed, cut = square_crop(image, quads, rng, data.size, data.scale, data.strength)
        for effect, chance in CHANCES:
            if rng.random() < chance * data.strength:
                square = effect(square, rng)
        ignored = [one or other for one, other in zip(illegible, cut, strict=True)]
        return square, target_maps((data.size, data.size), placed, ignored, data.shrink_ratio)


@lru_cache(maxsize=RENDERED)
def _rendered(index: int, country: Country) -> tuple[Image, list[Points], list[bool]]:
    from train.synth.scene import render_scene

    scene = render_scene(np.random.default_rng([77, index]), country)
    return scene.image, [np.array(scene.name.vertices, np.float64)], [False]


@lru_cache(maxsize=512)
def _cached(path: Path) -> Image:
    return read_image(path)
