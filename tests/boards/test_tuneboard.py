"""Knobs of a board over real ssh: set, recorded, and put back whatever happens to this host, the link or the board."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sshd_server import SshServer

from bench.conditions.board_tuner import BoardTuner
from bench.conditions.knobs import cpu_list, cpu_mask, parse_knobs
from edge.base.errors import DeviceError, UsageError
from edge.transport.ssh import SshTransport

BEFORE = {"scaling_governor": "ondemand", "scaling_max_freq": "1800000", "scaling_min_freq": "408000"}
KNOBS = {"governor": "performance", "max_mhz": "1416", "boost": "off"}


@pytest.fixture
def sysfs(tmp_path: Path, ssh_board: SshServer) -> Path:
    """A board's /sys with two clusters."""
    root = tmp_path / "fake sys"
    for number in (0, 4):
        policy = root / f"devices/system/cpu/cpufreq/policy{number}"
        policy.mkdir(parents=True)
        for name, value in BEFORE.items():
            (policy / name).write_text(value + "\n")
    (root / "devices/system/cpu/cpufreq/boost").write_text("1\n")
    return root


def held(sysfs: Path) -> dict[str, set[str]]:
    """What the files hold: name to the values of both clusters."""
    found: dict[str, set[str]] = {}
    for path in sysfs.rglob("*"):
        if path.is_file():
            found.setdefault(path.name, set()).add(path.read_text().strip())
    return found


ORIGINAL = {**{name: {value} for name, value in BEFORE.items()}, "boost": {"1"}}
SET = {**ORIGINAL, "scaling_governor": {"performance"}, "scaling_max_freq": {"1416000"}, "boost": {"0"}}


def make(server: SshServer, sysfs: Path, *, user: str = "", watchdog_s: float = 30.0) -> BoardTuner:
    device = server.device("tune", user=user)
    folder = f"{server.folder / 'plain' if user else sysfs.parent}/tune-board"
    # The pattern is for the board's shell, so the space of the path is a question mark.
    return BoardTuner(
        SshTransport(device), folder, beat=SshTransport(device), sysfs=str(sysfs).replace(" ", "?"), beat_s=1.0,
        watchdog_s=watchdog_s,
    )  # fmt: skip


def until(condition: Callable[[], bool], seconds: float = 600) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return condition()


def test_set_recorded_and_put_back(ssh_board: SshServer, sysfs: Path) -> None:
    with make(ssh_board, sysfs).tuned(KNOBS) as tuning:
        assert held(sysfs) == SET
        assert len(tuning.settings) == 5 and all(setting.good for setting in tuning.settings) and not tuning.problems
        first = tuning.settings[0]
        assert (first.knob, first.before, first.now) == ("governor", "ondemand", "performance")
    assert held(sysfs) == ORIGINAL and tuning.restored
    left = [path.name for path in (sysfs.parent / "tune-board").iterdir()]
    assert left == ["watchdog"], "nothing that a later run could take for unfinished business"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_put_back_after_a_failure_and_after_ctrl_c(
    ssh_board: SshServer, sysfs: Path, error: type[BaseException]
) -> None:
    with pytest.raises(error), make(ssh_board, sysfs).tuned(KNOBS):
        assert held(sysfs) == SET
        raise error
    assert held(sysfs) == ORIGINAL


def test_put_back_over_a_new_connection_after_the_link_broke(ssh_board: SshServer, sysfs: Path) -> None:
    with make(ssh_board, sysfs).tuned(KNOBS) as tuning:
        ssh_board.stop()
        ssh_board.start()
        assert held(sysfs) == SET
    assert held(sysfs) == ORIGINAL and tuning.restored


def test_board_puts_back_by_itself_when_the_link_stays_gone(
    ssh_board: SshServer, sysfs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.conditions.board_tuner._ATTEMPTS", 1)
    try:
        with make(ssh_board, sysfs, watchdog_s=2.0).tuned(KNOBS) as tuning:
            ssh_board.stop()
        assert tuning.restored is False and "the board does it itself" in tuning.problems[0]
        assert until(lambda: held(sysfs) == ORIGINAL)
    finally:
        ssh_board.start()


CHILD = """
import sys, time
sys.path[:0] = {paths!r}
from pathlib import Path
from sshd_server import SshServer
from edge.device.board import Device, load_profile
from edge.transport.ssh import SshTransport
from bench.conditions.board_tuner import BoardTuner
device = Device("tune", load_profile("local"), "ssh", host="127.0.0.1", port={port}, user={user!r}, key={key!r}, root="/tmp")
link, beat = SshTransport(device), SshTransport(device)
tuner = BoardTuner(link, {folder!r}, beat=beat, sysfs={sysfs!r}, beat_s=1.0, watchdog_s={limit})
with tuner.tuned({knobs!r}):
    print("set", flush=True)
    time.sleep(60)
"""


def killed_host(server: SshServer, sysfs: Path, limit: float) -> None:
    """Another process sets the knobs and is killed while they are set."""
    code = CHILD.format(
        paths=[*map(str, Path(__file__).parents[:2]), str(Path.cwd())],
        port=server.port, user=server.user, key=str(server.key), folder=f"{sysfs.parent}/tune-board",
        sysfs=str(sysfs).replace(" ", "?"), limit=limit, knobs=KNOBS,
    )  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "set\n"
        assert held(sysfs) == SET
        child.send_signal(signal.SIGKILL)


def test_watchdog_puts_back_after_this_host_was_killed(ssh_board: SshServer, sysfs: Path) -> None:
    killed_host(ssh_board, sysfs, limit=5.0)
    assert until(lambda: held(sysfs) == ORIGINAL), "nobody but the board is left to do it"
    assert until(lambda: not watchdogs(sysfs)), "and its watchdog ends"


def watchdogs(sysfs: Path) -> list[int]:
    """Processes that run the watchdog of this test's own folder."""
    needle = f"{sysfs.parent}/tune-board/watchdog".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if needle in (entry / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def test_next_run_puts_back_when_the_watchdog_was_killed_too(ssh_board: SshServer, sysfs: Path) -> None:
    killed_host(ssh_board, sysfs, limit=60.0)
    for pid in watchdogs(sysfs):
        os.kill(pid, signal.SIGKILL)
    assert held(sysfs) == SET
    assert "were put back" in make(ssh_board, sysfs).recover()
    assert held(sysfs) == ORIGINAL
    assert make(ssh_board, sysfs).recover() == ""


def test_restarted_board_keeps_its_own_values(ssh_board: SshServer, sysfs: Path) -> None:
    folder = sysfs.parent / "tune-board"
    folder.mkdir()
    path = sysfs / "devices/system/cpu/cpufreq/policy0/scaling_governor"
    (folder / "saved").write_text(f"boot\tanother\n{path}\tpowersave\n")
    make(ssh_board, sysfs).recover()
    assert held(sysfs) == ORIGINAL and not (folder / "saved").exists()


def test_board_that_somebody_else_has_tuned_is_refused(ssh_board: SshServer, sysfs: Path) -> None:
    with make(ssh_board, sysfs).tuned(KNOBS):
        with pytest.raises(DeviceError, match="somebody else is measuring"):
            make(ssh_board, sysfs).recover()
        assert held(sysfs) == SET


def test_user_without_the_right_is_told_and_nothing_breaks(ssh_board: SshServer, sysfs: Path) -> None:
    if not ssh_board.own_users:
        pytest.skip("needs root for a second user")
    # The other user must get there; pytest's folders, one more for each of its processes, are its user's own.
    for folder in sysfs.parents:
        if not folder.stat().st_mode & 0o001:
            folder.chmod(0o755)
    with make(ssh_board, sysfs, user="plain").tuned({"governor": "performance"}) as tuning:
        assert held(sysfs) == ORIGINAL
        assert len(tuning.problems) == 2 and "not allowed to this user" in tuning.problems[0]
    assert tuning.restored


def test_knob_that_the_board_lacks_is_told(ssh_board: SshServer, sysfs: Path) -> None:
    (sysfs / "devices/system/cpu/cpufreq/boost").unlink()
    with make(ssh_board, sysfs).tuned({"boost": "off"}) as tuning:
        pass
    assert tuning.problems and "the board has no" in tuning.problems[0] and tuning.restored


def test_knobs_are_read_and_refused() -> None:
    assert parse_knobs(()) == {"governor": "performance"}
    assert parse_knobs(("max_mhz=1416", "cpus=4-5")) == {"max_mhz": "1416", "cpus": "4-5"}
    assert cpu_list("0,4-6") == [0, 4, 5, 6] and cpu_mask("4-5") == "30"
    for bad in ("speed=1", "governor", "governor=a b", "max_mhz=fast", "boost=1", "cpus=5-4"):
        with pytest.raises(UsageError):
            parse_knobs((bad,))
    with pytest.raises(UsageError, match="above"):
        parse_knobs(("max_mhz=500", "min_mhz=600"))
