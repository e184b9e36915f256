"""One run of a new `.nb` before it counts as converted: opt takes models that abort, or answer nonsense, on the board.

What runs on this host is the x86 form; for another target it is made for the trial alone. The run is a child process,
since Paddle Lite ends its process where an operator cannot compute. A trial that was passed is remembered under the
content of the model and the code that tries it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from convert.graph.cut import operator_name
from convert.graph.edit import Graph, arguments, attribute
from convert.graph.task import signature
from convert.opt.convert import Check, Options, convert_model
from convert.opt.environment import DEFAULT_VERSION
from convert.opt.failures import last_reason
from convert.proof.children import Job, RunError, Tensor, paddle_is_here, run_network
from convert.proof.trace import first_bad, first_not_finite_inside
from convert.rewrite.apply import UNUSED
from convert.rewrite.scalars import bare_constants
from edge.base.errors import HostError, ModelError
from edge.base.paths import cache_dir, write_atomic
from edge.model.card import TRIAL, Card, Model

# A detector's photo may have any sides that are multiples of 32.
_DET_SIDES = (160, 224)
_REC_WIDTH = 320
# What rounding and int8 weights make of 0 and 1, and of a sum of probabilities.
_SLACK = 0.01
_SUM_SLACK = 0.05
_LONG = 60
_SOURCES = (
    "proof/trial.py", "graph/task.py", "rewrite/apply.py", "rewrite/scalars.py", "proof/children.py", "graph/cut.py",
    "opt/convert.py", "size/shrink.py", "rewrite/fuse.py", "opt/run.py",
)  # fmt: skip
_REMEDIES = {
    "fill_constant": "Export the constant with one dimension: paddle.full([1], value) in place of paddle.full([], value).",
    "reshape2": "Export with open sizes: a reshape to fixed ones fits no other picture.",
}
_REMEDY = "Replace the operator in the network and export it again, with open sizes where the program feeds other pictures."

_NAN_REMEDY = "Look there for a division by zero or a logarithm or root of a negative number, or for failed training."


def try_model(model: Model, nb: Path, options: Options) -> Check:
    """Runs a new `.nb`, or its x86 form, on two made-up pictures.

    Args:
        model: The inference model that it was made from.
        nb: The new file.
        options: How it was made.

    Returns:
        A check for its card: shapes of input and output; `note` where it was not run as it is, or not at all.

    Raises:
        ModelError: It ends the runtime (names the operator, its attributes and the runtime's reason), or its output is
            not finite, of another form, or not a probability.
    """
    if importlib.util.find_spec("paddlelite") is None:
        return {**_check({}), "note": "not tried: Paddle Lite cannot run here"}
    note = cache_dir("trials") / f"{_key(model, options)}.json"
    if note.is_file():
        return dict(json.loads(note.read_text(encoding="utf-8")))
    with tempfile.TemporaryDirectory(prefix="plate-trial-") as name:
        mine = options.target == "x86" and options.version == DEFAULT_VERSION
        runnable = nb if mine else _x86_form(model, Path(name) / "x86", options)
        inputs = trial_inputs(model.card)
        try:
            first, second = run_network(Job("lite", (runnable,)), inputs)
        except RunError as error:
            raise _crashed(model, inputs[0], options, error) from error
        except HostError as error:
            return {**_check({}), "note": f"not tried: {error.message}"}
    _judge(model, inputs[0], first, options.rewrite)
    check = _check({"input": list(inputs[0].shape), "output": list(first.shape)})
    if not mine:
        check["note"] = "the x86 form of the same model was run"
    if np.array_equal(first, second):
        _look_inside(model, inputs[0])
        check["note"] = "its output is the same for two different pictures: is the network trained?"
    write_atomic(note, json.dumps(check))
    return check


def _check(figures: dict[str, Any]) -> Check:
    return {"name": TRIAL, "ok": True, "figures": figures, "thresholds": {}}


def _key(model: Model, options: Options) -> str:
    """What decides a trial: the model's files, its card's input, the options, and the kit's own code."""
    here = Path(__file__).parents[1]
    code = [hashlib.sha256((here / name).read_bytes()).hexdigest() for name in _SOURCES]
    files = {item.path: item.sha256 for item in model.card.files}
    target = options.target if options.target == "x86" else "other"
    facts = [files, model.card.task, asdict(model.card.input), asdict(replace(options, target=target)), code]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _x86_form(model: Model, folder: Path, options: Options) -> Path:
    plain = Options("x86", rewrite=options.rewrite, weights="" if options.fp16 else options.weights)
    return convert_model(model, folder, plain).file(".nb")


def trial_inputs(card: Card) -> list[Tensor]:
    """Makes two inputs as the program would: noise, and a slope from dark to bright.

    Args:
        card: Of the model.

    Returns:
        float32 `[1, 3, H, W]` each.
    """
    taken = card.input
    if card.task == "det":
        height, width = _DET_SIDES
    else:
        height, width = taken.height or 48, taken.width or _REC_WIDTH
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3))
    slope = np.broadcast_to(np.linspace(0, 255, width)[None, :, None], noise.shape)
    inputs = [(pixels * taken.scale - np.asarray(taken.mean)) / np.asarray(taken.std) for pixels in (noise, slope)]
    return [np.ascontiguousarray(tensor.transpose(2, 0, 1)[None], np.float32) for tensor in inputs]


def _look_inside(model: Model, x: Tensor) -> None:
    """Looks for NaN that a relu turned to 0: x86's does, ARM's gives NaN. Paddle Inference gives every value in between."""
    if not paddle_is_here():
        return
    bad = first_not_finite_inside(model, x)
    if bad is not None:
        raise ModelError(
            f"{model.card.name} computes NaN or infinity for a picture, first in {_described(bad)}; its output looks finite "
            "here because a later operator hides it, which not every processor does.",
            _NAN_REMEDY,
        )


def _judge(model: Model, x: Tensor, output: Tensor, rewritten: bool) -> None:
    card = model.card
    if not np.isfinite(output).all():
        found = first_bad(model, x, rewritten=rewritten)
        where = f"; the first such values come from {_described(found)}" if found is not None else ""
        raise ModelError(f"{card.name} answers NaN or infinity to a picture{where}.", _NAN_REMEDY)
    shape = list(output.shape)
    sides = list(x.shape[2:])
    if card.task == "det" and (shape[-2:] != sides or output.size != sides[0] * sides[1]):
        raise ModelError(
            f"{card.name} answers {shape} to a picture of {sides[0]}x{sides[1]}; a detector gives [1, 1, {sides[0]}, "
            f"{sides[1]}].",
            _fixed_hint(model) or "Export the whole network, with its head and with open sizes.",
        )
    classes = card.charset.classes if card.charset else 0
    if card.task == "rec" and (len(shape) not in (2, 3) or shape[-1] != classes or (len(shape) == 3 and shape[0] != 1)):
        turned = len(shape) == 3 and shape[1] == 1 and shape[0] > 1
        raise ModelError(
            f"{card.name} answers {shape} to one picture; a recogniser with its dictionary gives [1, T, {classes}].",
            "Its steps come first: transpose the output to [N, T, C] before the export." if turned
            else "Give the dictionary that it was trained with, and export the network with its head.",
        )
    _judge_values(card, output)


def _judge_values(card: Card, output: Tensor) -> None:
    low, high = float(output.min()), float(output.max())
    told = f"{card.name} answers values from {low:.4g} to {high:.4g}"
    if low < -_SLACK or high > 1 + _SLACK:
        last = "a sigmoid" if card.task == "det" else "a softmax over classes"
        raise ModelError(
            f"{told}, which are not probabilities (0 to 1): scores and thresholds would mean nothing.",
            f"End the network in {last} before the export (PaddleOCR's export in evaluation mode does).",
        )
    if card.task == "rec":
        sums = output.reshape(-1, output.shape[-1]).sum(axis=1)
        if float(np.abs(sums - 1).max()) > _SUM_SLACK:
            raise ModelError(
                f"{told}, whose sum over the classes of a step is {sums.min():.3g} to {sums.max():.3g}, not 1: they are not "
                "probabilities.",
                "End the network in a softmax over classes before the export.",
            )


def _fixed_hint(model: Model) -> str:
    shape = signature(Graph.of(model)).shape
    if len(shape) == 4 and max(shape[2:]) > 0:
        return f"It was exported for {shape[2]}x{shape[3]} only; export it with open sizes, [-1, 3, -1, -1]."
    return ""


def _crashed(model: Model, x: Tensor, options: Options, error: RunError) -> ModelError:
    """Names operator, attributes and reason of a run that ended."""
    reason = last_reason(error.log)
    operator = _named_in(error.log, model) or first_bad(model, x, rewritten=options.rewrite)
    if operator is None:
        return ModelError(
            f"{model.card.name} was converted, but does not run: {error.message.rstrip('.')}"
            + (f": {reason}" if reason else ".").rstrip(".") + ".",
            _fixed_hint(model) or _REMEDY,
        )
    hint = _REMEDIES.get(operator.type, _REMEDY)
    if operator.type == "fill_constant":
        stuck = bare_constants(Graph.of(model))[1]
        hint += f" It is not changed here, since {stuck[0].reader} -> {stuck[0].result} reads it." if stuck else ""
    why = f": {reason.rstrip('.')}" if reason else f": {error.message.rstrip('.')}"
    message = f"{model.card.name} was converted, but Paddle Lite ends in {_described(operator)}{why}."
    return ModelError(message, _fixed_hint(model) or hint)


def _named_in(log: str, model: Model) -> Any | None:
    """The operator whose source file a fatal line names, where the model has one of that type."""
    found = re.search(r"\[F [^\]]*lite/(?:operators|kernels/\w+)/(\w+?)_(?:op|compute)\.(?:cc|h)", log)
    if not found:
        return None
    graph = Graph.of(model)
    named = [operator for operator in graph.block.ops if operator.type in (found[1], f"{found[1]}2", f"{found[1]}_v2")]
    bare = [operator for operator in named if operator.type == "fill_constant" and attribute(operator, "shape") == []]
    return bare[0] if bare else named[0] if len(named) == 1 else None


def _described(operator: Any) -> str:
    """`type -> variable (attribute value, ...)`, without what only other backends and training read."""
    told = []
    for item in operator.attrs:
        value = attribute(operator, item.name)
        if UNUSED.fullmatch(item.name) or len(str(value)) > _LONG or value in ("", False, None):
            continue
        if value == [] and item.name != "shape":
            continue
        told.append(f"{item.name} {value}")
    weight = next(iter(arguments(operator.inputs, "Filter")), "")
    told += [f"weight {weight}"] if weight else []
    return operator_name(operator) + (f" ({', '.join(told[:6])})" if told else "")
