"""Ground truth of the bench: `labels.json` in the same normal form as the labels of training, and what does not count."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fake_board import shown_result
from invented import PLATES, write_invented

from bench.judge.accuracy import accuracy
from bench.judge.summary import summarise_result
from bench.measure.target import TargetPhoto, with_kinds
from bench.record.result import ResultPhoto
from bench.report.write import write_reports
from edge.base.errors import InputError
from edge.photo.labels import read_labels
from edge.photo.listing import SAMPLES
from edge.plate.country import load_country
from edge.plate.grammar import parse_grammar

BOX = [[10, 10], [90, 10], [90, 40], [10, 40]]


def plate(text: object, box: object = BOX, **more: object) -> dict[str, object]:
    return {"text": text, "box": box, **more}


def labels(folder: Path, document: object, encoding: str = "utf-8") -> Path:
    path = folder / "labels.json"
    path.write_bytes(json.dumps(document, ensure_ascii=False).encode(encoding))
    return path


@pytest.mark.parametrize("text", ["皖A·12345", "皖A•12345", "皖a12345", "皖Ａ １２３４５", "皖A12345"])
def test_a_truth_is_compared_in_its_normal_form(tmp_path: Path, text: str) -> None:
    said: list[str] = []
    truth = read_labels(labels(tmp_path, {"a.jpg": [plate(text)]}), said.append)["a.jpg"]
    assert truth == (plate("皖A12345"),)
    assert (len(said) == 1 and "normal form" in said[0] and "a.jpg" in said[0]) or (text == "皖A12345" and not said)
    found = accuracy([ResultPhoto("a.jpg", "", 1, truth)], {0: [plate("皖A12345")]})
    assert found is not None and (found.right, found.found, found.truth, found.wrong) == (1, 1, 1, ())


@pytest.mark.parametrize("mark", [plate("###"), plate("*"), plate("待识别"), plate(None), plate("皖B12345", difficult=True)])
def test_what_does_not_count_is_neither_right_nor_wrong(tmp_path: Path, mark: dict[str, object]) -> None:
    far = [[x + 200, y] for x, y in BOX]
    truth = read_labels(labels(tmp_path, {"a.jpg": [mark, plate("皖A12345", far)]}), lambda text: None)["a.jpg"]
    photos = [ResultPhoto("a.jpg", "", 1, truth)]
    both = accuracy(photos, {0: [plate("粤B99999"), plate("皖A12345", far)]})
    assert both is not None and (both.right, both.found, both.truth, both.wrong) == (1, 1, 1, ())
    twice = accuracy(photos, {0: [plate("粤B99999"), plate("粤B99999"), plate("皖A12345", far)]})
    assert twice is not None and (twice.found, twice.wrong) == (2, (0,)), "a second answer at the same place is invented"


def test_points_and_encodings_are_read_as_in_label_files(tmp_path: Path) -> None:
    many = [[10, 10], [50, 10], [90, 10], [90, 40], [50, 40], [10, 40]]
    (truth,) = read_labels(labels(tmp_path, {"a.jpg": [plate("皖A12345", many)]}))["a.jpg"]
    assert [[round(x), round(y)] for x, y in truth["box"]] == BOX
    with pytest.raises(InputError, match=r"'a.jpg'.*at least 4 points, not 2, as labelme's"):
        read_labels(labels(tmp_path, {"a.jpg": [plate("皖A12345", [[10, 10], [90, 40]])]}))
    for encoding in ("gbk", "utf-16"):
        with pytest.raises(InputError, match="is not UTF-8") as caught:
            read_labels(labels(tmp_path, {"a.jpg": [plate("皖A12345")]}, encoding))
        assert f"iconv -f {encoding.upper()}" in caught.value.hint
    (tmp_path / "labels.json").write_text('{"a.jpg": [], "a.jpg": []}', encoding="utf-8-sig")
    with pytest.raises(InputError, match=r"'a\.jpg' is given twice"):
        read_labels(tmp_path / "labels.json")


def test_the_samples_truth_is_in_its_normal_form() -> None:
    document = json.loads((SAMPLES / "labels.json").read_text(encoding="utf-8"))
    said: list[str] = []
    assert read_labels(SAMPLES / "labels.json", said.append) == {name: tuple(plates) for name, plates in document.items()}
    assert not said


def test_plates_are_counted_by_the_kinds_of_their_country(tmp_path: Path) -> None:
    """Of the grammar that the models' card holds: the kit need not have the country."""
    grammar = parse_grammar("\n".join(load_country(write_invented(tmp_path)).grammar.lines()), "a card")
    truths = [[plate(PLATES["car"])], [plate(PLATES["car"])], [plate(PLATES["van"])], [plate("###")], None]
    photos = [
        TargetPhoto("a.jpg", tmp_path, "a.jpg", "", 1, None if truth is None else tuple(truth)) for truth in truths
    ]
    named = with_kinds(photos, grammar)
    assert [photo.truth and photo.truth[0].get("kind") for photo in named] == ["car", "car", "van", None, None]
    told = [ResultPhoto(photo.name, "0" * 64, 1, photo.truth) for photo in named]
    answers = {0: [plate(PLATES["car"])], 1: [plate("IOA043")], 2: [plate(PLATES["van"])], 3: []}
    found = accuracy(told, answers)
    assert found is not None and found.kinds == (("car", 1, 2), ("van", 1, 1))
    result = shown_result(tmp_path)
    summary = summarise_result(result)
    cells = tuple(replace(item, accuracy=found) for item in summary.cells)
    write_reports(result, replace(summary, cells=cells), tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "2 of 3 plates read right (car 1 of 2, van 1 of 1)" in page
