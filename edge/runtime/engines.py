"""Engines on which the reference pipeline runs on this host: one module each, imported when a model asks for it."""

from __future__ import annotations

import pkgutil
from pathlib import Path

from edge.base.errors import ModelError
from edge.model.card import Model, load_model
from edge.model.dictionary import read_dictionary
from edge.ocr.reader import Network, Networks
from edge.plate.country import card_grammar

ENGINES = {"nb": "edge.runtime.paddle_lite:open_model", "inference": "edge.runtime.paddle_inference:open_model"}
"""Format of a model to the function that opens one."""


def open_network(model: Model, threads: int = 1) -> Network:
    """Loads a model of any format on the engine that fits it.

    Args:
        model: `inference`, or `nb` for x86; verified against its card (`load_model` does it).
        threads: Of Paddle Inference; Paddle Lite's Python API uses one.

    Raises:
        ModelError: An `.nb` of another target, or the engine refuses it.
        HostError: The engine is not installed.
    """
    network: Network = pkgutil.resolve_name(ENGINES[model.card.format])(model, threads)
    return network


def open_networks(det: Path, rec: Path, threads: int = 1) -> Networks:
    """Loads a detector and a recogniser from their model folders.

    Args:
        det: Model folder of a detector.
        rec: Model folder of a recogniser.
        threads: See `open_network`.

    Raises:
        ModelError: A folder holds a model of the other task, or does not load.
        InputError: Not a model folder.
    """
    models = {task: load_model(folder) for task, folder in (("det", det), ("rec", rec))}
    for task, model in models.items():
        if model.card.task != task:
            raise ModelError(f"{model.folder} is a {model.card.task} model, a {task} model is needed here.")
    dictionary = models["rec"].dictionary
    assert dictionary is not None
    networks = [open_network(models[task], threads) for task in ("det", "rec")]
    card = models["rec"].card
    return Networks(networks[0], networks[1], read_dictionary(dictionary), card_grammar(card.grammar, card.name))
