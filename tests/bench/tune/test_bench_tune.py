"""The search: finds the fastest setting that reads enough, in few measurements, and says so when there is none."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fake_board import fake_plan, fake_target

from bench.cli import bench
from bench.judge.accuracy import Accuracy
from bench.plan.candidate import Candidate
from bench.plan.plan import Cell, DetSide
from bench.tune.front import few_photos, front_page
from bench.tune.search import Trial, candidates, config_lines, measure_on, pareto, tune
from edge.base.errors import DeviceError, InputError, NotValidError, UsageError
from edge.protocol.base import CompletedCommand


def make(side: int, precision: str = "fp32", threads: int = 1) -> Candidate:
    return Candidate(Cell("ppocrv3", precision, threads, "high", DetSide("max", side)), "greedy")


FIELD = [
    make(side, precision, threads)
    for side in (320, 416, 512, 640, 800, 960)
    for precision in ("fp32", "int8")
    for threads in (1, 2)
]


def truth(candidate: Candidate) -> tuple[float, float]:
    cell = candidate.cell
    ms = cell.side.pixels**2 / 2000 * (0.8 if cell.precision == "int8" else 1.0) / (1.7 if cell.threads == 2 else 1.0)
    return ms, min(0.98, 0.70 + cell.side.pixels / 2000) - (0.01 if cell.precision == "int8" else 0.0)


def test_finds_the_fastest_that_reads_enough_with_few_photos_timed() -> None:
    random.seed(1)
    spent = 0

    def measure(candidate: Candidate, rung: int) -> Trial:
        nonlocal spent
        ms, f = truth(candidate)
        n = 8 * 2**rung
        spent += n
        return Trial(candidate, rung, ms * random.lognormvariate(0, 0.1 / n**0.5), f, n)

    found = tune(FIELD, measure, 0.95)
    best = min((c for c in FIELD if truth(c)[1] >= 0.95), key=lambda c: truth(c)[0])
    assert found.chosen == best.key
    assert len(found.trials) == len(FIELD)
    full = 8 * 2**3 * len(FIELD)
    assert spent < full / 2, "measuring all of them as long as the last ones would take far longer"
    page = front_page(found, "A search")
    assert found.chosen in page and "<script" not in page
    assert "det_limit_side = 640" in config_lines(found) or found.trial(found.chosen).candidate.cell.side.pixels != 640


@pytest.mark.parametrize(("count", "said"), [(0, ""), (1, "5%"), (7, "65%"), (59, "95%"), (299, "99%"), (300, "")])
def test_accuracy_of_few_photos_is_called_so(count: int, said: str) -> None:
    text = few_photos(count)
    assert said in text and bool(text) == bool(said)
    found = tune([make(640)], lambda candidate, rung: Trial(candidate, rung, 10.0, 1.0, 8), 0.95)
    assert (text in front_page(found, "A search", count)) and "F 100%" in front_page(found, "A search", count)


def test_front_has_no_beaten_point() -> None:
    trials = [
        Trial(make(side), 0, ms, f, 8)
        for side, ms, f in ((1, 10, 0.8), (2, 20, 0.7), (3, 30, 0.9), (4, 30, 0.95), (5, 40, 0.95))
    ]
    assert pareto(trials) == (make(1).key, make(4).key)


def test_none_that_reads_enough_names_the_best() -> None:
    with pytest.raises(NotValidError, match="the best is ppocrv3-fp32_t1_high_max960"):
        tune([make(320), make(960)], lambda c, rung: Trial(c, rung, *truth(c), 8), 0.999)
    with pytest.raises(DeviceError, match="boom"):
        tune([make(320)], lambda c, rung: Trial(c, rung, float("inf"), 0.0, 0, "boom"), 0.5)


def test_budget_ends_the_search_with_what_there_is() -> None:
    calls = 0

    def measure(candidate: Candidate, rung: int) -> Trial:
        nonlocal calls
        calls += 1
        return Trial(candidate, rung, *truth(candidate), 8)

    found = tune(FIELD, measure, 0.9, budget_s=0.0)
    assert calls == len(FIELD) and found.chosen


def test_on_real_processes_resumable(tmp_path: Path) -> None:
    target = fake_target(tmp_path)
    plan = fake_plan(det_sides=("max:640", "max:320"), precisions=("fp32", "int8"))
    field = candidates(plan, ("greedy",))
    # The stand-in reads its one labelled photo right at every size; int8 is a fifth faster.
    found = tune(field, measure_on(target, plan, tmp_path / "out"), 0.95)
    assert found.trial(found.chosen).candidate.cell.precision == "int8"
    assert found.trial(found.chosen).f_measure == 1.0
    before = sorted(path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("raw/*.jsonl"))
    again = tune(field, measure_on(target, plan, tmp_path / "out"), 0.95)
    assert again.trial(again.chosen).median_ms == found.trial(found.chosen).median_ms
    assert sorted(path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("raw/*.jsonl")) == before


def test_photos_without_truth_are_refused(tmp_path: Path) -> None:
    target = fake_target(tmp_path)
    with pytest.raises(InputError, match="ground truth"):
        measure_on(replace(target, photos=target.photos[1:]), fake_plan(), tmp_path)


def test_command_writes_outcome_and_applies_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.measure.opening.open_target", lambda *args, **options: fake_target(tmp_path))
    monkeypatch.setattr("bench.measure.opening.host_reader", lambda *args: None)
    applied: dict[str, Any] = {}

    def install(device: Any, models: Any, precisions: Any, report: Any, *, settings: dict[str, str]) -> Any:
        applied.update(settings)
        return type("Release", (), {"hash": "0" * 20})()

    monkeypatch.setattr("edge.release.install.ensure_installed", install)
    out = tmp_path / "tune"
    words = ["tune", "--device", "local", "--models", "ppocrv3", "--det-side", "max:640", "--out", str(out), "--json"]
    answer = CliRunner().invoke(bench, [*words, "--apply"], catch_exceptions=False)
    document = json.loads(answer.stdout)
    assert document["settings"] == applied and applied["det_limit_side"] == "640"
    assert json.loads((out / "tune.json").read_text())["chosen"] == document["chosen"]
    assert (out / "chosen.conf").is_file() and (out / "tune.html").is_file()
    assert isinstance(CliRunner().invoke(bench, words).exception, UsageError), "nothing is overwritten silently"
    assert CliRunner().invoke(bench, [*words, "--force"]).exit_code == 0
    # A search that broke off has rungs and no outcome; on another release it can only begin anew.
    (out / "tune.json").unlink()
    monkeypatch.setattr(
        "bench.measure.opening.open_target", lambda *args, **options: replace(fake_target(tmp_path), release="f" * 20)
    )
    assert isinstance(CliRunner().invoke(bench, words).exception, UsageError)
    assert CliRunner().invoke(bench, [*words, "--force"]).exit_code == 0


def test_search_on_this_host_with_the_kits_own_photos(tmp_path: Path) -> None:
    out = tmp_path / "tune"
    words = ["tune", "--device", "local", "--models", "plate-v1", "--precision", "fp32", "--threads", "1"]
    words += ["--det-side", "max:96", "--det-side", "max:320", "--det-side", "max:640", "--min-f", "0.9"]
    answer = CliRunner().invoke(bench, [*words, "--out", str(out), "--json"], catch_exceptions=False)
    document = json.loads(answer.stdout)
    trials = {trial["settings"]["det_limit_side"]: trial for trial in document["trials"]}
    # At 96 pixels a plate is a dozen pixels wide: this host sees that it cannot be read, and the board is spared.
    assert trials["96"]["n"] == 0 and "not timed" in trials["96"]["why"] and trials["96"]["f_measure"] < 0.85
    assert not list(out.glob("rung-0/*max96*"))
    assert trials["640"]["f_measure"] >= 0.9 and trials["640"]["n"] >= 7 and trials["640"]["differing"] == 0
    assert document["settings"]["det_limit_side"] in ("320", "640") and document["chosen"] in document["front"]
    read = [trial for trial in trials.values() if trial["n"] and trial["f_measure"] >= 0.9]
    assert document["chosen"] == min(read, key=lambda trial: trial["median_ms"])["key"], "the fastest that reads enough"


def test_each_set_is_decoded_as_it_asks_unless_told() -> None:
    plan = fake_plan(models=("plate-v1", "ppocrv3"), precisions=("int8",), det_sides=("own",))
    assert [(item.cell.model, item.decode) for item in candidates(plan)] == [
        ("plate-v1", "plate"), ("ppocrv3", "greedy"),
    ]  # fmt: skip
    assert [item.decode for item in candidates(plan, ("greedy", "plate"))] == ["greedy", "plate"] * 2


def test_setting_that_this_host_cannot_run_is_told_and_loses_no_other(tmp_path: Path) -> None:
    class Host:
        def accuracy(self, candidate: Candidate) -> Accuracy:
            if candidate.cell.precision == "int8":
                raise DeviceError("plate_ocr ended with exit code 4")
            return Accuracy(1, 1, 1, 1, ())

        def differing(self, candidate: Candidate, answers: Any) -> int:
            return 0

    plan = fake_plan(det_sides=("max:640",))
    measure = measure_on(fake_target(tmp_path), plan, tmp_path / "out", host=Host(), min_f=0.9)  # type: ignore[arg-type]
    found = tune(candidates(plan), measure, 0.9)
    assert found.chosen == "ppocrv3-fp32_t1_none_max640_greedy"
    broken = next(trial for trial in found.trials if trial.candidate.cell.precision == "int8")
    assert broken.n == 0 and broken.why == "this host: plate_ocr ended with exit code 4"
    page = front_page(found, "A search")
    assert broken.candidate.key in page and broken.why in page


def test_host_tells_accuracy_and_the_board_is_compared_with_it(tmp_path: Path) -> None:
    from bench.measure.host_reader import HostReader

    target = fake_target(tmp_path)
    asked: list[list[str]] = []

    class Says:
        def run(self, argv: list[str], **options: Any) -> CompletedCommand:
            asked.append(argv)
            read = "\u7696A12345" if "640" in argv else "\u7696A1234"
            plate = {"text": read, "score": 0.9, "box": [[10, 10], [90, 10], [90, 40], [10, 40]]}
            return CompletedCommand(tuple(argv), 0, json.dumps({"image": argv[-1], "plates": [plate]}) + "\n", "", None, 0.1)

    host = HostReader(target.command, Says(), [(photo.local, photo.truth) for photo in target.photos])  # type: ignore[arg-type]
    plan = fake_plan(det_sides=("max:640", "max:320"), precisions=("fp32",), threads=(1, 2))
    field = candidates(plan, ("greedy",))
    found = tune(field, measure_on(target, plan, tmp_path / "out", host=host, min_f=0.95), 0.95)
    assert found.trial(found.chosen).candidate.cell.side == DetSide("max", 640)
    assert len(asked) == 2, "threads change nothing in what is read"
    assert all(trial.n == 0 for trial in found.trials if trial.candidate.cell.side.pixels == 320)
    # The stand-in board answers the true plate whatever its settings, so at 320 it would differ from this host.
    loose = tune(field, measure_on(target, plan, tmp_path / "loose", host=host, min_f=0.0), 0.0)
    assert {trial.candidate.cell.side.pixels: trial.differing for trial in loose.trials} == {640: 0, 320: 1}
