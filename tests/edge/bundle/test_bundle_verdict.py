"""An int8 model goes into a bundle when it was verified, or by force; the manifest says which."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "boards"))

from flashkit import compile_program, local_board, make_pair, make_runtime

from edge.base.errors import ModelError
from edge.bundle.bundle import Bundle, make_bundle
from edge.bundle.zoo import ModelPair
from edge.model.card import Model, save_model


@pytest.fixture(autouse=True)
def _cache(own_cache: Path) -> None:
    """Every test has its own cache."""


def _bundle(tmp_path: Path, checks: tuple[dict[str, Any], ...], *, force: bool = False) -> Bundle:
    program, library = compile_program(tmp_path / "program")
    pair = make_pair(tmp_path / "models")

    def as_int8(model: Model) -> Model:
        card = replace(model.card, precision="int8", checks=checks)
        return save_model(model.folder, card, [model.file(".nb").name])

    pair = ModelPair(pair.set_name, "int8", as_int8(pair.det), as_int8(pair.rec))
    return make_bundle(local_board(), program, make_runtime(library, "v2.13-rc"), [pair], samples=[], force=force)


def _verdicts(bundle: Bundle) -> list[str]:
    (variant,) = bundle.manifest.variants.values()
    return [variant["det_verdict"], variant["rec_verdict"]]


def test_verified_models_are_taken(tmp_path: Path) -> None:
    assert _verdicts(_bundle(tmp_path, ({"name": "verify-outputs", "ok": True},))) == ["passed", "passed"]


@pytest.mark.parametrize(
    ("checks", "message", "verdict"),
    [
        ((), "int8 model that was not verified", "not verified"),
        (({"name": "verify-plates", "ok": False},), "failed its own checks: verify-plates", "failed"),
    ],
)
def test_others_need_force_and_the_manifest_says_so(
    checks: tuple[dict[str, Any], ...], message: str, verdict: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        _bundle(tmp_path, checks)
    assert "--accept-failed" in caught.value.hint
    bundle = _bundle(tmp_path / "again", checks, force=True)
    assert _verdicts(bundle) == [verdict, verdict]
    (variant,) = bundle.manifest.variants.values()
    assert variant["det_card"]["checks"] == checks
