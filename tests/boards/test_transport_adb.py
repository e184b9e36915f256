"""The real adb client against a test adbd: what state a device is in, and what is said about it."""

from __future__ import annotations

import dataclasses
import socket
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from adbd_services import TestDevice
from free_port import free_port

from edge.base.errors import HostError, LinkError
from edge.device.board import Device, load_profile
from edge.protocol.base import AccessError, Call
from edge.transport.connect import connect, device_root


def phone(of: TestDevice, **change: object) -> Device:
    made = Device("phone", load_profile("android-arm64"), "adb", serial=of.serial, root="/data/local/tmp/plate-edge")
    return dataclasses.replace(made, **change)  # type: ignore[arg-type]


@pytest.fixture
def other_phone(adb_phone: TestDevice, tmp_path: Path) -> Iterator[TestDevice]:
    second = TestDevice(tmp_path / "other")
    yield second
    second.close()
    subprocess.run(["adb", "disconnect", second.serial], capture_output=True, check=False)


def test_phone_that_asks_is_confirmed_once(adb_phone: TestDevice) -> None:
    adb_phone.settings.auth = "ask"
    transport = connect(phone(adb_phone))
    assert transport.run_check(["getprop", "ro.product.model"]).stdout == "Standin 1\n"
    assert len(adb_phone.settings.keys) == 1
    # From now on the key's signature is enough: nobody is at the phone any more.
    adb_phone.settings.auth = "refuse"
    subprocess.run(["adb", "disconnect", adb_phone.serial], capture_output=True, check=True)
    transport.close()
    assert transport.run_check(["getprop", "ro.product.model"]).stdout == "Standin 1\n"


def test_slow_first_contact_takes_nothing_of_the_programs_time(
    adb_phone: TestDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the adb server had taken a minute to start.
    monkeypatch.setattr("edge.protocol.base.Call", partial(Call, started=time.monotonic() - 60))
    assert connect(phone(adb_phone)).run(["echo", "here"], timeout=30).stdout == "here\n"


def test_phone_that_was_not_authorised(adb_phone: TestDevice) -> None:
    adb_phone.settings.auth = "refuse"
    with pytest.raises(AccessError, match="not authorised") as refusal:
        connect(phone(adb_phone)).run(["true"])
    assert "screen" in refusal.value.hint
    # The person confirms on the phone: the same command works.
    adb_phone.settings.auth = "ask"
    subprocess.run(["adb", "disconnect", adb_phone.serial], capture_output=True, check=True)
    assert connect(phone(adb_phone)).run(["true"]).code == 0


def test_phone_that_is_offline(adb_phone: TestDevice) -> None:
    adb_phone.settings.mute = True
    with pytest.raises(LinkError) as failure:
        connect(phone(adb_phone)).run(["true"])
    assert "offline" in str(failure.value) or "cannot connect" in str(failure.value)
    assert failure.value.hint


def test_nothing_listens(adb_phone: TestDevice) -> None:
    port = free_port()
    with pytest.raises(LinkError, match=f"cannot connect to 127.0.0.1:{port}"):
        connect(phone(adb_phone, serial=f"127.0.0.1:{port}")).run(["true"])


def test_serial_that_is_not_attached_names_those_that_are(adb_phone: TestDevice) -> None:
    subprocess.run(["adb", "connect", adb_phone.serial], capture_output=True, check=True)
    with pytest.raises(LinkError, match=f"does not see ABC123.*{adb_phone.serial}") as failure:
        connect(phone(adb_phone, serial="ABC123")).run(["true"])
    assert "USB debugging" in failure.value.hint


def test_the_only_one_attached_and_several(adb_phone: TestDevice, other_phone: TestDevice) -> None:
    unnamed = phone(adb_phone, serial="")
    with pytest.raises(LinkError, match="any device; attached: nothing"):
        connect(unnamed).run(["true"])
    subprocess.run(["adb", "connect", adb_phone.serial], capture_output=True, check=True)
    assert connect(unnamed).run(["true"]).code == 0
    subprocess.run(["adb", "connect", other_phone.serial], capture_output=True, check=True)
    with pytest.raises(AccessError, match="several devices") as failure:
        connect(unnamed).run(["true"])
    assert adb_phone.serial in failure.value.message and other_phone.serial in failure.value.message
    assert connect(phone(other_phone)).run(["true"]).code == 0


def test_no_adb_client(adb_phone: TestDevice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with monkeypatch.context() as patch, pytest.raises(HostError, match="not installed") as failure:
        patch.setenv("PATH", str(tmp_path))
        connect(phone(adb_phone)).run(["true"])
    assert "apt install adb" in failure.value.hint


def test_an_adb_server_that_hangs_is_not_waited_for(adb_phone: TestDevice) -> None:
    """The client itself would wait for ever."""
    # Put back at once: on its way out the phone's fixture would start a server of adb's at this port, and leave it there.
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(silent.getsockname()[1]))
        monkeypatch.setattr("edge.transport.adb.CLIENT_TIMEOUT", 0.5)
        with pytest.raises(LinkError, match="adb server of this host does not answer") as failure:
            connect(phone(adb_phone)).run(["true"])
        assert "adb kill-server" in failure.value.hint


def test_reboot_in_between(adb_phone: TestDevice) -> None:
    transport = connect(phone(adb_phone))
    assert device_root(transport, phone(adb_phone)) == "/data/local/tmp/plate-edge"
    transport.run_check(["true"])
    subprocess.run(["adb", "-s", adb_phone.serial, "reboot"], capture_output=True, check=True)
    deadline = time.monotonic() + 600
    failures = 0
    while True:
        try:
            assert transport.run(["true"]).code == 0
            break
        except LinkError as error:
            assert error.hint
            failures += 1
            assert time.monotonic() < deadline, "never came back"
            time.sleep(0.2)
    assert adb_phone.reboots == 1


@pytest.mark.parametrize("features", [("shell_v2", "cmd", "stat_v2"), ()], ids=["new", "old"])
def test_execute_bit_survives(adb_phone: TestDevice, tmp_path: Path, features: tuple[str, ...]) -> None:
    adb_phone.settings.features = features
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\necho "ran: $1" >&2\nexit 3\n')
    transport = connect(phone(adb_phone))
    transport.put(program, "/data/local/tmp/kit/program", mode=0o755)
    result = transport.run(["/data/local/tmp/kit/program", "it's $(x)"])
    assert (result.code, result.stderr) == (3, "ran: it's $(x)\n")
