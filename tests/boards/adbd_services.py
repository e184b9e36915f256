"""What runs on the test adbd: shells, file sync, reboot - for real, in a scratch folder that stands for the phone.

Paths below /data and /sdcard are those of the scratch folder; in command lines they are replaced as text. Programs
find a few of Android's own in front of this host's, and on an old Android nothing but a small set, as it was.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import stat
import struct
import subprocess
import termios
import threading
import time
from contextlib import suppress
from pathlib import Path

from adbd_wire import Listener, Settings, Stream

STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = 0, 1, 2, 3, 4
PROPERTIES = {
    "ro.build.version.release": "13",
    "ro.build.version.sdk": "33",
    "ro.product.manufacturer": "Test",
    "ro.product.model": "Standin 1",
    "ro.product.board": "standin",
    "ro.board.platform": "msmnile",
}
# What toybox of Android 6 had and the kit's scripts need; no sha256sum, no openssl, no python.
OLD_TOOLS = (
    *("sh", "cat", "chmod", "cksum", "cp", "date", "df", "env", "head", "id", "kill", "ls", "mkdir", "mv", "od"),
    *("printf", "pwd", "readlink", "rm", "rmdir", "setsid", "sleep", "sync", "tail", "test", "touch", "tr", "true"),
    *("uname", "wc", "yes"),
)


class TestDevice:
    """A phone.

    Args:
        folder: Scratch folder: its /data and /sdcard.
        settings: How it behaves; may be changed while it runs.
    """

    __test__ = False

    def __init__(self, folder: Path, settings: Settings | None = None) -> None:
        self.folder = folder
        self.settings = settings or Settings()
        for name in ("data/local/tmp", "sdcard", "system/bin", "old/bin"):
            (folder / name).mkdir(parents=True)
        self._write_tools()
        banner = "ro.product.name=standin;ro.product.model=Standin_1;ro.product.device=standin;"
        self.listener = Listener(self.settings, self.serve, banner)
        self.reboots = 0
        self.listener.start()

    @property
    def serial(self) -> str:
        """As adb names it."""
        return f"127.0.0.1:{self.listener.port}"

    def close(self) -> None:
        """Switches it off."""
        self.listener.stop()

    def path(self, path: str) -> Path:
        """Returns where a path of the device is on this host."""
        return Path(self._map(path))

    def _map(self, text: str) -> str:
        for root in ("/data/", "/sdcard/"):
            text = text.replace(root, f"{self.folder}{root}")
        return text

    def _write_tools(self) -> None:
        cases = "\n".join(f"  {key}) echo '{value}' ;;" for key, value in PROPERTIES.items())
        for folder in ("system/bin", "old/bin"):
            tool = self.folder / folder / "getprop"
            tool.write_text(f'#!/bin/sh\ncase "$1" in\n{cases}\n  *) echo ;;\nesac\n')
            tool.chmod(0o755)
        for name in OLD_TOOLS:
            real = shutil.which(name)
            if real:
                (self.folder / "old/bin" / name).symlink_to(real)

    def _environment(self) -> dict[str, str]:
        if "shell_v2" not in self.settings.features:
            return {"PATH": f"{self.folder}/old/bin", "HOME": "/"}
        return {"PATH": f"{self.folder}/system/bin:{os.environ['PATH']}", "HOME": "/"}

    def serve(self, stream: Stream, destination: str) -> None:
        """Runs the service that a stream was opened for."""
        kind, _, rest = destination.partition(":")
        options = kind.split(",")
        if options[0] == "shell" and "v2" in options:
            self._shell_v2(stream, rest)
        elif options[0] == "shell":
            self._shell_legacy(stream, rest)
        elif kind == "sync":
            Sync(stream, self._map).run()
        elif kind == "reboot":
            threading.Thread(target=self.reboot, daemon=True).start()

    def reboot(self, seconds: float = 0.5) -> None:
        """Goes away, and comes back on the same port."""
        self.reboots += 1
        self.listener.stop()
        time.sleep(seconds)
        self.listener.start()

    def _shell_v2(self, stream: Stream, command: str) -> None:
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            ["/bin/sh", "-c", os.fsencode(self._map(command))],
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=self._environment(),
            cwd="/",
            start_new_session=True,
        )
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        lock = threading.Lock()

        def forward(number: int, fd: int) -> None:
            while data := os.read(fd, 32768):
                with lock:
                    stream.write(struct.pack("<BI", number, len(data)) + data)

        def receive() -> None:
            with suppress(ConnectionError, OSError):
                while True:
                    number, size = struct.unpack("<BI", stream.read_exactly(5))
                    data = stream.read_exactly(size)
                    if number == STDIN:
                        os.write(process.stdin.fileno(), data)  # type: ignore[union-attr]
                    elif number == CLOSE_STDIN:
                        break
            # As adbd does when the host goes away: the program's input ends, and nothing else happens to it.
            process.stdin.close()  # type: ignore[union-attr]

        outputs = [
            threading.Thread(target=_quietly, args=(forward, number, pipe.fileno()), daemon=True)
            for number, pipe in ((STDOUT, process.stdout), (STDERR, process.stderr))
        ]
        for thread in outputs:
            thread.start()
        threading.Thread(target=receive, daemon=True).start()
        for thread in outputs:
            thread.join()
        code = process.wait()
        stream.write(struct.pack("<BIB", EXIT, 1, code & 0xFF if code >= 0 else 128 - code))

    def _shell_legacy(self, stream: Stream, command: str) -> None:
        """Before Android 7: a terminal, one stream for everything, no exit code."""
        master, slave = pty.openpty()
        process = subprocess.Popen(
            ["/bin/sh", "-c", os.fsencode(self._map(command))],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=self._environment(),
            cwd="/",
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        hung_up, hang_up = os.pipe()

        def receive() -> None:
            while data := stream.read(4096):
                with suppress(OSError):
                    os.write(master, data)
            os.close(hang_up)

        threading.Thread(target=receive, daemon=True).start()
        with suppress(OSError, ConnectionError):
            while master in select.select([master, hung_up], [], [])[0] and not stream.closed:
                stream.write(os.read(master, 4096))
        # Closing the terminal sends SIGHUP to all that run in it.
        os.close(master)
        stream.close()
        process.wait()
        os.close(hung_up)


def _quietly(work: object, *arguments: object) -> None:
    with suppress(ConnectionError, OSError):
        work(*arguments)  # type: ignore[operator]


class Sync:
    """File transfer: STAT, STA2, LST2, SEND, RECV, QUIT of the sync protocol."""

    def __init__(self, stream: Stream, resolve: object) -> None:
        self._stream = stream
        self._resolve = resolve

    def run(self) -> None:
        """Answers requests until the host quits."""
        while True:
            name = self._stream.read_exactly(4)
            (size,) = struct.unpack("<I", self._stream.read_exactly(4))
            if name == b"QUIT":
                return
            path = os.fsdecode(self._stream.read_exactly(size))
            if name == b"STAT":
                self._stat_v1(path)
            elif name in (b"STA2", b"LST2"):
                self._stat_v2(name, path)
            elif name == b"SEND":
                self._receive_file(path)
            elif name == b"RECV":
                self._send_file(path)
            else:
                self._fail(f"unknown request {name!r}")
                return

    def _path(self, path: str) -> str:
        return self._resolve(path)  # type: ignore[operator,no-any-return]

    def _stat_v1(self, path: str) -> None:
        try:
            found = os.lstat(self._path(path))
            fields = (found.st_mode, found.st_size & 0xFFFFFFFF, int(found.st_mtime))
        except OSError:
            fields = (0, 0, 0)
        self._stream.write(b"STAT" + struct.pack("<III", *fields))

    def _stat_v2(self, name: bytes, path: str) -> None:
        try:
            found = (os.lstat if name == b"LST2" else os.stat)(self._path(path))
            times = (int(found.st_atime), int(found.st_mtime), int(found.st_ctime))
            fields = (0, found.st_dev, found.st_ino, found.st_mode, found.st_nlink, 0, 0, found.st_size, *times)
        except OSError as error:
            fields = (error.errno or 2, *[0] * 10)
        self._stream.write(name + struct.pack("<IQQIIIIQqqq", *fields))

    def _receive_file(self, request: str) -> None:
        path, _, mode = request.rpartition(",")
        target = Path(self._path(path))
        problem = ""
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            writer = target.open("wb")
        except OSError as error:
            problem, writer = f"couldn't create file: {error.strerror}", None
        try:
            while True:
                name = self._stream.read_exactly(4)
                (size,) = struct.unpack("<I", self._stream.read_exactly(4))
                if name == b"DONE":
                    break
                if name != b"DATA" or size > 65536:
                    raise ConnectionError("not a sync packet")
                data = self._stream.read_exactly(size)
                if writer is not None and not problem:
                    try:
                        writer.write(data)
                        writer.flush()
                    except OSError as error:
                        problem = f"write failed: {error.strerror}"
        except ConnectionError:
            # adbd removes what arrived only in part.
            target.unlink(missing_ok=True)
            raise
        finally:
            if writer is not None:
                writer.close()
        if problem:
            target.unlink(missing_ok=True)
            self._fail(problem)
            return
        # Of the host's mode only the file's owner bits come through, as on a phone's /data.
        target.chmod(stat.S_IMODE(int(mode)) & 0o666)
        self._stream.write(b"OKAY" + struct.pack("<I", 0))

    def _send_file(self, path: str) -> None:
        try:
            with Path(self._path(path)).open("rb") as reader:
                while data := reader.read(65536):
                    self._stream.write(b"DATA" + struct.pack("<I", len(data)) + data)
        except OSError as error:
            self._fail(f"open failed: {error.strerror}")
            return
        self._stream.write(b"DONE" + struct.pack("<I", 0))

    def _fail(self, text: str) -> None:
        raw = text.encode()
        self._stream.write(b"FAIL" + struct.pack("<I", len(raw)) + raw)
