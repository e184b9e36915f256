"""The sample photos that the kit carries, and their ground truth: `python -m train.synth.samples edge/samples`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np

from edge.base.errors import UsageError
from edge.base.paths import write_atomic
from train.synth.scene import Conditions, Scene, render_scene

# Name, seed, conditions: blue and green, easy and hard, near and far.
SAMPLES: tuple[tuple[str, int, Conditions], ...] = (
    ("blue-day", 7, Conditions("blue", "皖A7K392", "day", (0.05, 0.1, 0.01), 250, 0.5)),
    ("blue-night", 13, Conditions("blue", "京N85C20", "night", (-0.12, 0.12, 0.03), 240, 0.4)),
    ("blue-rain", 3, Conditions("blue", "沪B6R715", "rain", (0.15, 0.1, -0.03), 230, 0.4)),
    ("blue-tilted", 5, Conditions("blue", "浙F3H608", "day", (0.45, 0.2, 0.12), 270, 0.5)),
    ("green-day", 9, Conditions("green", "粤BD18564", "day", (-0.08, 0.1, 0.0), 260, 0.4)),
    ("green-tilted", 21, Conditions("green", "苏EF52937", "day", (-0.4, 0.15, -0.09), 270, 0.4)),
    ("yellow-day", 16, Conditions("yellow", "川A4M871", "day", (0.1, 0.08, -0.02), 240, 0.4)),
)
_QUALITY = 82


def render_sample(name: str) -> Scene:
    """Renders one of the samples again, as it was committed.

    Raises:
        UsageError: There is no sample of that name.
    """
    for known, seed, conditions in SAMPLES:
        if known == name:
            return render_scene(np.random.default_rng(seed), conditions)
    raise UsageError(f"No sample {name!r}.", f"Samples: {', '.join(known for known, _, _ in SAMPLES)}.")


def write_samples(folder: Path) -> list[Path]:
    """Writes all samples and `labels.json` into a folder, over what is there.

    Returns:
        The photos' paths.
    """
    labels: dict[str, list[dict[str, object]]] = {}
    written = []
    for name, _, _ in SAMPLES:
        scene = render_sample(name)
        path = folder / f"{name}.jpg"
        flags = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
        write_atomic(path, cv2.imencode(".jpg", scene.image, flags)[1].tobytes())
        labels[path.name] = [{"text": scene.name.text, "box": [list(point) for point in scene.name.vertices]}]
        written.append(path)
    lines = ",\n".join(f'  "{key}": {json.dumps(value, ensure_ascii=False)}' for key, value in labels.items())
    write_atomic(folder / "labels.json", f"{{\n{lines}\n}}\n")
    return written


if __name__ == "__main__":
    for photo in write_samples(Path(sys.argv[1] if len(sys.argv) > 1 else "edge/samples")):
        print(photo)
