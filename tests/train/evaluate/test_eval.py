"""`edge train eval`: the shared reader, opening models of every kind, figures, and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edge.base.errors import HostError, InputError, ModelError, UsageError
from edge.bundle.zoo import ModelPair
from edge.model.card import save_model
from edge.ocr.config import PipelineConfig
from edge.ocr.image import load_image
from edge.ocr.reader import Reader
from edge.photo.listing import SAMPLES
from edge.plate.answer import ReadPlate
from edge.runtime.engines import open_networks
from train.commands.evaluate import chosen_models, evaluate
from train.data.dataset import LabelledPlate, Sample
from train.evaluate import pipeline as pooled
from train.evaluate.pipeline import (
    PhotoOutput,
    SharedReader,
    crop_outputs,
    det_figures,
    e2e_figures,
    open_reader,
    photo_outputs,
    rec_figures,
)
from train.evaluate.sources import find_sources, open_evaluated, source_settings

SMALL = PipelineConfig(det_limit_type="max", det_limit_side=640)
VARIANTS = [
    SMALL,
    replace(SMALL, text_strip=""),
    replace(SMALL, box_flip=False, box_grow=0.0, det_dilation=False, text_lengths=()),
    replace(SMALL, decode="plate", rec_resize="stretch"),
    replace(SMALL, det_limit_side=512),
]


class Counter:
    """Counts the runs of a network."""

    def __init__(self, network: object) -> None:
        self.network, self.runs = network, 0

    def run(self, tensor: np.ndarray) -> np.ndarray:
        self.runs += 1
        return self.network.run(tensor)  # type: ignore[attr-defined,no-any-return]


@pytest.fixture(scope="module")
def label_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PP-OCR detection label file over the kit's own samples."""
    folder = tmp_path_factory.mktemp("labels")
    lines = []
    for name, plates in json.loads((SAMPLES / "labels.json").read_text(encoding="utf-8")).items():
        shutil.copy(SAMPLES / name, folder)
        label = [{"transcription": plate["text"], "points": plate["box"]} for plate in plates]
        lines.append(f"{name}\t{json.dumps(label, ensure_ascii=False)}\n")
    (folder / "det.txt").write_text("".join(lines), encoding="utf-8")
    return folder / "det.txt"


def run_eval(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge", "train", "eval", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_set_of_the_kit_is_taken_by_name(ocr_models: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.bundle.zoo.ensure_models", lambda name, precisions, *rest: {precisions[0]: ocr_models})
    folders = [model.folder for model in (ocr_models.det, ocr_models.rec)]
    assert chosen_models((), "plate-v1", "fp32", ("det", "rec")) == folders
    assert chosen_models((), "plate-v1", "fp32", ("rec",)) == folders[1:]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "give either --model or --models"),
        (("--model", ".", "--models", "plate-v1"), "not both"),
        (("--model", ".", "--precision", "int8"), "--precision needs --models"),
        (("--models", "plate_v1"), "Did you mean 'plate-v1'?"),
    ],
)
def test_which_model_is_meant_must_be_clear(words: tuple[str, ...], says: str, label_file: Path) -> None:
    answer = CliRunner().invoke(evaluate, ["rec", "--labels", str(label_file), *words])
    assert isinstance(answer.exception, UsageError) and says in str(answer.exception)


def same_plates(ours: Sequence[ReadPlate], theirs: Sequence[ReadPlate]) -> None:
    """Texts and boxes to the bit; scores to 1e-5: a runtime's sums depend on the process (threads, code path)."""
    assert [plate.text for plate in ours] == [plate.text for plate in theirs]
    assert [plate.as_json()["box"] for plate in ours] == [plate.as_json()["box"] for plate in theirs]
    assert [plate.score for plate in ours] == pytest.approx([plate.score for plate in theirs], abs=1e-5)


def test_sharing_changes_nothing_and_saves_runs(ocr_models: ModelPair) -> None:
    networks = open_networks(ocr_models.det.folder, ocr_models.rec.folder)
    det, rec = Counter(networks.det), Counter(networks.rec)
    photo = load_image(SAMPLES / "green-day.jpg")
    shared = SharedReader(det, rec, networks.characters).read(photo, VARIANTS)
    assert det.runs == 2  # two input sizes
    alone = [Reader(config, networks).read(photo) for config in VARIANTS]
    assert rec.runs < sum(len(reading.boxes) for reading in alone)
    for output, reading in zip(shared, alone, strict=True):
        same_plates(output.plates, reading.plates)
        assert [box.tolist() for box in output.boxes] == [box.tolist() for box in reading.boxes]
    first, second = ([plate.as_json() for plate in output.plates] for output in shared[:2])
    assert first and second != first


def test_several_processes_give_the_same(ocr_models: ModelPair) -> None:
    sources = find_sources([ocr_models.det.folder, ocr_models.rec.folder], ("det", "rec"))
    samples = [Sample(SAMPLES / name) for name in ("blue-day.jpg", "green-day.jpg", "yellow-day.jpg")]
    seen: list[int] = []
    two = photo_outputs(sources, samples, [SMALL], jobs=2, progress=lambda done, total: seen.append(done))
    one = photo_outputs(sources, samples, [SMALL])
    assert seen == [1, 2, 3]
    for a, b in zip(one, two, strict=True):
        same_plates(a[0].plates, b[0].plates)


def test_every_command_on_nb(ocr_models: ModelPair, label_file: Path) -> None:
    det, rec = ocr_models.det.folder, ocr_models.rec.folder
    sides = ("--set", "det_limit_type=max", "--set", "det_limit_side=640")
    small = (*sides, "--jobs", 1, "--json", "--labels", label_file)
    answer = run_eval("e2e", "--model", det, "--model", rec, "--mistakes", *small)
    assert answer.returncode == 0, answer.stderr
    document = json.loads(answer.stdout)
    figures = document["figures"]["all"]
    assert figures["truth"] == figures["images"] == 7
    assert figures["recall"] >= 5 / 7 and figures["hits"] == round(7 * figures["recall"])
    missed = [item for item in document["mistakes"] if not set(item["truth"]) <= {p["text"] for p in item["read"]}]
    assert len(missed) == 7 - figures["hits"]
    assert {"blue", "green"} <= set(document["figures"])
    assert [model["kind"] for model in document["models"]] == ["nb", "nb"]
    answer = run_eval("det", "--model", det, *small)
    assert 0.5 < json.loads(answer.stdout)["figures"]["all"]["recall"] <= 1, answer.stderr
    answer = run_eval("rec", "--model", rec, *small)
    document = json.loads(answer.stdout)
    assert document["figures"]["all"]["count"] == 7 and document["figures"]["all"]["accuracy"] >= 5 / 7
    assert document["decodings"]["raw"]["accuracy"] < document["decodings"]["dot"]["accuracy"]


def test_a_table_for_people(ocr_models: ModelPair, label_file: Path) -> None:
    answer = run_eval("rec", "--model", ocr_models.rec.folder, "--labels", label_file, "--first", 2, "--jobs", 1)
    assert answer.returncode == 0, answer.stderr
    assert "accuracy" in answer.stdout and "%" in answer.stdout and "raw" in answer.stdout


def test_crops_by_label_file(ocr_models: ModelPair, label_file: Path, tmp_path: Path) -> None:
    photo = load_image(SAMPLES / "blue-day.jpg")
    truth = json.loads((SAMPLES / "labels.json").read_text(encoding="utf-8"))["blue-day.jpg"][0]
    box = np.array(truth["box"]).round().astype(int)
    crop = photo[box[:, 1].min() : box[:, 1].max(), box[:, 0].min() : box[:, 0].max()]
    cv2.imwrite(str(tmp_path / "crop.png"), crop)
    (tmp_path / "rec.txt").write_text(f"crop.png\t{truth['text']}\n", encoding="utf-8")
    answer = run_eval("rec", "--model", ocr_models.rec.folder, "--labels", tmp_path / "rec.txt", "--jobs", 0, "--json")
    assert json.loads(answer.stdout)["figures"]["all"] == {"accuracy": 1.0, "norm_edit": 1.0, "right": 1, "count": 1}


@pytest.mark.parametrize(
    ("model", "message", "code"),
    [("empty", "holds no model", 3), ("rec", "No det model", 2), ("text.pdparams", "text.pdparams", 3)],
)
def test_what_is_no_model_is_refused(
    ocr_models: ModelPair, label_file: Path, tmp_path: Path, model: str, message: str, code: int
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.pdparams").write_text("no weights")
    path = ocr_models.rec.folder if model == "rec" else tmp_path / model
    answer = run_eval("det", "--model", path, "--labels", label_file)
    assert answer.returncode == code and message in answer.stderr and "Traceback" not in answer.stderr, answer.stderr


def test_models_are_found_by_what_they_are(ocr_models: ModelPair, tmp_path: Path) -> None:
    det, rec = ocr_models.det.folder, ocr_models.rec.folder
    for task, folder in (("det", det), ("rec", rec)):
        shutil.copytree(folder, tmp_path / "pair" / task)
    pair = find_sources([tmp_path / "pair"], ("det", "rec"))
    assert {task: source.kind for task, source in pair.items()} == {"det": "nb", "rec": "nb"}
    assert find_sources([rec, det], ("det",))["det"].name == ocr_models.det.card.name
    with pytest.raises(UsageError, match="More than one det"):
        find_sources([det, tmp_path / "pair"], ("det",))
    with pytest.raises(InputError, match="holds no model"):
        find_sources([tmp_path], ("det",))


@pytest.mark.paddle
def test_checkpoints_inference_models_and_nb_agree(ocr_models: ModelPair, tmp_path: Path) -> None:
    import zlib  # noqa: F401

    paddle = pytest.importorskip("paddle")
    from train.arch.architecture import find_architecture
    from train.export.write import export_layer
    from train.weights.published import load_published

    published = load_published(find_architecture("", "rec"))
    assert published.characters is not None
    paddle.save(published.net.state_dict(), str(tmp_path / "rec.pdparams"))
    (tmp_path / "dict.txt").write_text("".join(f"{c}\n" for c in published.characters), encoding="utf-8")
    (tmp_path / "recipe.yml").write_text("task: rec\nmodel: {width: 160}\n")
    export_layer(
        published.arch, published.net, tmp_path / "inference", published.arch.card("rec"), characters=published.characters
    )
    sources = [
        find_sources([path], ("rec",))["rec"]
        for path in (tmp_path / "rec.pdparams", tmp_path / "inference", ocr_models.rec.folder)
    ]
    assert [source.kind for source in sources] == ["checkpoint", "inference", "nb"]
    assert [source.input.width for source in sources] == [160, 0, 0]
    tensor = np.random.default_rng(1).uniform(-1, 1, (1, 3, 48, 160)).astype(np.float32)
    outputs = [open_evaluated(source).network.run(tensor) for source in sources]
    assert outputs[0].shape == (1, 20, 6625)
    for output in outputs[1:]:
        assert np.abs(output - outputs[0]).max() < 1e-4
    assert open_evaluated(sources[0]).characters == published.characters
    (tmp_path / "recipe.yml").unlink()
    assert find_sources([tmp_path / "rec.pdparams"], ("rec",))["rec"].task == "rec"
    reader = open_reader({"rec": sources[0]})
    crop = np.zeros((48, 160, 3), np.uint8)
    assert reader.read_crop(crop, [PipelineConfig(rec_width=160)])[0][0] == ""


BOX = np.array([[10.0, 10], [50, 10], [50, 22], [10, 22]])


def photo(text: str) -> Sample:
    return Sample(Path(f"{text}.jpg"), (LabelledPlate(BOX, text),))


def test_figures_by_kind_of_plate() -> None:
    samples = [photo("皖A12345"), photo("皖AD12345"), photo("###"), Sample(Path("none.jpg"))]
    outputs = [
        PhotoOutput((BOX,), (ReadPlate(BOX, "皖A12345", 1.0),)),
        PhotoOutput((BOX + 30,), (ReadPlate(BOX, "皖AD12346", 1.0),)),
        PhotoOutput((BOX,), (ReadPlate(BOX, "无", 1.0),)),
        PhotoOutput((), ()),
    ]
    mistakes: list[dict[str, object]] = []
    e2e = e2e_figures(samples, outputs, mistakes)
    assert (e2e["all"].hits, e2e["all"].truth, e2e["all"].images) == (1, 2, 4)
    assert (e2e["blue"].fmeasure, e2e["green"].fmeasure) == (1.0, 0.0)
    assert [item["truth"] for item in mistakes] == [["皖AD12345"]], "what is read on illegible text is no mistake"
    det = det_figures(samples, outputs)
    assert (det["all"].matched, det["all"].found, det["all"].truth) == (1, 2, 2)
    assert (det["blue"].hmean, det["green"].hmean) == (1.0, 0.0)
    rec = rec_figures(["皖A12345", "皖AD12345"], ["皖A12345", "皖AD1234"])
    assert (rec["all"].accuracy, rec["blue"].accuracy, rec["green"].accuracy) == (0.5, 1.0, 0.0)


def test_a_model_is_measured_with_the_settings_of_its_card(ocr_models: ModelPair, label_file: Path, tmp_path: Path) -> None:
    shutil.copytree(ocr_models.rec.folder, tmp_path / "rec")
    card = replace(ocr_models.rec.card, pipeline={"rec_resize": "stretch", "decode": "plate"})
    save_model(tmp_path / "rec", card, [item.path for item in card.files])
    sources = find_sources([tmp_path / "rec"], ["rec"])
    settings = source_settings(PipelineConfig(rec_resize="pad", decode="greedy"), sources)
    assert (settings.rec_resize, settings.decode) == ("stretch", "plate")
    answer = run_eval("rec", "--model", tmp_path / "rec", "--labels", label_file, "--json", "--set", "decode=greedy")
    used = json.loads(answer.stdout)["settings"]
    assert used["rec_resize"] == "stretch" and used["decode"] == "greedy", "an option wins over the card"


def test_figures_of_hard_kinds(tmp_path: Path) -> None:
    from train.evaluate.kinds import all_kinds, read_kinds, tilt
    from train.evaluate.pipeline import crop_kinds

    assert tilt(BOX) == 0
    turned = np.array([[0.0, 0], [100, 20], [96, 52], [0, 32]])
    assert tilt(turned) == pytest.approx(np.degrees(np.arctan2(20, 96)))
    assert all_kinds(photo("皖A12345")) == ["blue", "small"]
    large = Sample(Path("x.jpg"), (LabelledPlate(BOX * 5, "皖AD12345"),))
    assert all_kinds(large) == ["green", "plain"]
    named = "025-95_113-154&383_386&473-386&473_177&454_154&383_363&402-0_0_22_27_27_33_16-37-15.jpg"
    quad = np.array([[154.0, 383], [363, 402], [386, 473], [177, 454]])
    assert all_kinds(Sample(Path(named), (LabelledPlate(quad, "皖AY339S"),))) == ["blue", "tilted", "blurred", "dark"]
    assert all_kinds(photo("###")) == [] and crop_kinds([photo("###"), large], all_kinds) == [["green", "plain"]]
    (tmp_path / "kinds.tsv").write_text("a.jpg\tsnow\na.jpg\tnight\n", encoding="utf-8")
    assert read_kinds(tmp_path / "kinds.tsv") == {"a.jpg": ["snow", "night"]}
    (tmp_path / "kinds.tsv").write_text("a.jpg snow\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 1"):
        read_kinds(tmp_path / "kinds.tsv")


def test_kinds_on_the_command_line(ocr_models: ModelPair, label_file: Path, tmp_path: Path) -> None:
    (tmp_path / "kinds.tsv").write_text("green-day.jpg\tby day\n", encoding="utf-8")
    small = ("--set", "det_limit_type=max", "--set", "det_limit_side=640", "--jobs", 1, "--json")
    det = ("det", "--model", ocr_models.det.folder, "--labels", label_file)
    answer = run_eval(*det, *small, "--by-kind", "--kinds", tmp_path / "kinds.tsv")
    figures = json.loads(answer.stdout)["figures"]
    assert figures["by day"]["images"] == 1
    assert sum(figures[kind]["images"] for kind in ("plain", "small", "tilted") if kind in figures) >= 7


def test_a_model_that_does_not_open_in_the_processes_is_named(ocr_models: ModelPair, tmp_path: Path) -> None:
    """Whatever the number of processes, as `--jobs 1` says it."""
    folder = tmp_path / "arm"
    shutil.copytree(ocr_models.rec.folder, folder)
    save_model(folder, replace(ocr_models.rec.card, target="arm"), [item.path for item in ocr_models.rec.card.files])
    samples = [Sample(SAMPLES / name, text="皖A12345") for name in ("blue-day.jpg", "blue-rain.jpg")]
    for jobs in (1, 2):
        with pytest.raises(ModelError, match=r"is an \.nb for arm, this host needs x86"):
            crop_outputs(find_sources([folder], ("rec",)), samples, [SMALL], jobs=jobs)


def _die(item: object) -> None:
    os.kill(os.getpid(), signal.SIGILL)


def _nothing(*arguments: object) -> None:
    """Opens no models."""


def test_a_reading_process_that_a_signal_ended_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooled, "_work_here", _die)
    monkeypatch.setattr(pooled, "_start", _nothing)
    source = SimpleNamespace(name="my-det", kind="nb")
    with pytest.raises(HostError, match="read photos with my-det was ended by SIGILL"):
        list(pooled._spread({"det": source}, [1, 2], (), 2, _nothing))  # type: ignore[dict-item,list-item]
