"""What a data set holds: characters, provinces, kinds, sizes, tilt, brightness, blur.

Reads what the kit and PP-OCR write: a folder of CCPD photos, a folder that `edge train labels` made, a `det.txt` or
a `rec.txt`.
"""

from __future__ import annotations

import csv
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge.base.errors import InputError
from edge.base.progress import Say
from edge.plate.ccpd import parse_name
from edge.plate.country import Country, load_country
from edge.plate.label_notes import tell
from train.data.dataset import Sample, find_photos, read_labels
from train.labels.journal import find_image, label_roots
from train.synth.geometry import edge_lengths

SCHEMA = "plate-edge/stats/1"
MEASURES = ("width", "height", "tilt_horizontal", "tilt_vertical", "brightness", "blur", "grey", "sharpness")
NAMED = 5
"""Files or lines named for each reason to leave them out; the others are only counted."""
QUANTILES = {"min": 0.0, "p5": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95, "max": 1.0}


@dataclass(frozen=True)
class PlateRow:
    """One plate of a data set.

    Attributes:
        text: In normal form; empty when nobody has typed it.
        image: File that shows it.
        box: Corners in the file, clockwise from top left; None when the file is a crop.
        values: Those of `MEASURES` that are known: plate width and height in pixels; tilt, brightness and blur as
            CCPD names say; grey level and sharpness (variance of the Laplacian) as measured on the crop.
    """

    text: str
    image: Path
    box: tuple[tuple[float, float], ...] | None
    values: dict[str, float]


@dataclass(frozen=True)
class Collection:
    """The plates of a source, and what was left out.

    Attributes:
        source: Where they are from.
        plates: Those that count.
        skipped: How many were left out, by reason.
        places: The first `NAMED` lines or files of each reason.
    """

    source: Path
    plates: list[PlateRow]
    skipped: dict[str, int]
    places: dict[str, list[str]] = field(default_factory=dict)


def collect(source: Path, note: Say = tell) -> Collection:
    """Reads the plates of a data set.

    Args:
        source: See the module.
        note: Told what is odd about the labels.

    Raises:
        InputError: Nothing there, or a malformed line, named.
    """
    skipped = _Skipped()
    if source.is_file():
        plates = list(_from_file(source, skipped, note))
    elif source.is_dir():
        tables = sorted(source.rglob("table.csv"))
        lists = sorted(source.rglob("rec.txt"))
        if tables:
            plates = [plate for table in tables for plate in _from_table(table)]
        elif lists:
            plates = [plate for file in lists for plate in _from_file(file, skipped, note)]
        else:
            plates = list(_from_names(source, skipped))
    else:
        raise InputError(
            f"{source} does not exist.", "Give a folder of CCPD photos, a folder of labels, or a label file."
        )
    if not plates:
        why = ", ".join(f"{reason} ({count})" for reason, count in sorted(skipped.counts.items()))
        raise InputError(f"No plates in {source}{': ' + why if why else ''}.", "See `edge train labels --help`.")
    return Collection(source, plates, dict(skipped.counts), skipped.places)


class _Skipped:
    """What is left out: counts by reason, and the first places."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.places: dict[str, list[str]] = {}

    def add(self, reason: str, place: str) -> None:
        self.counts[reason] += 1
        places = self.places.setdefault(reason, [])
        if len(places) < NAMED:
            places.append(place)


def summarise(collection: Collection, country: Country | None = None) -> dict[str, Any]:
    """Counts a data set.

    Args:
        collection: Its plates.
        country: Theirs; None for the kit's own.

    Returns:
        A JSON-ready dict: `plates`, `skipped`, `places`, `lengths`, `kinds`, `provinces` (first characters) and
        `characters` (those of the country's classes in their order, with zeros, then any others), `letters` (second
        characters), `missing_provinces`, `distinct`, and quantiles for each known measure.
    """
    country = country or load_country()
    places = _characters_at(country)
    kinds = Counter(kind.name for plate in collection.plates if (kind := country.kind_of(plate.text)))
    plates = collection.plates
    texts = [plate.text for plate in plates if plate.text]
    provinces = Counter(text[:1] for text in texts)
    characters = Counter(mark for text in texts for mark in text)
    values: dict[str, list[float]] = {name: [] for name in MEASURES}
    for plate in plates:
        for name, value in plate.values.items():
            values[name].append(value)
    return {
        "schema": SCHEMA,
        "source": str(collection.source),
        "plates": len(plates),
        "distinct": len(set(texts)),
        "skipped": collection.skipped,
        "places": collection.places,
        "lengths": {str(length): count for length, count in sorted(Counter(map(len, texts)).items())},
        "kinds": {kind.name: kinds[kind.name] for kind in country.kinds},
        "provinces": _ordered(provinces, places[0]),
        "missing_provinces": [province for province in places[0] if not provinces[province]],
        "letters": _ordered(Counter(text[1:2] for text in texts), places[1]),
        "characters": _ordered(characters, tuple(dict.fromkeys(mark for place in places for mark in place))),
        "measures": {name: quantiles(found) for name, found in values.items() if found},
    }


def quantiles(values: Iterable[float]) -> dict[str, float]:
    """Returns count, mean and `QUANTILES` of some numbers (linear between neighbours)."""
    ordered = sorted(values)
    out: dict[str, float] = {"count": len(ordered), "mean": round(math.fsum(ordered) / len(ordered), 3)}
    for name, part in QUANTILES.items():
        place = part * (len(ordered) - 1)
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        out[name] = round(ordered[low] + (ordered[high] - ordered[low]) * (place - low), 3)
    return out


def _characters_at(country: Country) -> list[tuple[str, ...]]:
    """Returns what the classes of a country let stand at each place of the texts that are rendered, at two at least."""
    templates = [form.template for kind in country.kinds for form in kind.forms if form.chance]
    columns = itertools.zip_longest(*templates, ("", ""), fillvalue="")
    return [
        tuple(dict.fromkeys(mark for name in column for mark in country.classes.get(name, ""))) for column in columns
    ]


def _ordered(counts: Counter[str], known: tuple[str, ...]) -> dict[str, int]:
    others = sorted(set(counts) - set(known))
    return {mark: counts[mark] for mark in (*known, *others)}


def _from_names(folder: Path, skipped: _Skipped) -> Iterator[PlateRow]:
    for path in sorted(find_photos(folder)):
        try:
            name = parse_name(path)
        except InputError:
            skipped.add("not a CCPD name", str(path.relative_to(folder)))
            continue
        values = {
            "tilt_horizontal": float(name.tilt[0]),
            "tilt_vertical": float(name.tilt[1]),
            "brightness": float(name.brightness),
            "blur": float(name.blur),
        }
        yield PlateRow(name.text, path, name.vertices, _sized(name.vertices) | values)


def _from_table(table: Path) -> Iterator[PlateRow]:
    roots = label_roots(table)
    with table.open(encoding="utf-8", newline="") as stream:
        for number, row in enumerate(csv.DictReader(stream), 2):
            try:
                values = {name: float(row[name]) for name in MEASURES[2:]}
                values["width"], values["height"] = float(row["crop_width"]), float(row["crop_height"])
                yield PlateRow(row["text"], find_image(roots, row["crop"]), None, values)
            except (KeyError, TypeError, ValueError):
                raise InputError(f"{table}, line {number}: not a line of `edge train labels`.") from None


def _from_file(labels: Path, skipped: _Skipped, note: Say) -> Iterator[PlateRow]:
    for sample in read_labels(labels, note, missing=True):
        place = sample.where.removeprefix(f"{labels}, ")
        if not sample.text:
            if not sample.plates:
                skipped.add("photo without plates", place)
            yield from _from_photo(sample, place, skipped)
        elif not sample.plate_text:
            skipped.add("crop without a text, or to be ignored", place)
        elif (measured := _measure(sample.path)) is None:
            skipped.add("image missing or unreadable", f"{place}: {sample.path.name}")
        else:
            yield PlateRow(sample.text, sample.path, None, measured)


def _from_photo(sample: Sample, place: str, skipped: _Skipped) -> Iterator[PlateRow]:
    for plate in sample.plates:
        if plate.ignored:
            skipped.add("plate to be ignored (### or difficult)", place)
            continue
        box = tuple((float(x), float(y)) for x, y in plate.quad)
        yield PlateRow("" if plate.unread else plate.text, sample.path, box, _sized(box))


def _sized(points: tuple[tuple[float, float], ...]) -> dict[str, float]:
    width, height = edge_lengths(np.array(points))
    return {"width": float(int(width)), "height": float(int(height))}


def _measure(image: Path) -> dict[str, float] | None:
    import cv2

    if not image.is_file():
        return None
    try:
        grey = cv2.imread(str(image), cv2.IMREAD_GRAYSCALE)
    except (cv2.error, UnicodeError, SystemError):  # See `train.data.dataset.read_image`.
        grey = None
    if grey is None:
        return None
    sharpness = float(cv2.Laplacian(grey, cv2.CV_64F).var())
    return {"width": grey.shape[1], "height": grey.shape[0], "grey": float(grey.mean()), "sharpness": sharpness}
