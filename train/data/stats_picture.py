"""A data set as one picture: bars of provinces and characters, histograms, and some of its plates."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np

from edge.base.plural import counted
from edge.ocr.crop import crop_plate
from edge.ocr.image import Image
from edge.plate.country import Country
from train.data.stats import Collection, PlateRow
from train.synth.glyphs import write_text

Write = Callable[..., None]
WIDTH = 1240
_MARGIN = 40
_INK = (60, 50, 40)
_BAR = (176, 110, 40)
_WARN = (60, 60, 210)
_PALE = (228, 224, 220)
_TITLES = {
    "width": "plate width, px",
    "height": "plate height, px",
    "tilt_horizontal": "horizontal tilt as named, degrees",
    "tilt_vertical": "vertical tilt as named, degrees",
    "brightness": "brightness as named",
    "blur": "blur as named (more is sharper)",
    "grey": "mean grey level, measured",
    "sharpness": "sharpness, measured (variance of Laplacian)",
}


def draw_stats(collection: Collection, summary: dict[str, Any], country: Country) -> Image:
    """Draws a data set.

    Args:
        collection: Its plates.
        summary: `train.data.stats.summarise` of it.
        country: Of its plates; gives the fonts.

    Returns:
        uint8 BGR array, `WIDTH` wide, as high as needed.
    """
    write = partial(write_text, country=country)
    parts = [
        _title(write, collection, summary),
        _bars(write, "provinces", summary["provinces"], 180),
        _bars(
            write,
            "characters",
            {mark: n for mark, n in summary["characters"].items() if mark not in summary["provinces"]},
            180,
        ),
    ]
    found = {name: [plate.values[name] for plate in collection.plates if name in plate.values] for name in _TITLES}
    charts = [_histogram(write, _TITLES[name], values) for name, values in found.items() if values]
    for start in range(0, len(charts), 2):
        pair = charts[start : start + 2]
        if len(pair) == 1:
            pair.append(np.full_like(pair[0], 255))
        parts.append(np.hstack(pair))
    parts.append(_examples(write, collection.plates))
    return np.vstack(parts)


def _title(write: Write, collection: Collection, summary: dict[str, Any]) -> Image:
    area = np.full((90, WIDTH, 3), 255, np.uint8)
    plates = counted(summary["plates"], "plate")
    write(area, f"{collection.source.name or collection.source}: {plates}", (_MARGIN, 18), 28, _INK)
    lengths = ", ".join(f"{count} with {length} characters" for length, count in summary["lengths"].items())
    missing = "".join(summary["missing_provinces"])
    line = f"{summary['distinct']} distinct; {lengths}" + (f"; no {missing}" if missing else "; all provinces")
    write(area, line, (_MARGIN, 58), 18, _INK)
    return area


def _bars(write: Write, title: str, counts: dict[str, int], height: int) -> Image:
    area = np.full((height + 90, WIDTH, 3), 255, np.uint8)
    write(area, title, (_MARGIN, 8), 18, _INK)
    top, base = 56, height + 48
    step = (WIDTH - 2 * _MARGIN) / max(1, len(counts))
    most = max(counts.values(), default=1) or 1
    for place, (mark, count) in enumerate(counts.items()):
        left = int(_MARGIN + place * step)
        right = int(left + max(3, step * 0.72))
        bar = round((base - top) * count / most)
        cv2.rectangle(area, (left, base - max(bar, 1)), (right, base), _BAR if count else _WARN, -1)
        if mark.strip():
            write(area, mark, (left, base + 8), 18, _INK if count else _WARN)
        if step > 24:
            write(area, str(count), (left, base - bar - 16), 11, _INK)
    return area


def _histogram(write: Write, title: str, values: list[float]) -> Image:
    width, height = WIDTH // 2, 210
    area = np.full((height, width, 3), 255, np.uint8)
    write(area, title, (_MARGIN, 8), 16, _INK)
    numbers = np.array(values, np.float64)
    low, high = np.percentile(numbers, (0.5, 99.5))
    high = high if high > low else low + 1
    counts, _ = np.histogram(np.clip(numbers, low, high), bins=40, range=(low, high))
    top, base = 40, height - 34
    step = (width - 2 * _MARGIN) / len(counts)
    for place, count in enumerate(counts):
        left = int(_MARGIN + place * step)
        bar = round((base - top) * count / max(1, counts.max()))
        cv2.rectangle(area, (left, base - bar), (int(left + step - 2), base), _BAR, -1)
    cv2.line(area, (_MARGIN, base), (width - _MARGIN, base), _PALE, 1)
    for part, at in ((0.0, _MARGIN), (0.5, width // 2 - 14), (1.0, width - _MARGIN - 40)):
        write(area, f"{low + (high - low) * part:.4g}", (at, base + 8), 13, _INK)
    return area


def _examples(write: Write, plates: list[PlateRow], columns: int = 6, rows: int = 6) -> Image:
    cell_width, cell_height = (WIDTH - 2 * _MARGIN) // columns, 96
    area = np.full((rows * cell_height + 50, WIDTH, 3), 255, np.uint8)
    write(area, "some of its plates", (_MARGIN, 8), 18, _INK)
    chosen = np.random.default_rng(0).permutation(len(plates))[: columns * rows]
    for place, index in enumerate(sorted(int(number) for number in chosen)):
        x = _MARGIN + place % columns * cell_width
        y = 44 + place // columns * cell_height
        picture = _picture(plates[index])
        if picture is None:
            cv2.rectangle(area, (x, y), (x + cell_width - 8, y + 62), _WARN, 1)
        else:
            area[y : y + 62, x : x + cell_width - 8] = cv2.resize(picture, (cell_width - 8, 62))
        write(area, plates[index].text, (x, y + 66), 16, _INK)
    return area


def _picture(plate: PlateRow) -> Image | None:
    image = cv2.imread(str(plate.image), cv2.IMREAD_COLOR)
    if image is None or plate.box is None:
        return image
    return crop_plate(image, np.array(plate.box, np.float64))
