"""What every transport must do, each shown on the real thing: this host, a real sshd, the real adb client."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from adbd_services import TestDevice

from edge.base.errors import DeviceError, InputError
from edge.base.paths import sha256_file
from edge.device.board import Device, find_device, load_profile
from edge.protocol.base import CommandError, Transport
from edge.protocol.transfer import part_name
from edge.transport.connect import connect

WAYS = ("local", "ssh", "adb", "adb-old")
# Everything that a shell, a protocol or a careless program could trip over.
NAMES = (
    "two words",
    "it's",
    'double "quoted"',
    "$(touch injected)",
    "`touch injected`",
    "; touch injected;",
    "a\nb",
    "tab\there",
    "back\\slash",
    "*?[x]",
    "-rf",
    "~root",
    "粤B·12345 é",
    "{a,b} %s !! #",
)

over_a_link = pytest.mark.parametrize("way", WAYS[1:], indirect=True)


@dataclass
class Way:
    """One transport to a board, and where the board's files are on this host."""

    name: str
    transport: Transport
    root: str
    here: Path

    def listing(self, folder: str = "") -> list[str]:
        return sorted(path.name for path in (self.here / folder).iterdir())


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, tmp_path: Path, own_cache: Path) -> Iterator[Way]:
    kind = request.param
    if kind == "local":
        here = tmp_path / "board"
        here.mkdir()
        made = Way(kind, connect(find_device("local")), str(here), here)
    elif kind == "ssh":
        server = request.getfixturevalue("ssh_board")
        here = server.home / tmp_path.name
        here.mkdir()
        made = Way(kind, connect(server.device()), str(here), here)
    else:
        phone: TestDevice = request.getfixturevalue("adb_phone")
        if kind == "adb-old":
            phone.settings.features = ()
        device = Device("phone", load_profile("android-arm64"), "adb", serial=phone.serial)
        here = phone.path("/data/local/tmp/kit")
        here.mkdir()
        made = Way(kind, connect(device), "/data/local/tmp/kit", here)
    yield made
    made.transport.close()


def write(path: Path, size: int, seed: int = 0) -> Path:
    path.write_bytes((b"%08d" % seed + bytes(range(256)) * 4096)[: min(size, 1 << 20)] * -(-size // (1 << 20)))
    os.truncate(path, size)
    return path


def test_program_answers_with_code_output_and_error(way: Way) -> None:
    script = 'echo "$GREETING"; pwd; echo trouble >&2; exit 7'
    result = way.transport.run(["sh", "-c", script], env={"GREETING": "it's $HOME\nand é"}, cwd=way.root)
    assert result.code == 7 and result.signal is None
    assert result.stdout == f"it's $HOME\nand é\n{way.here}\n"
    assert result.stderr == "trouble\n"
    with pytest.raises(CommandError, match="exit code 7") as failure:
        way.transport.run_check(["sh", "-c", script])
    assert "trouble" in failure.value.message


def test_arguments_arrive_as_they_are(way: Way) -> None:
    script = 'for word in "$@"; do printf "%s\\0" "$word"; done | od -An -v -tx1'
    result = way.transport.run_check(["sh", "-c", script, "sh", *NAMES], cwd=way.root)
    assert bytes.fromhex(result.stdout.replace("\n", " ")).decode() == "".join(f"{name}\0" for name in NAMES)
    assert way.listing() == [], "a shell evaluated an argument"
    with pytest.raises(InputError):
        way.transport.run(["echo", "nul\0inside"])


def test_program_that_is_not_there(way: Way) -> None:
    assert way.transport.run(["no-such-program"]).code == 127
    assert way.transport.run(["exit"]).code != 0 or way.name.startswith("adb"), "a shell's builtin is no program"


def test_lines_come_while_the_program_runs(way: Way) -> None:
    seen: list[str] = []

    def on_line(line: str) -> None:
        seen.append(line)
        (way.here / "seen").touch()

    # The program goes on when we have seen its first line: were lines held back, it would wait for ever.
    script = "echo one; while [ ! -e seen ]; do sleep 0.1; done; echo two; printf three"
    result = way.transport.run(["sh", "-c", script], cwd=way.root, on_stdout=on_line, timeout=600)
    assert seen == ["one", "two", "three"]
    assert result.stdout == "one\ntwo\nthree"


def test_hanging_program_is_ended_with_its_children(way: Way) -> None:
    script = "echo $$ >pids; sleep 9999 & echo $! >>pids; while :; do sleep 9999; done"
    way.transport.run_check(["true"])
    with pytest.raises(DeviceError, match="did not end within"):
        way.transport.run(["sh", "-c", script], cwd=way.root, timeout=5)
    pids = (way.here / "pids").read_text().split()
    assert len(pids) == 2
    gone_by = time.monotonic() + 600
    while (alive := [pid for pid in pids if Path(f"/proc/{pid}").exists()]) and time.monotonic() < gone_by:
        time.sleep(0.05)
    assert alive == [], "left running on the board"


def test_crash_is_reported_as_its_signal(way: Way) -> None:
    result = way.transport.run(["sh", "-c", "echo before; kill -SEGV $$"])
    assert (result.code, result.signal, result.stdout) == (139, 11, "before\n")
    with pytest.raises(CommandError, match="ended by SIGSEGV"):
        way.transport.run_check(["sh", "-c", "kill -SEGV $$"])


def test_gigabyte_of_output_is_cut_short(way: Way) -> None:
    script = "echo $$ >pid; exec yes 0123456789012345678901234567890"
    with pytest.raises(DeviceError, match="more than 1000000 bytes"):
        way.transport.run(["sh", "-c", script], cwd=way.root, max_output=1_000_000)
    gone_by = time.monotonic() + 600
    pid = Path("/proc", (way.here / "pid").read_text().strip())
    while pid.exists() and time.monotonic() < gone_by:
        time.sleep(0.05)
    assert not pid.exists(), "left running on the board"


def test_daemon_that_keeps_the_output_open_does_not_hold_us(way: Way) -> None:
    result = way.transport.run(["sh", "-c", "sleep 9999 & echo $! >pid; echo done"], cwd=way.root)
    assert result.stdout == "done\n"
    daemon = int((way.here / "pid").read_text())
    assert Path(f"/proc/{daemon}").exists(), "it was waited for"
    os.kill(daemon, signal.SIGKILL)


def test_odd_bytes_in_the_output_do_no_harm(way: Way) -> None:
    result = way.transport.run(["sh", "-c", r"printf 'a\377b\000c\r\n'; printf 'x' >&2"])
    assert result.stdout.startswith("a\ufffdb\x00c") and result.stderr == "x"


def test_file_goes_and_comes_back(way: Way, tmp_path: Path) -> None:
    source = write(tmp_path / "source", 300_000)
    # Over adb a file is a dozen calls of the client: half of the names are enough there.
    for number, name in enumerate(NAMES if not way.name.startswith("adb") else NAMES[way.name == "adb" :: 2]):
        remote = f"{way.root}/new/{number}/{name}"
        assert way.transport.put(source, remote, mode=0o755) is True
        arrived = way.here / "new" / str(number) / name
        assert arrived.read_bytes() == source.read_bytes()
        assert arrived.stat().st_mode & 0o777 == 0o755
        assert way.listing(f"new/{number}") == [name], "litter beside the file"
        if number < 3:
            way.transport.get(remote, tmp_path / "back" / name)
            assert (tmp_path / "back" / name).read_bytes() == source.read_bytes()


def test_what_is_there_already_is_not_sent_again(way: Way, tmp_path: Path) -> None:
    source = write(tmp_path / "source", 200_000)
    remote = f"{way.root}/file"
    assert way.transport.put(source, remote) is True
    before = (way.here / "file").stat()
    assert way.transport.put(source, remote, mode=0o755) is False
    after = (way.here / "file").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert after.st_mode & 0o777 == 0o755, "the mode is brought up to date all the same"


def test_damaged_file_of_the_same_size_is_replaced(way: Way, tmp_path: Path) -> None:
    source = write(tmp_path / "source", 200_000)
    way.transport.put(source, f"{way.root}/file")
    with (way.here / "file").open("r+b") as stream:
        stream.seek(100_000)
        stream.write(b"?")
    assert way.transport.put(source, f"{way.root}/file") is True
    assert (way.here / "file").read_bytes() == source.read_bytes()


def test_empty_file(way: Way, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert way.transport.put(tmp_path / "empty", f"{way.root}/empty") is True
    assert way.transport.put(tmp_path / "empty", f"{way.root}/empty") is False
    way.transport.get(f"{way.root}/empty", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b""


@over_a_link
def test_broken_push_is_taken_up_where_it_stopped(way: Way, tmp_path: Path) -> None:
    source = write(tmp_path / "source", 9 << 20)
    part = part_name("/file", sha256_file(source), "12345678")[1:]
    (way.here / part).write_bytes(source.read_bytes()[: 8 << 20])
    steps: list[int] = []
    assert way.transport.put(source, f"{way.root}/file", progress=lambda done, total: steps.append(done)) is True
    assert steps[0] == 8 << 20 and steps[-1] == 9 << 20
    assert (way.here / "file").read_bytes() == source.read_bytes()
    assert way.listing() == ["file"]


@over_a_link
def test_part_with_other_bytes_is_not_trusted(way: Way, tmp_path: Path) -> None:
    source = write(tmp_path / "source", 100_000)
    (way.here / part_name("/file", sha256_file(source), "12345678")[1:]).write_bytes(b"x" * 50_000)
    assert way.transport.put(source, f"{way.root}/file") is True
    assert (way.here / "file").read_bytes() == source.read_bytes()
    assert way.listing() == ["file"]


@over_a_link
def test_part_that_cannot_be_removed_is_named(way: Way, tmp_path: Path) -> None:
    """A folder of that name stands for what this user may not remove: looking again and again would not end."""
    source = write(tmp_path / "source", 100)
    assert way.transport.put(source, f"{way.root}/file") is True
    (way.here / part_name("/file", "0" * 64, "12345678")[1:]).mkdir()
    with pytest.raises(DeviceError, match="cannot remove what an earlier transfer left") as failure:
        way.transport.put(source, f"{way.root}/file")
    assert "Remove it there" in failure.value.hint


def test_what_cannot_be_done_is_said(way: Way, tmp_path: Path) -> None:
    source = write(tmp_path / "source", 10)
    (way.here / "folder").mkdir()
    (way.here / "blocker").touch()
    with pytest.raises(DeviceError, match="is a folder"):
        way.transport.put(source, f"{way.root}/folder")
    with pytest.raises(DeviceError, match="blocker"):
        way.transport.put(source, f"{way.root}/blocker/file")
    with pytest.raises(InputError, match="not a file"):
        way.transport.put(tmp_path / "missing", f"{way.root}/file")
    with pytest.raises(InputError, match="not an absolute"):
        way.transport.put(source, "relative")
    with pytest.raises(DeviceError, match="is not a file"):
        way.transport.get(f"{way.root}/missing", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_board_without_a_sha256_tool_is_verified_by_crc_and_says_so(
    way: Way, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = write(tmp_path / "source", 3_000_001)
    with caplog.at_level(logging.WARNING, logger="edge"):
        way.transport.put(source, f"{way.root}/file")
    assert ("CRC-32" in caplog.text) == (way.name == "adb-old")
    assert way.transport.put(source, f"{way.root}/file") is False
    way.transport.get(f"{way.root}/file", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
