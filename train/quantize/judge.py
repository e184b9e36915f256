"""Judges what a network is to be calibrated with: pictures without a plate give scales that fit no plate.

The float model is asked what it sees in each picture, and the ranges of its activations on them are compared with
those on the kit's sample photos. Measured with plate-v1, as the share of layers whose mean range is below half of the
sample photos': real photos and crops 0 (two or more), rendered ones 0, shop signs 0.09 to 0.11, noise 0.07 to 0.28,
grey pictures 0.20 to 0.35.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.base.errors import InputError
from edge.base.plural import counted
from edge.model.card import Model
from edge.ocr.crop import crop_plate
from edge.ocr.image import load_image
from edge.photo.labels import LABELS_NAME, read_labels
from edge.photo.listing import SAMPLES
from train.export.write import PREFIX
from train.quantize.noise import weighted_layers
from train.quantize.paddle_static import static_mode

Tensor = NDArray[np.float32]
Image = NDArray[np.uint8]
MASK = 0.3
SCORE = 0.5
"""A map above `MASK`, or a text whose steps are `SCORE` likely on average: then the model sees a plate."""
FEW = {"det": 4, "rec": 8}
"""Fewer calibration inputs give a warning: their ranges depend on chance."""
NARROW = 0.5
MOST_NARROW = 0.05
MOST_JUDGED = 16
_ONE_COLOUR = 3.0


@dataclass(frozen=True)
class CalibrationReview:
    """What a calibration set holds.

    Attributes:
        figures: For the model card.
        warnings: One sentence each; empty when there is nothing to say.
    """

    figures: dict[str, Any]
    warnings: tuple[str, ...]


def is_one_colour(image: Image) -> bool:
    """Tells whether a picture shows nothing: its values spread by less than rounding and JPEG's noise."""
    return float(image.reshape(-1, image.shape[-1]).std(axis=0).max()) < _ONE_COLOUR


def sees(task: str, output: Tensor) -> bool:
    """Tells whether a model's output has a plate in it; see `SCORE`.

    Args:
        task: `det` or `rec`.
        output: For one input: a map, or `[1, T, C]`.
    """
    if task == "det":
        return bool((output > MASK).any())
    steps = output.reshape(output.shape[-2:])
    kept = steps.argmax(-1) != 0
    return bool(kept.any() and steps.max(-1)[kept].mean() >= SCORE)


def sample_images(task: str, samples: Path = SAMPLES) -> list[Image]:
    """Returns the sample photos of a folder, the kit's if none is given, or the plates on them for a recogniser."""
    images = []
    for name, plates in read_labels(samples / LABELS_NAME).items():
        image = load_image(samples / name)
        crops = [crop_plate(image, np.asarray(plate["box"], np.float64)) for plate in plates]
        images += [image] if task == "det" else crops
    return images


def measure_ranges(model: Model, inputs: Sequence[Tensor]) -> tuple[NDArray[np.float64], list[Tensor]]:
    """Runs a float model and notes how large the inputs of its layers with weights become.

    Args:
        model: Float inference model.
        inputs: Network inputs.

    Returns:
        Largest absolute values [inputs, layers], and the model's first outputs.
    """
    with static_mode() as (paddle, executor):
        program, feeds, fetched = paddle.static.load_inference_model(str(model.folder / PREFIX), executor)
        layers, _ = weighted_layers(program)
        names = list(dict.fromkeys(layer.input for layer in layers))
        ranges, outputs = [], []
        for tensor in inputs:
            *values, output = executor.run(program, {feeds[0]: tensor}, [*names, fetched[0]])
            ranges.append([float(np.abs(value).max()) for value in values])
            outputs.append(output)
    return np.asarray(ranges), outputs


def judge(model: Model, calibration: Sequence[Tensor], samples: Sequence[Tensor], where: str) -> CalibrationReview:
    """Judges calibration inputs that a user gave.

    Args:
        model: The float model.
        calibration: The inputs.
        samples: Those of the sample photos (`Samples.known`).
        where: The folder, for messages.

    Raises:
        InputError: The model sees a plate in none of them.
    """
    task = model.card.task
    taken = list(calibration[:MOST_JUDGED])
    ranges, outputs = measure_ranges(model, [*taken, *samples])
    seen = sum(sees(task, output) for output in outputs[: len(taken)])
    narrow = narrow_share(ranges[: len(taken)], ranges[len(taken) :])
    told = "finds a plate in" if task == "det" else "reads a text in"
    if not seen:
        raise InputError(
            f"{where}: the float model {told} none of {len(taken)} pictures, so their scales would fit no plate "
            f"({narrow:.0%} of its layers stay below half of their range on the sample photos).",
            "Calibrate with photos of plates (for rec: crops, or photos with CCPD names), or without --calibrate.",
        )
    warnings = []
    if len(calibration) < FEW[task]:
        number = len(calibration)
        warnings.append(f"calibrated with {counted(number, 'picture')}; fewer than {FEW[task]} leave it to chance")
    if seen * 2 < len(taken):
        warnings.append(f"the float model {told} only {seen} of {len(taken)} calibration pictures; the rest show no plate")
    if narrow > MOST_NARROW:
        warnings.append(
            f"{narrow:.0%} of the layers stay below half of their range on the sample photos (at most "
            f"{MOST_NARROW:.0%} should): values of plates may be clipped there"
        )
    figures = {"judged": len(taken), "with_plates": seen, "narrow_layers": round(narrow, 4)}
    return CalibrationReview(figures, tuple(warnings))


def narrow_share(calibration: NDArray[np.float64], samples: NDArray[np.float64]) -> float:
    """Returns the share of layers whose mean range on the calibration is below half of that on the samples.

    Args:
        calibration: Largest absolute values [inputs, layers].
        samples: Likewise.
    """
    return float((calibration.mean(axis=0) < NARROW * samples.mean(axis=0)).mean())
