"""The picture that shows where a set of models stops reading."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.bundle.zoo import SHIPPED

pytestmark = pytest.mark.paddle


def test_an_easy_plate_is_read_and_a_dark_one_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edge.ocr.image import load_image
    from train.evaluate import failures

    name, values, make = next(row for row in failures.ROWS if row[0].startswith("light"))
    monkeypatch.setattr(failures, "ROWS", ((name, (values[0], 0.01), make),))
    failures.draw_failures(SHIPPED / "plate-v1", tmp_path / "failures.jpg")
    text = failures.TEXTS[0]
    assert capsys.readouterr().out == f"{name}: {text} -> 1 {text}, 0.01 -\n"
    height, width = failures.TILE[1] + failures.CAPTION, failures.LABEL + 2 * failures.TILE[0]
    assert load_image(tmp_path / "failures.jpg").shape == (height, width, 3)
