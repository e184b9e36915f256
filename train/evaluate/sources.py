"""Opening what is to be evaluated: a checkpoint, an inference model or an `.nb`, told apart by what lies there.

A source is found first (`find_sources`, cheap and picklable) and opened later (`open_evaluated`), perhaps in several
processes: the runtimes' networks belong to the process that made them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge.base.errors import InputError, UsageError
from edge.model.card import CARD_NAME, TASKS, Input, load_model
from edge.model.dictionary import read_dictionary
from edge.ocr.config import PipelineConfig
from edge.ocr.reader import Network
from edge.ocr.settings import fit_inputs, override
from edge.plate.country import Country, card_grammar, load_country
from edge.plate.grammar import Grammar
from edge.runtime.engines import open_network
from train.arch.border import Array, Layer
from train.weights.checkpoint import BEST, LAST
from train.weights.trained import characters_beside, read_trained


@dataclass(frozen=True)
class Source:
    """A model before it is opened.

    Attributes:
        task: `det` or `rec`.
        path: Model folder, or checkpoint file.
        kind: `nb`, `inference` or `checkpoint`.
        name: For people: the card's name, or the checkpoint's path.
        bytes: Size of the model's files, without its dictionary.
        input: The network's input.
        pipeline: Settings that its card asks for; a checkpoint has those of its architecture and country.
        grammar: What may stand on its plates; None for the kit's own country.
    """

    task: str
    path: Path
    kind: str
    name: str
    bytes: int
    input: Input
    pipeline: Mapping[str, str] = field(default_factory=dict)
    grammar: Grammar | None = None

    def as_json(self) -> dict[str, Any]:
        """What a result says about the model."""
        return {"task": self.task, "name": self.name, "kind": self.kind, "bytes": self.bytes, "path": str(self.path)}


@dataclass(frozen=True)
class Opened:
    """An opened model: its network, and of a recogniser the characters of classes 1, 2, ..."""

    source: Source
    network: Network
    characters: list[str] | None


def source_settings(config: PipelineConfig, sources: Mapping[str, Source]) -> PipelineConfig:
    """Returns settings as models want them: their inputs, then what their cards ask for.

    Raises:
        UsageError: A card names an unknown setting or a malformed value.
    """
    fitted = fit_inputs(config, **{task: source.input for task, source in sources.items()})
    asked = {key: value for source in sources.values() for key, value in source.pipeline.items()}
    return override(fitted, asked)


def find_sources(paths: Sequence[Path], tasks: Sequence[str]) -> dict[str, Source]:
    """Finds one model of each task.

    Args:
        paths: Model folders, folders with `det/` and `rec/` in them, folders of fitting runs (their best weights
            count), `.pdparams` or `.ckpt` files.
        tasks: Wanted: `det` and/or `rec`.

    Returns:
        Task to source.

    Raises:
        UsageError: None or several of a task.
        InputError: A path that is none of these.
        EdgeError: What loading a card or a checkpoint says.
    """
    found: dict[str, list[Source]] = {task: [] for task in TASKS}
    for path in paths:
        for source in _sources(path):
            found[source.task].append(source)
    for task in tasks:
        if len(found[task]) != 1:
            count = "No" if not found[task] else "More than one"
            raise UsageError(f"{count} {task} model is given by --model.", f"Wanted: one each of {', '.join(tasks)}.")
    return {task: found[task][0] for task in tasks}


def _sources(path: Path) -> list[Source]:
    if path.is_dir():
        if (path / CARD_NAME).is_file():
            card = load_model(path).card
            grammar = card_grammar(card.grammar, card.name)
            named = (card.input, card.pipeline, grammar)
            return [Source(card.task, path, card.format, card.name, card.bytes, *named)]
        inside = [item for task in TASKS if (path / task / CARD_NAME).is_file() for item in _sources(path / task)]
        if inside:
            return inside
        for name in (BEST, LAST):
            if (path / name).is_file():
                return [_checkpoint(path / name)]
    elif path.suffix in (".pdparams", ".ckpt") and path.is_file():
        return [_checkpoint(path)]
    raise InputError(
        f"{path} holds no model.",
        f"Give a folder with {CARD_NAME}, one with det/ and rec/, a run of `edge train fit`, or a .pdparams file.",
    )


def _checkpoint(path: Path) -> Source:
    trained = read_trained([path])
    size, settings = path.stat().st_size, trained.arch.pipeline
    source = Source(trained.task, path, "checkpoint", str(path), size, trained.input, settings)
    if source.task == "det" or not trained.recipe:
        return source
    country = load_country(trained.recipe.data.country)
    return replace(source, pipeline={**own_settings(country), **settings}, grammar=country.grammar)


def own_settings(country: Country) -> dict[str, str]:
    """Returns the settings of `plate.conf` that a country wants and the kit's own does not."""
    kit = load_country().pipeline
    return {key: value for key, value in country.pipeline.items() if value != kit[key]}


def source_characters(source: Source) -> list[str]:
    """Returns the characters of a recogniser's classes 1, 2, ... without opening it.

    Raises:
        EdgeError: What its card, its dictionary or its checkpoint says.
    """
    if source.kind == "checkpoint":
        return characters_beside(source.path)
    dictionary = load_model(source.path).dictionary
    return read_dictionary(dictionary) if dictionary else []


def open_evaluated(source: Source, threads: int = 1) -> Opened:
    """Opens a model on the runtime that fits it.

    Args:
        source: The model.
        threads: Of Paddle; Paddle Lite's Python API uses one.

    Raises:
        EdgeError: What the runtime or the weights say.
    """
    if source.kind != "checkpoint":
        model = load_model(source.path, verify=True)
        characters = read_dictionary(model.dictionary) if model.dictionary else None
        return Opened(source, open_network(model, threads), characters)
    trained = read_trained([source.path])
    return Opened(source, DygraphNetwork(trained.network()), trained.characters)


class DygraphNetwork:
    """A Paddle network in evaluation mode."""

    def __init__(self, net: Layer) -> None:
        net.eval()
        self._net = net

    def run(self, tensor: Array) -> Array:
        """See `edge.ocr.reader.Network`."""
        import paddle

        with paddle.no_grad():
            return np.asarray(self._net(paddle.to_tensor(tensor)).numpy(), np.float32)
