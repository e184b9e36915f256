"""Another chip's name in /proc/cpuinfo, for one program only."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from sshd_server import SshServer

from edge.base.errors import DeviceError, VerifyError
from edge.device.probe import Probe, probe
from edge.device.soc_alias import ALIAS, AliasTransport, accept_answers
from edge.plate.answer import Answer, ReadPlate
from edge.transport.connect import connect


def with_dot(truth: Probe) -> Probe:
    """This host pretends to have the dot product; the file that is mounted over is its real one."""
    return dataclasses.replace(
        truth, cores=tuple(dataclasses.replace(core, features=("asimddp",)) for core in truth.cores)
    )


@pytest.fixture
def alias(ssh_board: SshServer) -> AliasTransport:
    transport = connect(ssh_board.device())
    try:
        return AliasTransport(transport, with_dot(probe(transport, "/")))
    except DeviceError as error:
        pytest.skip(str(error))


def test_program_sees_the_other_name_and_nobody_else_does(alias: AliasTransport, ssh_board: SshServer) -> None:
    here = Path("/proc/cpuinfo").read_text()
    seen = alias.run_check(["cat", "/proc/cpuinfo"]).stdout
    assert seen.count(f"Hardware\t: {ALIAS}\n") == 1
    assert seen.count("processor\t") == here.count("processor\t"), "the rest stays as it is"
    assert ALIAS not in connect(ssh_board.device()).run_check(["cat", "/proc/cpuinfo"]).stdout
    assert ALIAS not in Path("/proc/cpuinfo").read_text()
    assert "plate" not in connect(ssh_board.device()).run_check(["cat", "/proc/mounts"]).stdout


def test_arguments_codes_and_signals_come_through(alias: AliasTransport) -> None:
    result = alias.run(["sh", "-c", 'echo "$1|$X"; exit 9', "sh", "it's $(id)"], env={"X": "y"}, cwd="/tmp")
    assert (result.stdout, result.code) == ("it's $(id)|y\n", 9)
    assert alias.run(["sh", "-c", "kill -SEGV $$"]).signal == 11


def test_board_that_gains_nothing_is_told(ssh_board: SshServer) -> None:
    transport = connect(ssh_board.device())
    truth = probe(transport, "/")
    with pytest.raises(DeviceError, match="no int8 dot product"):
        AliasTransport(transport, dataclasses.replace(truth, cores=()))
    with pytest.raises(DeviceError, match="not Linux"):
        AliasTransport(transport, dataclasses.replace(truth, system="android"))


def test_board_that_does_not_allow_it_is_told(ssh_board: SshServer) -> None:
    if not ssh_board.own_users:
        pytest.skip("only root can give the server users of its own")
    transport = connect(ssh_board.device(user="plain"))
    as_root = dataclasses.replace(with_dot(probe(transport, "/")), is_root=True)
    with pytest.raises(DeviceError, match="does not allow") as refusal:
        AliasTransport(transport, as_root)
    assert "root" in refusal.value.hint


def answer(text: str, score: float, ms: float) -> Answer:
    return Answer("a.jpg", (ReadPlate(np.zeros((4, 2)), text, score),), ms={"total": ms})


def test_it_is_accepted_only_with_equal_answers() -> None:
    plain = [answer("皖A12345", 0.9, 10.0), Answer("b.jpg", error="cannot be read")]
    fast = [answer("皖A12345", 0.9, 5.0), Answer("b.jpg", error="cannot be read")]
    assert accept_answers(plain, fast, "orange") == fast, "times may differ"
    for other in (answer("皖A12345", 0.91, 5.0), answer("皖A12346", 0.9, 5.0), Answer("a.jpg", error="x")):
        with pytest.raises(VerifyError, match=r"Under the name SM8150, orange reads .* in a.jpg, and 皖A12345") as refusal:
            accept_answers(plain, [other, fast[1]], "orange")
        assert "without --soc-alias" in refusal.value.hint
