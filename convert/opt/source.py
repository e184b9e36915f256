"""Opening what a user wants converted: a model folder of the kit, or a bare Paddle inference model of any origin."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from convert.graph.edit import Graph, arguments
from convert.graph.foreign import explain_folder
from convert.graph.task import NAMES, Signature, check_card, check_finite, check_input, check_task, signature
from edge.base.errors import InputError, ModelError
from edge.base.paths import sha256_file
from edge.model.card import CARD_NAME, PPOCR_INPUTS, Card, Charset, Input, Model, load_model, save_model
from edge.model.dictionary import read_dictionary


def find_files(path: Path) -> tuple[Path, Path]:
    """Finds program and parameters of an inference model.

    Args:
        path: Its folder, or one of the two files.

    Returns:
        `.pdmodel` and `.pdiparams`.

    Raises:
        InputError: They are not there (says what is there instead), or there are several.
        ModelError: It is Paddle 3's `inference.json`.
    """
    if path.is_dir() or path.name == CARD_NAME:
        programs = sorted((path if path.is_dir() else path.parent).glob("*.pdmodel"))
    else:
        programs = [path.with_suffix(".pdmodel")] if path.suffix in (".pdmodel", ".pdiparams") else []
    folder = path if path.is_dir() else path.parent
    folders = [file for file in programs if file.is_dir()]
    programs = [file for file in programs if file.is_file()]
    if not programs and folders:
        raise InputError(f"{folders[0]} is a folder, not a Paddle program.", "Export the model again.")
    if not programs:
        raise explain_folder(path, folder)
    if len(programs) > 1:
        names = ", ".join(file.name for file in programs)
        raise InputError(f"{folder} holds several programs: {names}.", "Name the one to take.")
    parameters = programs[0].with_suffix(".pdiparams")
    if not parameters.is_file():
        raise InputError(f"{parameters} is missing.", "Program and parameters belong together.")
    return programs[0], parameters


def open_convertible(path: Path, work: Path, task: str | None = None, dictionary: Path | None = None) -> Model:
    """Opens a model folder with a card, or makes a card for a bare inference model.

    Args:
        path: Folder, `.pdmodel` or `.pdiparams` file.
        work: Folder into which a bare model is copied, with a card.
        task: Of a bare model: `det` or `rec`; when None the network's output tells.
        dictionary: Of a bare recogniser.

    Raises:
        InputError: Nothing there, a bare recogniser without dictionary, a detector with one, or see `find_files`.
        ModelError: Network and task, card or dictionary do not fit, or see `find_files`.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist.", "Name a model folder, or a .pdmodel file.")
    folder = path if path.is_dir() else path.parent
    if (folder / CARD_NAME).is_file():
        if task or dictionary:
            raise InputError(f"{folder} has a card, which says task and dictionary.", "Leave --task and --dict out.")
        model = load_model(folder)
        if model.card.format == "inference":
            graph = Graph.of(model)
            check_card(signature(graph), model.card, str(folder))
            check_finite(graph, str(folder))
            _check_classes(model, graph)
        return model
    program, parameters = find_files(path)
    graph = Graph.load(program, parameters)
    found = signature(graph)
    check_input(found, str(path))
    kind = _task(found, path, task, dictionary)
    check_finite(graph, str(path))
    shutil.copyfile(program, work / "inference.pdmodel")
    shutil.copyfile(parameters, work / "inference.pdiparams")
    charset = _charset(dictionary, work, output_classes(graph)) if dictionary else None
    quantised = any("quantize" in operator.type for operator in graph.block.ops)
    card = Card(
        name=f"{program.resolve().parent.name}-{'int8' if quantised else 'fp32'}",
        task=kind,
        architecture="unknown",
        format="inference",
        precision="int8" if quantised else "fp32",
        input=_input(found, kind),
        charset=charset,
        source={"file": program.name, "sha256": sha256_file(program), **_taken(found, kind, task or dictionary)},
    )
    model = save_model(work, card, ["inference.pdmodel", "inference.pdiparams"])
    _check_classes(model, graph)
    return model


def _task(found: Signature, path: Path, task: str | None, dictionary: Path | None) -> str:
    """Returns the task of a model without card: as given, else as its output tells."""
    kind = task or ("rec" if dictionary else found.task)
    if kind is None:
        raise InputError(
            f"{path} has no {CARD_NAME}, and its task cannot be told: {found.described()}.",
            "If it is one of the two, say which: --task det, or --task rec --dict FILE.",
        )
    check_task(found, kind, str(path), by="--task" if task else "--dict" if dictionary else "its output")
    if kind == "rec" and dictionary is None:
        raise InputError(
            f"{path} has no {CARD_NAME} and is {NAMES[kind]} ({found.described()}), so its dictionary must be given.",
            "Give it: --task rec --dict FILE, one character a line, as in training.",
        )
    if kind == "det" and dictionary is not None:
        raise InputError(f"{path} is taken as {NAMES[kind]}, which has no dictionary.", "Leave --dict out.")
    return kind


def _input(found: Signature, task: str) -> Input:
    """A bare model's input: a recogniser's sides as the network fixes them, else 48 pixels high, the width left open."""
    height, width = (max(0, side) for side in found.shape[2:]) if len(found.shape) == 4 else (0, 0)
    usual = replace(PPOCR_INPUTS[task], name=found.name)
    return usual if task == "det" else replace(usual, height=height or usual.height, width=width)


def _taken(found: Signature, kind: str, said: object) -> dict[str, Any]:
    """For the card: what the network told or left open of a bare model's task and input."""
    notes = [] if said else [f"taken as {NAMES[kind]}: {found.described()}"]
    if len(found.outputs) > 1:
        notes.append(f"it has {len(found.outputs)} outputs: the program reads the first, {found.outputs[0]}")
    if kind == "rec" and len(found.shape) == 4:
        for side, value, taken in (("height", found.shape[2], "48"), ("width", found.shape[3], "the settings' rec_width")):
            if value <= 0:
                notes.append(f"input {found.name} leaves the {side} open: {taken} is taken")
    return {"taken": notes} if notes else {}


def _charset(dictionary: Path, work: Path, classes: int | None) -> Charset:
    """Copies a dictionary; PaddleOCR's leave out the space that recognisers with use_space_char have as last class."""
    characters = read_dictionary(dictionary)
    if " " not in characters and classes != len(characters) + 1:
        characters.append(" ")
    (work / "dict.txt").write_text("".join(f"{character}\n" for character in characters), encoding="utf-8")
    return Charset("dict.txt", sha256_file(work / "dict.txt"), len(characters) + 1)


def _check_classes(model: Model, graph: Graph) -> None:
    """Compares a recogniser's dictionary with the classes that its last layer has.

    Raises:
        ModelError: They differ: texts would be garbled.
    """
    charset = model.card.charset
    if charset is None:
        return
    found = output_classes(graph)
    if found is not None and found != charset.classes:
        raise ModelError(
            f"The recogniser has {found} classes, but its dictionary has {charset.classes - 1} characters "
            f"({charset.classes} classes with the blank).",
            "Give the dictionary that it was trained with; PaddleOCR adds the space when use_space_char is true.",
        )


def output_classes(graph: Graph) -> int | None:
    """Returns the columns of the last layer's weight on the way to the first output; None where none is seen."""
    producers = graph.producers()
    outputs = signature(graph).outputs
    if outputs and len(outputs[0].shape) == 3 and outputs[0].shape[2] > 0:
        return outputs[0].shape[2]
    name = outputs[0].name if outputs else ""
    for _ in range(30):
        operator = producers.pop(name, None)
        if operator is None:
            return None
        if operator.type in ("matmul_v2", "matmul", "mul", "fc"):
            weight = arguments(operator.inputs, "W") or arguments(operator.inputs, "Y")
            while weight and weight[0] not in graph.params and weight[0] in producers:
                # Quantised weights pass a dequantize_linear.
                weight = arguments(producers.pop(weight[0]).inputs, "X")
            value = graph.params.get(weight[0]) if weight else None
            return int(value.shape[1]) if value is not None and value.ndim == 2 else None
        name = next(iter(arguments(operator.inputs, "X")), "")
    return None
