"""Draws where a set of models stops reading: rendered plates made harder step by step, with what is read of them.

    python -m train.evaluate.failures edge/zoo/plate-v1 docs/img/plate-v1-failures.jpg

Rendered, since no real photo is part of this project; real ones fail in the same directions, not at the same places.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from edge.base.paths import write_atomic
from edge.ocr.config import PipelineConfig
from edge.ocr.image import Image
from edge.plate.country import load_country
from train.augment import weather as effects
from train.evaluate.pipeline import open_reader
from train.evaluate.sources import find_sources, source_settings
from train.synth.glyphs import write_text
from train.synth.scene import Conditions, Scene, render_scene

TILE, CAPTION, LABEL = (160, 80), 26, 120
TEXTS = ("皖A7K392", "京N85C20", "粤BD18564")
Spoil = Callable[[np.random.Generator, Image, float], Image]


def scene(text: str, *, width: float = 200.0, yaw: float = 0.1, weather: str = "day") -> Scene:
    """Renders a photo without blur and noise of its own."""
    country = load_country()
    kind = country.kind_of(text)
    conditions = Conditions(kind.name if kind else None, text, weather, (yaw, 0.1, 0.02), width, 0.0)
    return render_scene(np.random.default_rng(4), country, conditions)


def _spoiled(spoil: Spoil) -> Callable[[str, float], tuple[Scene, Image]]:
    def make(text: str, value: float) -> tuple[Scene, Image]:
        plain = scene(text)
        return plain, spoil(np.random.default_rng(1), plain.image, value) if value else plain.image

    return make


def _same(made: Scene) -> tuple[Scene, Image]:
    return made, made.image


ROWS: tuple[tuple[str, tuple[float, ...], Callable[[str, float], tuple[Scene, Image]]], ...] = (
    ("plate width, px", (200, 120, 80, 70, 60, 50), lambda text, value: _same(scene(text, width=value))),
    ("yaw, degrees", (10, 45, 65, 75, 78, 81), lambda text, value: _same(scene(text, yaw=float(np.deg2rad(value))))),
    ("defocus, sigma px", (0, 3, 5, 6, 7, 8), _spoiled(lambda rng, image, value: effects.defocus(image, value))),
    ("motion, px", (0, 7, 13, 16, 19, 25), _spoiled(lambda rng, image, value: effects.motion(rng, image, int(value)))),
    ("light, part", (1, 0.2, 0.1, 0.08, 0.05, 0.03), _spoiled(lambda rng, image, value: (image * value).astype(np.uint8))),
    ("snow, flakes", (0, 4000, 7000, 9000, 11000, 15000), _spoiled(lambda rng, image, v: effects.snow(rng, image, int(v)))),
)


def draw_failures(models: Path, out: Path) -> None:
    """Renders, reads and draws every step; prints what was read.

    Args:
        models: A folder with `det-fp32` and `rec-fp32`.
        out: The picture, JPEG.
    """
    sources = find_sources([models / "det-fp32", models / "rec-fp32"], ("det", "rec"))
    reader, config = open_reader(sources), source_settings(PipelineConfig(), sources)
    lines, drawn = [], []
    for number, (name, values, make) in enumerate(ROWS):
        text = TEXTS[number % len(TEXTS)]
        tiles, read = [_label(name)], []
        for value in values:
            made, image = make(text, value)
            plates = reader.read(image, [config])[0].plates
            answer = plates[0].text if plates else ""
            read.append(answer)
            tiles.append(_tile(image, made, f"{value:g}", answer, answer == text))
        drawn.append(np.hstack(tiles))
        lines.append(f"{name}: {text} -> " + ", ".join(f"{v:g} {t or '-'}" for v, t in zip(values, read, strict=True)))
    flags = [cv2.IMWRITE_JPEG_QUALITY, 72, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    write_atomic(out, cv2.imencode(".jpg", np.vstack(drawn), flags)[1].tobytes())
    print("\n".join(lines))


def _label(name: str) -> Image:
    label = np.full((TILE[1] + CAPTION, LABEL, 3), 255, np.uint8)
    first, _, rest = name.partition(",")
    cv2.putText(label, first, (6, 45), cv2.FONT_HERSHEY_SIMPLEX, 0.48, (40, 40, 40), 1, cv2.LINE_AA)
    cv2.putText(label, rest.strip(), (6, 64), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (120, 120, 120), 1, cv2.LINE_AA)
    return label


def _tile(image: Image, made: Scene, value: str, answer: str, right: bool) -> Image:
    quad = np.array(made.name.vertices, np.float32)
    centre, width = quad.mean(axis=0), float(np.ptp(quad[:, 0])) * 1.5
    size = (round(max(width, 60)), round(max(width, 60) * TILE[1] / TILE[0]))
    cut = cv2.resize(cv2.getRectSubPix(image, size, tuple(float(v) for v in centre)), TILE, interpolation=cv2.INTER_AREA)
    tile = np.full((TILE[1] + CAPTION, TILE[0], 3), 255, np.uint8)
    tile[: TILE[1], 2 : TILE[0] - 2] = cut[:, 2 : TILE[0] - 2]
    cv2.putText(tile, value, (4, TILE[1] + 18), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (120, 120, 120), 1, cv2.LINE_AA)
    colour = (60, 130, 40) if right else (40, 40, 200)
    if answer:
        write_text(tile, answer, (62, TILE[1] + 4), 17, colour, load_country())
    else:
        cv2.putText(tile, "not found", (62, TILE[1] + 18), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)
    return tile


if __name__ == "__main__":
    draw_failures(Path(sys.argv[1]), Path(sys.argv[2]))
