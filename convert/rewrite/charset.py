"""Keeping only some characters of an exported recogniser: the CTC head loses the columns of all others.

The scores before the softmax of what is kept are the same numbers as before, so no training is needed. Works on float
models and on quantised ones, whose scales are kept with their columns.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from convert.graph.edit import Graph, all_arguments, arguments
from convert.rewrite.apply import drop_identities
from edge.base.errors import InputError, ModelError
from edge.base.paths import sha256_file
from edge.model.card import Charset, Model, save_model
from edge.model.dictionary import read_dictionary
from edge.model.folder import new_folder
from edge.plate.country import DEFAULT, FILE_NAME, Country, country_codes, load_country

_PATH = ("softmax", "scale", "elementwise_add", "assign", "cast", "mul", "matmul", "matmul_v2", "fc")


def wanted_characters(charset: str) -> tuple[list[str], Country | None]:
    """Returns the characters that `--charset` names, and the country that they are of.

    Args:
        charset: `plate` for the kit's own country, the code or folder of a country, or a dictionary file.

    Raises:
        InputError: None of these.
    """
    if charset != "plate" and charset not in country_codes() and not (Path(charset) / FILE_NAME).is_file():
        return read_dictionary(Path(charset)), None
    country = load_country(DEFAULT if charset == "plate" else charset)
    # The first separator stays: a published recogniser that may not read it reads something else in its place.
    return [*country.symbols, *country.strip[:1]], country


def prune_charset(
    model: Model, characters: list[str], out: Path, country: Country | None = None, *, force: bool = False
) -> Model:
    """Writes a recogniser that knows only some of its characters, in the order of its old dictionary.

    Args:
        model: Inference model of a recogniser.
        characters: Those to keep; ones that the model does not know are left out, and named in the card.
        out: Folder to make.
        country: Whose plates it then reads; None as before.
        force: Replace an existing model.

    Raises:
        InputError: It is not a recogniser's inference model, it knows none of the characters, or `out` is taken.
        ModelError: Its head has an unknown form.
    """
    card = model.card
    if card.format != "inference" or card.charset is None or model.dictionary is None:
        raise InputError(
            f"{model.folder} is a {card.task} model in format {card.format}; only a recogniser has characters.",
            "Prune the inference model, then convert it with `edge convert nb`.",
        )
    known = read_dictionary(model.dictionary)
    wanted = set(characters)
    kept = [index for index, character in enumerate(known, 1) if character in wanted]
    if not kept:
        raise InputError(f"{model.folder} knows none of the wanted characters.", "Is it the right dictionary?")
    graph = Graph.of(model)
    cut_classes(graph, card.charset.classes, np.array([0, *kept]))
    unknown = sorted(wanted - set(known))
    with new_folder(out, force) as folder:
        graph.save(folder / "inference.pdmodel", folder / "inference.pdiparams")
        text = "".join(f"{known[index - 1]}\n" for index in kept)
        (folder / "dict.txt").write_text(text, encoding="utf-8")
        charset = Charset("dict.txt", sha256_file(folder / "dict.txt"), len(kept) + 1)
        pruned = {"from_classes": card.charset.classes, "parent": card.name, "unknown": unknown}
        fresh = replace(
            card,
            charset=charset,
            source={**card.source, "pruned": pruned},
            checks=(),
            metrics={},
            name=_name(card.name),
        )
        if country:
            fresh = replace(fresh, country=country.code, grammar=country.grammar.lines())
            fresh = replace(fresh, pipeline={**fresh.pipeline, **country.pipeline})
        saved = save_model(folder, fresh, ["inference.pdmodel", "inference.pdiparams"])
    return Model(out, saved.card)


def _name(name: str) -> str:
    for precision in ("fp32", "int8"):
        if name.endswith(f"-{precision}"):
            return f"{name.removesuffix(precision)}pruned-{precision}"
    return f"{name}-pruned"


def cut_classes(graph: Graph, classes: int, kept: np.ndarray[Any, Any]) -> None:
    """Keeps some columns of the last layer: its weight, bias and scales, and the declared shapes after it.

    Args:
        graph: Edited in place.
        classes: Columns that the last layer has.
        kept: Columns to keep, in order.

    Raises:
        ModelError: There is no last layer with that many columns between the network and its first output.
    """
    drop_identities(graph)  # PaddleSlim adds a scale that writes what it reads, where the way back would end
    producers = graph.producers()
    fetched = [name for operator in graph.of_type("fetch") for name in all_arguments(operator.inputs)]
    waiting, cut = fetched[:1], False
    seen: set[int] = set()
    outputs: set[str] = set()
    while waiting:
        name = waiting.pop()
        operator = producers.get(name)
        if operator is None or id(operator) in seen:
            continue
        seen.add(id(operator))
        if operator.type not in _PATH and "quantize" not in operator.type:
            break
        outputs.update(all_arguments(operator.outputs))
        layer = operator.type in ("mul", "matmul", "matmul_v2", "fc")
        for source in all_arguments(operator.inputs):
            if source in graph.params:
                _cut(graph, source, classes, kept)
            elif layer and source in producers and _is_weight(graph, producers[source]):
                for inner in all_arguments(producers[source].inputs):
                    _cut(graph, inner, classes, kept)
                outputs.update(all_arguments(producers[source].outputs))
            elif not layer:
                waiting.append(source)
        if layer:
            cut = True
            break
    if not cut or not any(len(kept) in graph.params[name].shape for name in graph.params):
        hint = "Only CTC heads with one layer are pruned."
        raise ModelError(f"No last layer with {classes} classes was found.", hint)
    for tensor in filter(None, map(graph.tensor, outputs)):
        tensor.dims[:] = [len(kept) if size == classes else size for size in tensor.dims]


def _is_weight(graph: Graph, operator: Any) -> bool:
    return operator.type == "dequantize_linear" and arguments(operator.inputs, "X")[0] in graph.params


def _cut(graph: Graph, name: str, classes: int, kept: np.ndarray[Any, Any]) -> None:
    value = graph.params.get(name)
    if value is None or classes not in value.shape:
        return
    # The last axis of that size: a square weight is cut in its columns.
    axis = max(index for index, size in enumerate(value.shape) if size == classes)
    graph.params[name] = np.ascontiguousarray(value.take(kept, axis))
    tensor = graph.tensor(name)
    if tensor is not None:
        tensor.dims[axis] = len(kept)
