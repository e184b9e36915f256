"""From an inference model to a Paddle Lite model folder: rewrite, optimise, describe."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from convert.graph.edit import Graph
from convert.graph.fake_quant import is_quantised
from convert.opt.environment import DEFAULT_VERSION, version_for_runtime
from convert.opt.failures import OptEnded
from convert.opt.refused import first_refused
from convert.opt.run import run_opt
from convert.rewrite.apply import rewrite
from convert.size.shrink import ShrinkStep, shrink
from edge.base.errors import EdgeError, InputError, ModelError, UsageError
from edge.base.paths import sha256_file
from edge.device.board import Board, load_profile
from edge.model.card import CARD_NAME, Card, Model, load_model, save_model
from edge.model.folder import new_folder
from edge.runtime.store import RELEASE, runtime_for


@dataclass(frozen=True)
class Options:
    """How a model is converted.

    Attributes:
        target: `arm`, `x86` or `opencl`.
        fp16: Half precision.
        rewrite: Fuse decomposed operators and repair attributes first.
        version: Version of opt.
        weights: How weights of float operators are stored: one of `convert.size.shrink.WEIGHTS`; empty for int8 in an
            int8 model and as they are in others.
        packed: Store equal parts of the file once.
    """

    target: str
    fp16: bool = False
    rewrite: bool = True
    version: str = DEFAULT_VERSION
    weights: str = ""
    packed: bool = True

    def weights_for(self, precision: str) -> str:
        """Returns how weights are stored in a model of this precision."""
        automatic = "int8" if precision == "int8" and self.target != "opencl" else "keep"
        return self.weights or automatic


def fitting_options(options: Options, board: str | None) -> Options:
    """Returns options that fit a board's cores and runtime.

    Args:
        options: As the user gave them.
        board: Name of a board profile, or None.

    Raises:
        ModelError: fp16 was asked for and the board's cores cannot compute in it.
        UsageError: fp16 for another target than ARM, no such board, or its runtime has no opt.
    """
    if options.fp16 and options.target == "x86":
        raise UsageError("--fp16 is for ARM cores with asimdhp; x86 has no fp16 kernels.", "Leave --fp16 out.")
    if options.weights in ("int8", "int16") and (options.fp16 or options.target == "opencl"):
        kind = "fp16" if options.fp16 else "opencl"
        raise UsageError(
            f"--weights {options.weights} is for float models on arm and x86, not for {kind}.", "Leave --weights out."
        )
    if board is None:
        return options
    profile = load_profile(board)
    lacking = [cluster.core for cluster in profile.clusters if "asimdhp" not in cluster.features]
    if options.fp16 and (lacking or not profile.clusters):
        cores = " and ".join(lacking) or "unknown cores"
        raise ModelError(
            f"{profile.title} has {cores} without asimdhp: an fp16 model would end there with an illegal instruction.",
            "Leave --fp16 out; int8 is the small and fast form for these cores.",
        )
    return replace(options, version=version_for_runtime(_runtime_version(profile)))


def speed_note(precision: str, board: str | None) -> str:
    """Says what int8 brings on a board whose cores have no int8 dot product; empty where there is nothing to say.

    Paddle Lite's own tables have int8 at 1.33 to 1.37 times the speed of fp32 on an RK3399; instruction counts of these
    networks on a Cortex-A72 are the same for both.
    """
    if precision != "int8" or board is None:
        return ""
    profile = load_profile(board)
    cores = [cluster.core for cluster in profile.clusters if "asimddp" not in cluster.features]
    if not cores or len(cores) < len(profile.clusters):
        return ""
    return (
        f"{' and '.join(cores)} of {profile.title} have no int8 dot product (asimddp): int8 makes the model smaller, "
        "but not more than 1.0 to 1.4 times as fast as fp32."
    )


def _runtime_version(profile: Board) -> str:
    """The release of the library that a board uses: the one on this host, else the one that would be fetched."""
    try:
        return runtime_for(profile).version or RELEASE
    except EdgeError:
        return RELEASE


Check = dict[str, Any]
"""A check as the card keeps it: name, ok, figures, thresholds, note."""
TryModel = Callable[[Model, Path, Options], Check]


def convert_model(
    model: Model, out: Path, options: Options, *, force: bool = False, trial: TryModel | None = None
) -> Model:
    """Converts an inference model into a Paddle Lite model folder: `<task>.nb`, dictionary, card.

    Args:
        model: With format `inference`.
        out: Folder to make.
        options: See `Options`.
        force: Replace an existing model.
        trial: Called with the model, the new `.nb` and the options before the folder takes its place; gives a check for
            the card, or raises (`convert.proof.trial.try_model`).

    Returns:
        The new model. The same input and options give the same bytes.

    Raises:
        InputError: `model` is not an inference model, or `out` is taken.
        ModelError: Opt cannot convert it, or an int8 model is to become fp16.
    """
    card = model.card
    if card.format != "inference":
        raise InputError(f"{model.folder} is a model in format {card.format}, not an inference model.")
    if options.fp16 and card.precision == "int8":
        raise ModelError("An int8 model cannot be converted to fp16.", "Leave --fp16 out, or give the fp32 model.")
    with new_folder(out, force) as folder:
        nb = folder / f"{card.task}.nb"
        calls, changes = _optimise(model, nb, options)
        content, steps = shrink(nb.read_bytes(), options.weights_for(card.precision), packed=options.packed)
        nb.write_bytes(content)
        if model.dictionary:
            shutil.copyfile(model.dictionary, folder / model.dictionary.name)
        made = _card(model, nb, options, calls, changes, steps)
        if trial is not None:
            made = replace(made, checks=(*made.checks, trial(model, nb, options)))
        saved = save_model(folder, made, [nb.name])
    return Model(out, saved.card)


def _optimise(model: Model, nb: Path, options: Options) -> tuple[str, dict[str, int]]:
    graph = Graph.of(model)
    # An int8 model keeps its int8 weights on x86, but computes in float; see `convert.graph.fake_quant`.
    int8_weights = options.target == "x86" and options.rewrite and is_quantised(graph)
    changes: dict[str, int] = {}
    if options.rewrite:
        integers = options.weights_for(model.card.precision) != "keep"
        changes = rewrite(graph, options.target, options.version, integers=integers)
    plain = nullcontext((model.file(".pdmodel"), model.file(".pdiparams")))
    with graph.saved() if options.rewrite else plain as files:
        try:
            calls = run_opt(
                *files, nb, options.target, fp16=options.fp16, int8_weights=int8_weights, version=options.version
            )
        except OptEnded as error:
            found = first_refused(*files, options.target, options.version)
            if found is None:
                raise
            message = f"{error.message.rstrip('.')}; the first operator that makes it end is {found}."
            raise ModelError(message, "Replace that operator before the export, or try another --opt-version.") from error
    return calls, changes


def _card(
    model: Model, nb: Path, options: Options, calls: str, rewrites: dict[str, int], steps: list[ShrinkStep]
) -> Card:
    card = model.card
    before = sum(item.bytes for item in card.files if item.path.startswith("inference."))
    parent = {item.path: item.sha256 for item in card.files}
    precision = "fp16" if options.fp16 else card.precision
    return replace(
        card,
        name=f"{card.name.removesuffix('-fp32') + '-fp16' if options.fp16 else card.name}-{options.target}",
        format="nb",
        precision=precision,
        target=options.target,
        source={**card.source, "parent": {"name": card.name, "files": parent}},
        opt={
            "version": options.version,
            "calls": calls,
            "options": option_names(options),
            "bytes_before": before,
            "bytes_after": nb.stat().st_size,
            "steps": [asdict(step) for step in steps],
            "sha256": sha256_file(nb),
            "rewrites": rewrites,
            "arithmetic": "fp32" if "x86-float-arithmetic" in rewrites else precision,
        },
    )


def option_names(options: Options) -> list[str]:
    """Returns the options that change the file, as on the command line."""
    given = {
        "--fp16": options.fp16,
        "--no-rewrite": not options.rewrite,
        f"--weights {options.weights}": bool(options.weights),
        "--no-pack": not options.packed,
    }
    return [name for name, on in given.items() if on]


def existing(model: Model, out: Path, options: Options) -> Model | None:
    """Returns the model in `out` when it is this model converted with these options, so that nothing needs doing."""
    if not (out / CARD_NAME).is_file():
        return None
    try:
        found = load_model(out)
    except EdgeError:
        return None  # Damaged: `check_free` says why.
    parent = found.card.source.get("parent", {})
    same = (
        found.card.target == options.target
        and (found.card.precision == "fp16") == options.fp16
        and (found.card.opt or {}).get("version") == options.version
        and (found.card.opt or {}).get("options") == option_names(options)
        and parent.get("files") == {item.path: item.sha256 for item in model.card.files}
    )
    return found if same else None
