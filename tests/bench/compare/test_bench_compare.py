"""Comparisons: no false alarm on equal builds, slower stages found and named, unlike results refused."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from fake_board import fake_plan, fake_target, run

from bench.cli import bench
from bench.commands.compare import parse_limit
from bench.compare.changes import REGRESSION, compare_results
from bench.measure.session import Session
from bench.record.events import KEYS, STAGES
from bench.record.result import Result, save_result
from edge.base.errors import InputError, NotValidError, UsageError

LEVELS = dict(zip(STAGES, (5.0, 3.0, 80.0, 0.4, 0.6, 0.2, 20.0, 0.1), strict=True))


@pytest.fixture(scope="module")
def skeleton(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return run(tmp_path_factory.mktemp("skeleton"), processes=5, repeats=50, precisions=("fp32",))


def synthetic(skeleton: Result, rng: np.random.Generator, slower: dict[str, float] | None = None) -> Result:
    """The default plan's shape with invented times: stages, photos, processes and iterations all vary."""
    processes = []
    for process in skeleton.processes:
        images = 1 + 0.2 * np.asarray(process.images)
        effect = np.exp(rng.normal(0, 0.015))
        ms: dict[str, Any] = {}
        for stage, level in LEVELS.items():
            noise = np.exp(rng.normal(0, 0.03, images.size)) * np.exp(rng.normal(0, 0.01))
            tail = 1 + (rng.random(images.size) < 0.03) * rng.pareto(2, images.size)
            ms[stage] = level * (slower or {}).get(stage, 1.0) * images * effect * noise * tail
        ms["total"] = sum(ms[stage] for stage in STAGES)
        processes.append(replace(process, ms={key: tuple(ms[key].tolist()) for key in KEYS}))
    return replace(skeleton, processes=tuple(processes))


def test_equal_builds_raise_no_alarm_and_slower_ones_are_found(skeleton: Result) -> None:
    rng = np.random.default_rng(42)
    pairs, alarms, found = 40, 0, 0
    slow = dict.fromkeys(STAGES, 1.10)
    for _ in range(pairs):
        a = synthetic(skeleton, rng)
        alarms += bool(compare_results(a, synthetic(skeleton, rng), replicates=200).regressions)
        again = compare_results(a, synthetic(skeleton, rng, slow), replicates=200)
        found += any(change.what == "total" for change in again.regressions)
    print(f"A/A alarms {alarms} of {pairs}, 10 % slowdowns found {found} of {pairs}")
    assert alarms <= 0.05 * pairs
    assert found >= 0.95 * pairs


@pytest.mark.parametrize("stage", ["det_infer", "rec_infer", "det_post", "crop"])
def test_slower_stage_is_named_and_no_other(skeleton: Result, stage: str) -> None:
    rng = np.random.default_rng(7)
    found = compare_results(synthetic(skeleton, rng), synthetic(skeleton, rng, {stage: 1.15}), replicates=500)
    named = {change.what for change in found.regressions}
    assert stage in named
    assert named <= {stage, "total"}


def test_real_processes_equal_and_with_a_slower_stage(tmp_path: Path) -> None:
    results = {}
    for name, environment in (("a", {}), ("b", {}), ("slow", {"FAKE_STAGE": "det_infer:1.15"})):
        (tmp_path / name).mkdir()
        results[name] = run(tmp_path / name, environment, processes=5, repeats=30)
    assert not compare_results(results["a"], results["b"]).regressions
    found = compare_results(results["a"], results["slow"])
    assert {(c.cell.split("_")[0], c.what) for c in found.regressions} >= {
        ("ppocrv3-fp32", "det_infer"), ("ppocrv3-int8", "det_infer"),
    }  # fmt: skip
    faster = compare_results(results["slow"], results["a"])
    assert not faster.regressions and any(change.verdict == "improvement" for change in faster.changes)


def test_size_and_accuracy_are_compared_too(skeleton: Result) -> None:
    rng = np.random.default_rng(1)
    a, b = synthetic(skeleton, rng), synthetic(skeleton, rng)
    b = replace(
        b,
        cells=(replace(b.cells[0], det_bytes=b.cells[0].det_bytes * 2),),
        processes=tuple(replace(process, answers={"0": [], "1": []}) for process in b.processes),
    )
    assert {change.what for change in compare_results(a, b).regressions} == {"det size", "accuracy"}


def _cell(result: Result, **changes: Any) -> Result:
    return replace(result, cells=(replace(result.cells[0], **changes), *result.cells[1:]))


def _each(result: Result, **changes: Any) -> Result:
    processes = [replace(process, effective={**process.effective, **changes}) for process in result.processes]
    return replace(result, processes=tuple(processes))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: replace(r, runtime={**r.runtime, "version": "v2.12"}), "different version of Paddle Lite: "),
        (lambda r: replace(r, runtime={**r.runtime, "build": "own", "sha256": "0" * 64}),
         "different build of Paddle Lite's library: "),
        (lambda r: replace(r, program={**r.program, "sha256": "1" * 64, "compiler": "gcc 99"}), "compiler of the program: "),
        (lambda r: replace(r, kit={**r.kit, "git": "a" * 40}), "different kit: "),
        (lambda r: replace(r, facts={**r.facts, "system": "Debian 99"}), "different system: "),
        (lambda r: replace(r, facts={**r.facts, "kernel": "Linux 99"}), "different kernel: "),
        (lambda r: replace(r, plan={**r.plan, "warmup": 99}), "plan, warm-up photos: "),
        (lambda r: replace(r, photos=(replace(r.photos[0], truth=()), *r.photos[1:])), "labelled with different plates"),
        (lambda r: replace(r, photos=r.photos[::-1]), "the same photos in a different order"),
        (lambda r: replace(r, photos=(replace(r.photos[0], sha256="2" * 64, name="x"), *r.photos[1:])), "only in B: x"),
        (lambda r: _cell(r, hashes={**r.cells[0].hashes, "rec": "3" * 64}), "different rec"),
        (lambda r: _cell(r, opt={"det": "v2.12"}), "made by a different opt: "),
        (lambda r: _cell(r, key="k", threads=2, side="max640", model="m"), "different threads: 1 and 2"),
        (lambda r: _cell(r, key="k", side="max640"), "different detector sides: "),
        (lambda r: _cell(r, key="k", model="m"), "different models: "),
        (lambda r: _each(r, affinity=[4, 5]), "ran on different cores: "),
    ],
)  # fmt: skip
def test_every_other_condition_is_named(skeleton: Result, change: Any, said: str) -> None:
    a = _each(replace(skeleton, facts={**skeleton.facts, "memory_kb": 4_000_000}), affinity=[0, 1])
    b = change(a)
    found = compare_results(a, b, replicates=50)
    new = set(found.notes) - set(compare_results(a, a, replicates=50).notes)
    assert any(said in note for note in new), found
    if "threads" in said:
        assert any(note.startswith("different models") for note in new) and any("detector sides" in note for note in new)


def test_a_result_that_tells_no_kinds_is_of_the_same_plates(skeleton: Result) -> None:
    def kinds(kind: dict[str, str]) -> Result:
        truth: Any = tuple({"text": plate["text"], "box": plate["box"], **kind} for plate in skeleton.photos[0].truth or ())
        assert truth
        return replace(skeleton, photos=(replace(skeleton.photos[0], truth=truth), *skeleton.photos[1:]))

    notes = compare_results(kinds({}), kinds({"kind": "blue"}), replicates=50).notes
    assert not any("different plates" in note for note in notes), notes


def test_a_few_kilobytes_of_memory_are_no_other_machine(skeleton: Result) -> None:
    def with_memory(size: int) -> Result:
        return replace(skeleton, facts={**skeleton.facts, "memory_kb": size})

    for size, told in ((4_000_004, False), (3_900_000, False), (2_000_000, True)):
        notes = compare_results(with_memory(4_000_000), with_memory(size), replicates=50).notes
        assert any("different memory" in note for note in notes) == told


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: replace(r, photos=r.photos[:1], processes=()), "different photos: 2 of list"),
        (lambda r: replace(r, device={**r.device, "board": "rpi4"}), "different board: 'rk3399' and 'rpi4'"),
        (lambda r: replace(r, device={**r.device, "kind": "host"}), "different kind of device"),
        (lambda r: replace(r, device={**r.device, "kind": "emulated"}), "the CPU is emulated"),
        (lambda r: replace(r, facts={**r.facts, "cores": 64}), "different CPU: cores"),
        (lambda r: replace(r, complete=False, why="interrupted"), "B is incomplete: interrupted"),
        (lambda r: replace(r, plan={**r.plan, "options": {"decode": "plate"}}), "different settings"),
        (lambda r: replace(r, cells=(replace(r.cells[0], key="other"),), processes=()), "no combination in common"),
    ],
)
def test_unlike_results_say_why(skeleton: Result, change: Any, reason: str) -> None:
    found = compare_results(skeleton, change(skeleton), replicates=200)
    assert any(reason in text for text in found.obstacles), found.obstacles
    assert not found.changes


def test_command_gates_and_writes_junit_and_markdown(skeleton: Result, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for name, slower in (("a", None), ("b", {"det_infer": 1.2})):
        save_result(tmp_path / name / "result.json", synthetic(skeleton, rng, slower))
    a, b = str(tmp_path / "a"), str(tmp_path / "b" / "result.json")
    runner = CliRunner()
    junit, text = tmp_path / "junit.xml", tmp_path / "compare.md"
    answer = runner.invoke(bench, ["compare", a, b, "--fail-if", "5%", "--junit", str(junit), "--markdown", str(text)])
    assert isinstance(answer.exception, NotValidError) and answer.exception.exit_code == 10
    assert "det infer x1.2" in answer.exception.message
    root = ElementTree.parse(junit).getroot()
    assert int(root.attrib["failures"]) == 2
    failed = [case.attrib["name"] for case in root.iter("testcase") if case.find("failure") is not None]
    assert failed == ["det_infer", "total"]
    assert "**regression**" in text.read_text() and "| det infer |" in text.read_text()
    assert runner.invoke(bench, ["compare", a, b]).exit_code == 0, "without --fail-if nothing fails"
    assert runner.invoke(bench, ["compare", b, a, "--fail-if", "5%"]).exit_code == 0, "faster is no regression"
    document = json.loads(runner.invoke(bench, ["compare", a, b, "--json"]).output)
    assert {change["what"] for change in document["regressions"]} == {"det_infer", "total"}
    assert runner.invoke(bench, ["compare", a, b, "--fail-if", "30%"]).exit_code == 0


def test_command_refuses_unlike_results_in_every_form(skeleton: Result, tmp_path: Path) -> None:
    save_result(tmp_path / "a.json", skeleton)
    save_result(tmp_path / "b.json", replace(skeleton, device={**skeleton.device, "board": "rpi4"}))
    junit = tmp_path / "junit.xml"
    words = ["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json"), "--junit", str(junit)]
    answer = CliRunner().invoke(bench, words)
    assert isinstance(answer.exception, InputError) and "different board" in answer.exception.message
    assert ElementTree.parse(junit).getroot().attrib["errors"] == "1"
    words[-1] = str(tmp_path / "other.xml")
    assert CliRunner().invoke(bench, [*words, "--across-kinds"]).exit_code == 0


@pytest.mark.parametrize("option", ["--junit", "--markdown"])
def test_a_file_is_replaced_only_by_force(skeleton: Result, tmp_path: Path, option: str) -> None:
    save_result(tmp_path / "a.json", skeleton)
    mine = tmp_path / "mine"
    mine.write_text("kept")
    words = ["compare", str(tmp_path / "a.json"), str(tmp_path / "a.json"), option, str(mine)]
    refused = CliRunner().invoke(bench, words)
    assert isinstance(refused.exception, UsageError) and str(mine) in refused.exception.message
    assert mine.read_text() == "kept"
    assert CliRunner().invoke(bench, [*words, "--force"]).exit_code == 0
    assert "No regression" in mine.read_text() or "<testsuites" in mine.read_text()


@pytest.mark.parametrize(("text", "value"), [("5%", 0.05), (" 2.5 % ", 0.025), ("0.1", 0.1), ("0", 0.0)])
def test_limits(text: str, value: float) -> None:
    assert parse_limit(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "five", "-5%", "500%", "5%%", "nan"])
def test_bad_limits(text: str) -> None:
    with pytest.raises(UsageError):
        parse_limit(text)


def slower_to_confirm(skeleton: Result, rng: np.random.Generator, folder: Path) -> list[str]:
    """Writes a result and one with a slower recogniser; returns the words that compare them and measure again."""
    save_result(folder / "a" / "result.json", synthetic(skeleton, rng))
    save_result(folder / "b" / "result.json", synthetic(skeleton, rng, {"rec_infer": 1.3}))
    return ["compare", str(folder / "a"), str(folder / "b"), "--fail-if", "5%", "--confirm", "--json"]


def test_confirming_run_drops_what_does_not_show_again(
    skeleton: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    words = slower_to_confirm(skeleton, rng, tmp_path)
    for again, code in ((synthetic(skeleton, rng), 0), (synthetic(skeleton, rng, {"rec_infer": 1.3}), 1)):
        monkeypatch.setattr("bench.compare.confirm.measure_again", lambda result, folder, again=again: again)
        answer = CliRunner().invoke(bench, words)
        document = json.loads(answer.output)
        assert (answer.exception is not None) == bool(code)
        verdicts = {change["what"]: change["verdict"] for change in document["changes"]}
        assert (verdicts["rec_infer"] == REGRESSION) == bool(code)
        assert any("measured again" in note for note in document["notes"])


def test_confirming_run_that_cannot_be_compared_acquits_nobody(
    skeleton: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    words = slower_to_confirm(skeleton, rng, tmp_path)
    broken = replace(synthetic(skeleton, rng), complete=False, why="the board was gone")
    monkeypatch.setattr("bench.compare.confirm.measure_again", lambda result, folder: broken)
    answer = CliRunner().invoke(bench, words)
    assert isinstance(answer.exception, NotValidError)
    document = json.loads(answer.output)
    assert any(change["what"] == "rec_infer" for change in document["regressions"])
    assert any("the board was gone" in note for note in document["notes"])


def test_gate_does_not_pass_what_nothing_can_be_said_of(skeleton: Result, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    a, b = synthetic(skeleton, rng), synthetic(skeleton, rng, {"det_infer": 3.0})
    for name, side in (("a", a), ("b", b)):
        single = replace(side, processes=side.processes[:1], plan={**side.plan, "processes": 1})
        save_result(tmp_path / name / "result.json", single)
    words = ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--junit", str(tmp_path / "j.xml")]
    loose = CliRunner().invoke(bench, words)
    assert loose.exit_code == 0 and "nothing can be said about" in loose.output
    gate = CliRunner().invoke(bench, [*words, "--fail-if", "5%", "--force"])
    assert isinstance(gate.exception, InputError) and "--plan default" in gate.exception.hint
    cases = ElementTree.parse(tmp_path / "j.xml").iter("testcase")
    assert {case.get("name") for case in cases if case.find("skipped") is not None} == set(KEYS)


def test_stage_that_most_photos_pass_over_is_named_not_dropped(skeleton: Result) -> None:
    quiet = tuple(
        replace(process, ms={**process.ms, "rec_infer": (0.0,) * len(process.times)}) for process in skeleton.processes
    )
    found = compare_results(skeleton, replace(skeleton, processes=quiet), across_kinds=True)
    assert any("not compared" in note and "rec_infer" in note for note in found.notes)


def test_other_knobs_of_the_board_cannot_be_compared_or_confirmed(skeleton: Result, tmp_path: Path) -> None:
    from bench.compare.confirm import measure_again
    from edge.base.errors import DeviceError

    fast = replace(skeleton, tuning={"knobs": {"governor": "performance"}, "settings": [], "problems": []})
    assert compare_results(skeleton, fast).obstacles[-1] == "different knobs of the board: none and governor=performance"
    assert not any("knobs" in text for text in compare_results(fast, fast).obstacles)
    with pytest.raises(DeviceError, match="--tune-board"):
        measure_again(fast, tmp_path)


def test_measuring_again_uses_the_same_release_and_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.compare.confirm import measure_again
    from edge.base.errors import DeviceError

    target = fake_target(tmp_path)
    result = Session(target, fake_plan(processes=1), tmp_path / "out", sample_seconds=0).run()
    monkeypatch.setattr("bench.compare.confirm.open_target", lambda *args, **options: target)
    monkeypatch.setattr("bench.compare.confirm.find_device", lambda name: name)
    again = measure_again(result, tmp_path / "out")
    assert again.plan == result.plan and again.created != result.created
    assert (tmp_path / "out" / "confirm-1" / "result.json").is_file()
    with pytest.raises(DeviceError, match="runs release"):
        measure_again(replace(result, release="f" * 20), tmp_path / "out")
