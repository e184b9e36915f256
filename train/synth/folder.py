"""A folder of rendered photos or crops: the same for the same seed, on any number of cores, in any number of runs."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.base.errors import InputError, UsageError
from edge.base.paths import write_atomic
from edge.base.progress import PhaseProgress
from edge.plate.ccpd import PROVINCES
from train.synth.plate import KINDS, random_kind, random_text, style_of
from train.synth.scene import WEATHERS, Conditions, render_scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

SCHEMA = "plate-edge/synth/1"
STATE = "synth.json"
_CHUNK = 256
_QUALITY = (70, 96)
_REAL_PROVINCES = PROVINCES[:31]


@dataclass(frozen=True)
class SynthOptions:
    """What is rendered.

    Attributes:
        count: Number of photos or crops.
        seed: Any number; the same seed gives the same files.
        crops: Crops for the recogniser (with `rec.txt`) in place of photos for the detector.
        kinds: Kinds of plates, drawn by their usual shares; all when empty.
        weathers: Weathers of the photos; all when empty.
        jobs: At a time; 0 takes one for each core.
    """

    count: int
    seed: int = 0
    crops: bool = False
    kinds: tuple[str, ...] = ()
    weathers: tuple[str, ...] = ()
    jobs: int = 0


def make_synth(
    out: Path, options: SynthOptions, force: bool = False, progress: PhaseProgress | None = None
) -> dict[str, Any]:
    """Renders a data set. Photos get CCPD names; crops are listed in `rec.txt`.

    Provinces take turns, so that a set of a hundred holds every one three times. A run that was interrupted goes on,
    a finished one is left alone.

    Args:
        out: Folder of the data set.
        options: See there.
        force: Remove what an earlier run with other options left there.
        progress: Called with a title, files done and files in all.

    Returns:
        The options and what was made, as in `synth.json`.

    Raises:
        UsageError: A count below 1, an unknown kind or weather.
        InputError: The folder holds something else.
    """
    if options.count < 1:
        raise UsageError(f"--count {options.count}: at least 1.")
    for kind in options.kinds:
        style_of(kind)
    for weather in options.weathers:
        if weather not in WEATHERS:
            raise UsageError(f"Unknown weather {weather!r}.", f"Weathers: {', '.join(WEATHERS)}.")
    wanted = _wanted(options)
    state = _state(out)
    if state is not None and state.get("options") != wanted:
        if not force:
            raise InputError(
                f"{out} holds a rendered set with other options.", "Use --force to replace it, or another --out."
            )
        _clear(out, state)
        state = None
    if state is None and out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out} is not empty.", "Rendered photos are not mixed with others; choose another --out.")
    if state is not None and state.get("done") == options.count and _whole(out, state):
        return state
    files = list(state["files"]) if state else []
    files = files[: _present(out, files)]
    state = {"schema": SCHEMA, "options": wanted, "done": len(files), "files": files}
    out.mkdir(parents=True, exist_ok=True)
    _save(out, state)
    return _render(out, options, state, progress or (lambda *_: None))


def _render(out: Path, options: SynthOptions, state: dict[str, Any], report: PhaseProgress) -> dict[str, Any]:
    from joblib import Parallel, delayed

    files: list[list[str]] = state["files"]
    jobs = options.jobs or len(os.sched_getaffinity(0))
    title = "crops" if options.crops else "photos"
    # Drawing is Python as much as OpenCV, so processes; few files are not worth starting them.
    backend = "loky" if jobs > 1 and options.count - len(files) > 64 else "sequential"
    (out / "crops").mkdir(exist_ok=True) if options.crops else None
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
    if options.crops:
        write_atomic(out / "rec.txt", "".join(f"{name}\t{text}\n" for name, text in files))
    return state


def render_file(out: Path, options: SynthOptions, number: int) -> list[str]:
    """Renders and writes one file of a set; depends on nothing but its arguments.

    Returns:
        Its path relative to `out`, and its text.
    """
    import cv2

    cv2.setNumThreads(1)
    rng = np.random.default_rng([options.seed, number])
    kind = _kind(rng, options.kinds)
    text = random_text(rng, kind, plain=not options.crops)
    if text[:2] != "粤Z":  # Hong Kong and Macau plates have no other province.
        text = _REAL_PROVINCES[(number + options.seed) % len(_REAL_PROVINCES)] + text[1:]
    image: Image
    if options.crops:
        from train.synth.crop import render_crop

        image, _ = render_crop(rng, text, kind)
        name = f"crops/{number:06d}.jpg"
    else:
        weather = options.weathers[int(rng.integers(len(options.weathers)))] if options.weathers else None
        scene = render_scene(rng, Conditions(kind, text, weather))
        image, name = scene.image, scene.file_name
    quality = int(rng.integers(*_QUALITY))
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    (out / name).write_bytes(data)  # Half a file is written over: it counts from the next entry in the state on.
    return [name, text]


def _kind(rng: np.random.Generator, kinds: tuple[str, ...]) -> str:
    kind = random_kind(rng)
    while kinds and kind not in kinds:
        kind = random_kind(rng)
    return kind


def _wanted(options: SynthOptions) -> dict[str, Any]:
    return {
        "count": options.count,
        "seed": options.seed,
        "crops": options.crops,
        "kinds": list(options.kinds or KINDS),
        "weathers": list(options.weathers or WEATHERS),
    }


def _state(out: Path) -> dict[str, Any] | None:
    try:
        state = json.loads((out / STATE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{out / STATE} cannot be read: {error}.") from None
    if not isinstance(state, dict) or state.get("schema") != SCHEMA:
        raise InputError(f"{out / STATE} is not a {SCHEMA} file.")
    return state


def _present(out: Path, files: list[list[str]]) -> int:
    def lost(name: str) -> bool:
        path = out / name
        return not path.is_file() or path.stat().st_size == 0

    return next((place for place, (name, _) in enumerate(files) if lost(name)), len(files))


def _whole(out: Path, state: dict[str, Any]) -> bool:
    files = state["files"]
    return _present(out, files) == len(files) and (not state["options"]["crops"] or (out / "rec.txt").is_file())


def _clear(out: Path, state: dict[str, Any]) -> None:
    for name, _ in state["files"]:
        (out / name).unlink(missing_ok=True)
    for name in ("rec.txt", STATE):
        (out / name).unlink(missing_ok=True)
    if (out / "crops").is_dir() and not any((out / "crops").iterdir()):
        (out / "crops").rmdir()


def _save(out: Path, state: dict[str, Any]) -> None:
    write_atomic(out / STATE, json.dumps(state, ensure_ascii=False) + "\n")
