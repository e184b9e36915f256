"""How alike two networks' answers are, per output and per plate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from convert.graph.params import Array
from convert.nbfile.contents import NbFile
from convert.proof.children import Tensor
from convert.proof.photos import LabelledPhoto, settings
from edge.model.card import Model
from edge.model.dictionary import read_dictionary
from edge.ocr.detect import det_post
from edge.ocr.recognise import rec_post
from edge.plate.country import card_grammar
from edge.plate.metrics import DetMetric, RecMetric
from edge.plate.polygon import overlap

Quad = NDArray[np.float64]
MASK = 0.3
_NUMPY = {"float32": "<f4", "int8": "i1", "int16": "<i2", "float16": "<f2"}


def largest_difference(first: Sequence[Tensor], second: Sequence[Tensor]) -> float:
    """Returns the largest difference of two numbers at the same place; infinite when one is not a number."""
    worst = max(float(np.abs(a.astype(np.float64) - b).max()) for a, b in zip(first, second, strict=True))
    return worst if np.isfinite(worst) else float("inf")


def output_likeness(task: str, expected: Sequence[Tensor], got: Sequence[Tensor]) -> dict[str, float]:
    """Returns `mask_iou` of a detector's maps (pixels over 0.3), or `same_steps` of a recogniser's CTC steps."""
    pairs = list(zip(expected, got, strict=True))
    if task == "rec":
        return {"same_steps": round(float(np.mean([(a.argmax(-1) == b.argmax(-1)).mean() for a, b in pairs])), 4)}
    both = sum(int(((a > MASK) & (b > MASK)).sum()) for a, b in pairs)
    either = sum(int(((a > MASK) | (b > MASK)).sum()) for a, b in pairs)
    return {"mask_iou": round(both / either, 4) if either else 1.0}


def texts(model: Model, outputs: Sequence[Tensor]) -> list[str]:
    """Reads a recogniser's outputs with its own dictionary and settings."""
    assert model.dictionary is not None
    characters, config = read_dictionary(model.dictionary), settings(model.card)
    grammar = card_grammar(model.card.grammar, model.card.name)
    return [rec_post(output, characters, config, grammar)[0] for output in outputs]


def boxes(model: Model, photos: Sequence[LabelledPhoto], outputs: Sequence[Tensor]) -> list[Quad | None]:
    """Returns for each photo the detector's box that covers the known plate best; None where no box touches it."""
    found: list[Quad | None] = []
    for candidates, photo in zip(_candidates(model, photos, outputs), photos, strict=True):
        best = max(candidates, key=lambda box: overlap(box, photo.box), default=None)
        found.append(best if best is not None and overlap(best, photo.box) > 0 else None)
    return found


def _candidates(model: Model, photos: Sequence[LabelledPhoto], outputs: Sequence[Tensor]) -> Iterator[list[Quad]]:
    config = settings(model.card)
    for photo, output in zip(photos, outputs, strict=True):
        height, width = photo.image.shape[:2]
        yield det_post(output, width, height, config)


def share_right(model: Model, photos: Sequence[LabelledPhoto], outputs: Sequence[Tensor]) -> float:
    """Share of the known plates that are found (recall of `DetMetric`) or read exactly (accuracy of `RecMetric`)."""
    if model.card.task == "rec":
        read = RecMetric()
        for text, photo in zip(texts(model, outputs), photos, strict=True):
            read.add(text, photo.text)
        return round(read.result().accuracy, 4)
    found = DetMetric()
    for candidates, photo in zip(_candidates(model, photos, outputs), photos, strict=True):
        found.add(candidates, [photo.box])
    return round(found.result().recall, 4)


def plate_likeness(
    first: tuple[Model, Sequence[Tensor]], second: tuple[Model, Sequence[Tensor]], photos: Sequence[LabelledPhoto]
) -> dict[str, float]:
    """Compares two models plate by plate: `same_texts`, or `box_iou` (a plate that only one finds counts 0)."""
    if first[0].card.task == "rec":
        pairs = list(zip(texts(*first), texts(*second), strict=True))
        return {"same_texts": round(sum(a == b for a, b in pairs) / len(pairs), 4)}
    ious = []
    for a, b in zip(boxes(first[0], photos, first[1]), boxes(second[0], photos, second[1]), strict=True):
        ious.append(1.0 if a is b is None else 0.0 if a is None or b is None else overlap(a, b))
    return {"box_iou": round(float(np.mean(ious)), 4)}


def weight_likeness(file: NbFile, content: bytes, params: Mapping[str, Array]) -> tuple[dict[str, float], list[str]]:
    """Compares a `.nb` file's weights with those of the program that it was made from.

    Batch norms are folded into the weights and int8 weights have a scale, so each channel is compared up to a factor.

    Args:
        file: The file, read.
        content: Its bytes.
        params: The program's parameters.

    Returns:
        Name of each weight that both have to the median cosine of its channels, and the weights that are all zeros.
    """
    cosines: dict[str, float] = {}
    zeros = []
    for tensor in file.tensors:
        if len(tensor.shape) < 2 or tensor.dtype not in _NUMPY:
            continue
        dtype = np.dtype(_NUMPY[tensor.dtype])
        values = np.frombuffer(content, dtype, tensor.bytes // dtype.itemsize, tensor.offset).reshape(tensor.shape)
        if not values.any():
            zeros.append(tensor.name)
        source = params.get(tensor.name.removesuffix(".float"))
        if source is not None and source.shape == values.shape:
            cosines[tensor.name] = max(_cosine(values, source, axis) for axis in (0, 1))
    return cosines, zeros


def _cosine(first: NDArray[np.generic], second: NDArray[np.generic], axis: int) -> float:
    a, b = (np.moveaxis(np.asarray(x, np.float64), axis, 0).reshape(x.shape[axis], -1) for x in (first, second))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    dots = np.abs((a * b).sum(1))
    # A batch norm may multiply a channel by nothing or next to nothing: then it has no direction, or one of rounding.
    alive = norms > 0
    return float(np.median(dots[alive] / norms[alive])) if alive.any() else 0.0
