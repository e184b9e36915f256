"""The model card: what is saved loads again, and everything that does not fit is refused with its place."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from edge.base.errors import InputError, ModelError, VerifyError
from edge.base.paths import sha256_file
from edge.model.card import Card, Charset, Input, load_model, save_model
from edge.model.dictionary import read_dictionary

INPUT = Input("x", 48, 320, 1, 1 / 255, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def nested(levels: int) -> list[object]:
    """A list in a list in a list ..."""
    value: list[object] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.fixture
def recogniser(tmp_path: Path) -> Path:
    """A model folder with a three-character dictionary, the last one a space."""
    (tmp_path / "rec.nb").write_bytes(b"network")
    (tmp_path / "dict.txt").write_text("京\nA\n \n", encoding="utf-8")
    charset = Charset("dict.txt", sha256_file(tmp_path / "dict.txt"), 4)
    save_model(tmp_path, Card("t-rec", "rec", "any", "nb", "fp32", INPUT, charset, target="arm"), ["rec.nb"])
    return tmp_path


def test_saved_card_loads_equal(recogniser: Path) -> None:
    model = load_model(recogniser)
    assert model.card.input == INPUT
    assert [item.path for item in model.card.files] == ["rec.nb", "dict.txt"]
    assert model.card.bytes == len(b"network"), "the dictionary does not count as model bytes"
    assert model.file(".nb") == recogniser / "rec.nb"
    assert read_dictionary(model.dictionary) == ["京", "A", " "]


def test_changed_file_is_refused(recogniser: Path) -> None:
    (recogniser / "rec.nb").write_bytes(b"netw0rk")
    with pytest.raises(VerifyError, match=r"rec\.nb is not the file"):
        load_model(recogniser)


def test_missing_file_is_refused(recogniser: Path) -> None:
    (recogniser / "rec.nb").unlink()
    with pytest.raises(VerifyError, match=r"rec\.nb is missing"):
        load_model(recogniser)


def test_dictionary_that_does_not_fit_the_classes_is_refused(recogniser: Path) -> None:
    (recogniser / "dict.txt").write_text("京\nA\n", encoding="utf-8")
    card = load_model(recogniser, verify=False).card
    with_new_hash = replace(card, charset=Charset("dict.txt", sha256_file(recogniser / "dict.txt"), 4))
    save_model(recogniser, with_new_hash, ["rec.nb"])
    with pytest.raises(ModelError, match="2 characters, but the model has 4 classes"):
        load_model(recogniser)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "plate-edge/model-card/9"}, "schema 'plate-edge/model-card/9' is not"),
        ({"surprise": 1}, "surprise"),
        ({"task": "cls"}, "task 'cls' is none of det, rec"),
        ({"target": None}, "format 'nb' with target None"),
        ({"charset": None}, "a recogniser has a charset"),
        ({"files": [{"path": "../x", "bytes": 1, "sha256": "0"}]}, "not a plain name"),
        ({"input": {"name": "x"}}, "missing, unknown or mistyped"),
        ({"charset": {"file": "../dict.txt", "sha256": "0", "classes": 4}}, "not a plain name"),
        ({"name": 5}, "name: 5 is not text"),
        ({"opt": [1]}, "opt: [1] is not an object"),
        ({"source": []}, "source: [] is not an object"),
        ({"checks": ["passed"]}, "checks[0]: 'passed' is not an object"),
        ({"pipeline": {"rec_width": 160}}, "pipeline.rec_width: 160 is not text"),
        ({"files": [{"path": 3, "bytes": True, "sha256": "0"}]}, "files[0].path: 3 is not text; files[0].bytes: True is"),
        ({"charset": {"file": "dict.txt", "sha256": "0", "classes": "4"}}, "charset.classes: '4' is not a whole number"),
        ({"input": {**asdict(INPUT), "mean": [0.5, 0.5]}}, "input.mean: 2 values, not 3"),
        ({"input": {**asdict(INPUT), "std": [0.5, 0.5, float("nan")]}}, "input.std[2]: nan is not a number"),
        ({"input": {**asdict(INPUT), "std": [0, 1, 1]}}, "a std of 0 cannot divide"),
        ({"source": {"parent": nested(400)}}, "is not plain JSON"),
        ({"metrics": {"plates": {"exact": nested(60)}}}, "is not plain JSON"),
        ({"name": nested(900)}, "is not text"),
        ({"country": "../../x"}, "country: '../../x' is not text like"),
        ({"limits": {"least_width": -5}}, "limits.least_width: -5 is not a whole number of 0 or more"),
        ({"grammar": ["x"]}, "card.json: grammar: its first line is 'x'"),
        ({"grammar": ["plate-edge/grammar/1", "country cn"]}, "card.json: grammar: symbols is missing"),
    ],
)
def test_card_that_does_not_fit_is_refused(recogniser: Path, change: dict[str, object], message: str) -> None:
    document = json.loads((recogniser / "card.json").read_text())
    (recogniser / "card.json").write_text(json.dumps({**document, **change}))
    with pytest.raises(ModelError) as caught:
        load_model(recogniser)
    assert message in str(caught.value)


def test_malformed_json_and_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a model folder"):
        load_model(tmp_path / "nothing")
    for content in ("{", "[" * 100_000, "7" * 5000):
        (tmp_path / "card.json").write_text(content)
        with pytest.raises(InputError, match="not valid JSON"):
            load_model(tmp_path)


@pytest.mark.parametrize("content", [b"A\n\nB\n", b"\xff\xfe\n", b"a whole sentence\n"])
def test_bad_dictionary_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "dict.txt").write_bytes(content)
    with pytest.raises(InputError, match=r"dict\.txt"):
        read_dictionary(tmp_path / "dict.txt")


def test_a_byte_order_mark_is_no_part_of_a_dictionary(tmp_path: Path) -> None:
    (tmp_path / "dict.txt").write_bytes("\ufeff京\r\nA\r\n".encode())
    assert read_dictionary(tmp_path / "dict.txt") == ["京", "A"]
