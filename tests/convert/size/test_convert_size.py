"""`edge convert size`: where the bytes go, step by step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from convert.commands.size import size
from convert.opt.convert import Options, convert_model
from edge.bundle.zoo import SHIPPED
from edge.model.card import load_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("size") / "det"
    return convert_model(load_model(SHIPPED / "plate-v1" / "det-int8"), out, Options("arm")).folder


def test_parts_and_steps_add_up(folder: Path) -> None:
    answer = CliRunner().invoke(size, [str(folder), str(folder / "det.nb"), "--json"])
    document = json.loads(answer.stdout)
    assert document["schema"] == "plate-edge/nb-size/1"
    first, second = document["files"]
    assert first["bytes"] == (folder / "det.nb").stat().st_size == first["steps"][-1]["after"]
    assert sum(first[key] for key in ("int8", "float32", "other", "topology", "framing")) == first["bytes"]
    assert [step["step"] for step in first["steps"]] == ["opt", "pack", "int8-weights"]
    assert all(a["after"] == b["before"] for a, b in zip(first["steps"], first["steps"][1:], strict=False))
    assert first["steps"][-1]["count"] == 15, "the depthwise convolutions"
    assert second["steps"] == [] and second["bytes"] == first["bytes"], "a bare file does not say how it was made"


def test_table_and_page(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "size.html"
    answer = CliRunner(env={"COLUMNS": "160"}).invoke(size, [str(folder), "--html", str(page)])
    assert answer.exit_code == 0
    assert all(text in answer.output for text in ("int8-weights (15)", "pack", "bytes / floor"))
    text = page.read_text(encoding="utf-8")
    assert "<svg" in text and 'role="img"' in text and "conv2d_41.w_0" in text
    again = CliRunner().invoke(size, [str(folder), "--html", str(page)])
    assert again.exit_code != 0 and "exists" in str(again.exception)
