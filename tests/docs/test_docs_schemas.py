"""The JSON Schemas of the documentation fit the files that the kit writes, and refuse what its loaders refuse."""

from __future__ import annotations

import copy
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from edge.base.paths import cache_dir
from edge.bundle.manifest import BundleFile, Manifest
from edge.model.card import Card, Charset, Input
from edge.ocr.config import PipelineConfig, load_config
from edge.photo.listing import SAMPLES

REPO = Path(__file__).resolve().parents[2]
SCHEMAS = REPO / "docs" / "schemas"
NAMES = ("card", "config", "devices", "event", "manifest", "result")


def load(name: str) -> dict[str, Any]:
    """One of the schemas."""
    document: dict[str, Any] = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    return document


def problems(name: str, document: object) -> list[str]:
    """What a schema has against a document."""
    validator = jsonschema.Draft202012Validator(load(name))
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(document)]


@dataclass
class Written:
    """Files that the kit wrote in this test session, parsed."""

    result: dict[str, Any]
    manifest: dict[str, Any]
    config: dict[str, Any]
    events: list[dict[str, Any]]
    cards: list[dict[str, Any]]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A short real measurement on this host, and the release that it made."""
    out = tmp_path_factory.mktemp("schemas")
    plan = {"name": "schemas", "precisions": ["fp32"], "processes": 1, "warmup": 1, "warmup_ms": 1}
    (out / "plan.yml").write_text(yaml.safe_dump({**plan, "repeats": 2, "min_ms": 1, "models": ["ppocrv3"]}))
    command = [sys.executable, "-m", "edge", "bench", "run", "--device", "local", "--plan", str(out / "plan.yml")]
    photo = str(SAMPLES / "blue-day.jpg")
    done = subprocess.run(
        [*command, "--photos", photo, "--out", str(out / "run"), "--no-report", "--quiet"],
        cwd=REPO, env={**os.environ}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads((out / "run" / "result.json").read_text(encoding="utf-8"))
    release = cache_dir("boards") / "local" / "releases" / result["release"]
    lines = [line for file in (out / "run" / "raw").glob("0*.jsonl") for line in file.read_text().splitlines()]
    manifest = json.loads((release / "manifest.json").read_text(encoding="utf-8"))
    variant = next(iter(manifest["variants"].values()))
    return Written(
        result=result,
        manifest=manifest,
        config=json.loads(json.dumps(asdict(load_config(release / variant["config"])))),
        # The session puts a line of its own before and after those of the program.
        events=[event for event in map(json.loads, lines) if event["event"] not in ("process", "exit")],
        cards=[json.loads(path.read_text()) for path in sorted((cache_dir("models")).glob("*/*/card.json"))],
    )


@pytest.mark.parametrize("name", NAMES)
def test_schema_is_a_schema(name: str) -> None:
    """Each is itself valid and says so."""
    jsonschema.Draft202012Validator.check_schema(load(name))


def test_files_of_the_kit_fit(written: Written) -> None:
    """Result, manifest, settings, events and cards as this version writes them."""
    assert problems("result", written.result) == []
    assert problems("manifest", written.manifest) == []
    assert problems("config", written.config) == []
    assert written.cards
    for card in written.cards:
        assert problems("card", card) == [], card["name"]
    kinds = {event["event"] for event in written.events}
    assert {"start", "load", "first", "warmup", "iteration", "end"} <= kinds
    for event in written.events:
        assert problems("event", event) == [], event["event"]


def test_shipped_cards_fit() -> None:
    """The cards of the models in the box."""
    for path in sorted((REPO / "edge" / "zoo").rglob("card.json")):
        assert problems("card", json.loads(path.read_text(encoding="utf-8"))) == [], path


def test_device_list_fits(tmp_path: Path) -> None:
    """`devices.yml` as `edge device add` writes it, and as the documentation shows it."""
    file = tmp_path / "devices.yml"
    base = [sys.executable, "-m", "edge", "device", "add"]
    for words in (
        ["gate", "--board", "rk3399", "--ssh", "user@192.168.1.20", "--group", "lab", "--jump", "me@bastion"],
        ["phone", "--board", "android-arm64", "--adb", "0123456789ABCDEF", "--root", "/data/local/tmp/x"],
    ):
        subprocess.run([*base, *words, "--inventory", str(file)], cwd=REPO, check=True, capture_output=True)
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert set(document["devices"]) == {"gate", "phone"}
    assert problems("devices", document) == []
    shown = (REPO / "docs" / "formats" / "devices.md").read_text(encoding="utf-8")
    example = shown.partition("```yaml\n")[2].partition("```")[0]
    assert problems("devices", yaml.safe_load(example)) == []


def _set(path: str, value: object) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        for part in way:
            document = document[part]
        document[last] = value

    return change


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("result", _set("schema", "plate-edge/result/2")),
        ("result", _set("extra", 1)),
        ("result", _set("processes.0.times.0", -1)),
        ("result", _set("device.kind", "moon")),
        ("manifest", _set("files.0.sha256", "no")),
        ("manifest", _set("files.0.path", "/etc/passwd")),
        ("config", _set("det_limit_sid", 736)),
        ("config", _set("power_mode", "turbo")),
        ("card", _set("task", "cls")),
        ("card", _set("surprise", {})),
    ],
)
def test_wrong_files_are_refused(written: Written, name: str, change: Callable[[Any], None]) -> None:
    """The schemas are as strict as the loaders: unknown keys, other schemas, impossible values."""
    source = written.cards[0] if name == "card" else getattr(written, name)
    document = copy.deepcopy(source)
    change(document)
    assert problems(name, document)


@pytest.mark.parametrize(
    ("name", "way", "kind"),
    [
        ("card", "", Card), ("card", "input", Input), ("card", "charset.anyOf.1", Charset),
        ("config", "", PipelineConfig), ("manifest", "", Manifest), ("manifest", "files.items", BundleFile),
    ],
)  # fmt: skip
def test_schema_and_loader_know_the_same_keys(name: str, way: str, kind: type) -> None:
    """A key that is added to the code and forgotten here fails, even when no file of this session has it."""
    place: Any = load(name)
    if way:
        place = place["properties"]
        for part in way.split("."):
            place = place[int(part)] if part.isdigit() else place[part]
    known = set(place["properties"]) - {"schema", "hash", "summary"}
    assert known == {field.name for field in fields(kind)} - {"schema"}


def test_schemas_of_results_and_events_are_those_of_the_types() -> None:
    """A type that changed and a schema that did not is found; `python scripts/schemas.py` writes them anew."""
    for file, document in runpy.run_path(str(REPO / "scripts" / "schemas.py"))["schemas"]().items():
        assert json.loads((SCHEMAS / file).read_text(encoding="utf-8")) == document, file
