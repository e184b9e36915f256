"""A country of one folder, which no file of the kit knows: rendered, labelled, counted, learnt, exported, measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from invented import PLATE_YML, PLATES, write_invented

from edge.base.errors import InputError, ModelError, UsageError
from edge.ocr.config import PipelineConfig
from edge.ocr.recognise import rec_post
from edge.plate.country import Country, card_grammar, load_country
from train.data.dataset import read_crops, read_photos
from train.synth.crop import render_crop
from train.synth.plate import render_plate
from train.synth.text import random_text

Run = Callable[..., str]
RECIPE = """\
task: rec
steps: 2
batch: 2
eval_every: 2
save_every: 2
threads: 1
model: {init: random, width: 96}
data: {country: invented, crops: [crops/rec.txt], photos: [photos/det.txt], synth_share: 1.0, swap: 1.0,
       kind_share: {van: 0.5}, holdout: 0.4}
optim: {rate: 0.0001, warmup: 0, ema: 0.0}
export: {settings: [rec_resize=stretch, decode=plate]}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the country in it."""
    return write_invented(tmp_path_factory.mktemp("home")).parent


@pytest.fixture(scope="module")
def country(home: Path) -> Country:
    return load_country(home / "invented")


@pytest.fixture(scope="module")
def rendered(home: Path, country: Country, edge_here: Run) -> Path:
    """A rendered set of crops and one of photos."""
    for name, more in (("crops", ("--count", "14", "--crops")), ("photos", ("--count", "3"))):
        edge_here("train", "synth", "--country", country.folder, "--seed", "5", "--out", home / name, *more)
    return home


@pytest.mark.parametrize("kind", PLATES)
def test_plates_of_its_kinds_are_rendered(country: Country, kind: str) -> None:
    rng, style = np.random.default_rng(2), country.kind(kind)
    texts = [random_text(rng, country, style) for _ in range(60)]
    assert all(country.grammar.is_plate(text) for text in texts) and len(set(texts)) > 20
    picture = render_plate(rng, PLATES[kind], style, country)
    assert picture.shape[:2] == style.layout.size_mm[::-1]
    lines = sorted({box.y for box in style.layout.boxes})
    assert len(lines) == (1 if kind == "van" else 2)
    for box in style.layout.boxes:
        x, y, right, bottom = (int(edge) for edge in (box.x, box.y, box.x + box.width, box.y + box.height))
        assert picture[y:bottom, x:right].astype(int).std(axis=(0, 1)).max() > 20, "a character is missing"
    assert render_crop(rng, country, PLATES[kind])[1] == PLATES[kind]


def test_sets_are_labelled_and_counted_by_its_kinds(rendered: Path, country: Country, edge_here: Run) -> None:
    crops = read_crops(rendered / "crops" / "rec.txt")
    (photos,) = ([*read_photos(rendered / "photos" / "det.txt")],)
    assert len(crops) == 14 and len(photos) == 3
    for photo in photos:
        assert country.grammar.is_plate(photo.plate_text)
        assert cv2.imread(str(photo.path)).shape == (1160, 720, 3)
    table = edge_here("train", "stats", rendered / "crops", "--country", country.folder)
    counts = json.loads(edge_here("train", "stats", rendered / "crops", "--country", country.folder, "--json"))
    kinds = [country.form_of(crop.text)[0].name for crop in crops]
    assert counts["kinds"] == {kind.name: kinds.count(kind.name) for kind in country.kinds}
    assert f"car {kinds.count('car')}" in table and "Q" in counts["characters"] and "皖" not in counts["characters"]
    picture = rendered / "counts.png"
    edge_here("train", "stats", rendered / "photos" / "det.txt", "--country", country.folder, "--png", picture)
    assert cv2.imread(str(picture)).shape[1] == 1240


@pytest.mark.paddle
def test_a_recogniser_is_trained_exported_read_and_measured(rendered: Path, country: Country, edge_here: Run) -> None:
    (rendered / "recipe.yml").write_text(RECIPE, encoding="utf-8")
    where = ("--recipe", rendered / "recipe.yml", "-o", f"data.root={rendered}")
    edge_here("train", "fit", "rec", *where, "--out", rendered / "run")
    assert (rendered / "run" / "dict.txt").read_text().split() == list(country.symbols)
    edge_here("train", "export", rendered / "run", "--out", rendered / "model")
    card = json.loads((rendered / "model" / "card.json").read_text(encoding="utf-8"))
    assert card["country"] == "invented" and str(rendered) not in json.dumps(card)
    assert card["pipeline"] == {"rec_resize": "stretch", "decode": "plate", "text_strip": "-", "text_lengths": "6,7,10"}
    # Whatever the outputs say, what is read by the card's grammar is a plate of the country.
    grammar = card_grammar(tuple(card["grammar"]))
    random = np.random.default_rng(1).dirichlet(np.full(len(country.symbols) + 1, 0.1), (1, 12)).astype(np.float32)
    text, _ = rec_post(random, list(country.symbols), PipelineConfig(decode="plate", text_strip="-"), grammar)
    assert country.grammar.is_plate(text)

    asked = ("train", "eval", "rec", "--model", rendered / "model", "--labels", rendered / "crops" / "rec.txt")
    figures = json.loads(edge_here(*asked, "--by-kind", "--jobs", "1", "--json"))["figures"]
    kinds = {country.kind_of(crop.text).name for crop in read_crops(rendered / "crops" / "rec.txt")}
    assert set(figures) == {"all", *kinds} and figures["all"]["count"] == 14
    assert figures["all"]["count"] == sum(figures[kind]["count"] for kind in kinds)

    # Calibration renders its plates from the folder: the card names a country that only its owner has.
    layers = ("train", "quantize", "rec", "--model", rendered / "model", "--sensitivity", "--json")
    with pytest.raises(InputError, match="'invented', a country that the kit does not ship") as error:
        edge_here(*layers)
    assert "--country" in error.value.hint and "--calibrate" in error.value.hint
    found = json.loads(edge_here(*layers, "--country", country.folder))["layers"]
    assert found and all(np.isfinite(layer["db"]) for layer in found)

    # A kind whose template the dictionary cannot write is refused when the model is made, not on the board.
    later = PLATE_YML.replace('symbols: "', 'symbols: "Ä').replace("- {template: QDDDDD}", "- {template: ÄDDDDD}")
    (country.folder / "plate.yml").write_text(later, encoding="utf-8")
    with pytest.raises(ModelError, match="the dictionary of late lacks 'Ä', so that plates 'ÄDDDDD' can never be read"):
        edge_here("train", "export", rendered / "run", "--out", rendered / "late")
    (country.folder / "plate.yml").write_text(PLATE_YML, encoding="utf-8")


def test_what_there_is_not_is_said(tmp_path: Path, country: Country, edge_here: Run) -> None:
    with pytest.raises(UsageError, match=r"no plate country 'cnn'. Did you mean 'cn'\?"):
        edge_here("train", "synth", "--country", "cnn", "--count", "1", "--out", tmp_path / "set")
    with pytest.raises(UsageError, match="Unknown kind of plate 'blue'") as error:
        edge_here(
            "train", "synth", "--country", country.folder, "--kind", "blue", "--count", "1", "--out", tmp_path / "set"
        )
    assert "car, van, state" in error.value.hint
    with pytest.raises(UsageError, match="is not a plate of a country for tests"):
        render_crop(np.random.default_rng(0), country, "皖AD12345")
