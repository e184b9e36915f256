"""Preparing models: what was made of other models than today's is made anew."""

from __future__ import annotations

import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge.base.errors import HostError
from edge.bundle import zoo as prepare
from edge.host import process

ROOT = Path(__file__).resolve().parents[3]


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
    assert sorted(converted) == ["det-fp32", "rec-fp32"]

    path = zoo / "mine/det-fp32/card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card["pipeline"]["det_box_thresh"] = "0.7"
    path.write_text(json.dumps(card), encoding="utf-8")
    pair = prepare.ensure_models("mine", ["fp32"], "x86")["fp32"]
    assert pair.det.card.pipeline["det_box_thresh"] == "0.7" and len(converted) == 4


def test_whatever_makes_models_is_part_of_their_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A pattern that matches no file, such as after a move, would let old models pass for new ones."""
    for package, patterns in prepare.MAKERS.items():
        for pattern in patterns:
            assert list((ROOT / package).glob(pattern)), f"{package}/{pattern} matches nothing"
    before = prepare._key("plate-v1")
    for package, patterns in prepare.MAKERS.items():
        for pattern in patterns:
            shutil.rmtree(tmp_path / package, ignore_errors=True)
            shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("zoo", "results", "samples"))
            changed = sorted((tmp_path / package).glob(pattern))[-1]
            changed.write_text(changed.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")

            def found(name: str, package: str = package) -> SimpleNamespace:
                return SimpleNamespace(submodule_search_locations=[str((tmp_path if name == package else ROOT) / name)])

            monkeypatch.setattr(prepare.importlib.util, "find_spec", found)
            assert prepare._key("plate-v1") != before, f"{package}/{pattern}"
            monkeypatch.undo()


def test_two_at_once_make_a_model_once(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two terminals, `edge flash` in both: one converts, the other says that it waits and takes what was made."""
    converted: list[str] = []
    said: list[str] = []
    waiting = threading.Event()

    def convert(folder: Path, command: list[str]) -> None:
        assert waiting.wait(10), "the other one should have said that it waits"
        converted.append(Path(command[2]).name)
        shutil.copytree(command[2], folder)

    def report(text: str) -> None:
        said.append(text)
        if "waiting" in text:
            waiting.set()

    monkeypatch.setattr(prepare, "_make", convert)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(prepare.ensure_models, "plate-v1", ["fp32"], "x86", report) for _ in range(2)]
        folders = {future.result()["fp32"].rec.folder for future in both}
    assert sorted(converted) == ["det-fp32", "rec-fp32"] and len(folders) == 1
    assert "waiting for another process that prepares plate-v1" in said


def test_a_users_train_py_is_not_taken_for_the_kits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PaddleOCR's own folder `tools` holds a train.py, and people run the kit from there."""
    for name in ("train.py", "convert.py", "edge.py"):
        (tmp_path / name).write_text("raise SystemExit('taken')")
    monkeypatch.chdir(tmp_path)
    assert "CCPD" in prepare.run_edge(["train", "labels", "--help"])


def test_two_models_are_made_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_room_for_two", lambda: True)
    both = threading.Barrier(2)
    assert process.side_by_side(lambda task: (both.wait(60), task)[1], ("det", "rec")) == ["det", "rec"]
    monkeypatch.setattr(process, "_room_for_two", lambda: False)
    assert process.side_by_side(lambda task: threading.current_thread() is threading.main_thread(), ("a", "b"))


def test_one_that_fails_ends_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits a minute for a model that is not wanted any more."""
    monkeypatch.setattr(process, "_room_for_two", lambda: True)
    ended: list[int] = []

    def work(task: str) -> None:
        if task == "rec":
            raise HostError("no font")
        ended.append(process.run_child(["sleep", "600"]).returncode)

    with pytest.raises(HostError, match="no font"):
        process.side_by_side(work, ("det", "rec"))
    assert ended == [-15]
