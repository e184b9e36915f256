"""Proving a `.nb`: against the model it was made from, against the float model, against known plates.

What runs on this host is the x86 form. For a `.nb` of another target the x86 form of the same model is made and run,
and the checks say so; the file's own weights are compared one by one with the source's, which needs no run. On a board,
`edge run` and `bench run` compare with the host.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from convert.graph.edit import Graph
from convert.nbfile.reader import read_nb
from convert.opt.convert import Check, Options, convert_model
from convert.proof.children import Job, RunError, Tensor, paddle_is_here, run_network, run_outputs
from convert.proof.likeness import largest_difference, output_likeness, plate_likeness, share_right, weight_likeness
from convert.proof.photos import LabelledPhoto, network_input
from convert.proof.trace import first_not_finite, saturation
from edge.base.errors import InputError, ModelError
from edge.base.progress import Say
from edge.model.card import VERIFY_PREFIX, Model, save_model

# Greatest (`most_`) and least values that pass. Float forms agree to rounding. On x86 an int8 model computes in float
# while its inference model rounds activations too, so both are rounded forms of one network.
LIMITS: dict[str, dict[str, float]] = {
    "weights": {"cosine": 0.98},
    "outputs-fp32-det": {"most_difference": 2e-3, "box_iou": 0.98},
    "outputs-fp32-rec": {"most_difference": 2e-3, "same_texts": 1.0},
    "outputs-int16-det": {"most_difference": 5e-2, "box_iou": 0.95},
    "outputs-int16-rec": {"most_difference": 5e-2, "same_texts": 0.9},
    "outputs-int8-det": {"mask_iou": 0.85, "box_iou": 0.85},
    "outputs-int8-rec": {"same_steps": 0.90, "same_texts": 0.75},
    "threads": {"most_difference": 1e-3},
    "shape-change": {"most_difference": 1e-5},
    "saturation": {"most_share": 0.10},
    "plates-det": {"share": 0.8},
    "plates-rec": {"share": 0.6},
    "against-det": {"mask_iou": 0.80, "box_iou": 0.80},
    "against-rec": {"same_steps": 0.85, "same_texts": 0.75},
}
# Tensors with fewer values, as after a global pooling, say little about how many saturate.
_MANY = 1000
_SATURATION_PHOTOS = 2


@dataclass
class _Case:
    """What one verification is about.

    Attributes:
        nb: The `.nb` model.
        source: The inference model that it was made from; None when unknown.
        runnable: The `.nb` that this host can run: `nb` itself or its x86 form.
        photos: With known plates.
        inputs: For `nb`, one a photo.
        got: Outputs of `runnable`.
    """

    nb: Model
    source: Model | None
    runnable: Path
    photos: Sequence[LabelledPhoto]
    inputs: list[Tensor] = field(default_factory=list)
    got: list[Tensor] = field(default_factory=list)

    @property
    def task(self) -> str:
        return self.nb.card.task

    @property
    def stored(self) -> str:
        """Precision in which the weights are stored."""
        steps = (self.nb.card.opt or {}).get("steps", [])
        names = [str(step.get("name", "")) for step in steps]
        if self.nb.card.precision == "int8" or "int8-weights" in names:
            return "int8"
        return "int16" if "int16-weights" in names else "fp32"


def verify(
    nb: Model,
    source: Model | None,
    photos: Sequence[LabelledPhoto],
    against: Model | None = None,
    *,
    threads: Sequence[int] = (1, 2, 4),
    report: Say = lambda text: None,
) -> list[Check]:
    """Runs every check that fits.

    Args:
        nb: The `.nb` model.
        source: The inference model that it was made from. Without it only the file itself is checked, and only
            for x86.
        photos: With known plates.
        against: The float inference model that it is compared with; each reads with its own card and dictionary.
        threads: CPU thread counts that must give the same answers.
        report: Called with one line before each step.

    Returns:
        The checks, in the form of the card's: name, ok, figures, thresholds, note.

    Raises:
        InputError: The models do not belong together, or a model for another target has no source to run.
        ModelError: A network cannot be run at all.
    """
    if source is not None:
        _belong(nb, source)
    if against is not None and (against.card.task != nb.card.task or against.card.format != "inference"):
        raise InputError(f"{against.folder} is not an inference model of a {nb.card.task} network.")
    with tempfile.TemporaryDirectory(prefix="plate-verify-") as name:
        report("comparing card, dictionary and weights")
        checks = static_checks(nb, source)
        runnable, note = _runnable(nb, source, Path(name) / "x86")
        inputs = [network_input(nb.card, photo) for photo in photos]
        case = _Case(nb, source, runnable, photos, inputs)
        report(f"running {len(inputs)} inputs on Paddle Lite")
        case.got = run_network(Job("lite", (runnable,), threads[0]), inputs)
        checks += [{**check, "note": note} if note else check for check in _dynamic(case, against, threads, report)]
    return checks


def record(nb: Model, checks: list[Check]) -> Model:
    """Writes the verdict into the model's card, in place of an earlier one."""
    kept = tuple(check for check in nb.card.checks if not str(check.get("name", "")).startswith(VERIFY_PREFIX))
    card = replace(nb.card, checks=(*kept, *checks))
    return save_model(nb.folder, card, [item.path for item in nb.card.files])


def _belong(nb: Model, source: Model) -> None:
    if nb.card.task != source.card.task or source.card.format != "inference":
        raise InputError(f"{source.folder} is not an inference model of a {nb.card.task} network.")
    parent = nb.card.source.get("parent", {}).get("files", {})
    made_of = {key: value for key, value in parent.items() if key.startswith("inference.")}
    there = {item.path: item.sha256 for item in source.card.files if item.path.startswith("inference.")}
    if made_of and made_of != there:
        raise InputError(f"{nb.folder} was not made from {source.folder}.", "Give the model that it was converted from.")


def _runnable(nb: Model, source: Model | None, folder: Path) -> tuple[Path, str]:
    if nb.card.target == "x86":
        return nb.file(".nb"), ""
    if source is None:
        raise InputError(
            f"{nb.card.name} is for {nb.card.target}, which this host cannot run.",
            "Give --source, the inference model that it was made from: its x86 form is run instead.",
        )
    options = (nb.card.opt or {}).get("options", [])
    weights = next((option.split()[1] for option in options if option.startswith("--weights ")), "")
    made = convert_model(source, folder, Options("x86", rewrite="--no-rewrite" not in options, weights=weights))
    return made.file(".nb"), f"the x86 form of the same model was run; this host cannot run {nb.card.target} code"


def _check(kind: str, ok: bool, figures: dict[str, Any], limits: dict[str, float] | None = None) -> Check:
    # JSON has no infinity: what is not finite is null, in the card too.
    plain = {key: None if isinstance(value, float) and not isfinite(value) else value for key, value in figures.items()}
    return {"name": VERIFY_PREFIX + kind, "ok": bool(ok), "figures": plain, "thresholds": limits or {}}


def _judged(kind: str, figures: dict[str, Any], limits: str) -> Check:
    """A check whose figures are compared with the limits of that name."""
    wanted = LIMITS[limits]
    good = []
    for key, limit in wanted.items():
        value = figures[key.removeprefix("most_")]
        good.append(value <= limit if key.startswith("most_") else value >= limit)
    return _check(kind, all(good), figures, wanted)


def static_checks(nb: Model, source: Model | None) -> list[Check]:
    """Checks what needs no run: the file's weights, card and dictionary against the source's; see `verify`."""
    path = nb.file(".nb")
    params = Graph.of(source).params if source else {}
    cosines, zeros = weight_likeness(read_nb(path), path.read_bytes(), params)
    worst = min(cosines, key=lambda name: cosines[name], default="")
    figures: dict[str, Any] = {"compared": len(cosines), "all_zero": zeros}
    if worst:
        figures |= {"cosine": round(cosines[worst], 4), "worst": worst}
    limit = LIMITS["weights"]
    # A file none of whose weights is the source's is another model, however well it reads.
    likely = figures.get("cosine", 0.0 if source else 1.0) >= limit["cosine"]
    checks = [_check("weights", not zeros and likely, figures, limit)]
    if source is not None:
        differences = _card_differences(nb, source)
        checks.append(_check("card", not differences, {"differences": differences}))
    return checks


def _card_differences(nb: Model, source: Model) -> list[str]:
    """Where `nb`'s card and dictionary differ from the source's, although a conversion changes neither."""
    found = [
        f"input.{key}: {value} here, {getattr(source.card.input, key)} in the source"
        for key, value in vars(nb.card.input).items()
        if value != getattr(source.card.input, key)
    ]
    if nb.dictionary and source.dictionary:
        mine, other = (path.read_text(encoding="utf-8").split("\n") for path in (nb.dictionary, source.dictionary))
        lines = [index + 1 for index, (a, b) in enumerate(zip(mine, other, strict=False)) if a != b]
        if lines:
            found.append(f"dictionary: {len(lines)} lines differ, the first is line {lines[0]}")
        elif len(mine) != len(other):
            found.append(f"dictionary: {len(mine)} lines here, {len(other)} in the source")
    return found


def _dynamic(case: _Case, against: Model | None, threads: Sequence[int], report: Say) -> list[Check]:
    checks = [_finite(case)]
    if not checks[0]["ok"]:
        return checks
    if case.source is not None and paddle_is_here():
        report("running them on Paddle Inference")
        checks.append(_outputs(case))
        if case.nb.card.precision == "int8":
            checks.append(_saturation(case))
    report("changing threads and shapes")
    checks += [_threads(case, threads), _shape_change(case)]
    checks.append(_judged("plates", _plates(case), f"plates-{case.task}"))
    if against is not None and paddle_is_here():
        report("comparing with the float model")
        checks.append(_against(case, against))
    return checks


def _finite(case: _Case) -> Check:
    bad = [index for index, output in enumerate(case.got) if not np.isfinite(output).all()]
    figures: dict[str, Any] = {"inputs": len(case.got), "not_finite": len(bad)}
    if bad and case.source is not None:
        rewritten = "--no-rewrite" not in (case.nb.card.opt or {}).get("options", [])
        figures["first_operator"] = first_not_finite(case.source, case.inputs[bad[0]], rewritten=rewritten)
    return _check("finite", not bad, figures)


def _exact(files: tuple[Path, ...], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Runs an inference model on Paddle Inference, without its optimisations where they fail (constants of shape [])."""
    try:
        return run_network(Job("paddle", files), inputs)
    except RunError:
        return [outputs[0] for outputs in run_outputs(Job("paddle", files, every=True), inputs)]


def _outputs(case: _Case) -> Check:
    assert case.source is not None
    files = (case.source.file(".pdmodel"), case.source.file(".pdiparams"))
    expected = _exact(files, case.inputs)
    figures: dict[str, Any] = {
        "difference": round(largest_difference(expected, case.got), 7),
        **output_likeness(case.task, expected, case.got),
        **plate_likeness((case.source, expected), (case.nb, case.got), case.photos),
    }
    return _judged("outputs", figures, f"outputs-{case.stored}-{case.task}")


def _saturation(case: _Case) -> Check:
    assert case.source is not None
    found = [item for item in saturation(case.source, case.inputs[:_SATURATION_PHOTOS]) if item.values >= _MANY]
    worst = max(found, key=lambda item: item.share, default=None)
    figures: dict[str, Any] = {"activations": len(found), "share": round(worst.share, 5) if worst else 0.0}
    if worst is not None:
        figures["worst"] = worst.operator
    limit = LIMITS["saturation"]["most_share"]
    first = next((item.operator for item in found if item.share > limit), None)
    if first:
        figures["first_operator"] = first
    return _judged("saturation", figures, "saturation")


def _threads(case: _Case, threads: Sequence[int]) -> Check:
    worst = 0.0
    for count in threads[1:]:
        again = run_network(Job("lite", (case.runnable,), count), case.inputs)
        worst = max(worst, largest_difference(case.got, again))
    return _judged("threads", {"threads": list(threads), "difference": worst}, "threads")


def _shape_change(case: _Case) -> Check:
    """Input of shape A, then B, then A on one predictor, against fresh predictors."""
    taken, first = case.nb.card.input, case.inputs[0]
    height, width = first.shape[2:]
    multiple = taken.multiple_of or 1
    # The other shape is a part of another photo. A side that the card fixes keeps its size.
    rows = height if taken.height else max(multiple, height // 2 // multiple * multiple)
    columns = width if taken.width else max(multiple, width // 2 // multiple * multiple)
    second = case.inputs[-1][:, :, :rows, :columns]
    inputs = [first, second, first]
    shapes = [list(tensor.shape[2:]) for tensor in inputs]
    try:
        kept, fresh = (run_network(Job("lite", (case.runnable,), fresh=fresh), inputs) for fresh in (False, True))
    except ModelError as error:
        # Kernels that keep the first input's sizes may also write past their buffers.
        return _check("shape-change", False, {"shapes": shapes, "reason": error.message}, LIMITS["shape-change"])
    return _judged("shape-change", {"shapes": shapes, "difference": largest_difference(kept, fresh)}, "shape-change")


def _plates(case: _Case) -> dict[str, Any]:
    return {"share": share_right(case.nb, case.photos, case.got), "plates": len(case.photos)}


def _against(case: _Case, other: Model) -> Check:
    """Compares with another model of the task, each with its own card: the same plates must come out."""
    files = (other.file(".pdmodel"), other.file(".pdiparams"))
    expected = _exact(files, [network_input(other.card, photo) for photo in case.photos])
    figures: dict[str, Any] = {"model": other.card.name}
    same_shape = all(a.shape == b.shape for a, b in zip(expected, case.got, strict=True))
    figures |= output_likeness(case.task, expected, case.got) if same_shape else {"mask_iou": 0.0, "same_steps": 0.0}
    figures |= plate_likeness((other, expected), (case.nb, case.got), case.photos)
    return _judged("against-fp32", figures, f"against-{case.task}")
