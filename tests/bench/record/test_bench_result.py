"""A result that is malformed, edited or of the future is refused with the place and the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_board import run

from bench.judge.summary import summarise_result
from bench.record.raw import read_session
from bench.record.result import load_result, save_result
from edge.base.errors import InputError


def change(document: dict[str, Any], path: str, value: Any) -> None:
    *parents, leaf = path.split(".")
    place: Any = document
    for key in parents:
        place = place[int(key) if key.isdigit() else key]
    if value is KeyError:
        del place[leaf]
    else:
        place[int(leaf) if leaf.isdigit() else leaf] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schema", "plate-edge/result/2", "Another version of the kit wrote it"),
        ("schema", "something", "not a result of `bench run`"),
        ("surprise", 1, "unknown key 'surprise'"),
        ("photos", KeyError, "'photos' is missing"),
        ("plan", KeyError, "'plan' is missing"),
        ("processes.0.ms.total.2", -1.0, "processes[0].ms.total[2]: -1.0 is not a number of 0 or more"),
        ("processes.0.ms.crop.2", "fast", "processes[0].ms.crop[2]: 'fast' is not a number"),
        ("processes.0.ms.total.2", 0.0, "not above 0"),
        ("processes.0.times.3", 0.5, "its clock cannot be believed"),
        ("processes.0.images.0", 9, "names a photo that is not in the list"),
        ("processes.0.ms.crop", KeyError, "'processes[0].ms.crop' is missing"),
        ("processes.0.surprise", 1, "unknown key 'processes[0].surprise'"),
        ("processes.0.cell", "nobody", "not among the cells"),
        ("processes.0.seconds", "long", "processes[0].seconds: 'long' is not a number"),
        ("device.kind", "toaster", "device.kind: 'toaster' is not one of host, board, emulated, replay"),
    ],
)
def test_malformed_result_is_refused_with_its_place(tmp_path: Path, path: str, value: Any, message: str) -> None:
    save_result(tmp_path / "result.json", run(tmp_path, processes=1))
    document = json.loads((tmp_path / "result.json").read_text())
    change(document, path, value)
    (tmp_path / "result.json").write_text(json.dumps(document))
    with pytest.raises(InputError) as caught:
        load_result(tmp_path / "result.json")
    assert message in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"schema": "plate-edge/result/1", "x": NaN}', "[" * 100_000, "\x00"]
)
def test_broken_json_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(InputError):
        load_result(tmp_path / "result.json")


@pytest.mark.parametrize("value", ["NaN", "-Infinity"])
def test_figure_that_is_none_is_refused(tmp_path: Path, value: str) -> None:
    save_result(tmp_path / "result.json", run(tmp_path, processes=1))
    text = (tmp_path / "result.json").read_text()
    (tmp_path / "result.json").write_text(text.replace('"load_ms":{"det":30.0', f'"load_ms":{{"det":{value}', 1))
    with pytest.raises(InputError, match="not a number"):
        load_result(tmp_path)


def test_a_result_of_the_version_before_opens_and_is_kept_as_it_was(tmp_path: Path) -> None:
    """Two combinations of a run of 0.1.0 on a laptop, with two photos."""
    old = Path(__file__).with_name("result-0.1.0.json")
    result = load_result(old)
    assert result.kit["version"] == "0.1.0" and result.photos[0].truth is not None
    summary = summarise_result(result)
    assert [item.accuracy.right for item in summary.cells if item.accuracy] == [2, 2]
    save_result(tmp_path / "again.json", result)
    again = json.loads((tmp_path / "again.json").read_text())
    assert {key: value for key, value in again.items() if key != "summary"} == json.loads(old.read_text())
    assert load_result(tmp_path / "again.json") == result


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [("photos", KeyError, "'photos' is missing"), ("plan.processes", "two", "plan.processes: 'two' is not a whole number")],
)
def test_damaged_session_is_refused_with_its_place(tmp_path: Path, path: str, value: Any, message: str) -> None:
    run(tmp_path, processes=1)
    file = tmp_path / "out" / "session.json"
    document = json.loads(file.read_text())
    change(document, path, value)
    file.write_text(json.dumps(document))
    with pytest.raises(InputError) as caught:
        read_session(tmp_path / "out")
    assert message in str(caught.value) and str(file) in str(caught.value)
