"""Recipes: a fit's settings in YAML, every key known, every value of its type."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

import yaml

from edge.base.errors import EdgeError, InputError, UsageError
from edge.base.progress import Say
from edge.plate.country import DEFAULT, FILE_NAME, load_country
from edge.plate.label_notes import tell
from train.arch.architecture import (
    DEFAULTS,
    Architecture,
    find_architecture,
    may_be_architecture,
    unknown_architecture,
)

RECIPES = Path(__file__).resolve().parent
T = TypeVar("T")


@dataclass(frozen=True)
class ModelPart:
    """What is trained.

    Attributes:
        arch: Name of the architecture (`train.arch.architecture`); empty for PP-OCRv3's of the task.
        init: `published` (its published weights), `random`, or a `.pdparams` file.
        charset: `plate` (the symbols of `data.country`) or `published` (6,624 characters); recogniser only.
        width: Input width in pixels; recogniser only.
        freeze_norm: Keep the batch norms' running statistics as they are and use them in training.
    """

    arch: str = ""
    init: str = "published"
    charset: str = "plate"
    width: int = 160
    freeze_norm: bool = False


@dataclass(frozen=True)
class DataPart:
    """What it is trained on. Paths are relative to `root`; shares are relative weights of the sources.

    Attributes:
        root: Folder of the data; give it with `-o data.root=DIR`.
        crops: Label files of crops (`path<TAB>text`), recogniser only.
        photos: Folders of CCPD photos, or PP-OCR detection label files (`path<TAB>json`).
        crops_share: Chance weight of a crop.
        photos_share: Chance weight of a photo (its plate, for a recogniser).
        synth_share: Chance weight of a rendered plate or scene; 0 for none.
        country: Code of the country of the plates, or a folder with a `plate.yml`, relative to the recipe.
        kind_share: Among photos, the chance to ask for one with a plate of a kind, such as `{green: 0.3}`.
        swap: The chance that a photo's plate is replaced by a rendered one (any province, kinds as the country says).
        holdout: Part of the samples kept for validation, by a hash of the plate's text, so that the same plate is never
            on both sides.
        holdout_seed: Salt of that hash.
        size: Side in pixels of a detector's square training crops.
        scale: Least and most long side in pixels to which a photo is scaled for the detector.
        strength: Of all augmentation; 0 for none.
        shrink_ratio: Of DB's shrink map.
        eval_side: Longer side in pixels of a detector's validation photos (`det_limit_side`, type `max`).
        eval_unclip: Unclip ratio of the validation (1.5 is DB's default).
    """

    root: str = ""
    country: str = DEFAULT
    crops: tuple[str, ...] = ()
    photos: tuple[str, ...] = ()
    crops_share: float = 1.0
    photos_share: float = 1.0
    synth_share: float = 0.0
    kind_share: Mapping[str, float] = field(default_factory=dict)
    swap: float = 0.0
    holdout: float = 0.1
    holdout_seed: int = 1
    size: int = 480
    scale: tuple[int, int] = (400, 900)
    strength: float = 1.0
    shrink_ratio: float = 0.4
    eval_side: int = 512
    eval_unclip: float = 1.5


@dataclass(frozen=True)
class OptimPart:
    """How it is trained.

    Attributes:
        kind: `adam` (L2 in the gradient, as in the application note, docs/glossary.md) or `adamw` (decoupled).
        rate: Highest learning rate.
        final: Last learning rate as part of `rate`, for `cosine`.
        schedule: `constant` or `cosine`.
        warmup: Steps of linear rise from 0.
        decay: L2 factor of `adam` (on everything, as PaddleOCR's), or decoupled decay of `adamw` (not on biases, norms).
        clip: Greatest global norm of the gradient; 0 for none.
        ema: Decay of the exponential moving average that is evaluated and kept; 0 for none.
        accumulate: Batches summed up to one step.
    """

    kind: str = "adamw"
    rate: float = 0.0005
    final: float = 0.01
    schedule: str = "cosine"
    warmup: int = 50
    decay: float = 0.01
    clip: float = 5.0
    ema: float = 0.998
    accumulate: int = 1


@dataclass(frozen=True)
class QatPart:
    """Quantisation-aware training; used by `edge train quantize --method qat`.

    Attributes:
        layers: Kinds of layers to quantise.
        skip: Parts of layer names that stay float, such as `head.ctc_head`.
        pact: Learn the activations' clipping (PACT, Choi et al. 2018).
        scales: Of activations: `mse`, fixed before training where the mean squared error of rounding and clipping is
            least; or `moving`, a moving average of the largest value, which one outlier can spoil.
    """

    layers: tuple[str, ...] = ("Conv2D", "Linear")
    skip: tuple[str, ...] = ()
    pact: bool = False
    scales: str = "mse"


@dataclass(frozen=True)
class ExportPart:
    """What `edge train export` does beyond writing the network; training does not look at it.

    Attributes:
        float_layers: Parts of names of layers that QAT trained with rounding and that the int8 model computes in float.
        settings: Settings of `plate.conf` for the model card, `key=value` each.
    """

    float_layers: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """A fit's settings.

    Attributes:
        task: `det` or `rec`.
        about: One line for people.
        seed: Of everything.
        steps: Optimiser steps.
        batch: Samples a step (times `optim.accumulate`).
        eval_every: Steps between validations.
        save_every: Steps between checkpoints.
        threads: OpenMP threads, 0 for the environment's choice.
        amp: Automatic mixed precision in bfloat16 (its range needs no loss scaling); for GPUs that have it.
        model: See `ModelPart`.
        data: See `DataPart`.
        optim: See `OptimPart`.
        qat: See `QatPart`.
        export: See `ExportPart`.
    """

    task: str
    about: str = ""
    seed: int = 1
    steps: int = 1000
    batch: int = 32
    eval_every: int = 100
    save_every: int = 100
    threads: int = 0
    amp: bool = False
    model: ModelPart = field(default_factory=ModelPart)
    data: DataPart = field(default_factory=DataPart)
    optim: OptimPart = field(default_factory=OptimPart)
    qat: QatPart = field(default_factory=QatPart)
    export: ExportPart = field(default_factory=ExportPart)


def recipe_names() -> list[str]:
    """Returns the names of the recipes that come with the kit."""
    return sorted(path.stem for path in RECIPES.glob("*.yml"))


def load_recipe(name: str, overrides: tuple[str, ...] = ()) -> Recipe:
    """Reads a recipe and applies `key=value` overrides.

    Args:
        name: Name of a recipe of the kit, or path of a YAML file.
        overrides: Such as `optim.rate=0.001` or `data.crops=[train.txt]`; values are YAML.

    Raises:
        UsageError: No such recipe, or an override that is not `key=value`.
        InputError: Not YAML, an unknown key, a value of another type or out of range.
    """
    path = Path(name) if name.endswith((".yml", ".yaml")) else RECIPES / f"{name}.yml"
    if not path.is_file():
        raise UsageError(f"There is no recipe {name!r}.", f"Recipes: {', '.join(recipe_names())}; or give a .yml file.")
    document = modern(read_document(path), str(path), tell)
    _find_country(document, path.parent)
    return parse_recipe(_overridden(document, overrides), str(path))


def _find_country(document: dict[str, Any], folder: Path) -> None:
    """Makes the path of a country that is relative to a folder absolute, in place, so that a run can be resumed anywhere."""
    data = document.get("data")
    if isinstance(data, dict) and (folder / str(data.get("country")) / FILE_NAME).is_file():
        data["country"] = str((folder / str(data["country"])).resolve())


def read_document(path: Path) -> dict[str, Any]:
    """Reads a recipe's file as it is, unchecked.

    Raises:
        InputError: Not YAML, or not a mapping.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not YAML: {error}.") from error
    if not isinstance(document, dict):
        raise InputError(f"{path} holds no settings.", "A recipe is a YAML mapping; see docs/formats/recipe.md.")
    return document


def changed(recipe: Recipe, overrides: tuple[str, ...]) -> Recipe:
    """Returns a recipe with `key=value` overrides; see `load_recipe`."""
    return parse_recipe(_overridden(recipe_document(recipe), overrides), "-o")


def _overridden(document: dict[str, Any], overrides: tuple[str, ...]) -> dict[str, Any]:
    for text in overrides:
        _override(document, text)
        document = modern(document, f"-o {text}", tell)  # At once: of an old and a new name, the later one counts.
    _find_country(document, Path())
    return document


def parse_recipe(document: dict[str, Any], where: str) -> Recipe:
    """Builds a recipe from parsed YAML; see `load_recipe`."""
    recipe = _build(Recipe, modern(document, where), where, "")
    data, optim, model = recipe.data, recipe.optim, recipe.model
    rules = {
        "task": recipe.task in ("det", "rec"),
        "steps": recipe.steps >= 1,
        "seed": 0 <= recipe.seed < 2**32,  # NumPy's range; Paddle gets a million times it.
        "batch": 1 <= recipe.batch <= 65536,
        "eval_every": recipe.eval_every >= 1,
        "save_every": recipe.save_every >= 1,
        "threads": 0 <= recipe.threads <= 1024,
        "model.charset": model.charset in ("plate", "published"),
        "model.width": 32 <= model.width <= 1024 and model.width % 8 == 0,
        "data.holdout": 0 <= data.holdout < 1,
        "data.size": 64 <= data.size <= 4096 and data.size % 32 == 0,
        "data.scale": len(data.scale) == 2 and 32 <= data.scale[0] <= data.scale[1] <= 8192,
        "data.swap": 0 <= data.swap <= 1,
        "data.kind_share": all(share >= 0 for share in data.kind_share.values()) and sum(data.kind_share.values()) <= 1,
        "data.eval_side": 32 <= data.eval_side <= 8192,
        "data.eval_unclip": 0 < data.eval_unclip < 10,
        "data.strength": 0 <= data.strength <= 2,
        "data.shrink_ratio": 0.01 <= data.shrink_ratio < 1,
        "data.crops_share": 0 <= data.crops_share < math.inf,
        "data.photos_share": 0 <= data.photos_share < math.inf,
        "data.synth_share": 0 <= data.synth_share < math.inf,
        "optim.kind": optim.kind in ("adam", "adamw"),
        "optim.rate": 0 < optim.rate < math.inf,
        "optim.final": 0 <= optim.final <= 1,
        "optim.warmup": optim.warmup >= 0,
        "optim.decay": 0 <= optim.decay < math.inf,
        "optim.clip": 0 <= optim.clip < math.inf,  # A negative norm would turn the gradient round.
        "optim.schedule": optim.schedule in ("constant", "cosine"),
        "optim.ema": 0 <= optim.ema < 1,
        "optim.accumulate": optim.accumulate >= 1,
        "qat.scales": recipe.qat.scales in ("mse", "moving"),
        "export.settings": all("=" in text for text in recipe.export.settings),
        "qat.layers": recipe.qat.layers and set(recipe.qat.layers) <= {"Conv2D", "Linear", "Conv2DTranspose"},
    }
    try:
        country = load_country(data.country)
        for kind in data.kind_share:
            country.kind(kind)
    except EdgeError as error:
        raise InputError(f"{where}: data: {error.message}", error.hint) from error
    for key, good in rules.items():
        if not good:
            value = functools.reduce(getattr, key.split("."), recipe)
            raise InputError(
                f"{where}: {key} = {value!r} is out of range.", "See docs/formats/recipe.md for what it may be."
            )
    name = model.arch or DEFAULTS[recipe.task]
    if not may_be_architecture(name):
        raise unknown_architecture(name, f"{where}: model.arch")
    return dataclasses.replace(recipe, model=dataclasses.replace(model, arch=name))


def recipe_architecture(recipe: Recipe) -> Architecture:
    """Loads the architecture that a recipe names; see `train.arch.architecture.find_architecture`."""
    return find_architecture(recipe.model.arch, recipe.task)


def modern(document: dict[str, Any], where: str, say: Say = lambda text: None) -> dict[str, Any]:
    """Returns a recipe's settings under the names that they have now.

    Until 0.1 plates were of one country, one kind could be asked for, and the key was its name with `_share`.

    Args:
        document: The settings.
        where: For messages.
        say: Told of old names. A run's own recipe is its record: nobody need change that, so nobody is told.
    """
    data = document.get("data")
    if not isinstance(data, dict):
        return document
    names = {f"{kind.name}_share": kind.name for kind in load_country().kinds}
    shares = {names[key]: value for key, value in data.items() if key in names}
    data = {"country": DEFAULT, **{key: value for key, value in data.items() if key not in names}}
    if shares:
        old = ", ".join(f"data.{name}_share" for name in shares)
        say(f"{where}: {old} is now data.kind_share: {shares}. The next release takes only the new name.")
        others = data.get("kind_share")
        data["kind_share"] = {**(others if isinstance(others, dict) else {}), **shares}
    return {**document, "data": data}


def recipe_document(recipe: Recipe) -> dict[str, Any]:
    """Returns a recipe as plain data that `parse_recipe` reads back to the same recipe."""
    plain: dict[str, Any] = yaml.safe_load(yaml.safe_dump(_plain(dataclasses.asdict(recipe))))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _override(document: dict[str, Any], text: str) -> None:
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise UsageError(f"{text!r} is not key=value.", "For example `-o optim.rate=0.001`.")
    place = document
    *parts, last = key.strip().split(".")
    for part in parts:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise InputError(f"unknown key {key.strip()!r} in -o {text}.")
    try:
        place[last] = yaml.safe_load(value) if value.strip() else ""
    except yaml.YAMLError as error:
        raise UsageError(f"-o {text}: the value is not YAML: {error}.") from error


def _build(kind: type[T], document: Any, where: str, prefix: str) -> T:
    if not isinstance(document, dict):
        raise InputError(f"{where}: {prefix.rstrip('.') or 'the recipe'} must be a mapping.")
    known = {item.name: item for item in dataclasses.fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    for key in document:
        if key not in known:
            raise InputError(f"{where}: unknown key {prefix}{key!s}.", f"Known keys: {', '.join(known)}.")
    missing = [
        name
        for name, item in known.items()
        if name not in document and item.default is item.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise InputError(f"{where}: missing key {prefix}{missing[0]}.")
    values = {key: _value(hints[key], value, where, prefix + key) for key, value in document.items()}
    return kind(**values)


def _value(hint: Any, value: Any, where: str, key: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, where, f"{key}.")  # type: ignore[arg-type]
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint in (int, float, str, bool):
        if type(value) is not hint:
            hint_text = "YAML writes 0.001 or 1.0e-3 for floats." if hint is float else "See docs/formats/recipe.md."
            raise InputError(f"{where}: {key} = {value!r} is not {hint.__name__}.", hint_text)
        return value
    if get_origin(hint) is Mapping:
        if not isinstance(value, dict):
            raise InputError(f"{where}: {key} = {value!r} is not a mapping.", f'For example `-o "{key}={{a: 0.5}}"`.')
        return {str(name): _value(hint.__args__[1], item, where, f"{key}.{name}") for name, item in value.items()}
    element = hint.__args__[0]
    if not isinstance(value, (list, tuple)):
        raise InputError(f"{where}: {key} = {value!r} is not a list.", f"For example `-o {key}=[a, b]`.")
    return tuple(_value(element, item, where, key) for item in value)
