"""`bench run` as a user types it: history, knobs of the board, the time box in the dry run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from fake_board import fake_plan, fake_target, run

from bench.cli import bench
from bench.compare.history import History, news
from bench.conditions.board_tuner import Setting, SystemTuning
from bench.judge.summary import summarise_result
from bench.measure.host_reader import agreement_with_host
from bench.measure.session import Session
from bench.measure.target import find_photos, push_photos
from bench.plan.plan import load_plan
from bench.record.result import load_result
from bench.text.facts import conditions
from edge.base.errors import HostError, InputError, LinkError, UsageError
from edge.base.paths import sha256_file
from edge.plate.text import edit_distance
from edge.protocol.base import CompletedCommand
from edge.transport.local import LocalTransport

CHECK = {"ppocrv3-fp32_t1_none_min736": {"photos": 2, "same": 1, "edits": 1, "least_iou": 0.98}}


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `bench run` on the stand-in board, with a history of its own."""
    db = f"sqlite:///{tmp_path / 'h.sqlite'}"
    monkeypatch.setenv("PLATE_EDGE_HISTORY", db)
    monkeypatch.setenv("PLATE_EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("bench.measure.opening.open_target", lambda *args, **options: fake_target(tmp_path))
    monkeypatch.setattr("bench.measure.opening.compare_with_host", lambda *args: CHECK)
    plan = tmp_path / "small.yml"
    plan.write_text("processes: 1\nwarmup: 1\nwarmup_ms: 0\nrepeats: 4\nmin_ms: 0\nmodels: [ppocrv3]\n")
    count = 0

    def invoke(*words: str) -> Result:
        nonlocal count
        count += 1
        line = ["run", "--device", "local", "--plan", str(plan), "--no-report", "--quiet", *words]
        out = [] if "--out" in words else ["--out", str(tmp_path / f"out{count}")]
        return CliRunner().invoke(bench, [*line, *out])

    invoke.db = db  # type: ignore[attr-defined]
    invoke.last = lambda: tmp_path / f"out{count}"  # type: ignore[attr-defined]
    return invoke


def test_result_goes_into_the_history_unless_told_otherwise(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert command().exit_code == 0
    assert command("--no-history").exit_code == 0
    monkeypatch.setenv("PLATE_EDGE_HISTORY", "off")
    assert command().exit_code == 0
    assert len(History(command.db).entries()) == 1
    monkeypatch.setenv("PLATE_EDGE_HISTORY", "sqlite:////proc/no/such/h.sqlite")
    answer = command()
    assert answer.exit_code == 0 and "not in the history" in answer.output, "a measurement does not fail for that"


def test_history_tells_of_a_new_level_when_it_is_new(tmp_path: Path) -> None:
    result = run(tmp_path, processes=2, repeats=10, precisions=("fp32",))
    store = History(f"sqlite:///{tmp_path / 'h.sqlite'}")
    said = []
    for day in range(1, 20):
        factor = (1.0 if day < 8 else 1.2) * (1 + 0.002 * (day % 3))
        processes = tuple(
            replace(item, ms={key: tuple(value * factor for value in column) for key, column in item.ms.items()})
            for item in result.processes
        )
        later = replace(result, created=f"2026-01-{day:02d}T00:00:00.000+00:00", processes=processes)
        store.add(later)
        said.append(news(store, later))
    assert not any(said[:9])
    assert "1.20 times as long since 2026-01-08" in said[10][0]
    assert not said[-1], "it is no news any more"


def test_knobs_need_the_switch(command: Any) -> None:
    answer = command("--knob", "governor=performance")
    assert isinstance(answer.exception, UsageError) and "--tune-board" in answer.exception.hint
    answer = command("--tune-board", "--knob", "speed=9")
    assert isinstance(answer.exception, UsageError)


def test_cpus_knob_binds_the_program_and_is_recorded(command: Any) -> None:
    answer = command("--tune-board", "--knob", "cpus=0", "--json")
    assert answer.exit_code == 0, answer.output
    result = json.loads((command.last() / "result.json").read_text())
    assert result["tuning"]["knobs"] == {"cpus": "0"} and result["tuning"]["restored"] is True
    header = json.loads(next((command.last() / "raw").glob("0000*.jsonl")).read_text().splitlines()[0])
    assert header["argv"][:2] == ["taskset", "1"]
    # The stand-in says that it ran on CPUs 0 and 1.
    reasons = [reason for cell in result["summary"]["cells"].values() for reason in cell["verdict"]["noisy"]]
    assert any("CPUs 0 were asked for, the runtime used 0, 1" in reason for reason in reasons)


def test_knob_that_failed_is_in_verdict_and_report(tmp_path: Path) -> None:
    tuning = SystemTuning(
        {"governor": "performance"}, [Setting("governor", "/sys/x", "ondemand", "performance", "ondemand")],
        ["governor: performance for /sys/x is not allowed to this user; it is ondemand"], restored=True,
    )  # fmt: skip
    result = Session(fake_target(tmp_path), fake_plan(), tmp_path / "out", sample_seconds=0, tuning=tuning).run()
    cell = summarise_result(result).cells[0]
    assert cell.verdict.level == "NOISY" and any("not allowed" in reason for reason in cell.verdict.noisy)
    (row,) = [row for row in conditions(result) if row.name == "Knobs set"]
    assert "governor performance" in row.value and "0 of 1 files took it" in row.value
    untouched = [row for row in conditions(replace(result, tuning={})) if row.name == "Knobs set"]
    assert "as it was" in untouched[0].value


def test_dry_run_of_the_quick_plan_tells_its_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    answer = CliRunner().invoke(bench, ["run", "--device", "local", "--plan", "quick", "--dry-run"])
    assert answer.exit_code == 0 and "time box: 25 s" in answer.output


def test_photos_are_told_before_anything_is_measured(command: Any, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "night").mkdir(parents=True)
    for name in ("a.bmp", "b.jpg", "night/c.jpg"):
        cv2.imwrite(str(folder / name), np.zeros((8, 8, 3), np.uint8))
    (folder / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    shown = command("--dry-run", "--photos", str(folder))
    assert shown.exit_code == 0
    for words in ("1 BMP; `decode` is the PNG's", "1 file was left out: a video (film.mp4", "night (1 photo); --recursive"):
        assert words in shown.stderr
    told = json.loads(command("--dry-run", "--json", "--recursive", "--photos", str(folder)).stdout)
    assert [Path(item["file"]).name for item in told["left_out"]] == ["film.mp4"] and told["not_looked_into"] == []
    (folder / "d.jpg").write_text("<!doctype html>")
    refused = command("--photos", str(folder))
    assert isinstance(refused.exception, InputError) and "d.jpg is an HTML page" in refused.exception.message


def test_a_board_gets_pixels_that_its_program_reads_and_the_result_the_users_name(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "a.webp"), np.full((8, 8, 3), 77, np.uint8))
    given = find_photos([tmp_path / "in"])
    (placed,) = push_photos(LocalTransport(), str(tmp_path / "board"), given.photos, tmp_path)
    assert placed.name == "a.webp" and Path(placed.remote).read_bytes().startswith(b"\x89PNG")
    assert placed.sha256 == sha256_file(placed.local) and "1 WebP" in given.converted


def test_board_is_compared_with_this_host(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert command("--threads", "1", "--power-mode", "none").exit_code == 0
    result = json.loads((command.last() / "result.json").read_text())
    assert result["host_check"] == CHECK
    notes = result["summary"]["cells"]["ppocrv3-fp32_t1_none_min736"]["verdict"]["notes"]
    assert "the board reads 1 of 2 photos differently from this host" in notes
    loaded = load_result(command.last())
    (row,) = [row for row in conditions(loaded) if row.name == "Read as on this host"]
    assert row.value == "1 of 2 photos, boxes overlap by IoU 0.980 or more, edit distance 1"
    assert command("--no-compare-host").exit_code == 0
    assert json.loads((command.last() / "result.json").read_text())["host_check"] == {}

    def fail(*args: Any) -> Any:
        raise HostError("this host lacks a compiler.")

    monkeypatch.setattr("bench.measure.opening.compare_with_host", fail)
    answer = command()
    assert answer.exit_code == 0 and "were not compared" in answer.output, "a measurement is not lost for that"


def test_plates_are_compared_by_text_and_box(tmp_path: Path) -> None:
    result = run(tmp_path, processes=1, precisions=("fp32",))
    box = [[10, 10], [90, 10], [90, 40], [10, 40]]
    lines = [
        {"image": "a", "plates": [{"text": "\u7696A12345", "score": 0.9, "box": [[x + 1, y] for x, y in box]}]},
        {"image": "b", "plates": [{"text": "\u7696A1234", "score": 0.9, "box": box}]},
    ]

    class Says:
        def run(self, argv: list[str], **options: Any) -> CompletedCommand:
            assert argv[argv.index("--det_limit_side") + 1] == "736"
            return CompletedCommand(tuple(argv), 0, "".join(json.dumps(line) + "\n" for line in lines), "", None, 0.1)

    paths = [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    found = agreement_with_host(result, fake_target(tmp_path).command, Says(), paths)  # type: ignore[arg-type]
    assert found == {result.cells[0].key: {"photos": 2, "same": 1, "edits": 1, "least_iou": round(79 / 81, 4)}}
    assert edit_distance("kitten", "sitting") == 3 and edit_distance("", "ab") == 2


def test_broken_run_in_a_used_folder_leaves_no_report_of_the_run_before(
    command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command().exit_code == 0
    out = command.last()
    for name in ("report.html", "report.md", "report.csv"):
        (out / name).write_text("VALID")
    (out / "mine.txt").write_text("kept")

    def cut(self: Session, slot: Any) -> str:
        raise LinkError("the link is gone")

    monkeypatch.setattr(Session, "_once", cut)
    monkeypatch.setattr("bench.measure.session.ATTEMPTS", 1)
    assert command("--out", str(out), "--force").exit_code != 0
    assert not list(out.glob("report.*")) and not (out / "result.json").exists()
    assert (out / "mine.txt").read_text() == "kept"


def test_a_session_of_another_release_is_left_alone(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that was begun with the version before: its program was another."""
    assert command().exit_code == 0
    out = command.last()
    before = (out / "result.json").read_bytes()
    newer = replace(fake_target(tmp_path), release="a" * 20)
    monkeypatch.setattr("bench.measure.opening.open_target", lambda *args, **options: newer)
    answer = command("--out", str(out), "--resume")
    assert isinstance(answer.exception, UsageError) and "session with another release" in answer.exception.message
    assert "--installed goes on" in answer.exception.hint and "incomplete" not in answer.output
    assert (out / "result.json").read_bytes() == before


@pytest.mark.parametrize("words", [(), ("--resume",), ("--force",)])
def test_two_runs_never_write_into_one_folder(command: Any, words: tuple[str, ...]) -> None:
    from edge.base.alone import alone_in

    assert command().exit_code == 0
    out = command.last()
    raw = sorted(path.read_bytes() for path in (out / "raw").iterdir())
    (out / "result.json").unlink()
    if words != ("--force",):
        next((out / "raw").glob("*.jsonl")).rename(out / "raw" / "kept.jsonl")
    # Another process that measures there holds the lock; within one process a second handle is refused alike.
    with alone_in(out, "edge bench run"):
        answer = command("--out", str(out), *words)
        assert isinstance(answer.exception, UsageError) and "is already running `edge bench run`" in answer.exception.message
        assert sorted(path.read_bytes() for path in (out / "raw").iterdir()) == raw
    assert command("--out", str(out), *words).exit_code == 0


def test_plan_whose_options_belie_its_combinations_is_refused(tmp_path: Path) -> None:
    """They would follow the combination's own on the command line, and win."""
    for options, told in (("det_limit_side: 320", "det_sides"), ("threads: 4", "threads"), ("warmup: 0", "plate.conf")):
        (tmp_path / "plan.yml").write_text(f"options: {{{options}}}\n")
        with pytest.raises(InputError, match=told):
            load_plan(str(tmp_path / "plan.yml"))
    (tmp_path / "plan.yml").write_text("options: {decode: plate}\n")
    assert load_plan(str(tmp_path / "plan.yml")).options == (("decode", "plate"),)
