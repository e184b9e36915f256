"""Weights with what is known about them: of a run, of the kit's or PaddleOCR's checkpoint, or the average of several."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge.base.errors import InputError, ModelError, UsageError
from edge.model.card import CARD_NAME, Input
from edge.model.dictionary import read_dictionary
from train.arch.architecture import DEFAULTS, Architecture, architecture_names, class_count, find_architecture
from train.arch.border import Arrays, Layer
from train.recipes.recipe import Recipe, parse_recipe, read_document, recipe_architecture
from train.weights.assign import assign, load_checkpoint
from train.weights.checkpoint import BEST, BEST_FACTS, LAST, load_state
from train.weights.published import usual_characters

RECIPE, DICTIONARY = "recipe.yml", "dict.txt"
QUANTISED = "_fake_quant"
"""A part of names that only quantised layers have."""


@dataclass(frozen=True)
class Trained:
    """Weights with what is known about them.

    Attributes:
        arch: Of the network.
        values: Parameters and buffers by name.
        characters: Of a recogniser's classes 1, 2, ...
        recipe: Of the run, None for a bare checkpoint.
        names: Of what the weights were read from, for the card.
        best: Figures of the best validation in training.
    """

    arch: Architecture
    values: Arrays
    characters: list[str] | None = None
    recipe: Recipe | None = None
    names: tuple[str, ...] = ()
    best: dict[str, Any] = field(default_factory=dict)

    @property
    def quantised(self) -> bool:
        """Whether they come from quantisation-aware training."""
        return any(QUANTISED in name for name in self.values)

    @property
    def task(self) -> str:
        """`det` or `rec`."""
        return self.arch.task

    @property
    def input(self) -> Input:
        """The network's input, as wide as the run's recipe says."""
        return self.arch.taken(self.recipe.model.width if self.recipe else 0)

    def network(self) -> Layer:
        """Builds the float network with these weights, in training mode.

        Raises:
            ModelError: They do not fit it; those of quantisation-aware training never do.
        """
        net = self.arch.build(class_count(self.characters), like=self.values)
        assign(self.arch, net, self.values, ", ".join(self.names))
        return net


def read_trained(
    paths: Sequence[Path],
    *,
    last: bool = False,
    task: str | None = None,
    recipe: Recipe | None = None,
    dictionary: Path | None = None,
) -> Trained:
    """Reads the weights of a run, or of a kit's or PaddleOCR's checkpoint; several are averaged.

    Args:
        paths: Folders of runs, `.pdparams` or `.ckpt` files, all of the same network.
        last: Take the moving average of a run's last checkpoint, not its best weights.
        task: When it cannot be told from the checkpoint.
        recipe: Names the architecture when the checkpoint comes without a recipe.
        dictionary: Of a recogniser without `dict.txt` beside it (default: the published characters).

    Raises:
        InputError: No checkpoint, or an unreadable one.
        ModelError: The checkpoints are of different networks, or of recognisers with different characters.
        UsageError: `task` or `recipe` contradicts the checkpoint.
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
    own_recipe = parse_recipe(document, str(beside / RECIPE)) if document else None
    wanted = task or (recipe.task if recipe else None)
    known = own_recipe or recipe
    arch = recipe_architecture(known) if known else _known_by_marks(values, wanted, paths[0])
    if wanted not in (None, arch.task):
        raise UsageError(f"{paths[0]} is a {arch.task} checkpoint, not {wanted}.")
    if recipe and recipe.model.arch != arch.name:
        raise UsageError(f"{paths[0]} is a checkpoint of {arch.name}, but the recipe is for {recipe.model.arch}.")
    characters = None
    if arch.task == "rec":
        characters = read_dictionary(dictionary) if dictionary else characters_beside(paths[0])
        for path, (_, _, folder, _) in zip(paths, parts, strict=True):
            own = folder / DICTIONARY
            if dictionary is None and own.is_file() and read_dictionary(own) != characters:
                raise ModelError(f"{path} has other characters than {paths[0]}.", "Average runs of one dictionary.")
    names = tuple(f"{path.parent.name}/{path.name}" if path.is_file() else path.name for path in paths)
    return Trained(arch, values, characters, own_recipe, names, best)


def _read_one(path: Path, last: bool) -> tuple[Arrays, dict[str, Any], Path, dict[str, Any]]:
    """Returns weights, recipe (empty without one), the folder that a dictionary is looked for in, best figures."""
    file = path / (LAST if last else BEST) if path.is_dir() else path
    if path.is_dir() and not file.is_file():
        said = f"It holds {CARD_NAME}: it is exported already." if (path / CARD_NAME).is_file() else ""
        raise InputError(f"{path} holds no {file.name}.", said or "Give a run of `edge train fit` or a .pdparams file.")
    if file.suffix == ".ckpt":
        state = load_state(file)
        return {**state.weights, **state.average}, state.recipe, file.parent, state.best
    recipe, facts = file.parent / RECIPE, file.parent / BEST_FACTS
    document = read_document(recipe) if recipe.is_file() else {}
    try:
        best = json.loads(facts.read_text(encoding="utf-8")) if facts.is_file() else {}
    except ValueError as error:
        raise InputError(f"{facts} is not JSON: {error}.", "Delete it; it only says how good the weights were.") from error
    return load_checkpoint(file), document, file.parent, best


def _shape(values: Arrays, name: str) -> tuple[int, ...] | None:
    return values[name].shape if name in values else None


def _known_by_marks(values: Arrays, asked: str | None, path: Path) -> Architecture:
    """Finds the architecture of the kit to which the names of a bare checkpoint belong; PP-OCRv3's when `asked` helps."""
    names = sorted(architecture_names(), key=lambda name: name not in DEFAULTS.values())
    for arch in (find_architecture(name, name[-3:]) for name in names):
        if arch.marks and all(any(mark in name for name in values) for mark in arch.marks):
            return arch
    if asked:
        return find_architecture("", asked)
    raise InputError(
        f"{path} is neither a detector's nor a recogniser's checkpoint.",
        f"Known: {', '.join(names)}. For another architecture, keep its recipe.yml beside the checkpoint.",
    )


def characters_beside(path: Path) -> list[str]:
    """Reads the characters of a recogniser's run or checkpoint: its `dict.txt`, else the published ones."""
    beside = (path if path.is_dir() else path.parent) / DICTIONARY
    return read_dictionary(beside) if beside.is_file() else usual_characters()
