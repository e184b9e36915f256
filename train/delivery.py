"""From a run or a checkpoint to an inference model with a card, measured after it was written.

What is measured before the export is not what is used after it: a lost scale, a layer that exports as something else or
a wrong dictionary only show in the written model. So the held-out part of the recipe's data is read by both, and the
card keeps the two figures.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from edge.errors import InputError, ModelError, UsageError
from edge.models import CARD_NAME, Model, read_dictionary, save_model
from edge.ocr.config import PipelineConfig
from edge.ocr.settings import override
from train.checkpoint import BEST, BEST_FACTS, LAST, load_state
from train.export import INPUTS, Facts, export_layer
from train.fit.recipe import Recipe, parse_recipe, recipe_document

Arrays = dict[str, np.ndarray[Any, Any]]
QUANTISED = "_fake_quant"
"""A part of names that only quantised layers have."""
LOST = 0.01
"""Part of the held-out samples that an export may cost (one sample when that is less)."""


@dataclass(frozen=True)
class Trained:
    """Weights with what is known about them.

    Attributes:
        task: `det` or `rec`.
        values: Parameters and buffers by name.
        characters: Of a recogniser's classes 1, 2, ...
        recipe: Of the run, None for a bare checkpoint.
        names: Of what the weights were read from, for the card.
        best: Figures of the best validation in training.
    """

    task: str
    values: Arrays
    characters: list[str] | None = None
    recipe: Recipe | None = None
    names: tuple[str, ...] = ()
    best: dict[str, Any] = field(default_factory=dict)

    @property
    def quantised(self) -> bool:
        """Whether they come from quantisation-aware training."""
        return any(QUANTISED in name for name in self.values)


def read_trained(
    paths: Sequence[Path], *, last: bool = False, task: str | None = None, dictionary: Path | None = None
) -> Trained:
    """Reads the weights of a run, or of a kit's or PaddleOCR's checkpoint; several are averaged.

    Args:
        paths: Folders of runs, `.pdparams` or `.ckpt` files, all of the same network.
        last: Of a run take the last checkpoint's moving average, not the best weights.
        task: When it cannot be told from the checkpoint.
        dictionary: Of a recogniser without `dict.txt` beside it (default: the published characters).

    Raises:
        InputError: No checkpoint, or an unreadable one.
        ModelError: The checkpoints are of different networks.
        UsageError: `task` contradicts the checkpoint.
    """
    parts = [_read_one(path, last) for path in paths]
    first, document, beside, best = parts[0]
    for path, (values, *_) in zip(paths[1:], parts[1:], strict=True):
        differ = sorted(name for name in {*first, *values} if _shape(first, name) != _shape(values, name))
        if differ:
            raise ModelError(f"{path} is of another network than {paths[0]}: {', '.join(differ[:5])}.")
    values = {
        name: np.mean([part[0][name] for part in parts], axis=0, dtype=np.float64).astype(first[name].dtype)
        if len(parts) > 1
        else first[name]
        for name in first
    }
    recipe = parse_recipe(document, str(beside / "recipe.yml")) if document else None
    found = recipe.task if recipe else _task(values, task, paths[0])
    if task not in (None, found):
        raise UsageError(f"{paths[0]} is a {found} checkpoint, not {task}.")
    characters = None
    if found == "rec":
        characters = _characters(dictionary or beside / "dict.txt", required=dictionary is not None)
    names = tuple(f"{path.parent.name}/{path.name}" if path.is_file() else path.name for path in paths)
    return Trained(found, values, characters, recipe, names, best)


def deliver(
    trained: Trained,
    out: Path,
    *,
    name: str | None = None,
    recipe: Recipe | None = None,
    settings: dict[str, str] | None = None,
    force: bool = False,
) -> Model:
    """Writes an inference model and measures it as written.

    Args:
        trained: The weights; those of quantisation-aware training give an int8 model.
        out: Folder to make.
        name: Of the model (default: the folder's).
        recipe: Replaces the run's own where data, input width and `export` are concerned.
        settings: Of `plate.conf`, beside the recipe's `export.settings`.
        force: Replace a model that is there.

    Returns:
        The model. Its card holds `metrics.validation` and a check `export`, when the recipe's data can be read.

    Raises:
        InputError: `out` is taken.
        ModelError: The weights do not fit the network.
        UsageError: An unknown setting; quantised weights without a recipe.
    """
    chosen = recipe or trained.recipe
    pipeline = dict(text.split("=", 1) for text in chosen.export.settings) if chosen else {}
    pipeline = {key.strip(): value.strip() for key, value in {**pipeline, **(settings or {})}.items()}
    override(PipelineConfig(), pipeline)
    taken = INPUTS[trained.task]
    if trained.task == "rec" and chosen:
        taken = replace(taken, width=chosen.model.width)
    facts = Facts(name or out.name, _source(trained), input=taken, pipeline=pipeline)
    if not trained.quantised:
        from train.weights import assign, build

        net = build(trained.task, len(trained.characters) + 1 if trained.characters else None, like=trained.values)
        assign(net, trained.values, ", ".join(trained.names))
        net.eval()
        model = export_layer(net, trained.task, out, facts, characters=trained.characters, force=force)
    else:
        if chosen is None:
            raise UsageError("Weights of quantisation-aware training need their recipe.", "Give the run, or --recipe.")
        from train.quantize_qat import export_quantised, network_as_trained

        model = export_quantised(trained.values, chosen, trained.characters, out, facts, force=force)
        net = network_as_trained(trained.values, chosen, trained.characters)
    return _measure(model, net, chosen, trained.characters) if chosen else model


def _measure(model: Model, net: Any, recipe: Recipe, characters: list[str] | None) -> Model:
    """Reads the held-out samples by the network and by the written model; puts both figures into the card."""
    data = recipe.data
    sources = [Path(data.root) / item for item in (*data.crops, *data.photos)]
    if not sources or not all(source.exists() for source in sources):
        return model
    from edge.ocr.backends import InferenceNetwork
    from train.fit.tasks import RecTask, Task

    task: Task
    if characters is not None:
        task = RecTask(recipe, characters)
    else:
        from train.fit.tasks_det import DetTask

        task = DetTask(recipe)
    before = task.validate(net)
    samples = int(before["samples"])
    if not samples:
        return model
    written = InferenceNetwork(model.file(".pdmodel"), model.file(".pdiparams"))
    after = task.validate(_Answers(written))
    key = "hmean" if model.card.task == "det" else "accuracy"
    allowed = max(LOST, 1 / samples)
    check = {
        "name": "export",
        "ok": bool(after[key] >= before[key] - allowed - 1e-9),
        "figures": {"before": round(before[key], 6), "after": round(after[key], 6), "samples": samples},
        "thresholds": {"lost": round(allowed, 6)},
    }
    figures = {name: value for name, value in after.items() if name != "score"}
    metrics = {"validation": {"data": "held-out part of the training data", "figures": {"all": figures}}}
    card = replace(model.card, checks=(*model.card.checks, check), metrics={**model.card.metrics, **metrics})
    return save_model(model.folder, card, [item.path for item in model.card.files])


class _Answers:
    """A written model in the place of a Paddle network: tensor in, tensor out."""

    def __init__(self, network: Any) -> None:
        self._network = network

    def __call__(self, tensor: Any) -> Any:
        import paddle

        return paddle.to_tensor(self._network.run(tensor.numpy()))


def _read_one(path: Path, last: bool) -> tuple[Arrays, dict[str, Any], Path, dict[str, Any]]:
    """Returns weights, recipe (empty without one), the folder that a dictionary is looked for in, best figures."""
    from train.weights import load_checkpoint

    file = path / (LAST if last else BEST) if path.is_dir() else path
    if path.is_dir() and not file.is_file():
        said = f"It holds {CARD_NAME}: it is exported already." if (path / CARD_NAME).is_file() else ""
        raise InputError(f"{path} holds no {file.name}.", said or "Give a run of `edge train fit` or a .pdparams file.")
    if file.suffix == ".ckpt":
        state = load_state(file)
        return {**state.weights, **state.average}, state.recipe, file.parent, state.best
    recipe, facts = file.parent / "recipe.yml", file.parent / BEST_FACTS
    document = yaml.safe_load(recipe.read_text(encoding="utf-8")) if recipe.is_file() else {}
    best = json.loads(facts.read_text(encoding="utf-8")) if facts.is_file() else {}
    return load_checkpoint(file), document, file.parent, best


def _shape(values: Arrays, name: str) -> tuple[int, ...] | None:
    return values[name].shape if name in values else None


def _task(values: Arrays, asked: str | None, path: Path) -> str:
    for task, mark in (("det", "head.binarize."), ("rec", "ctc_")):
        if any(mark in name for name in values):
            return task
    if asked:
        return asked
    raise InputError(f"{path} is neither a detector's nor a recogniser's checkpoint.", "Is it PP-OCRv3's?")


def _characters(path: Path, *, required: bool) -> list[str]:
    if required or path.is_file():
        return read_dictionary(path)
    from train.weights_published import load_published

    # PaddleOCR's own checkpoints come without a dictionary: they have the published one.
    characters = load_published("rec").characters
    assert characters is not None
    return characters


def _source(trained: Trained) -> dict[str, Any]:
    source: dict[str, Any] = {"weights": list(trained.names)}
    if len(trained.names) > 1:
        source["averaged"] = len(trained.names)
    if trained.recipe:
        document = recipe_document(trained.recipe)
        # Where data and weights lay on the machine that trained says nothing elsewhere.
        document["data"].pop("root")
        document["model"]["init"] = "/".join(Path(trained.recipe.model.init).parts[-2:])
        source["recipe"] = document
    if trained.best:
        source["best"] = trained.best
    return source
