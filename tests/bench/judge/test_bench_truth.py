"""Ground truth of the bench: `labels.json` in the same normal form as the labels of training, and what does not count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.judge.accuracy import accuracy
from bench.record.result import ResultPhoto
from edge.base.errors import InputError
from edge.photo.labels import read_labels
from edge.photo.listing import SAMPLES

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
    with pytest.raises(InputError, match=r"'a\.jpg' is there twice"):
        read_labels(tmp_path / "labels.json")


def test_the_samples_truth_is_in_its_normal_form() -> None:
    document = json.loads((SAMPLES / "labels.json").read_text(encoding="utf-8"))
    said: list[str] = []
    assert read_labels(SAMPLES / "labels.json", said.append) == {name: tuple(plates) for name, plates in document.items()}
    assert not said
