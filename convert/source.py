"""Opening what a user wants converted: a model folder of the kit, or a bare Paddle inference model of any origin."""

from __future__ import annotations

import shutil
from pathlib import Path

from convert.graph import Graph, all_arguments, arguments
from convert.program import PADDLE3_HINT
from edge.errors import InputError, ModelError
from edge.models import CARD_NAME, TASKS, Card, Charset, Input, Model, load_model, read_dictionary, save_model
from edge.paths import sha256_file

_MEAN = {"det": (0.485, 0.456, 0.406), "rec": (0.5, 0.5, 0.5)}
_STD = {"det": (0.229, 0.224, 0.225), "rec": (0.5, 0.5, 0.5)}


def find_files(path: Path) -> tuple[Path, Path]:
    """Finds program and parameters of an inference model.

    Args:
        path: Its folder, or its `.pdmodel` file.

    Returns:
        `.pdmodel` and `.pdiparams`.

    Raises:
        InputError: They are not there, or there are several.
        ModelError: It is Paddle 3's `inference.json`.
    """
    if path.is_file() and path.suffix == ".pdmodel":
        programs = [path]
    elif path.is_file() and path.suffix == ".nb":
        raise InputError(f"{path} is converted already.", "Name its inference model; `edge convert inspect` shows a .nb.")
    elif path.is_file():
        if path.suffix == ".json" and path.name != CARD_NAME:
            raise ModelError(f"{path} is a Paddle 3 program in JSON, which Paddle Lite cannot read.", PADDLE3_HINT)
        programs = sorted(path.parent.glob("*.pdmodel"))
    else:
        programs = sorted(path.glob("*.pdmodel")) if path.is_dir() else []
    folder = path if path.is_dir() else path.parent
    folders = [file for file in programs if not file.is_file()]
    programs = [file for file in programs if file.is_file()]
    if not programs and folders:
        raise InputError(f"{folders[0]} is a folder, where a Paddle program should be.", "Export the model again.")
    if not programs:
        modern = sorted(file for file in folder.glob("*.json") if file.with_suffix(".pdiparams").is_file())
        if modern:
            raise ModelError(f"{modern[0]} is a Paddle 3 program in JSON, which Paddle Lite cannot read.", PADDLE3_HINT)
        if any(folder.glob("*.pdparams")):
            raise InputError(f"{folder} holds a checkpoint, not an inference model.", "Export it first.")
        if any(folder.glob("*.nb")):
            raise InputError(
                f"{folder} is converted already.", "Name its inference model; `edge convert inspect` shows a .nb."
            )
        raise InputError(f"{path} holds no inference model.", "It has `inference.pdmodel` and `inference.pdiparams`.")
    if len(programs) > 1:
        names = ", ".join(file.name for file in programs)
        raise InputError(f"{folder} holds several programs: {names}.", "Name the one to take.")
    parameters = programs[0].with_suffix(".pdiparams")
    if not parameters.is_file():
        raise InputError(f"{parameters} is missing.", "Program and parameters belong together.")
    return programs[0], parameters


def open_source(path: Path, work: Path, task: str | None = None, dictionary: Path | None = None) -> Model:
    """Opens a model folder with a card, or makes a card for a bare inference model.

    Args:
        path: Folder or `.pdmodel` file.
        work: Folder into which a bare model is copied, with a card.
        task: Of a bare model: `det` or `rec`; when None a dictionary makes it `rec`.
        dictionary: Of a bare recogniser.

    Raises:
        InputError: Nothing there, a bare recogniser without dictionary, a detector with one, or see `find_files`.
        ModelError: Dictionary and classes do not fit, or see `find_files`.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist.", "Name a model folder, or a .pdmodel file.")
    folder = path if path.is_dir() else path.parent
    if (folder / CARD_NAME).is_file():
        if task or dictionary:
            raise InputError(f"{folder} has a card, which says task and dictionary.", "Leave --task and --dict out.")
        model = load_model(folder)
        if model.card.format == "inference":
            check_classes(model)
        return model
    program, parameters = find_files(path)
    kind = task or ("rec" if dictionary else "det")
    if kind not in TASKS or (kind == "rec") != (dictionary is not None):
        raise InputError(
            f"{path} has no {CARD_NAME}, so its task must be given.", "--task det, or --task rec --dict FILE."
        )
    shutil.copyfile(program, work / "inference.pdmodel")
    shutil.copyfile(parameters, work / "inference.pdiparams")
    graph = Graph.load(program, parameters)
    charset = _charset(dictionary, work, output_classes(graph)) if dictionary else None
    fed = [name for operator in graph.of_type("feed") for name in all_arguments(operator.outputs)]
    if not fed:
        raise ModelError(f"{program} has no input.", "Is it an inference model, and not a part of one?")
    quantised = any("quantize" in operator.type for operator in graph.block.ops)
    card = Card(
        name=f"{program.resolve().parent.name}-{'int8' if quantised else 'fp32'}",
        task=kind,
        architecture="unknown",
        format="inference",
        precision="int8" if quantised else "fp32",
        input=Input(fed[0], 48 if kind == "rec" else 0, 0, 8 if kind == "rec" else 32, 1 / 255, _MEAN[kind], _STD[kind]),
        charset=charset,
        source={"file": program.name, "sha256": sha256_file(program)},
    )
    model = save_model(work, card, ["inference.pdmodel", "inference.pdiparams"])
    check_classes(model)
    return model


def _charset(dictionary: Path, work: Path, classes: int | None) -> Charset:
    """Copies a dictionary; PaddleOCR's leave out the space that recognisers with use_space_char have as last class."""
    characters = read_dictionary(dictionary)
    if " " not in characters and classes != len(characters) + 1:
        characters.append(" ")
    (work / "dict.txt").write_text("".join(f"{character}\n" for character in characters), encoding="utf-8")
    return Charset("dict.txt", sha256_file(work / "dict.txt"), len(characters) + 1)


def check_classes(model: Model) -> None:
    """Compares a recogniser's dictionary with the classes that its last layer has.

    Raises:
        ModelError: They differ: texts would be garbled.
    """
    charset = model.card.charset
    if charset is None:
        return
    found = output_classes(Graph.load(model.file(".pdmodel"), model.file(".pdiparams")))
    if found is not None and found != charset.classes:
        raise ModelError(
            f"The recogniser has {found} classes, but its dictionary has {charset.classes - 1} characters "
            f"({charset.classes} classes with the blank).",
            "Give the dictionary that it was trained with; PaddleOCR adds the space when use_space_char is true.",
        )


def output_classes(graph: Graph) -> int | None:
    """Returns the columns of the last layer's weight on the way to the first output; None where none is seen."""
    producers = graph.producers()
    fetched = [name for operator in graph.of_type("fetch") for name in all_arguments(operator.inputs)]
    name = fetched[0] if fetched else ""
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
