"""The network that a recipe starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edge.base.errors import InputError
from edge.model.dictionary import read_dictionary
from edge.plate.country import load_country
from train.arch.border import Arrays
from train.recipes.recipe import Recipe


def recipe_characters(recipe: Recipe) -> list[str] | None:
    """Returns the characters of a recogniser's classes 1, 2, ...; None for a detector."""
    if recipe.task == "det":
        return None
    if recipe.model.charset == "plate":
        return list(load_country(recipe.data.country).symbols)
    from train.weights.published import load_published

    return load_published("rec").characters


def start_network(recipe: Recipe) -> tuple[Any, list[str] | None]:
    """Builds the network of a recipe with the weights that it starts from.

    A recogniser whose checkpoint or published head has other characters gets the rows of those that it shares with
    the wanted charset; so a plate head starts from the published accuracy, without any training.

    Returns:
        The network in training mode, and its characters (None for a detector).

    Raises:
        ModelError: The weights do not fit.
        InputError: The checkpoint or its dictionary is missing.
    """
    import zlib  # noqa: F401

    import paddle

    from train.weights.assign import assign, build, load_checkpoint
    from train.weights.published import load_published

    characters = recipe_characters(recipe)
    classes = len(characters) + 1 if characters else None
    if recipe.model.init == "random":
        paddle.seed(recipe.seed)
        return build(recipe.task, classes), characters
    if recipe.model.init == "published":
        published = load_published(recipe.task)
        values, old = _arrays(published.net), published.characters
        where = "the published model"
        if recipe.task == "det":
            # The inference model has no threshold map; it is trained from fresh weights.
            values = {name: value for name, value in values.items() if not name.startswith("head.thresh.")}
    else:
        path = Path(recipe.model.init)
        values, where = load_checkpoint(path), str(path)
        old = read_dictionary(path.parent / "dict.txt") if characters else None
    if characters and old is not None and old != characters:
        values = regroup_head(values, old, characters)
    paddle.seed(recipe.seed)  # For what no checkpoint holds: the threshold map's head.
    net = build(recipe.task, classes, like=values)
    assign(net, values, where)
    net.train()
    return net, characters


def regroup_head(values: Arrays, old: list[str], new: list[str]) -> Arrays:
    """Rebuilds a CTC head for another charset from the rows (columns of the weight) of the old one.

    Args:
        values: Parameters of a recogniser.
        old: Its characters.
        new: The wanted ones; one that `old` lacks gets a zero column and the least bias, so it is never read first.

    Returns:
        All parameters, the head's replaced.

    Raises:
        InputError: None of the wanted characters is among the old ones.
    """
    places = {character: index for index, character in enumerate(old, 1)}
    if not any(character in places for character in new):
        raise InputError("The checkpoint's dictionary shares no character with the wanted one.")
    weight, bias = values["head.ctc_head.fc.weight"], values["head.ctc_head.fc.bias"]
    fresh_weight = np.zeros((weight.shape[0], len(new) + 1), np.float32)
    fresh_bias = np.full(len(new) + 1, bias.min(), np.float32)
    fresh_weight[:, 0], fresh_bias[0] = weight[:, 0], bias[0]
    for index, character in enumerate(new, 1):
        if character in places:
            fresh_weight[:, index] = weight[:, places[character]]
            fresh_bias[index] = bias[places[character]]
    return {**values, "head.ctc_head.fc.weight": fresh_weight, "head.ctc_head.fc.bias": fresh_bias}


def _arrays(net: Any) -> Arrays:
    return {name: value.numpy() for name, value in net.state_dict().items()}
