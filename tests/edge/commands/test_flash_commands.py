"""`edge flash`, `bundle` and `shell` as a user types them, on the local board."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "boards"))

from flashkit import make_release

from edge.base.errors import DeviceError
from edge.bundle.bundle import save_bundle
from edge.bundle.zoo import SHIPPED
from edge.commands.flash import shell
from edge.device.inventory import add_device

OWN = SHIPPED / "plate-v1"


@pytest.fixture
def edge(own_cache: Path, tmp_path: Path) -> object:
    def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "edge", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, **environment},
            check=False,
        )

    return call


def test_a_bundle_file_goes_to_the_local_board(edge: object, tmp_path: Path) -> None:
    assert callable(edge)
    bundle = make_release(tmp_path, "皖A12345")
    file = save_bundle(bundle, tmp_path / "my bundle.tar")
    empty = edge("status")
    assert "nothing installed" in empty.stdout and "edge flash --device local" in empty.stdout
    done = edge("flash", "--bundle", str(file))
    assert done.returncode == 0, done.stderr
    assert bundle.hash in done.stdout and "reads 皖A12345" in done.stdout
    # Steps go to stderr, so that stdout can be piped.
    assert "verify on the board" in done.stderr and "verify on the board" not in done.stdout
    again = edge("flash", "--bundle", str(file), "--json")
    assert json.loads(again.stdout)["already"] is True
    assert bundle.hash in edge("status").stdout
    shell = edge("shell", "--device", "local", "--", "ls", "bin")
    assert shell.stdout.split() == ["plate_ocr"]
    assert edge("shell", "--device", "local", "--", "sh", "-c", "exit 5").returncode == 5
    back = edge("rollback")
    assert back.returncode == 2 and "no earlier release" in back.stderr


@pytest.mark.parametrize("way", ["ssh", "adb"])
def test_a_shell_opens_on_a_board_that_runs_nothing_else(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose login shows a menu, or whose user has no home, can only be looked at by hand."""
    inventory = tmp_path / "devices.yml"
    add_device("gate", {"board": "rk3588", way: "gate", "root": "~/kit"}, inventory=inventory)

    def refuse(*_: object) -> None:
        raise DeviceError("The login waits for an answer.")

    transport = f"edge.transport.{way}.{way.title()}Transport"
    monkeypatch.setattr(f"{transport}._run", refuse)
    monkeypatch.setattr(f"{transport}.shell", lambda self, argv=None: len(argv or ()))
    for command in ([], ["ls", "-l"]):
        answer = CliRunner().invoke(shell, ["--device", "gate", "--inventory", str(inventory), "--", *command])
        assert answer.exit_code == len(command), answer.exception


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["flash", "--device", "nowhere"], 2, "no device 'nowhere'"),
        (["flash", "--det", "."], 2, "--det and --rec belong together"),
        (["flash", "--precision", "fp12"], 2, "'fp12' is not one of 'fp32', 'int8'"),
        (["flash", "--det", ".", "--rec", ".", "--models", "plate-v1"], 2, "names the kit's models"),
        (["flash", "--det", f"{OWN}/det-fp32", "--rec", f"{OWN}/rec-fp32", "--precision", "int8"], 2, "are fp32"),
        (["flash", "--bundle", __file__, "--models", "plate-v1"], 2, "already holds its models and settings"),
        (["flash", "--set", "nonsense"], 2, "is not KEY=VALUE"),
        (["flash", "--models", "nonsense"], 2, "no model set 'nonsense'"),
        (["clean", "--keep", "0"], 2, "the current release always stays"),
        (["rollback", "--to", "abc"], 2, "names no release"),
        (["bundle", "--device", "rk3399"], 5, "edge runtime get rk3399"),
        (["virtual", "ssh", "nowhere"], 2, "edge virtual up nowhere"),
        (["runtime", "get", "rk3399", "--mirror", "ftp://x"], 3, "not an http or https address"),
    ],
)
def test_what_does_not_work_is_explained(arguments: list[str], code: int, says: str, edge: object) -> None:
    assert callable(edge)
    answer = edge(*arguments)
    assert says in answer.stderr
    assert answer.returncode == code
    assert "Traceback" not in answer.stderr
