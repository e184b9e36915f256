"""A program that a signal ended is called so, and no cause is named that was not looked at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from convert.opt.failures import explain
from convert.proof.children import Job, run_network
from edge.base.errors import EdgeError, HostError, ModelError
from edge.bundle.zoo import run_edge
from edge.host import ending, processor
from edge.host.processor import Processor, check_processor, parse_processor
from edge.runtime import paddle_inference, paddle_lite
from edge.start.doctor import examine_processor

ATOM = "pni ssse3 sse4_2"
IVY = f"{ATOM} avx f16c"
HASWELL = f"{IVY} avx2 fma"
COOPER = f"{HASWELL} avx512f avx512_vnni"


def cpu(flags: str, machine: str = "x86_64") -> Processor:
    return parse_processor(f"processor\t: 0\nmodel name\t: Test 1\nflags\t\t: {flags}\n", machine)


@pytest.mark.parametrize(
    ("flags", "lite", "paddle"),
    [(ATOM, "fail", "warn"), (IVY, "fail", "ok"), (HASWELL, "ok", "ok"), (COOPER, "ok", "ok")],
)
def test_the_doctor_says_what_a_processor_can_run(flags: str, lite: str, paddle: str) -> None:
    found = {finding.name: finding for finding in examine_processor(cpu(flags))}
    assert (found["Paddle Lite here"].level, found["Paddle here"].level) == (lite, paddle)
    assert found["processor"].message.startswith("Test 1: sse4_2")
    if lite == "fail":
        assert "lacks" in found["Paddle Lite here"].message and "avx2" in found["Paddle Lite here"].message
        assert "Haswell" in found["Paddle Lite here"].hint
    assert "bytes only" in found["int8 here"].message


def test_another_architecture_and_a_virtual_machine_are_named() -> None:
    (arm,) = examine_processor(Processor("", "aarch64", frozenset({"asimd"})))
    assert arm.level == "fail" and "aarch64" in arm.message and "x86-64" in arm.hint
    (lite, *_) = [finding for finding in examine_processor(cpu(f"{ATOM} hypervisor")) if finding.level == "fail"]
    assert "virtual machine" in lite.hint and "-cpu host" in lite.hint


def test_doctor_prints_the_processor_as_json(own_cache: Path) -> None:
    command = [sys.executable, "-m", "edge", "doctor", "--no-devices", "--json"]
    document = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    here = document["processor"]
    assert sorted([*here["has"], *here["lacks"]]) == sorted(processor.SHOWN)
    assert here["machine"] == os.uname().machine


def test_a_library_is_not_started_where_it_would_be_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processor, "host_processor", lambda: cpu(ATOM))
    monkeypatch.setattr(paddle_lite, "prepare_process", lambda: None)
    with pytest.raises(HostError, match=r"Paddle Lite needs .* avx, avx2, fma.* \(Test 1\) lacks"):
        paddle_lite.LiteNetwork(tmp_path / "a.nb")
    with pytest.raises(HostError, match="Paddle Inference needs a processor with avx"):
        paddle_inference.open_predictor(tmp_path / "a.pdmodel", tmp_path / "a.pdiparams")
    monkeypatch.setattr(processor, "host_processor", lambda: cpu(IVY))
    check_processor("Paddle")


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> object:
    """Makes every child process that Python starts end by a signal."""

    def die_by(name: str, flags: str = HASWELL) -> None:
        script = tmp_path / "python"
        script.write_text(f"#!/bin/sh\nkill -{name} $$\n")
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))
        monkeypatch.setattr(ending, "host_processor", lambda: cpu(flags))

    return die_by


def failures(tmp_path: Path) -> list[EdgeError]:
    """What each command that starts a runtime in a child process makes of its end."""
    (tmp_path / "det.nb").write_bytes(b"nb")
    calls = (
        lambda: run_network(Job("lite", (tmp_path / "det.nb",)), []),
        lambda: paddle_lite._try_loading(tmp_path / "det.nb"),
        lambda: run_edge(["convert", "nb", "x"]),
    )
    caught = []
    for call in calls:
        with pytest.raises(EdgeError) as error:
            call()
        caught.append(error.value)
    return caught


def test_an_illegal_instruction_is_named_with_what_the_processor_lacks(dying: object, tmp_path: Path) -> None:
    dying("ILL", IVY)  # type: ignore[operator]
    for error in [*failures(tmp_path), explain("", -4, "2.13rc0", "x86")]:
        assert isinstance(error, HostError)
        assert "SIGILL (an illegal instruction)" in error.message and "(Test 1) lacks avx2, fma" in error.message
        assert "Haswell" in error.hint and "onvert the model again" not in str(error)


def test_a_cause_that_was_not_looked_at_is_not_named(dying: object, tmp_path: Path) -> None:
    """All that is known to be needed is there: what is missing is said, and that it is a report's matter."""
    dying("ILL")  # type: ignore[operator]
    for error in failures(tmp_path):
        assert "has what Paddle Lite is known to need; it lacks avx512f, avx512_vnni" in error.message
        assert "may" in error.hint and "edge doctor --json" in error.hint
    dying("ILL", COOPER)  # type: ignore[operator]
    for error in failures(tmp_path):
        assert "has every feature that the kit knows of" in error.message


def test_other_signals_keep_their_own_words(dying: object, tmp_path: Path) -> None:
    dying("SEGV")  # type: ignore[operator]
    for error in failures(tmp_path):
        assert isinstance(error, ModelError) and "SIGSEGV (a segmentation fault)" in error.message
    dying("KILL")  # type: ignore[operator]
    for error in failures(tmp_path):
        assert isinstance(error, HostError) and "SIGKILL" in error.message and "dmesg" in error.hint


def test_numbers_that_are_no_signal() -> None:
    assert [ending.signal_number(code) for code in (0, 1, 128, 139, -4, 255)] == [0, 0, 0, 11, 4, 0]
    assert ending.ended_by(50) == "was ended by signal 50"
