"""Plates of any country are decoded by the program as by the reference, from the grammar's file."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cpp_program import FAST, lines, refused, run
from invented import PLATES, write_invented

from edge.base.paths import sha256_file
from edge.bundle.bundle import make_bundle
from edge.bundle.toolchain import BuildResult
from edge.bundle.zoo import ModelPair, ensure_models
from edge.device.board import load_profile
from edge.model.card import save_model
from edge.ocr.config import load_config
from edge.ocr.reader import Reader
from edge.photo.listing import SAMPLES
from edge.plate.country import Country, card_grammar, load_country
from edge.plate.grammar import PlateDecoder
from edge.runtime.engines import open_networks
from edge.runtime.store import runtime_for

STEPS = 36
TEXTS = {"cn": ["皖A7K392", "粤BD18564", "粤Z1A23港", "使014578"], "invented": list(PLATES.values())}


@pytest.fixture(params=["cn", "invented"])
def country(request: pytest.FixtureRequest, tmp_path: Path) -> Country:
    return load_country("cn" if request.param == "cn" else write_invented(tmp_path))


def likely(rng: np.random.Generator, characters: list[str], text: str, certainty: float) -> np.ndarray:
    """float32 [STEPS, classes]: a text with a blank before each character, in noise."""
    matrix = np.full((STEPS, len(characters) + 1), (1 - certainty) / len(characters), np.float32)
    path = np.zeros(STEPS, int)
    path[1 : 2 * len(text) : 2] = [characters.index(mark) + 1 for mark in text]
    matrix[np.arange(STEPS), path] = certainty
    matrix *= rng.uniform(0.2, 1.8, matrix.shape).astype(np.float32)
    return (matrix / matrix.sum(axis=1, keepdims=True)).astype(np.float32)


def test_the_program_decodes_as_the_reference_does(country: Country, sanitized: BuildResult, tmp_path: Path) -> None:
    """Same texts and, to the last bit but the root's, same scores: certain, uncertain, and of noise alone."""
    rng = np.random.default_rng(8)
    # Classes in another order than the symbols, and one that no plate has.
    characters = [*rng.permutation(list(country.symbols)).tolist(), "?"]
    matrices = [likely(rng, characters, text, certainty) for text in TEXTS[country.code] for certainty in (0.9, 0.6)]
    matrices += [likely(rng, characters, "", 0.05) for _ in range(4)]
    (tmp_path / "grammar.txt").write_text("\n".join(country.grammar.lines()) + "\n", encoding="utf-8")
    (tmp_path / "dict.txt").write_text("".join(f"{mark}\n" for mark in characters), encoding="utf-8")
    np.stack(matrices).tofile(tmp_path / "matrices")
    words = [tmp_path / name for name in ("grammar.txt", "dict.txt", "matrices")]
    told = subprocess.run(
        [str(sanitized.tests), "--read", *map(str, words), str(STEPS)], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr[-2000:]
    decoder = PlateDecoder(country.grammar, tuple(characters), "")
    for matrix, line in zip(matrices, told.stdout.splitlines(), strict=True):
        text, score = decoder.decode(matrix)
        assert line.split(" ")[0] == text and float(line.split(" ")[1]) == pytest.approx(score, rel=1e-14)
    read = [decoder.decode(matrix)[0] for matrix in matrices]
    assert read[: 2 * len(TEXTS[country.code]) : 2] == TEXTS[country.code]


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> ModelPair:
    """plate-v1, whose recogniser was told that its classes are those of an invented country: provinces are letters."""
    pair = ensure_models("plate-v1", ["fp32"], "x86")["fp32"]
    folder = tmp_path_factory.mktemp("foreign")
    rec = Path(shutil.copytree(pair.rec.folder, folder / "rec"))
    dictionary = (rec / "dict.txt").read_text(encoding="utf-8").splitlines()
    letters = itertools.cycle("IO")
    marks = [mark if mark.isascii() else next(letters) for mark in dictionary]
    (rec / "dict.txt").write_text("".join(f"{mark}\n" for mark in marks), encoding="utf-8")
    country = load_country(write_invented(folder))
    card = pair.rec.card
    assert card.charset is not None
    charset = replace(card.charset, sha256=sha256_file(rec / "dict.txt"))
    pipeline = {**card.pipeline, **country.pipeline, "decode": "plate", "score_thresh": "0"}
    card = replace(card, charset=charset, country=country.code, grammar=country.grammar.lines(), pipeline=pipeline)
    return replace(pair, set_name="foreign", rec=save_model(rec, card, [item.path for item in card.files]))


def test_an_invented_country_is_read_through_a_bundle(foreign: ModelPair, program: Path, tmp_path: Path) -> None:
    """In Python and in C++: the same plates of that country, with the same scores, from real photos."""
    board = load_profile("local")
    bundle = make_bundle(board, program, runtime_for(board), [foreign])
    for item in bundle.manifest.files:
        (tmp_path / item.path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / item.path).symlink_to(bundle.source(item).resolve())
    variant = bundle.manifest.variants["foreign-fp32"]
    conf = tmp_path / variant["config"]
    photos = sorted(SAMPLES.glob("*.jpg"))[:2]
    answers = lines(run(program, "run", "--config", conf, *photos))
    reader = Reader(load_config(conf), open_networks(foreign.det.folder, foreign.rec.folder))
    grammar = card_grammar(tuple(variant["rec_card"]["grammar"]))
    read = 0
    for photo, answer in zip(photos, answers, strict=True):
        expected = reader.read_file(photo).plates
        assert [plate["text"] for plate in answer["plates"]] == [plate.text for plate in expected], photo.name
        for found, wanted in zip(answer["plates"], expected, strict=True):
            assert grammar.is_plate(wanted.text) and found["score"] == pytest.approx(wanted.score, abs=2e-3)
            read += 1
    assert read >= len(photos)


def test_a_missing_or_malformed_grammar_is_named(program: Path, conf: Path, tmp_path: Path) -> None:
    """Only where plates are decoded by it."""
    call = ("run", "--config", conf, *FAST, "--grammar", tmp_path / "grammar.txt", SAMPLES / "blue-day.jpg")
    assert run(program, *call).returncode == 0
    told = refused(run(program, *call, "--decode", "plate"), 3)
    assert told.startswith(f"cannot open grammar {tmp_path}/grammar.txt")
    (tmp_path / "grammar.txt").write_text("plate-edge/grammar/1\ncountry cn\nsymbols A\ntemplate AB\n", encoding="utf-8")
    assert "grammar.txt: it needs country, symbols, serial_letters" in refused(run(program, *call, "--decode", "plate"), 3)
