"""The real program, runtime and models on a real sshd, with the host as board: what `edge flash` is for."""

from __future__ import annotations

import importlib.util
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flashkit import commands_of
from sshd_server import SshServer

from bench.cli import bench
from edge.base.errors import DeviceError
from edge.commands.run import run as edge_run
from edge.device.board import Device
from edge.device.probe import Probe
from edge.photo.listing import SAMPLES
from edge.release.flash import flash
from edge.release.install import build_bundle, ensure_installed, host_answers, is_installed
from edge.release.releases import Release, current_release, look
from edge.transport.connect import connect, device_root

# The models and the build are shared with whoever runs the tests; `ssh_board` gives each test another HOME.
CACHE = Path(os.environ.get("PLATE_EDGE_CACHE", Path.home() / ".cache" / "plate-edge"))


@pytest.fixture
def device(ssh_board: SshServer, monkeypatch: pytest.MonkeyPatch) -> Device:
    for name in ("paddle", "rapidocr_onnxruntime"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"the published models need {name}")
    monkeypatch.setenv("PLATE_EDGE_CACHE", str(CACHE))
    return ssh_board.device("real")


def read_sample(device: Device, release: Release) -> list[str]:
    argv, env = release.command("ppocrv3-fp32", "run", release.samples[0])
    answer = connect(device).run_check(argv, env=env, timeout=600)
    return [plate["text"] for plate in json.loads(answer.stdout)["plates"]]


def test_the_real_thing_from_nothing_to_plates(device: Device) -> None:
    labels = json.loads((SAMPLES / "labels.json").read_text(encoding="utf-8"))
    steps: list[str] = []
    release = ensure_installed(device, ["ppocrv3"], ["fp32"], steps.append)
    assert any(step.startswith("smoke") for step in steps)
    photo = Path(release.samples[0]).name
    assert read_sample(device, release) == [plate["text"] for plate in labels[photo]]

    # Nothing changed: no step of a flash is made.
    steps.clear()
    transport = connect(device)
    asked, again = commands_of(transport, lambda: ensure_installed(device, ["ppocrv3"], ["fp32"], steps.append))
    assert again.hash == release.hash and asked <= 4
    assert not any(step.startswith(("push", "verify", "smoke")) for step in steps)

    # The answer of the board was compared with this host's own.
    bundle = build_bundle(device.board, ["ppocrv3"], ["fp32"])
    root = device_root(transport, device)
    expected = host_answers(device, bundle, ["ppocrv3"], ["fp32"])
    assert expected["ppocrv3-fp32"].texts == [plate["text"] for plate in labels[photo]]
    asked, done = commands_of(transport, lambda: flash(transport, root, bundle, expected=expected))
    assert done.already and asked <= 3

    # A library is cut short behind our back: seen by its size, repaired, and nothing else is sent.
    library = Path(root) / "current/lib/liblite_pybind.so"
    os.truncate(library, 1000)
    assert not is_installed(transport, root, bundle)
    assert ensure_installed(device, ["ppocrv3"], ["fp32"], transport=transport).hash == release.hash
    assert read_sample(device, release) == [plate["text"] for plate in labels[photo]]


def test_another_name_for_the_chip(
    device: Device, ssh_board: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--soc-alias` of `edge run` and `bench run`; this host has no int8 dot product, so that it must pretend."""
    import edge.device.soc_alias

    inventory = tmp_path / "devices.yml"
    inventory.write_text("schema: plate-edge/devices/1\ndevices:\n" + ssh_board.entry("real"))
    ensure_installed(device, ["ppocrv3"], ["fp32"])
    photo = sorted(SAMPLES.glob("*.jpg"))[0]
    words = ["--device", "real", "--inventory", str(inventory), "--models", "ppocrv3", "--soc-alias", "--json"]

    refused = CliRunner().invoke(edge_run, [*words, str(photo)])
    assert isinstance(refused.exception, DeviceError) and "no int8 dot product" in str(refused.exception)

    honest = edge.device.soc_alias.probe

    def pretend(*arguments: Any) -> Probe:
        truth = honest(*arguments)
        return replace(truth, cores=tuple(replace(core, features=("asimddp",)) for core in truth.cores))

    monkeypatch.setattr(edge.device.soc_alias, "probe", pretend)
    answer = CliRunner().invoke(edge_run, [*words, str(photo)])
    if isinstance(answer.exception, DeviceError) and "mount namespace" in str(answer.exception):
        pytest.skip(str(answer.exception))
    told = json.loads(answer.stdout)
    assert told["soc_alias"] == "SM8150" and told["photos"][0]["plates"]

    plan = tmp_path / "plan.yml"
    plan.write_text("processes: 1\nwarmup: 0\nwarmup_ms: 0\nrepeats: 1\nmin_ms: 0\nprecisions: [fp32]\n")
    out = tmp_path / "out"
    more = ["--installed", "--plan", str(plan), "--photos", str(photo), "--out", str(out), "--quiet"]
    answer = CliRunner().invoke(bench, ["run", *words, *more])
    assert answer.exit_code == 0, answer.output
    result = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert result["device"]["soc_alias"] == "SM8150" and any("--soc-alias" in note for note in result["notes"])
    assert "the runtime was told SM8150" in (out / "report.md").read_text(encoding="utf-8")
    # Nothing of it is left on the board.
    assert "SM8150" not in connect(device).run_check(["cat", "/proc/cpuinfo", "/proc/mounts"]).stdout


def test_settings_make_another_release(device: Device) -> None:
    transport = connect(device)
    root = device_root(transport, device)
    small = ensure_installed(device, ["ppocrv3"], ["fp32"], settings={"det_limit_side": "384"}, transport=transport)
    assert look(transport, root).current == small.hash
    conf = transport.run_check(["cat", f"{small.path}/models/ppocrv3-fp32/plate.conf"]).stdout
    assert "det_limit_side = 384" in conf.splitlines()
    release = current_release(transport, root)
    assert release is not None and release.variants == ["ppocrv3-fp32"]
