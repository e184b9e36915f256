"""A folder of rendered photos or crops: the same for the same seed, on any number of cores, in any number of runs."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from edge.base.errors import InputError, UsageError
from edge.base.paths import write_atomic
from edge.base.progress import PhaseProgress
from edge.ocr.image import Image
from edge.plate.country import COUNTRIES, DEFAULT, FILE_NAME, Country, load_country
from edge.plate.grammar import SERIAL
from train.synth.scene import WEATHERS, Conditions, render_scene
from train.synth.text import in_ccpd, random_kind, random_text

SCHEMA = "plate-edge/synth/1"
STATE = "synth.json"
_CHUNK = 256
_QUALITY = (70, 96)


@dataclass(frozen=True)
class SynthOptions:
    """What is rendered.

    Attributes:
        count: Number of photos or crops.
        seed: Any number; the same seed gives the same files.
        crops: Crops for the recogniser (with `rec.txt`) in place of photos for the detector.
        kinds: Names of kinds of plates, drawn by their usual shares; all when empty.
        weathers: Weathers of the photos; all when empty.
        jobs: At a time; 0 takes one for each core.
        country: Code of a country of plates, or a folder that holds one.
    """

    count: int
    seed: int = 0
    crops: bool = False
    kinds: tuple[str, ...] = ()
    weathers: tuple[str, ...] = ()
    jobs: int = 0
    country: str = DEFAULT


def make_synth(
    out: Path, options: SynthOptions, force: bool = False, progress: PhaseProgress | None = None
) -> dict[str, Any]:
    """Renders a data set.

    Crops are listed in `rec.txt`. Photos get CCPD names where CCPD's tables can write the country's plates, and are
    listed in `det.txt` where they cannot. First characters take turns, so that a set of a hundred Chinese plates holds
    every province three times. An interrupted run is resumed, a finished one is left alone.

    Args:
        out: Folder of the data set.
        options: See there.
        force: Remove what an earlier run with other options left there.
        progress: Called with a title, files done and files in all.

    Returns:
        The options and what was made, as in `synth.json`.

    Raises:
        UsageError: A count below 1, an unknown country, kind or weather.
        InputError: The folder holds something else, or its `synth.json` is damaged.
    """
    if options.count < 1:
        raise UsageError(f"--count {options.count} is below 1.")
    country = load_country(options.country)
    for kind in options.kinds:
        country.kind(kind)
    for weather in options.weathers:
        if weather not in WEATHERS:
            raise UsageError(f"Unknown weather {weather!r}.", f"Weathers: {', '.join(WEATHERS)}.")
    wanted = {
        "count": options.count,
        "seed": options.seed,
        "crops": options.crops,
        "kinds": list(options.kinds or (kind.name for kind in country.kinds)),
        "weathers": list(options.weathers or WEATHERS),
        "country": country.code,
    }
    if country.folder.parent != COUNTRIES:  # A user edits it, and may have two of one name.
        wanted["country_sha256"] = hashlib.sha256((country.folder / FILE_NAME).read_bytes()).hexdigest()
    state = _state(out)
    if state is not None and {"country": DEFAULT, **state["options"]} != wanted:
        if not force:
            edited = f", or {country.folder / FILE_NAME} has changed since" if "country_sha256" in wanted else ""
            raise InputError(
                f"{out} holds a rendered set with other options{edited}.", "Use --force to replace it, or another --out."
            )
        _clear(out, state)
        state = None
    if state is None and out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out} is not empty.", "Rendered photos are not mixed with others; choose another --out.")
    listed = label_file(options)
    if state is not None and state.get("done") == options.count and _whole(out, state, listed):
        return state
    files = list(state["files"]) if state else []
    files = files[: _present(out, files)]
    state = {"schema": SCHEMA, "options": wanted, "done": len(files), "files": files}
    out.mkdir(parents=True, exist_ok=True)
    _save(out, state)
    _render(out, options, state, progress or (lambda *_: None))
    if listed:
        write_atomic(out / listed, "".join(f"{name}\t{label}\n" for name, label in state["files"]))
    return state


def label_file(options: SynthOptions) -> str | None:
    """Returns the name of the file that lists a set; None for photos whose names say everything."""
    if options.crops:
        return "rec.txt"
    return None if in_ccpd(load_country(options.country)) else "det.txt"


def _render(out: Path, options: SynthOptions, state: dict[str, Any], report: PhaseProgress) -> None:
    from joblib import Parallel, delayed

    files: list[list[str]] = state["files"]
    jobs = options.jobs or len(os.sched_getaffinity(0))
    title = "crops" if options.crops else "photos"
    # Drawing is Python as much as OpenCV, so processes; few files are not worth starting them.
    backend = "loky" if jobs > 1 and options.count - len(files) > 64 else "sequential"
    if label_file(options):
        (out / title).mkdir(exist_ok=True)
    report(title, len(files), options.count)
    while len(files) < options.count:
        numbers = range(len(files), min(options.count, len(files) + _CHUNK))
        tasks = (delayed(render_file)(out, options, number) for number in numbers)
        way = "generator" if backend == "loky" else "list"
        for made in Parallel(n_jobs=jobs, backend=backend, return_as=way)(tasks):
            files.append(made)
            report(title, len(files), options.count)
        state["done"] = len(files)
        _save(out, state)


def render_file(out: Path, options: SynthOptions, number: int) -> list[str]:
    """Renders and writes one file of a set; depends on nothing but its arguments.

    Returns:
        Its path relative to `out`, and its label: the text, or for photos without CCPD names what `det.txt` holds.
    """
    import cv2

    cv2.setNumThreads(1)
    country = load_country(options.country)
    rng = np.random.default_rng([options.seed, number])
    kind = random_kind(rng, country)
    while options.kinds and kind.name not in options.kinds:
        kind = random_kind(rng, country)
    text = random_text(rng, country, kind, plain=not options.crops and in_ccpd(country))
    first = kind.forms[0].template[0]
    if first in country.classes and first != SERIAL and not text.startswith(_fixed_heads(country)):
        turns = kind.forms[0].draw.get(first) or country.classes[first]
        text = turns[(number + options.seed) % len(turns)] + text[1:]
    image: Image
    label = text
    if options.crops:
        from train.synth.crop import render_crop

        image, _ = render_crop(rng, country, text, kind.name)
        name = f"crops/{number:06d}.jpg"
    else:
        weather = options.weathers[int(rng.integers(len(options.weathers)))] if options.weathers else None
        scene = render_scene(rng, country, Conditions(kind.name, text, weather))
        image = scene.image
        if in_ccpd(country):
            name = scene.file_name
        else:
            name = f"photos/{number:06d}.jpg"
            label = json.dumps([{"points": scene.name.vertices, "transcription": text}], ensure_ascii=False)
    quality = int(rng.integers(*_QUALITY))
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    (out / name).write_bytes(data)  # Half a file is written over: it counts from the next entry in the state on.
    return [name, label]


@lru_cache(maxsize=8)
def _fixed_heads(country: Country) -> tuple[str, ...]:
    """What templates of a country begin with themselves: no other character takes a turn in its place."""
    heads = ("".join(takewhile(lambda mark: mark not in country.classes, text)) for text in country.grammar.templates)
    return tuple(head for head in heads if head)


def _state(out: Path) -> dict[str, Any] | None:
    try:
        state = json.loads((out / STATE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{out / STATE} cannot be read: {error}.") from None
    if not isinstance(state, dict) or state.get("schema") != SCHEMA:
        raise InputError(f"{out / STATE} is not a {SCHEMA} file.")
    files = state.get("files")
    pairs = isinstance(files, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair) for pair in files
    )
    if not pairs or not isinstance(state.get("options"), dict):
        raise InputError(
            f"{out / STATE} is damaged: {'`options`' if pairs else '`files`'} is not what it should be.",
            "Delete the folder, or choose another --out.",
        )
    return state


def _present(out: Path, files: list[list[str]]) -> int:
    def lost(name: str) -> bool:
        path = out / name
        return not path.is_file() or path.stat().st_size == 0

    return next((place for place, (name, _) in enumerate(files) if lost(name)), len(files))


def _whole(out: Path, state: dict[str, Any], listed: str | None) -> bool:
    files = state["files"]
    return _present(out, files) == len(files) and (listed is None or (out / listed).is_file())


def _clear(out: Path, state: dict[str, Any]) -> None:
    for name, _ in state["files"]:
        (out / name).unlink(missing_ok=True)
    for name in ("rec.txt", "det.txt", STATE):
        (out / name).unlink(missing_ok=True)
    for folder in (out / "crops", out / "photos"):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _save(out: Path, state: dict[str, Any]) -> None:
    write_atomic(out / STATE, json.dumps(state, ensure_ascii=False) + "\n")
