"""Weights with what is known about them: of a run, of the kit's or PaddleOCR's checkpoint, or the average of several."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge.base.errors import InputError, ModelError, UsageError
from edge.model.card import CARD_NAME
from edge.model.dictionary import read_dictionary
from train.arch.border import Arrays
from train.recipes.recipe import Recipe, parse_recipe, read_document
from train.weights.checkpoint import BEST, BEST_FACTS, LAST, load_state

QUANTISED = "_fake_quant"
"""A part of names that only quantised layers have."""


@dataclass(frozen=True)
class Trained:
    """Weights with what is known about them.

    Attributes:
        task: `det` or `rec`.
        values: Parameters and buffers by name.
        characters: Of a recogniser's classes 1, 2, ...
        recipe: Of the run, None for a bare checkpoint.
        names: Of what the weights were read from, for the card.
        best: Figures of the best validation in training.
    """

    task: str
    values: Arrays
    characters: list[str] | None = None
    recipe: Recipe | None = None
    names: tuple[str, ...] = ()
    best: dict[str, Any] = field(default_factory=dict)

    @property
    def quantised(self) -> bool:
        """Whether they come from quantisation-aware training."""
        return any(QUANTISED in name for name in self.values)


def read_trained(
    paths: Sequence[Path], *, last: bool = False, task: str | None = None, dictionary: Path | None = None
) -> Trained:
    """Reads the weights of a run, or of a kit's or PaddleOCR's checkpoint; several are averaged.

    Args:
        paths: Folders of runs, `.pdparams` or `.ckpt` files, all of the same network.
        last: Of a run take the last checkpoint's moving average, not the best weights.
        task: When it cannot be told from the checkpoint.
        dictionary: Of a recogniser without `dict.txt` beside it (default: the published characters).

    Raises:
        InputError: No checkpoint, or an unreadable one.
        ModelError: The checkpoints are of different networks, or of recognisers with different characters.
        UsageError: `task` contradicts the checkpoint.
    """
    parts = [_read_one(path, last) for path in paths]
    first, document, beside, best = parts[0]
    for path, (values, *_) in zip(paths[1:], parts[1:], strict=True):
        differ = sorted(name for name in {*first, *values} if _shape(first, name) != _shape(values, name))
        if differ:
            raise ModelError(f"{path} is of another network than {paths[0]}: {', '.join(differ[:5])}.")
    values = {
        name: np.mean([part[0][name] for part in parts], axis=0, dtype=np.float64).astype(first[name].dtype)
        if len(parts) > 1
        else first[name]
        for name in first
    }
    recipe = parse_recipe(document, str(beside / "recipe.yml")) if document else None
    found = recipe.task if recipe else _task(values, task, paths[0])
    if task not in (None, found):
        raise UsageError(f"{paths[0]} is a {found} checkpoint, not {task}.")
    characters = None
    if found == "rec":
        characters = _characters(dictionary or beside / "dict.txt", required=dictionary is not None)
        for path, (_, _, folder, _) in zip(paths, parts, strict=True):
            own = folder / "dict.txt"
            if dictionary is None and own.is_file() and read_dictionary(own) != characters:
                raise ModelError(f"{path} has other characters than {paths[0]}.", "Average runs of one dictionary.")
    names = tuple(f"{path.parent.name}/{path.name}" if path.is_file() else path.name for path in paths)
    return Trained(found, values, characters, recipe, names, best)


def _read_one(path: Path, last: bool) -> tuple[Arrays, dict[str, Any], Path, dict[str, Any]]:
    """Returns weights, recipe (empty without one), the folder that a dictionary is looked for in, best figures."""
    from train.weights.assign import load_checkpoint

    file = path / (LAST if last else BEST) if path.is_dir() else path
    if path.is_dir() and not file.is_file():
        said = f"It holds {CARD_NAME}: it is exported already." if (path / CARD_NAME).is_file() else ""
        raise InputError(f"{path} holds no {file.name}.", said or "Give a run of `edge train fit` or a .pdparams file.")
    if file.suffix == ".ckpt":
        state = load_state(file)
        return {**state.weights, **state.average}, state.recipe, file.parent, state.best
    recipe, facts = file.parent / "recipe.yml", file.parent / BEST_FACTS
    document = read_document(recipe) if recipe.is_file() else {}
    try:
        best = json.loads(facts.read_text(encoding="utf-8")) if facts.is_file() else {}
    except ValueError as error:
        raise InputError(f"{facts} is not JSON: {error}.", "Delete it; it only says how good the weights were.") from error
    return load_checkpoint(file), document, file.parent, best


def _shape(values: Arrays, name: str) -> tuple[int, ...] | None:
    return values[name].shape if name in values else None


def _task(values: Arrays, asked: str | None, path: Path) -> str:
    for task, mark in (("det", "head.binarize."), ("rec", "ctc_")):
        if any(mark in name for name in values):
            return task
    if asked:
        return asked
    raise InputError(f"{path} is neither a detector's nor a recogniser's checkpoint.", "Is it PP-OCRv3's?")


def _characters(path: Path, *, required: bool) -> list[str]:
    if required or path.is_file():
        return read_dictionary(path)
    from train.weights.published import load_published

    # PaddleOCR's own checkpoints come without a dictionary: they have the published one.
    characters = load_published("rec").characters
    assert characters is not None
    return characters
