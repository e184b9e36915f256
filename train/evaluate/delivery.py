"""From a run or a checkpoint to an inference model with a card, measured after it was written.

What is measured before the export is not what is used after it: a lost scale, a layer that exports as something else or
a wrong dictionary only show in the written model. So the held-out part of the recipe's data is read by both, and the
card keeps the two figures.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from edge.base.errors import UsageError
from edge.model.card import Model, save_model
from edge.ocr.config import PipelineConfig
from edge.ocr.reader import Network
from edge.ocr.settings import override
from edge.plate.country import card_grammar, load_country
from train.arch.border import Layer, Tensor
from train.evaluate.sources import own_settings
from train.export.write import export_layer
from train.recipes.recipe import Recipe, recipe_document
from train.weights.trained import Trained

LOST = 0.01
"""Part of the held-out samples that an export may cost (one sample when that is less)."""


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
        force: Replace an existing model.

    Returns:
        The model. Its card holds `metrics.validation` and a check `export`, when the recipe's data can be read.

    Raises:
        InputError: `out` is taken.
        ModelError: The weights do not fit the network; a template of the country has a character that the dictionary of
            a recogniser lacks.
        UsageError: An unknown setting; quantised weights without a recipe.
    """
    chosen = recipe or trained.recipe
    pipeline = dict(text.split("=", 1) for text in chosen.export.settings) if chosen else {}
    pipeline = {key.strip(): value.strip() for key, value in {**pipeline, **(settings or {})}.items()}
    arch = trained.arch
    pipeline = {**arch.pipeline, **pipeline}
    card = replace(arch.card(name or out.name), source=_source(trained))
    if chosen and trained.task == "rec":
        country = load_country(chosen.data.country)
        pipeline = {**own_settings(country), **pipeline}
        card = replace(
            card, input=arch.taken(chosen.model.width), country=country.code, grammar=country.grammar.lines()
        )
    config = override(PipelineConfig(), pipeline)
    card = replace(card, pipeline=pipeline)
    if trained.characters and config.decode == "plate":
        card_grammar(card.grammar).check_dictionary(trained.characters, card.name)
    if not trained.quantised:
        net = trained.network()
        net.eval()
        model = export_layer(arch, net, out, card, characters=trained.characters, force=force)
    else:
        if chosen is None:
            raise UsageError("Weights of quantisation-aware training need their recipe.", "Give the run, or --recipe.")
        from train.quantize.qat import export_quantised, network_as_trained

        model = export_quantised(trained.values, chosen, trained.characters, out, card, force=force)
        net = network_as_trained(trained.values, chosen, trained.characters)
    return _measure(model, net, chosen, trained.characters) if chosen else model


def _measure(model: Model, net: Layer, recipe: Recipe, characters: list[str] | None) -> Model:
    """Reads the held-out samples by the network and by the written model; puts both figures into the card."""
    data = recipe.data
    sources = [Path(data.root) / item for item in (*data.crops, *data.photos)]
    if not sources or not all(source.exists() for source in sources):
        return model
    from edge.runtime.paddle_inference import InferenceNetwork
    from train.fit.tasks import open_task

    task = open_task(recipe, characters)
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

    def __init__(self, network: Network) -> None:
        self._network = network

    def __call__(self, tensor: Tensor) -> Tensor:
        import paddle

        return paddle.to_tensor(self._network.run(tensor.numpy()))


def _source(trained: Trained) -> dict[str, Any]:
    source: dict[str, Any] = {"weights": list(trained.names)}
    if len(trained.names) > 1:
        source["averaged"] = len(trained.names)
    if trained.recipe:
        document = recipe_document(trained.recipe)
        # Where data and weights lay on the machine that trained means nothing elsewhere.
        document["data"].pop("root")
        document["data"]["country"] = Path(trained.recipe.data.country).name
        document["model"]["init"] = "/".join(Path(trained.recipe.model.init).parts[-2:])
        source["recipe"] = document
    if trained.best:
        source["best"] = trained.best
    return source
