"""Photos to train on, drawn with the kinds of plates that a recipe asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edge.plate.country import Country
from train.data.dataset import Sample


class PhotoPool:
    """Draws photos.

    Args:
        photos: All of them.
        shares: Chance to ask for a photo with a plate of a kind, by the kind's name; otherwise all photos are drawn
            alike. A kind that no photo shows is ignored.
        country: Of the plates.
    """

    def __init__(self, photos: Sequence[Sample], shares: Mapping[str, float], country: Country) -> None:
        kinds = [country.kind_of(sample.plate_text) for sample in photos]
        names = [kind.name if kind else "" for kind in kinds]
        self._photos = photos
        self._kinds = [
            (share, [sample for sample, found in zip(photos, names, strict=True) if found == name])
            for name, share in shares.items()
            if name in names
        ]

    def draw(self, rng: np.random.Generator) -> Sample:
        """Draws a photo."""
        pool = self._photos
        left = rng.random() if self._kinds else 0.0
        for share, photos in self._kinds:
            if left < share:
                pool = photos
                break
            left -= share
        return pool[int(rng.integers(len(pool)))]
