"""The whole pipeline on the host: photo in, plates and stage times out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge.ocr.config import PipelineConfig
from edge.ocr.crop import crop_plate
from edge.ocr.detect import Tensor, det_post, det_pre, jpeg_scale
from edge.ocr.geometry import Points
from edge.ocr.image import Photo, load_photo
from edge.ocr.recognise import keep_text, rec_post, rec_pre
from edge.plate.answer import ReadPlate
from edge.plate.grammar import Grammar

STAGES = ("decode", "det_pre", "det_infer", "det_post", "crop", "rec_pre", "rec_infer", "rec_post")


class Network(Protocol):
    """One network with one input and one output."""

    def run(self, tensor: Tensor) -> Tensor:
        """Runs it on float32 NCHW and returns its float32 output (a copy)."""


@dataclass(frozen=True)
class Networks:
    """The two networks of a pipeline, on whatever runtime, and the recogniser's characters.

    Attributes:
        det: float32 [1, 3, H, W] to [1, 1, H, W].
        rec: float32 [1, 3, h, w] to [1, T, classes].
        characters: Of classes 1, 2, ... of `rec`.
        grammar: Of the plates that it reads; None for the kit's own country.
    """

    det: Network
    rec: Network
    characters: Sequence[str]
    grammar: Grammar | None = None


@dataclass(frozen=True)
class Reading:
    """What a photo gave.

    Attributes:
        plates: In the order of their boxes.
        ms: Milliseconds of each of `STAGES` and `total`; the stages from `crop` on are sums over the boxes.
        boxes: Boxes that the detector found, whether their text was kept or not.
    """

    plates: tuple[ReadPlate, ...]
    ms: dict[str, float]
    boxes: tuple[Points, ...] = ()


@dataclass
class _Clock:
    """Adds up stage times: `mark(stage)` books the time since the previous mark."""

    ms: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    start: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.last = self.start

    def mark(self, stage: str) -> None:
        now = time.perf_counter()
        self.ms[stage] += (now - self.last) * 1000
        self.last = now

    def stop(self) -> dict[str, float]:
        self.ms["total"] = (time.perf_counter() - self.start) * 1000
        return self.ms


class Reader:
    """Reads plates as the C++ program does; the reference for it, and the pipeline of every evaluation.

    Args:
        config: Settings.
        networks: Networks that fit them.
    """

    def __init__(self, config: PipelineConfig, networks: Networks) -> None:
        self.config = config
        self.networks = networks

    def read(self, bgr: npt.NDArray[np.uint8]) -> Reading:
        """Reads the plates in a photo.

        Args:
            bgr: uint8 [height, width, 3].

        Raises:
            ModelError: The networks answer nonsense, or do not fit the dictionary.
        """
        return self._read(Photo(bgr, (bgr.shape[0], bgr.shape[1])), _Clock())

    def read_file(self, path: Path) -> Reading:
        """Reads the plates in a photo file, `decode` timed too; see `load_image` for what it refuses.

        A JPEG is decoded at the fraction of its sides that `jpeg_scale` asks for; boxes are in the photo's own pixels.
        """
        clock = _Clock()
        photo = load_photo(path, partial(jpeg_scale, config=self.config))
        clock.mark("decode")
        return self._read(photo, clock)

    def cut(self, bgr: npt.NDArray[np.uint8], box: Points) -> npt.NDArray[np.uint8]:
        """Cuts a plate out of a photo.

        Override this to try something between `crop` and `rec_pre`; docs/howto/extend.md shows how.

        Args:
            bgr: uint8 [height, width, 3], as it was decoded.
            box: float64 [4, 2], pixels of `bgr`.

        Returns:
            uint8 [h, w, 3], the plate upright.
        """
        return crop_plate(bgr, box)

    def _read(self, photo: Photo, clock: _Clock) -> Reading:
        height, width = photo.size
        tensor = det_pre(photo.bgr, self.config, photo.size)
        clock.mark("det_pre")
        probability = self.networks.det.run(tensor)
        clock.mark("det_infer")
        boxes = det_post(probability, width, height, self.config)
        clock.mark("det_post")
        plates = []
        for box in boxes:
            crop = self.cut(photo.bgr, box / photo.scale)
            clock.mark("crop")
            tensor = rec_pre(crop, self.config)
            clock.mark("rec_pre")
            probabilities = self.networks.rec.run(tensor)
            clock.mark("rec_infer")
            text, score = rec_post(probabilities, self.networks.characters, self.config, self.networks.grammar)
            if keep_text(text, score, self.config):
                plates.append(ReadPlate(box, text, score))
            clock.mark("rec_post")
        return Reading(tuple(plates), clock.stop(), tuple(boxes))
