"""Labels of the kinds that users bring: stats, fit and eval read them alike, and say the same of what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.base.errors import InputError
from edge.ocr.config import PipelineConfig
from edge.plate.text import ILLEGIBLE, PENDING, normal_text
from train.commands.evaluate import load_samples
from train.data.dataset import LabelledPlate, Sample, read_crops, read_photos
from train.data.det_batches import DetData
from train.data.rec_batches import RecData
from train.data.stats import collect, summarise
from train.evaluate.pipeline import PhotoOutput, det_figures, e2e_figures
from train.evaluate.truth import check_measurable, note_unreadable
from train.recipes.recipe import parse_recipe

BOX = [[60, 50], [160, 50], [160, 85], [60, 85]]
CHARACTERS = "皖粤AB0123456789"
HINTS = {"gbk": "iconv -f GBK", "utf-16": "iconv -f UTF-16", "utf-16-le": "iconv -f UTF-16LE", "utf-32": "iconv -f UTF-32"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four photos of 240x200 pixels that serve as crops as well."""
    (tmp_path / "img").mkdir()
    rng = np.random.default_rng(1)
    for name in "abcd":
        cv2.imwrite(str(tmp_path / "img" / f"{name}.jpg"), rng.integers(0, 255, (200, 240, 3), np.uint8))
    return tmp_path


def det_line(name: str, text: object, points: object = BOX, **more: object) -> str:
    plate = {"transcription": text, "points": points, **more}
    return f"{name}\t{json.dumps([plate], ensure_ascii=False)}"


def written(folder: Path, lines: list[str], encoding: str = "utf-8", end: str = "\n") -> Path:
    path = folder / "labels.txt"
    path.write_bytes("".join(line + end for line in lines).encode(encoding))
    return path


def recipe(task: str, labels: Path, **data: object):  # type: ignore[no-untyped-def]
    sources = {"crops": [labels.name]} if task == "rec" else {"photos": [labels.name]}
    wanted = {"root": str(labels.parent), "size": 96, "scale": [96, 240], **sources, **data}
    return parse_recipe({"task": task, "model": {"width": 96}, "data": wanted}, "test")


READERS: dict[str, Callable[[Path], object]] = {
    "stats": collect,
    "eval det": lambda labels: load_samples("det", labels),
    "eval rec": lambda labels: load_samples("rec", labels),
    "fit det": lambda labels: DetData(recipe("det", labels)),
    "fit rec": lambda labels: RecData(recipe("rec", labels), CHARACTERS),
}
OF_CROPS, OF_PHOTOS = ("stats", "eval rec", "fit rec"), ("stats", "eval det", "eval rec", "fit det")
"""Which of them take a file of crops, and which one of photos."""


def refusals(labels: Path, readers: tuple[str, ...]) -> set[str]:
    """The different errors of readers."""
    said = set()
    for name in readers:
        with pytest.raises(InputError) as caught:
            READERS[name](labels)
        said.add(str(caught.value))
    return said


@pytest.mark.parametrize(
    ("label", "text"),
    [
        *((f"皖A{mark}12345", "皖A12345") for mark in "·•・‧⋅･.。-—－＿ \u3000\u00a0\u200b"),
        ("皖a1234b", "皖A1234B"),
        ("皖Ａ１２３４ｂ", "皖A1234B"),
        ("皖AO1I45", "皖A01145"),
        ("粤OA1234", "粤OA1234"),
        ("粤0A1234", "粤OA1234"),
        ("粤O·O123警", "粤O0123警"),
        ("使012345", "使012345"),
        ("WJ粤OI23", "WJ粤OI23"),
        ("皖A12345", "皖A12345"),
        ("＃＃＃", ILLEGIBLE),
        ("*", ILLEGIBLE),
        ("待识别", PENDING),
        (" ", PENDING),
        ("·", PENDING),
    ],
)
def test_one_normal_form(label: str, text: str) -> None:
    assert normal_text(label)[0] == text
    assert normal_text(text) == (text, ()), "the normal form is its own"


def test_what_is_changed_is_counted_and_told(folder: Path) -> None:
    said: list[str] = []
    texts = ["皖A·12345", "皖A 12345", "皖a12345", "皖A12345"]
    labels = written(folder, [f"img/{name}.jpg\t{text}" for name, text in zip("abcd", texts, strict=True)])
    assert {sample.text for sample in read_crops(labels, said.append)} == {"皖A12345"}
    assert said == [
        f"{labels}: texts were brought into their normal form: "
        "2 with '·', '-' or spaces removed (line 1), 1 in lower case (line 3)."
    ]
    written(folder, ["img/a.jpg\t皖A12345", "img/b.jpg\t皖A12346"])
    said.clear()
    assert len(read_crops(labels, said.append)) == 2 and not said, "good labels need no word"


@pytest.mark.parametrize("encoding", HINTS)
@pytest.mark.parametrize("photos", [False, True], ids=["crops", "photos"])
def test_another_encoding_is_named(folder: Path, encoding: str, photos: bool) -> None:
    line = det_line("img/a.jpg", "皖A12345") if photos else "img/a.jpg\t皖A12345"
    (said,) = refusals(written(folder, [line], encoding), OF_PHOTOS if photos else OF_CROPS)
    assert "labels.txt is not UTF-8" in said and HINTS[encoding] in said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("img/b.jpg 皖A12345", "line 2: not `path<TAB>label`: a tab is missing"),
        ("img/b.jpg\t ", "line 2: not `path<TAB>label`: nothing follows the tab"),
        ("img/b.jpg\t皖A12345\t0.98", "line 2: not `path<TAB>label`: it has more than one tab"),
        ('["img/b.jpg", "img/c.jpg"]\t皖A12345', "line 2: a list of several pictures"),
        ("img/b.jpg\t[]", "line 2: this is a list of plates on a photo"),
    ],
)
def test_a_line_of_another_form_is_named_by_all(folder: Path, line: str, said: str) -> None:
    (one,) = refusals(written(folder, ["img/a.jpg\t皖A12345", line]), OF_CROPS)
    assert said in one


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (det_line("img/b.jpg", "皖A12345", [[60, 50], [160, 85]]), "at least 4 points, not 2, as labelme's rectangles have"),
        (det_line("img/b.jpg", "皖A12345", BOX[:3]), "at least 4 points, not 3"),
        (det_line("img/b.jpg", "皖A12345", [*BOX[:3], [1e9, 1]]), "outside any photo"),
        (det_line("img/b.jpg", "皖A12345", [[1, 2], [3]]), "not a list of points and transcription"),
        (det_line("img/b.jpg", "皖A12345")[:-30], "not a list of points and transcription"),
        ('img/b.jpg\t[{"points": [[0,0],[9,0],[9,9],[0,9]]}]', "'transcription' is missing"),
        ("img/b.jpg\t皖A12345", "this is the text of a crop, not a list of plates on a photo"),
    ],
)
def test_points_of_another_form_are_named_by_all(folder: Path, line: str, said: str) -> None:
    (one,) = refusals(written(folder, [det_line("img/a.jpg", "皖A12345"), line]), OF_PHOTOS)
    assert "labels.txt, line 2: " in one and said in one


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("img/gone.jpg", "gone.jpg is missing. Paths may be relative to"),
        ("D:\\data\\img\\b.jpg", "Windows path. img/b.jpg exists: remove D:\\data\\ from"),
        ("\\\\nas\\x\\gone.jpg", "Windows path. Make the paths relative"),
        ("/home/li/img/b.jpg", "/home/li/img/b.jpg is missing; this is an absolute path"),
    ],
)
def test_a_missing_picture_is_named_with_its_line_by_all(folder: Path, name: str, said: str) -> None:
    labels = written(folder, ["img/a.jpg\t皖A12345", f"{name}\t皖A12346"])
    notes: list[str] = []
    assert len(collect(labels, notes.append).plates) == 1
    (one,) = refusals(labels, ("eval rec", "fit rec")) | set(notes)
    assert "labels.txt, line 2: " in one and said in one
    labels = written(folder, [det_line("img/a.jpg", "皖A12345"), det_line(name, "皖A12346"), det_line(name, "皖A12347")])
    notes.clear()
    assert len(collect(labels, notes.append).plates) == 3, "the statistics of photos need no pictures"
    (one,) = refusals(labels, ("eval det", "fit det")) | set(notes[:1])
    assert "labels.txt, line 2: " in one and "in 1 more lines" in one


def test_polygons_order_and_line_ends_do_not_matter(folder: Path) -> None:
    wanted = np.array(BOX, np.float64)
    many = [[60, 50], [110, 50], [160, 50], [160, 85], [110, 85], [60, 85]]
    for points in (BOX[2:] + BOX[:2], BOX[::-1], many):
        labels = written(folder, ["", det_line("img\\a.jpg", "皖A12345", points), ""], "utf-8-sig", "\r\n")
        (sample,) = read_photos(labels)
        np.testing.assert_allclose(sample.plates[0].quad, wanted, atol=1e-3)
        assert summarise(collect(labels))["measures"]["width"]["max"] == 100


def test_odd_labels_that_are_used_are_told_by_all(folder: Path) -> None:
    outside = [[x + 200, y] for x, y in BOX]
    lines = [
        det_line("img/a.jpg", "皖A12345"),
        det_line("img/a.jpg", "皖A12345"),
        det_line("img/b.jpg", "粤B12345", outside),
        det_line("img/c.jpg", "皖A12345", difficult=True),
        det_line("img/d.jpg", ""),
        det_line("img/d.jpg", None),
        det_line("img/d.jpg", PENDING),
        det_line("img/d.jpg", "###", [[5, 5]] * 4),
    ]
    labels = written(folder, lines)
    told = []
    for read in (
        lambda note: collect(labels, note),
        lambda note: load_samples("e2e", labels, note),
        lambda note: DetData(recipe("det", labels, holdout=0.5), note),
    ):
        notes: list[str] = []
        read(notes.append)
        told.append([text for text in notes if text.startswith(str(labels))])
    assert told[0] == told[1] == told[2]
    said = " ".join(told[0])
    for part in (
        "1 marked difficult (line 4), 1 marked ### or * (line 8)",
        "2 with an empty text (line 5), 1 with PPOCRLabel's placeholder 待识别 (line 7)",
        "outside their photo: 1 (line 3: 260, 50 in 240x200 pixels)",
        "less than a pixel: 1 (line 8)",
        "1 with the same label (line 2, as in line 1), 3 with another label (line 6, as in line 5)",
    ):
        assert part in said, said


def test_what_does_not_count_is_neither_right_nor_wrong(folder: Path) -> None:
    from edge.plate.answer import ReadPlate

    quad = np.array(BOX, np.float64)
    texts = ("皖A12345", ILLEGIBLE, PENDING)
    samples = [Sample(Path(f"{text}.jpg"), (LabelledPlate(quad, text),)) for text in texts]
    outputs = [PhotoOutput((quad,), (ReadPlate(quad, "皖A12345", 1.0),))] * 3
    end = e2e_figures(samples, outputs)["all"]
    assert (end.hits, end.found, end.truth) == (1, 1, 1)
    det = det_figures(samples, outputs)["all"]
    assert (det.matched, det.found, det.truth) == (2, 2, 2), "a box without a text is a box"


def test_nothing_to_measure_is_no_figure(folder: Path) -> None:
    notes: list[str] = []
    quad = np.array(BOX, np.float64)
    ignored, bare = Sample(Path("a.jpg"), (LabelledPlate(quad, ILLEGIBLE),)), Sample(Path("b.jpg"))
    for task in ("det", "e2e", "rec"):
        with pytest.raises(InputError, match="nothing to measure"):
            check_measurable(task, [ignored], Path("x.txt"), notes.append)
    check_measurable("det", [ignored, bare], Path("x.txt"), notes.append)
    assert "there is nothing to find" in notes.pop()
    check_measurable("det", [replace(ignored, plates=(LabelledPlate(quad, PENDING),))], Path("x.txt"), notes.append)
    assert not notes


def test_truths_that_can_never_be_read_are_named() -> None:
    notes: list[str] = []
    samples = [Sample(Path("a.jpg"), text=text, where="x.txt, line 7") for text in ("皖A1234農", "皖A12345")]
    note_unreadable(samples, CHARACTERS, PipelineConfig(decode="greedy"), "rec", notes.append)
    assert "1 with 農, which the dictionary of rec lacks (x.txt, line 7)" in notes.pop()
    long = replace(samples[1], text="皖A12345" * 6)
    note_unreadable([long], CHARACTERS, PipelineConfig(decode="plate"), "rec", notes.append)
    assert "grammar" in notes[0] and "42 characters" in notes[0]


def test_a_fit_says_what_it_leaves_out_and_that_nothing_is_held_out(folder: Path) -> None:
    notes: list[str] = []
    lines = ["img/a.jpg\t皖A·12345", "img/b.jpg\t皖A1234農", "img/c.jpg\t皖A11111111", "img/d.jpg\t###"]
    labels = written(folder, lines)
    data = RecData(recipe("rec", labels, holdout=0.0), CHARACTERS, notes.append)
    assert set(data.batch(1, 0, 4).texts) == {"皖A12345"}
    left = next(text for text in notes if "left out" in text)
    assert left.startswith("3 of 4 crops") and "1 with 農, which model.charset plate lacks" in left
    assert "1 too long for 12 steps" in left and "line 3: 10 characters" in left
    assert any("nothing is held out: data.holdout 0 of 1 samples" in text for text in notes)
    written(folder, lines[1:3])
    with pytest.raises(InputError, match="No sample's text can be written with this charset in 12 steps: 1 with 農"):
        RecData(recipe("rec", labels), CHARACTERS)
    notes.clear()
    written(folder, lines[:1])
    RecData(recipe("rec", labels, holdout=0.0), CHARACTERS + "·", notes.append)
    assert any("text_strip" in text for text in notes)
    written(folder, [det_line("img/a.jpg", PENDING)])
    with pytest.raises(InputError, match="no crop and no plate has a text that can be learnt"):
        RecData(recipe("rec", labels, crops=[], photos=[labels.name]), CHARACTERS)
    written(folder, [det_line("img/a.jpg", "###")])
    with pytest.raises(InputError, match="has a plate that counts"):
        DetData(recipe("det", labels, holdout=0.0))


def test_no_held_out_sample_gives_no_figures(folder: Path) -> None:
    from train.fit.tasks import RecTask
    from train.fit.tasks_det import DetTask

    labels = written(folder, ["img/a.jpg\t皖A12345"])
    pytest.importorskip("paddle")
    assert RecTask(recipe("rec", labels, holdout=0.0), list(CHARACTERS)).validate(None) == {"samples": 0, "score": 0.0}
    written(folder, [det_line("img/a.jpg", "皖A12345")])
    assert DetTask(recipe("det", labels, holdout=0.0)).validate(None) == {"samples": 0, "score": 0.0}


def test_foreign_names_among_ccpd_photos_are_named(folder: Path, edge_here: Callable[..., str]) -> None:
    photos = folder / "img"
    (photos / "a.jpg").rename(photos / "025-95_113-60&50_160&95-158&95_58&85_60&50_160&60-0_0_22_27_27_33_1-37-15.jpg")
    shown = edge_here("train", "stats", photos)
    assert "1 plate," in shown and "skipped: 3 x not a CCPD name (b.jpg, c.jpg, d.jpg)" in shown
    with pytest.raises(InputError, match=r"'b' is not a CCPD name.* Neither are 2 more names") as caught:
        read_photos(photos)
    assert "edge train labels" in caught.value.hint
