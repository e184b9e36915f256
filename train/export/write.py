"""Writing a network as an inference model: `inference.pdmodel`, `inference.pdiparams`, dictionary and model card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.base.errors import InputError
from edge.base.paths import sha256_file, write_atomic
from edge.model.card import Card, Charset, Input, Model, save_model
from edge.model.folder import new_folder
from train.arch import load_paddle
from train.arch.architecture import Architecture

if TYPE_CHECKING:
    from paddle import nn

PREFIX = "inference"
DICTIONARY = "dict.txt"
# Attributes that only Paddle's own error messages use.
_TRACES = ("op_callstack", "op_namescope")


def export_layer(
    arch: Architecture, net: nn.Layer, out: Path, card: Card, *, characters: list[str] | None = None, force: bool = False
) -> Model:
    """Writes a float network in its deployed form as an inference model with a card.

    Args:
        arch: Of the network.
        net: As `arch` built it; it is not changed.
        out: Folder to make.
        card: As `arch.card` begins it.
        characters: Of a recogniser: the characters of classes 1, 2, ...
        force: Replace an existing model.

    Returns:
        The model as written.

    Raises:
        InputError: `out` holds something and `force` is off, or a recogniser comes without characters.
    """
    copy = arch.deployed(net)

    def save(folder: Path) -> None:
        import paddle
        from paddle.utils import unique_name

        with unique_name.guard():  # the same names, so the same bytes, whatever the process did before
            paddle.jit.save(copy, str(folder / PREFIX), input_spec=[input_spec(card.input)])

    return write_model(save, out, card, characters=characters, force=force)


def input_spec(taken: Input) -> Any:
    """Returns a network's input for Paddle's exporters: sides that a card leaves open stay open."""
    static = load_paddle("paddle.static")
    return static.InputSpec([None, 3, taken.height or None, taken.width or None], "float32", taken.name)


def write_model(
    save: Callable[[Path], None], out: Path, card: Card, *, characters: list[str] | None = None, force: bool = False
) -> Model:
    """Makes a model folder: calls `save` for the two Paddle files, then adds dictionary and card.

    Args:
        save: Writes `inference.pdmodel` and `inference.pdiparams` into the folder that it is given.
        out: Folder to make.
        card: Its `files` and `charset` are filled in.
        characters: Of a recogniser.
        force: Replace an existing model.

    Returns:
        The model as written.

    Raises:
        InputError: See `export_layer`.
    """
    if (card.task == "rec") != (characters is not None):
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
        model = save_model(folder, replace(card, charset=charset), [f"{PREFIX}.pdmodel", f"{PREFIX}.pdiparams"])
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
