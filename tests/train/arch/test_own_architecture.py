"""Architectures that are no part of the kit, one module and one recipe each: from their first step to a reading `.nb`."""

from __future__ import annotations

import json
import zlib  # noqa: F401
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.base.errors import InputError, UsageError
from edge.ocr.config import PipelineConfig
from edge.ocr.crop import crop_plate
from edge.plate.country import load_country
from edge.plate.polygon import overlap
from train.arch.architecture import find_architecture

pytest.importorskip("paddleslim")
pytest.importorskip("paddlelite")
pytestmark = pytest.mark.paddle
OWN = Path(__file__).with_name("own")
Run = Callable[..., str]


@pytest.fixture
def run(edge_here: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command with the modules of `own` on Python's path; quantising leaves the conversions to the test."""
    monkeypatch.syspath_prepend(str(OWN.parent))
    monkeypatch.setattr(
        "train.quantize.ptq._converts", lambda model, target: {"name": f"nb-{target}", "ok": True, "figures": {}}
    )
    return edge_here


def _to_nb(run: Run, task: str, folder: Path) -> Path:
    """Fits, exports, quantises and converts by the recipe `tiny_TASK`, all in `folder`."""
    made, data = folder / task, ("-o", f"data.root={folder}")
    run("train", "fit", task, "--recipe", OWN / f"tiny_{task}.yml", *data, "--out", made / "run")
    run("train", "export", made / "run", "--out", made / "fp32")
    calibrate = ("--calibrate", folder, "--out", made / "int8")
    run("train", "quantize", task, "--model", made / "fp32", *calibrate)
    run("convert", "nb", made / "int8", "--target", "x86", "--out", made / "nb")
    for step in ("fp32", "int8", "nb"):
        card = json.loads((made / step / "card.json").read_text(encoding="utf-8"))
        assert (card["arch"], card["task"]) == (f"own.tiny_{task}", task), step
        assert card["architecture"].startswith("tiny") and not [c for c in card["checks"] if not c["ok"]]
    return made / "nb"


def test_from_the_first_step_to_a_reading_nb(run: Run, tmp_path: Path) -> None:
    import cv2

    from train.evaluate.pipeline import open_reader
    from train.evaluate.sources import find_sources, source_settings
    from train.synth.scene import render_scene

    scene = render_scene(np.random.default_rng(3), load_country())
    quad = np.array(scene.name.vertices, np.float64)
    for name, photo in (("scene.png", scene.image), ("mirrored.png", scene.image[:, ::-1])):
        cv2.imwrite(str(tmp_path / name), photo)
    label = json.dumps([{"points": quad.tolist(), "transcription": scene.name.text}])
    (tmp_path / "det.txt").write_text(f"scene.png\t{label}\n", encoding="utf-8")
    det = find_sources([_to_nb(run, "det", tmp_path)], ("det",))
    settings = source_settings(PipelineConfig(), det)
    assert (settings.det_limit_side, settings.det_std) == (256, (0.25, 0.25, 0.25)), "the architecture's own input"
    (found,) = open_reader(det).read(scene.image, [settings])
    assert len(found.boxes) == 1 and overlap(found.boxes[0], quad) > 0.5

    (tmp_path / "crops").mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / "crops" / name), crop_plate(scene.image, found.boxes[0]))
    (tmp_path / "crops" / "rec.txt").write_text(f"a.png\t{scene.name.text}\n", encoding="utf-8")
    both = det | find_sources([_to_nb(run, "rec", tmp_path / "crops")], ("rec",))
    (found,) = open_reader(both).read(scene.image, [source_settings(PipelineConfig(), both)])
    assert [plate.text for plate in found.plates] == [scene.name.text]


@pytest.mark.parametrize(
    ("arch", "said"),
    [
        ("ppocrv9_rec", "model.arch: there is no architecture 'ppocrv9_rec'"),
        ("./tiny_rec.py", "model.arch: there is no architecture './tiny_rec.py'"),
        ("own.nowhere", "No module named 'own.nowhere'"),
        ("json.decoder", "json.decoder binds no ARCHITECTURE"),
        ("own.tiny_det", "own.tiny_det is an architecture for det, not for rec"),
    ],
)
def test_a_recipe_without_a_known_architecture_is_told_the_known_ones(
    arch: str, said: str, run: Run, tmp_path: Path
) -> None:
    command = ("train", "fit", "rec", "--recipe", OWN / "tiny_rec.yml", "--out", tmp_path / "run")
    with pytest.raises(InputError) as caught:
        run(*command, "-o", f"model.arch={arch}")
    assert said in caught.value.message
    assert "ppocrv3_det, ppocrv3_rec" in (caught.value.hint or "") or arch == "own.tiny_det"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def (", "SyntaxError"),
        ("raise RuntimeError('no net')", "RuntimeError: no net"),
        ("from train.arch.architecture import Nothing", "ImportError: cannot import name 'Nothing'"),
        ("import sys; sys.exit(7)", "SystemExit: 7"),
        ("from train.arch.architecture import Architecture as A\nARCHITECTURE = type('B', (A,), {})()", "abstract"),
    ],
)
def test_a_module_that_cannot_be_loaded_is_its_authors_matter(
    code: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    name = f"theirs{request.node.callspec.indices['code']}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "net_rec.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError, match=f"architecture '{name}.net_rec' cannot be loaded: .*{said}") as caught:
        find_architecture(f"{name}.net_rec", "rec")
    assert f"python -c 'import {name}.net_rec'" in (caught.value.hint or "")


NET = """
from train.arch.architecture import Architecture
from edge.model.card import Input
class Net(Architecture):
    task = "rec"
    about = "a net"
    input = Input("x", 24, 0, 8, 1 / 255, (0.4, 0.4, 0.4), (0.3, 0.3, 0.3))
    def network(self, classes, like): ...
ARCHITECTURE = Net()
"""


def test_an_architecture_is_asked_for_by_its_own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "handed").mkdir()
    (tmp_path / "handed" / "net.py").write_text(NET, encoding="utf-8")
    (tmp_path / "handed" / "on.py").write_text("from handed.net import ARCHITECTURE", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_architecture("handed.net", "rec").card("net").arch == "handed.net"
    with pytest.raises(InputError, match=r"handed\.on's ARCHITECTURE is of a class in handed\.net") as caught:
        find_architecture("handed.on", "rec")
    assert "Name handed.net, or" in (caught.value.hint or "")


@pytest.mark.parametrize("key", ["task", "about", "input"])
def test_a_missing_attribute_is_named_when_the_architecture_is_loaded(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"no_{key}").mkdir()
    (tmp_path / f"no_{key}" / "net.py").write_text(NET.replace(f"    {key} =", f"    no_{key} ="), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError, match=f"no_{key}.net' lacks {key}"):
        find_architecture(f"no_{key}.net", "rec")


@pytest.mark.parametrize(
    ("fits", "code", "said"),
    [
        ("fitter0:Task", "def (", "fitter0:Task, which own.tiny_rec names to fit it, cannot be loaded: SyntaxError"),
        ("fitter1:Task", "nothing", "cannot be loaded: NameError"),
        ("fitter2:Task", "", "cannot be loaded: AttributeError"),
        (":Task", "", "names ':Task' to fit it"),
        ("fitter4", "", "names 'fitter4' to fit it"),
        ("fitter5.:Task", "", "cannot be loaded: ModuleNotFoundError"),
        (".fitter6:Task", "", "cannot be loaded: TypeError"),
    ],
)
def test_a_task_that_cannot_be_loaded_is_its_authors_matter(
    fits: str, code: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from train.fit.tasks import open_task
    from train.recipes.recipe import load_recipe

    (tmp_path / f"{fits.partition(':')[0].strip('.')}.py").write_text(code, encoding="utf-8")
    for folder in (OWN.parent, tmp_path):
        monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(type(find_architecture("own.tiny_rec", "rec")), "fits", fits)
    with pytest.raises(InputError, match=said):
        open_task(load_recipe(str(OWN / "tiny_rec.yml"), ()), ["A"])


def test_what_an_architecture_lacks_is_named(run: Run, tmp_path: Path) -> None:
    from train.recipes.recipe import load_recipe
    from train.weights.checkpoint import save_best

    command = ("train", "fit", "rec", "--recipe", OWN / "tiny_rec.yml", "--out", tmp_path / "run")
    with pytest.raises(UsageError, match=r"own\.tiny_rec has no published weights"):
        run(*command, "-o", "model.init=published")
    with pytest.raises(InputError, match=r"model\.width = 100"):
        load_recipe(str(OWN / "tiny_rec.yml"), ("model.width=100",))
    save_best(tmp_path, {"fc.bias": np.zeros(3, np.float32)}, {"step": 0})
    with pytest.raises(InputError, match=r"neither a detector's nor a recogniser's") as caught:
        run("train", "export", tmp_path / "best.pdparams", "--out", tmp_path / "no")
    assert "ppocrv3_rec" in caught.value.hint


def test_what_names_no_architecture_is_of_ppocrv3() -> None:
    """Recipes, cards and checkpoints of 0.1 say the task alone."""
    from edge.bundle.zoo import SHIPPED
    from edge.model.card import card_from_json
    from train.recipes.recipe import parse_recipe, recipe_architecture, recipe_document
    from train.weights.checkpoint import check_settings

    old: dict[str, Any] = {"task": "rec", "model": {"width": 96}}
    recipe = parse_recipe(old, "old")
    assert recipe.model.arch == recipe_architecture(recipe).name == "ppocrv3_rec"
    check_settings(old, recipe_document(recipe), Path("last.ckpt"))
    document = json.loads((SHIPPED / "plate-v1" / "rec-fp32" / "card.json").read_text(encoding="utf-8"))
    assert "arch" not in document and card_from_json(document, "old").arch == ""
