"""The recogniser's two sides: crop to network input, probabilities to text (CTC)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge.base.errors import ModelError
from edge.ocr.config import PipelineConfig
from edge.ocr.detect import Tensor, to_tensor
from edge.plate.country import load_country
from edge.plate.grammar import Grammar, PlateDecoder

BLANK = 0


def rec_pre(crop: npt.NDArray[np.uint8], config: PipelineConfig) -> Tensor:
    """Makes the recogniser's input from a crop.

    Args:
        crop: uint8 [height, width, 3], BGR.
        config: Uses the `rec_*` keys. `stretch` fills the whole width; `pad` keeps the crop's ratio (up to the
            whole width) and leaves zeros on the right.

    Returns:
        float32 [1, 3, rec_height, rec_width].
    """
    import cv2

    width = config.rec_width
    if config.rec_resize == "pad":
        width = min(width, math.ceil(config.rec_height * crop.shape[1] / crop.shape[0]))
    resized = cv2.resize(crop, (width, config.rec_height), interpolation=cv2.INTER_LINEAR)
    tensor = to_tensor(resized, config.rec_mean, config.rec_std)
    if width == config.rec_width:
        return tensor
    padded = np.zeros((1, 3, config.rec_height, config.rec_width), np.float32)
    padded[:, :, :, :width] = tensor
    return padded


def ctc_greedy(probabilities: Tensor, characters: Sequence[str]) -> tuple[str, float]:
    """Decodes the best path: the likeliest class a step, repeats merged, blanks dropped.

    Args:
        probabilities: float32 [T, classes]; of equal classes the first is the likeliest.
        characters: Of classes 1, 2, ...; class 0 is the blank.

    Returns:
        The text, and the mean probability of the kept steps (0 without any).
    """
    best = probabilities.argmax(axis=1)
    kept = best != BLANK
    kept[1:] &= best[1:] != best[:-1]
    steps = np.flatnonzero(kept)
    if not len(steps):
        return "", 0.0
    score = float(probabilities[steps, best[steps]].mean(dtype=np.float64))
    return "".join(characters[best[step] - 1] for step in steps), score


def strip_text(text: str, strip: str) -> str:
    """Returns `text` without the characters in `strip`, wherever they stand."""
    return "".join(mark for mark in text if mark not in strip)


def keep_text(text: str, score: float, config: PipelineConfig) -> bool:
    """Says whether a (stripped) text is kept: not empty, of one of `text_lengths`, score at least `score_thresh`."""
    if not text or score < config.score_thresh:
        return False
    return not config.text_lengths or len(text) in config.text_lengths


def rec_post(
    probabilities: Tensor, characters: Sequence[str], config: PipelineConfig, grammar: Grammar | None = None
) -> tuple[str, float]:
    """Decodes the recogniser's output to a stripped text and its score; `keep_text` is asked separately.

    Args:
        probabilities: float32 [1, T, classes] or [T, classes], softmax applied.
        characters: Of classes 1, 2, ...
        config: Uses `decode` and `text_strip`.
        grammar: Of the plates, for `decode = plate`; None for that of the kit's own country.

    Raises:
        ModelError: Another number of classes than the dictionary has, or NaN.
    """
    matrix = probabilities.reshape(probabilities.shape[-2:])
    if matrix.shape[1] != len(characters) + 1:
        raise ModelError(
            f"The recogniser has {matrix.shape[1]} classes, the dictionary {len(characters)} characters (+ 1 blank).",
            "Model and dictionary belong together; take both from one model folder.",
        )
    if not np.isfinite(matrix.sum(dtype=np.float64)):
        raise ModelError("The recogniser's output is not finite.", "Convert the model again, or take its fp32 form.")
    if config.decode == "plate":
        grammar = grammar or load_country().grammar
        return PlateDecoder.of(grammar, tuple(characters), config.text_strip).decode(matrix)
    text, score = ctc_greedy(matrix, characters)
    return strip_text(text, config.text_strip), score
