"""The worked examples of "Add a board, a model, a stage" work, and the places that must know a stage agree."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

import bench.record.events
import bench.text.figures
import edge.bundle.zoo
import edge.ocr.reader
from edge.ocr.image import load_image
from edge.ocr.settings import fit_cards
from edge.photo.listing import SAMPLES
from edge.runtime.engines import open_networks

REPO = Path(__file__).resolve().parents[2]


def example(number: int) -> SimpleNamespace:
    """Runs a Python block of the page; returns what it defines."""
    text = (REPO / "docs" / "howto" / "extend.md").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    exec(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[number], names)
    return SimpleNamespace(**{name: value for name, value in names.items() if not name.startswith("__")})


def test_a_model_set_is_there_when_its_folders_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The set of the page is listed, converted, and reads a plate at its own size."""
    (tmp_path / "plate-v1").symlink_to(edge.bundle.zoo.SHIPPED / "plate-v1")
    monkeypatch.setattr(edge.bundle.zoo, "SHIPPED", tmp_path)
    monkeypatch.setenv("PLATE_EDGE_CACHE", str(tmp_path / "cache"))
    example(0).add_set("small-v1", 448)
    assert edge.bundle.zoo.model_sets() == ["plate-v1", "small-v1", "ppocrv3"]
    assert edge.bundle.zoo.detector_limit("small-v1") == ("max", 448)
    pair = edge.bundle.zoo.ensure_models("small-v1", ["fp32"], "x86")["fp32"]
    config = fit_cards(edge.ocr.reader.PipelineConfig(), pair.det.card, pair.rec.card)
    assert config.det_limit_side == 448
    reader = edge.ocr.reader.Reader(config, open_networks(pair.det.folder, pair.rec.folder))
    reading = reader.read_file(SAMPLES / "blue-day.jpg")
    assert [plate.text.replace("·", "") for plate in reading.plates] == ["皖A7K392"]


def test_a_stage_is_tried_in_the_reference() -> None:
    """The stage of the page changes the crop, and the plates of the samples are still read."""
    pair = edge.bundle.zoo.ensure_models("plate-v1", ["fp32"], "x86")["fp32"]
    config = fit_cards(edge.ocr.reader.PipelineConfig(), pair.det.card, pair.rec.card)
    networks = open_networks(pair.det.folder, pair.rec.folder)
    plain, tried = edge.ocr.reader.Reader(config, networks), example(1).EvenLight(config, networks)
    photo = load_image(SAMPLES / "blue-night.jpg")
    before, after = plain.read(photo), tried.read(photo)
    assert [plate.text for plate in after.plates] == [plate.text for plate in before.plates]
    cut = [reader.cut(photo, before.boxes[0]) for reader in (plain, tried)]
    assert cut[0].shape == cut[1].shape
    assert int(cut[1].max()) - int(cut[1].min()) > int(cut[0].max()) - int(cut[0].min())


def test_all_places_know_the_same_stages() -> None:
    """A stage that is forgotten in one place is noticed here."""
    stages = edge.ocr.reader.STAGES
    assert stages == bench.record.events.STAGES
    assert set(stages) <= set(bench.text.figures.STAGE_TITLES)
    header = (REPO / "cpp" / "include" / "plate" / "pipeline.h").read_text(encoding="utf-8")
    names = re.search(r"kStageNames = \{(.*?)\};", header, re.DOTALL)
    assert names is not None
    assert re.findall(r'"(\w+)"', names[1]) == [*stages, "total"]
    style = (REPO / "bench" / "report" / "style.css").read_text(encoding="utf-8")
    assert all(style.count(f"--{stage}:#") == 2 for stage in stages)
    event = json.loads((REPO / "docs" / "schemas" / "event.schema.json").read_text(encoding="utf-8"))
    listed = [kind["properties"]["ms"]["required"] for kind in event["oneOf"] if "ms" in kind["properties"]]
    assert [set(names) for names in listed if "rec_post" in names] == [{*stages, "total"}] * 2
