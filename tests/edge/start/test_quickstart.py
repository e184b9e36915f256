"""The way from nothing to the first report: by options, by answers typed on a terminal, and really walked."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

PLAN = """base: quick
name: first
models: [plate-v1]
precisions: [fp32]
processes: 1
repeats: 2
max_ms: 500
"""


def quickstart(*argv: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs the command with nobody to ask."""
    command = [sys.executable, "-m", "edge", "quickstart", *argv]
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **env}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip


def own_terminal() -> None:
    """Makes ^C a signal, as on a real terminal; also where the tests run in the background, which ignores it."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def typed(argv: list[str], answers: list[tuple[str, str]], patience: float = 600) -> tuple[int, str]:
    """Runs the command on a terminal, waits for each question and types its answer; returns code and screen."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "edge", "quickstart", *argv]
    with subprocess.Popen(
        command, stdin=follower, stdout=follower, stderr=follower, start_new_session=True,
        preexec_fn=own_terminal,
    ) as process:  # fmt: skip
        os.close(follower)
        screen, seen = "", 0
        for question, answer in answers:
            deadline = time.monotonic() + patience
            while question not in screen[seen:]:
                assert time.monotonic() < deadline, f"{question!r} was not asked:\n{screen}"
                if select.select([leader], [], [], 1)[0]:
                    screen += os.read(leader, 4096).decode(errors="replace")
            seen = len(screen)
            os.write(leader, f"{answer}\n".encode())
        while True:
            if not select.select([leader], [], [], patience)[0]:
                process.kill()
                raise AssertionError(f"it waits for something:\n{screen}")
            try:
                data = os.read(leader, 4096)
            except OSError:  # The other side was closed: the program has ended.
                break
            if not data:
                break
            screen += data.decode(errors="replace")
        code = process.wait(timeout=600)
    os.close(leader)
    return code, screen.replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("answers", "wanted"),
    [
        ([("Number or name", ""), ("Plan", "default")], ["bench run --device local --plan default"]),
        (
            [("Number or name", "2"), ("address", "me@10.0.0.9:22"), ("Name", "rk3399"), ("Plan", "")],
            [
                "edge doctor --no-devices --brief --for ssh,arm64",
                "edge device add rk3399 --board rk3399 --ssh me@10.0.0.9:22",
                "edge device trust rk3399",
                "edge runtime get rk3399",
                "edge flash --device rk3399",
                "bench run --device rk3399 --plan quick",
            ],
        ),
        (
            [("Number or name", "adb"), ("serial", ""), ("Name", "android-armv7"), ("Plan", "")],
            ["edge device add phone --board android-armv7 --adb any", "edge runtime get android-armv7"],
        ),
        (
            [("Number or name", "5"), ("Number or name", "4"), ("Name", "armhf"), ("Plan", "quick")],
            ["edge virtual up virtual --arch armhf", "edge flash --device virtual"],
        ),
    ],
    ids=["laptop", "ssh", "adb", "virtual"],
)
def test_answers_typed_on_a_terminal_become_commands(
    own_cache: Path, answers: list[tuple[str, str]], wanted: list[str]
) -> None:
    """Four questions at most, each with a default; a wrong answer is asked again."""
    code, screen = typed(["--dry-run"], answers)
    assert code == 0, screen
    lines = screen.splitlines()
    positions = [lines.index(command) for command in wanted]
    assert positions == sorted(positions)


def test_ctrl_c_at_a_question_is_no_traceback(own_cache: Path) -> None:
    code, screen = typed([], [("Number or name", "\x03")])
    assert code == 130
    assert "Traceback" not in screen


def test_ctrl_c_in_a_step_leaves_it_time_to_keep_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The measurement says that it is kept, and the quickstart how it goes on."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[3]))
    (tmp_path / "long.yml").write_text(PLAN.replace("max_ms: 500", "max_ms: 60000\nmin_ms: 60000"), encoding="utf-8")
    code, screen = typed(["--on", "laptop", "--plan", "long.yml"], [("n=2", "\x03")])
    assert (code, "Traceback" in screen) == (130, False), screen[-2000:]
    assert "is kept in out/local/" in screen
    assert "Go on with: edge quickstart --on laptop --plan long.yml" in screen


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["--on", "ssh"], 2, "edge quickstart --on ssh --address USER@HOST"),
        (["--on", "ssh", "--address", "two words"], 3, "not an ssh address"),
        (["--on", "laptop", "--board", "rk3399"], 2, "belong to boards"),
        (["--on", "adb", "--address", "any", "--board", "rk339"], 2, "Did you mean 'rk3399'"),
        (["--on", "virtual", "--board", "rk3399"], 2, "arm64, armhf"),
        (["--plan", "quik", "--yes"], 2, "Did you mean 'quick'"),
        (["--on", "moon"], 2, "laptop"),
    ],
)
def test_without_a_terminal_it_never_waits(own_cache: Path, argv: list[str], code: int, words: str) -> None:
    """What is missing and has no default is an error that names the option."""
    done = quickstart(*argv)
    assert done.returncode == code
    assert words in done.stderr and "Traceback" not in done.stderr


def test_defaults_are_taken_where_nobody_can_be_asked(own_cache: Path) -> None:
    done = quickstart("--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["steps"][-1] == "bench run --device local --plan quick"


def test_a_failure_names_the_step_and_the_way_on(own_cache: Path, tmp_path: Path) -> None:
    """A board that is off: the exit code of the step, and the same answers go on where it stopped."""
    inventory = tmp_path / "devices.yml"
    argv = ["--on", "ssh", "--address", "nobody@127.0.0.1:9", "--board", "local", "--plan", "quick"]
    argv += ["--fingerprint", "SHA256:x", "--inventory", str(inventory)]
    done = quickstart(*argv)
    assert done.returncode == 7, done.stderr
    assert "edge device trust board --fingerprint SHA256:x" in done.stderr
    assert f"edge quickstart {' '.join(argv)}" in done.stderr
    assert "nobody@127.0.0.1:9" in inventory.read_text(encoding="utf-8")
    again = quickstart(*argv)
    assert again.returncode == 7
    assert "device add" not in again.stderr
    other = quickstart("--on", "ssh", "--address", "me@other", "--board", "local", "--inventory", str(inventory))
    assert other.returncode == 2
    assert "--name" in other.stderr


def test_the_laptop_way_ends_at_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Really walked, with a plan of one process: plates are read, and the report that is named exists."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "first.yml").write_text(PLAN, encoding="utf-8")
    done = quickstart("--plan", "first.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "皖A7K392" in done.stdout
    (named,) = [line for line in done.stdout.splitlines() if line.startswith("Your first report: ")]
    report = tmp_path / named.removeprefix("Your first report: ")
    assert "plate-v1" in report.read_text(encoding="utf-8")
    assert "[3/3]" in done.stderr and "bench run --device local --plan first.yml" in done.stderr
