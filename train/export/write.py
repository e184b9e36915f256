"""Writing a network as an inference model: `inference.pdmodel`, `inference.pdiparams`, dictionary and model card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.base.errors import InputError
from edge.base.paths import sha256_file, write_atomic
from edge.model.card import Card, Charset, Input, Model, save_model
from edge.model.folder import new_folder
from train.arch import load_paddle

if TYPE_CHECKING:
    from paddle import nn

PREFIX = "inference"
DICTIONARY = "dict.txt"
ARCHITECTURES = {
    "det": "PP-OCRv3 detector: MobileNetV3-large x0.5, RSE-FPN 96, DB",
    "rec": "PP-OCRv3 recogniser: MobileNetV1Enhance x0.5, SVTR 64x2, CTC",
}
# PaddleOCR's normalisation, applied to BGR channels in this order (its configs' NormalizeImage and RecResizeImg).
_DET_INPUT = Input("x", 0, 0, 32, 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_REC_INPUT = Input("x", 48, 0, 8, 1 / 255, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
INPUTS = {"det": _DET_INPUT, "rec": _REC_INPUT}
# Attributes that only Paddle's own error messages use.
_TRACES = ("op_callstack", "op_namescope")


@dataclass(frozen=True)
class Facts:
    """What the card of an exported model says beyond what the network itself tells.

    Attributes:
        name: Model name, for example `plate-v1-rec-fp32`.
        source: Where the weights come from.
        precision: `fp32` or `int8`.
        quantization: Of an int8 model.
        checks: Checks that were made.
        metrics: Accuracy figures.
        input: The network's input, when not PP-OCRv3's own.
        pipeline: Settings that the model wants, see `edge.model.card.Card`.
        country: Code of the country whose plates a recogniser reads.
        grammar: Lines of that country's `grammar.txt`.
    """

    name: str
    source: dict[str, Any] = field(default_factory=dict)
    precision: str = "fp32"
    quantization: dict[str, Any] | None = None
    checks: tuple[dict[str, Any], ...] = ()
    metrics: dict[str, Any] = field(default_factory=dict)
    input: Input | None = None
    pipeline: dict[str, str] = field(default_factory=dict)
    country: str = ""
    grammar: tuple[str, ...] = ()


def export_layer(
    net: nn.Layer,
    task: str,
    out: Path,
    facts: Facts,
    *,
    characters: list[str] | None = None,
    deploy: bool = True,
    force: bool = False,
) -> Model:
    """Writes a float network as an inference model with a card.

    Args:
        net: A `Detector` or `Recognizer`; it is not changed.
        task: `det` or `rec`.
        out: Folder to make.
        facts: For the card.
        characters: Of a recogniser: the characters of classes 1, 2, ...
        deploy: Write the deployed form (see `train.export.deploy`): the same function, smaller.
        force: Replace a model that is there.

    Returns:
        The model as written.

    Raises:
        InputError: `out` holds something and `force` is off, or a recogniser comes without characters.
    """
    from train.export.deploy import deployed

    copy = deployed(net) if deploy else net
    copy.eval()

    def save(folder: Path) -> None:
        import paddle
        from paddle.static import InputSpec
        from paddle.utils import unique_name

        taken = facts.input or INPUTS[task]
        shape = [None, 3, taken.height or None, taken.width or None]
        with unique_name.guard():  # the same names, so the same bytes, whatever the process did before
            paddle.jit.save(copy, str(folder / PREFIX), input_spec=[InputSpec(shape, "float32", taken.name)])

    return write_model(save, task, out, facts, characters=characters, force=force)


def write_model(
    save: Callable[[Path], None],
    task: str,
    out: Path,
    facts: Facts,
    *,
    characters: list[str] | None = None,
    force: bool = False,
) -> Model:
    """Makes a model folder: calls `save` for the two Paddle files, then adds dictionary and card.

    Args:
        save: Writes `inference.pdmodel` and `inference.pdiparams` into the folder that it is given.
        task: As in `export_layer`; so are the others.
        out: Folder to make.
        facts: For the card.
        characters: Of a recogniser.
        force: Replace a model that is there.

    Returns:
        The model as written.

    Raises:
        InputError: See `export_layer`.
    """
    if (task == "rec") != (characters is not None):
        raise InputError("A recogniser is exported with its dictionary, a detector without one.")
    with new_folder(out, force) as folder:
        save(folder)
        for extra in folder.glob("*.info"):
            extra.unlink()
        strip_program(folder / f"{PREFIX}.pdmodel")
        charset = None
        if characters is not None:
            write_atomic(folder / DICTIONARY, "".join(f"{character}\n" for character in characters))
            charset = Charset(DICTIONARY, sha256_file(folder / DICTIONARY), len(characters) + 1)
        card = Card(
            name=facts.name,
            task=task,
            architecture=ARCHITECTURES[task],
            format="inference",
            precision=facts.precision,
            input=facts.input or INPUTS[task],
            charset=charset,
            source=facts.source,
            quantization=facts.quantization,
            checks=facts.checks,
            metrics=facts.metrics,
            pipeline=facts.pipeline,
            country=facts.country,
            grammar=facts.grammar,
        )
        model = save_model(folder, card, [f"{PREFIX}.pdmodel", f"{PREFIX}.pdiparams"])
    return Model(out, model.card)


def strip_program(path: Path) -> None:
    """Removes from a `.pdmodel` what says where and how it was made: Python call stacks with this machine's paths.

    They are two thirds of the file, and they make equal models differ.
    """
    framework_pb2 = load_paddle("paddle.base.proto.framework_pb2")
    program = framework_pb2.ProgramDesc()
    program.ParseFromString(path.read_bytes())
    for block in program.blocks:
        for operator in block.ops:
            kept = [attribute for attribute in operator.attrs if attribute.name not in _TRACES]
            del operator.attrs[:]
            operator.attrs.extend(kept)
    write_atomic(path, program.SerializeToString(deterministic=True))
