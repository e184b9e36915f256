"""Checkpoints that survive `kill -9`: one file each, written beside and renamed, checked when read.

A run's folder:

    recipe.yml      the settings as run
    dict.txt        a recogniser's characters
    last.ckpt       everything needed to resume: weights, moving average, optimiser, step, best so far
    best.pdparams   the best weights by validation (the moving average's, when there is one)
    best.json       the step and figures of `best.pdparams`
    log.csv         one line a logged step
    .running.json   the process that trains in it now (`edge.base.alone`)
"""

from __future__ import annotations

import io
import json
import shutil
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from edge.base.errors import HostError, InputError, ModelError
from edge.base.paths import write_atomic
from train.arch.border import Arrays
from train.recipes.recipe import parse_recipe, recipe_document

SCHEMA = "plate-edge/checkpoint/1"
LAST, BEST, BEST_FACTS = "last.ckpt", "best.pdparams", "best.json"
_META = "meta"


@dataclass
class Checkpoint:
    """Everything needed to resume a run.

    Attributes:
        recipe: The settings as plain data; a run is only resumed under the same ones.
        step: Steps done.
        weights: Parameters and buffers by name.
        average: Their moving average, empty without one.
        optimiser: The optimiser's arrays by name.
        best: Figures and step of the best validation, empty before the first.
    """

    recipe: dict[str, Any]
    step: int
    weights: Arrays
    average: Arrays = field(default_factory=dict)
    optimiser: Arrays = field(default_factory=dict)
    best: dict[str, Any] = field(default_factory=dict)


def save_state(path: Path, state: Checkpoint) -> None:
    """Writes a checkpoint; the old one stays until the new one is whole.

    Raises:
        HostError: It cannot be written; the old checkpoint is untouched.
    """
    meta = {"schema": SCHEMA, "recipe": state.recipe, "step": state.step, "best": state.best}
    arrays = {
        f"{group}/{name}": value
        for group, values in (("weights", state.weights), ("average", state.average), ("optimiser", state.optimiser))
        for name, value in values.items()
    }
    save_arrays(path, {_META: np.frombuffer(json.dumps(meta).encode(), np.uint8), **arrays})


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Writes an `.npz` file, whole or not at all.

    Raises:
        HostError: It cannot be written; the old file is untouched.
    """
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    _write(path, buffer.getvalue())


def load_state(path: Path) -> Checkpoint:
    """Reads a checkpoint.

    Raises:
        InputError: Missing, truncated or damaged, or not a checkpoint of this kit.
    """
    meta, values = _read(path)
    groups: dict[str, Arrays] = {"weights": {}, "average": {}, "optimiser": {}}
    for name, value in values.items():
        group, _, rest = name.partition("/")
        groups[group][rest] = value
    return Checkpoint(meta["recipe"], meta["step"], best=meta["best"], **groups)


def _read(path: Path, *, settings_only: bool = False) -> tuple[dict[str, Any], Arrays]:
    """Reads what a checkpoint says of itself, and its arrays; see `load_state`."""
    if not path.is_file():
        raise InputError(f"{path} is not a checkpoint.", "A run's checkpoint is its last.ckpt.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = [name for name in archive.files if name != _META]
            values = {} if settings_only else {name: archive[name] for name in names}
            meta = json.loads(archive[_META].tobytes())
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, KeyError, EOFError, AttributeError) as error:
        raise InputError(f"{path} is damaged or not a checkpoint: {error}.", "Delete it to start again.") from error
    if not isinstance(meta, dict) or meta.get("schema") != SCHEMA:
        raise InputError(f"{path} is a checkpoint of another version of the kit.", "Delete it to start again.")
    kinds = {"recipe": dict, "step": int, "best": dict}
    strange = [key for key, kind in kinds.items() if not isinstance(meta.get(key), kind)]
    strange += [name for name in names if name.partition("/")[0] not in ("weights", "average", "optimiser")]
    if strange:
        raise InputError(f"{path} is damaged or not a checkpoint: {strange[0]!r}.", "Delete it to start again.")
    return meta, values


def begin_run(folder: Path, recipe: dict[str, Any], characters: Sequence[str] | None) -> None:
    """Writes a run's `recipe.yml` and `dict.txt`, unless a run of other settings lies there: its own stay.

    Removes what a run that was killed while it wrote left half done.

    Args:
        folder: Of the run; made when missing. No other process works in it (`edge.base.alone`).
        recipe: The settings as plain data.
        characters: Of a recogniser.

    Raises:
        InputError: The checkpoint in the folder was made with other settings or characters, or is damaged.
        HostError: The disk is full or not writable.
    """
    dictionary = "".join(f"{mark}\n" for mark in characters or ())
    if (folder / LAST).is_file():
        check_settings(_read(folder / LAST, settings_only=True)[0]["recipe"], recipe, folder / LAST)
        there = folder / "dict.txt"
        if characters and there.is_file() and there.read_bytes() != dictionary.encode():
            raise InputError(f"{folder / LAST} was made with other characters.", "Give another --out.")
    for name in (LAST, BEST, BEST_FACTS):
        for half in folder.glob(f".{name}.*.tmp"):
            half.unlink()
    _write(folder / "recipe.yml", yaml.safe_dump(recipe, allow_unicode=True, sort_keys=False).encode())
    if characters:
        _write(folder / "dict.txt", dictionary.encode())


def save_best(folder: Path, weights: Arrays, facts: dict[str, Any]) -> None:
    """Writes `best.pdparams` (a Paddle file, as PaddleOCR's are) and `best.json`.

    Raises:
        HostError: One cannot be written; the old ones are untouched.
    """
    import paddle

    buffer = io.BytesIO()
    paddle.save({name: paddle.to_tensor(value) for name, value in weights.items()}, buffer)
    _write(folder / BEST, buffer.getvalue())
    _write(folder / BEST_FACTS, (json.dumps(facts, indent=2) + "\n").encode())


def check_fits(state: Checkpoint, weights: Arrays, recipe: dict[str, Any], where: Path) -> None:
    """Checks that a checkpoint belongs to a network and to a recipe.

    Args:
        state: The checkpoint.
        weights: The network's own parameters and buffers.
        recipe: The settings of the run to resume.
        where: For messages.

    Raises:
        ModelError: A checkpoint of another architecture or number of classes.
        InputError: One that was made under other settings.
    """
    differ = sorted(set(state.weights) ^ set(weights)) or sorted(
        name for name, value in weights.items() if state.weights[name].shape != value.shape
    )
    if differ:
        raise ModelError(
            f"{where} is a checkpoint of another architecture ({len(differ)} parameters differ, such as {differ[0]}).",
            "Give another --out, or delete the folder to start again.",
        )
    check_settings(state.recipe, recipe, where)


def check_settings(old: dict[str, Any], new: dict[str, Any], where: Path) -> None:
    """Checks that a run is resumed with the settings that it began with; where data lies and the like may change.

    Raises:
        InputError: They differ; names the first few.
    """
    # Read as recipes: a key that an older kit did not write has its default.
    before, after = (recipe_document(parse_recipe(document, str(where))) for document in (old, new))
    changed = _changes(before, after)
    if changed:
        hint = "Give another --out for new settings; a resumed run must be the same run."
        share = before["data"]["kind_share"].get("green")
        # Until 0.1 a recipe that said nothing took a green plate for one photo in five; its runs have it in writing.
        if "green_share" in (old.get("data") or {}) and not after["data"]["kind_share"] and share is not None:
            hint = f"To go on with a run of 0.1, add `-o data.kind_share.green={share:g}`, its data.green_share. {hint}"
        raise InputError(f"{where} was made with other settings: {', '.join(changed[:5])}.", hint)


def _changes(old: Any, new: Any, prefix: str = "") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        return [text for key in sorted({*old, *new}) for text in _changes(old.get(key), new.get(key), f"{prefix}{key}.")]
    # Where the data lies, how many threads work and what is exported may change; what is computed may not.
    free = prefix.startswith(("data.root.", "threads.", "about.", "export."))
    return [] if old == new or free else [f"{prefix[:-1]} {old!r} -> {new!r}"]


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
    except OSError as error:
        free = shutil.disk_usage(path.parent).free if path.parent.is_dir() else 0
        raise HostError(
            f"{path} cannot be written: {error.strerror or error} ({len(data) >> 20} MiB wanted, {free >> 20} MiB free).",
            "Free space or allow writing, then run the same command again; it goes on from the last whole checkpoint.",
        ) from error
