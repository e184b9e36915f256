"""Preparing models: what was made of other models than today's is made anew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edge import prepare


def test_a_changed_shipped_model_is_converted_anew(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo = tmp_path / "zoo"
    for name in ("det-fp32", "rec-fp32"):
        shutil.copytree(prepare.SHIPPED / "plate-v1" / name, zoo / "mine" / name)
    monkeypatch.setattr(prepare, "SHIPPED", zoo)
    converted: list[str] = []

    def convert(folder: Path, command: list[str]) -> None:
        converted.append(Path(command[2]).name)
        shutil.copytree(command[2], folder)

    monkeypatch.setattr(prepare, "_make", convert)
    for _ in range(2):
        prepare.ensure_models("mine", ["fp32"], "x86")
    assert converted == ["det-fp32", "rec-fp32"]

    path = zoo / "mine/det-fp32/card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card["pipeline"]["det_box_thresh"] = "0.7"
    path.write_text(json.dumps(card), encoding="utf-8")
    pair = prepare.ensure_models("mine", ["fp32"], "x86")["fp32"]
    assert pair.det.card.pipeline["det_box_thresh"] == "0.7" and len(converted) == 4
