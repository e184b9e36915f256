"""Instruction counts: right to the last one on a known program, repeatable, and a gate for our own stages."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.cli import bench
from bench.commands.count import parse_count
from bench.counting.count import build_plugin, parse_counts, run_counted
from bench.record.events import STAGES
from edge.base.errors import DeviceError, NotValidError, UsageError
from edge.photo.listing import SAMPLES

ROOT = Path(__file__).resolve().parents[3]
needs_arm = pytest.mark.skipif(
    not (shutil.which("qemu-aarch64") and shutil.which("aarch64-linux-gnu-gcc")),
    reason="no qemu-user or no cross compiler (Debian: qemu-user, g++-aarch64-linux-gnu)",
)

# Two photos; stage n of the first does 100,000 * (n + 1) rounds of a loop of two instructions, the second half of it.
PROGRAM = r"""
#include <sys/syscall.h>
#include <unistd.h>
static void loop(long rounds) { __asm__ volatile("1: subs %0, %0, #1\n b.ne 1b" : "+r"(rounds) : : "cc"); }
static void mark(long stage) { syscall(SYS_getpriority, 0x504C4154, stage); }
int main(void) {
    for (long photo = 1; photo <= 2; ++photo) {
        mark(-1);
        for (long stage = 0; stage < 8; ++stage) { loop(100000 * (stage + 1) / photo); mark(stage); }
        mark(8);
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("count")
    (folder / "known.c").write_text(PROGRAM)
    command = ["aarch64-linux-gnu-gcc", "-O1", "-o", str(folder / "known"), str(folder / "known.c")]
    subprocess.run(command, check=True)
    return folder / "known"


@needs_arm
def test_known_program_is_counted_to_a_few_instructions(known: Path) -> None:
    counts = run_counted("arm64", "cortex-a72", known, known.parent, [])
    for number, stage in enumerate(STAGES):
        # Besides the loop there are the calls themselves, some tens of instructions.
        assert 0 <= counts.first.stages[stage] - 200_000 * (number + 1) < 5_000
        assert 0 <= counts.steady[0].stages[stage] - 100_000 * (number + 1) < 200
    assert counts.process >= counts.first.total + counts.steady[0].total


@needs_arm
def test_ten_runs_agree(known: Path) -> None:
    totals = [run_counted("arm64", "cortex-a72", known, known.parent, []).steady[0].total for _ in range(10)]
    print(f"ten runs: {min(totals)} to {max(totals)}")
    assert max(totals) - min(totals) <= 0.001 * min(totals)


@needs_arm
def test_program_without_markers_or_with_a_failure_is_refused(tmp_path: Path) -> None:
    for code, message in (
        ("int main(void) { return 0; }", "marked 0 photos"),
        ("int main(void) { return 3; }", "ended with code 3"),
    ):
        (tmp_path / "a.c").write_text(code)
        subprocess.run(["aarch64-linux-gnu-gcc", "-o", str(tmp_path / "a"), str(tmp_path / "a.c")], check=True)
        with pytest.raises(DeviceError, match=message):
            run_counted("arm64", "cortex-a72", tmp_path / "a", tmp_path, [])


def test_plugin_compiles_without_warnings_and_is_kept() -> None:
    assert build_plugin() == build_plugin()


def test_counts_are_parsed() -> None:
    lines = ["5 999"]
    for factor in (2, 1, 1):
        lines += ["-1 77", *(f"{number} {10 * factor}" for number in range(8)), "4 5", "8 3"]
    counts = parse_counts("\n".join([*lines, "end 100000"]))
    assert counts.first.stages["crop"] == 25 and counts.typical()["crop"] == 15 and counts.process == 100_000
    with pytest.raises(DeviceError):
        parse_counts("end 5")


@pytest.mark.parametrize(("text", "value"), [("60M", 60e6), ("1.5G", 1.5e9), ("12", 12.0)])
def test_limits(text: str, value: float) -> None:
    assert parse_count(text) == value


@pytest.mark.parametrize("words", [["--fail-above", "many"], ["--device", "local"], ["--device", "android-arm64"]])
def test_what_cannot_be_counted_says_why(words: list[str]) -> None:
    answer = CliRunner().invoke(bench, ["count", *words])
    assert isinstance(answer.exception, UsageError) and answer.exception.hint


# What issue 5 asks for; blue-day.jpg has a plate of 275 x 95 pixels.
LIMITS = {"max:640": 20e6, "min:736": 60e6}


@needs_arm
def test_our_own_stages_stay_within_their_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("paddle", "rapidocr_onnxruntime"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"the published models need {name}")
    if shutil.which("aarch64-linux-gnu-g++") is None:
        pytest.skip("no cross compiler (Debian: g++-aarch64-linux-gnu)")
    sys.path.insert(0, str(ROOT / "tests" / "replay"))
    from replay_runtime import build_replay, record

    from edge.bundle.toolchain import build_program
    from edge.bundle.zoo import ensure_models
    from edge.device.board import Device, load_profile
    from edge.release.install import ensure_installed

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    photo = SAMPLES / "blue-day.jpg"
    local = Device("local", load_profile("local"), "local", root=str(tmp_path / "board"))
    host = ensure_installed(local, ["ppocrv3"], ["fp32"])
    config = Path(host.path) / "models/ppocrv3-fp32/plate.conf"
    pair = ensure_models("ppocrv3", ["fp32"], "arm")["fp32"]
    for side, limit in LIMITS.items():
        kind, _, pixels = side.partition(":")
        options = ("--det-limit-type", kind, "--det-limit-side", pixels)
        runs = record(build_program("host").program, config, [photo], tmp_path / f"runs-{kind}", *options)
        replay = build_replay("arm64", {pair.det.file(".nb"): runs["det"], pair.rec.file(".nb"): runs["rec"]})
        words = ["count", "--det-side", side, "--photos", str(photo), "--runtime", str(replay), "--json"]
        answer = CliRunner().invoke(bench, [*words, "--fail-above", str(int(limit))], catch_exceptions=False)
        (row,) = json.loads(answer.stdout)["rows"]
        print(side, {stage: row["steady"][stage] for stage in STAGES}, "ours", row["ours"])
        document = json.loads(answer.stdout)
        assert row["library_sha256"] == document["library"]["sha256"] and document["library"]["compilers"]
        assert row["replay"] and row["steady"]["det_infer"] is None and row["photo"] is None
        assert 1_000_000 < row["ours"] <= limit
    refused = CliRunner().invoke(bench, [*words, "--fail-above", "1k"])
    assert isinstance(refused.exception, NotValidError)


def test_the_build_of_a_library_is_named(tmp_path: Path) -> None:
    from bench.counting.build import read_build
    from edge.base.errors import VerifyError
    from edge.base.paths import sha256_file

    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc")
    (tmp_path / "a.c").write_text("int f(void) { return 1; }")
    digests = set()
    for name, flags in (("plain.so", ["-O1"]), ("told.so", ["-O2", "-frecord-gcc-switches"])):
        path = tmp_path / name
        subprocess.run([compiler, "-shared", "-fPIC", *flags, "-o", str(path), str(tmp_path / "a.c")], check=True)
        build = read_build(path)
        assert build.sha256 == sha256_file(path) and build.sha256 in str(build)
        assert any("GCC" in text for text in build.compilers) and build.compilers[0] in str(build)
        assert ("-O2" in (build.flags or "")) == (name == "told.so")
        digests.add(build.to_json()["sha256"])
    assert len(digests) == 2
    subprocess.run(["strip", "-R", ".comment", str(tmp_path / "plain.so")], check=True)
    assert "compiler unknown, flags not recorded" in str(read_build(tmp_path / "plain.so"))
    with pytest.raises(VerifyError, match="cannot be read"):
        read_build(tmp_path / "a.c")
