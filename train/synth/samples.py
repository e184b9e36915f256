"""The sample photos that a country of the kit carries, and their ground truth: `python -m train.synth.samples cn`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from edge.base.errors import UsageError
from edge.base.paths import write_atomic
from edge.plate.country import Country, load_country
from train.synth.scene import Conditions, Scene, render_scene

_QUALITY = 82


def sample_list(country: Country) -> dict[str, dict[str, Any]]:
    """Returns name to seed and conditions of a country's samples: `samples.yml` beside its `plate.yml`.

    Raises:
        UsageError: It has none.
    """
    path = country.folder / "samples.yml"
    if not path.is_file():
        raise UsageError(f"{country.code} has no samples: {path} is missing.")
    found: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def render_sample(name: str, country: Country | None = None) -> Scene:
    """Renders one of the samples again, as it was committed.

    Args:
        name: Of the photo, without its ending.
        country: Whose sample; None for the kit's own country.

    Raises:
        UsageError: There is no sample of that name.
    """
    country = country or load_country()
    known = sample_list(country)
    if name not in known:
        raise UsageError(f"No sample {name!r}.", f"Samples: {', '.join(known)}.")
    values = dict(known[name])
    rng = np.random.default_rng(values.pop("seed"))
    return render_scene(rng, country, Conditions(**{**values, "pose": tuple(values["pose"])}))


def write_samples(folder: Path, country: Country) -> list[Path]:
    """Writes all samples and `labels.json` into a folder, over what is there.

    Returns:
        The photos' paths.
    """
    labels: dict[str, list[dict[str, object]]] = {}
    written = []
    for name in sample_list(country):
        scene = render_sample(name, country)
        path = folder / f"{name}.jpg"
        flags = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
        write_atomic(path, cv2.imencode(".jpg", scene.image, flags)[1].tobytes())
        labels[path.name] = [{"text": scene.name.text, "box": [list(point) for point in scene.name.vertices]}]
        written.append(path)
    lines = ",\n".join(f'  "{key}": {json.dumps(value, ensure_ascii=False)}' for key, value in labels.items())
    write_atomic(folder / "labels.json", f"{{\n{lines}\n}}\n")
    return written


if __name__ == "__main__":
    for chosen in map(load_country, sys.argv[1:]):
        for photo in write_samples(chosen.samples, chosen):
            print(photo)
