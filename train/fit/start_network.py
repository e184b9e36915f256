"""The network that a recipe starts from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge.base.errors import InputError, UsageError
from edge.model.dictionary import read_dictionary
from edge.plate.country import load_country
from train.arch import load_paddle
from train.arch.architecture import Architecture, class_count
from train.arch.border import Arrays, Layer
from train.recipes.recipe import Recipe, recipe_architecture
from train.weights.assign import assign, load_checkpoint
from train.weights.published import load_published, usual_characters


def recipe_characters(recipe: Recipe) -> list[str] | None:
    """Returns the characters of a recogniser's classes 1, 2, ...; None for a detector."""
    if recipe.task == "det":
        return None
    if recipe.model.charset == "plate":
        return list(load_country(recipe.data.country).symbols)
    return usual_characters()


def start_network(recipe: Recipe) -> tuple[Layer, list[str] | None]:
    """Builds the network of a recipe with the weights that it starts from.

    A recogniser whose checkpoint or published head has other characters gets the rows of those that it shares with
    the wanted charset; so a plate head starts from the published accuracy, without any training.

    Returns:
        The network in training mode, and its characters (None for a detector).

    Raises:
        ModelError: The weights do not fit.
        InputError: The checkpoint or its dictionary is missing, or there is no such architecture.
        UsageError: The architecture has no published weights.
    """
    arch = recipe_architecture(recipe)
    paddle = load_paddle()
    characters = recipe_characters(recipe)
    classes = class_count(characters)
    if recipe.model.init == "random":
        paddle.seed(recipe.seed)
        return arch.build(classes), characters
    if recipe.model.init == "published":
        published = load_published(arch)
        state, old = published.net.state_dict(), published.characters
        where = "the published model"
        # What only training uses is in no inference model; it is trained from fresh weights.
        values = {name: value.numpy() for name, value in state.items() if not name.startswith(arch.training_only)}
    else:
        path = Path(recipe.model.init)
        values, where = load_checkpoint(path), str(path)
        old = read_dictionary(path.parent / "dict.txt") if characters else None
    if characters and old is not None and old != characters:
        values = regroup_head(arch, values, old, characters)
    paddle.seed(recipe.seed)  # For what no checkpoint holds: the threshold map's head.
    net = arch.build(classes, like=values)
    assign(arch, net, values, where)
    net.train()
    return net, characters


def regroup_head(arch: Architecture, values: Arrays, old: list[str], new: list[str]) -> Arrays:
    """Rebuilds a CTC head for another charset from the classes of the old one.

    Args:
        arch: Of the recogniser; its `head` is a linear layer `[channels, classes]` or a 1x1 convolution `[classes, ...]`.
        values: Parameters of a recogniser.
        old: Its characters.
        new: The wanted ones; one that `old` lacks gets zero weights and the least bias, so it is never read first.

    Returns:
        All parameters, the head's replaced.

    Raises:
        InputError: None of the wanted characters is among the old ones.
        UsageError: The architecture has no such head.
    """
    places = {character: index for index, character in enumerate(old, 1)}
    if not any(character in places for character in new):
        raise InputError("The checkpoint's dictionary shares no character with the wanted one.")
    if arch.head is None:
        raise UsageError(f"{arch.name} names no head to rebuild for other characters.", "Keep the checkpoint's.")
    weight, bias = (values[name] for name in arch.head)
    axis = 1 if weight.ndim == 2 else 0
    # For each new class the old one; blank stays blank, and a class past the end is taken where there was none.
    taken = [0, *(places.get(character, len(old) + 1) for character in new)]
    nothing = np.zeros_like(np.take(weight, [0], axis))
    fresh = np.take(np.concatenate([weight, nothing], axis), taken, axis)
    return {**values, arch.head[0]: fresh, arch.head[1]: np.append(bias, bias.min())[taken]}
