"""This host as a board: programs are child processes, files are copied."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from edge.base.errors import DeviceError, InputError, VerifyError
from edge.base.paths import replacing, sha256_file
from edge.base.progress import Progress
from edge.protocol.base import Call, CompletedCommand, Transport, check_argv, check_remote_path
from edge.protocol.child import end, pump
from edge.protocol.transfer import write_error

BLOCK = 1 << 20


class LocalTransport(Transport):
    """Runs programs on this host, without root and without a server."""

    name = "local"

    def _run(self, call: Call) -> CompletedCommand:
        capture = call.capture()
        try:
            process = subprocess.Popen(
                call.argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "LC_ALL": "C", **(call.env or {})},
                cwd=call.cwd,
                start_new_session=True,  # All of its process group is ended with it.
            )
        except OSError as error:
            # As a shell would answer: 127 for a program that is not there, 126 for one that cannot be run.
            capture.feed(2, f"{error.filename}: {error.strerror}\n".encode())
            return call.completed(127 if isinstance(error, FileNotFoundError) else 126, capture, None)
        try:
            pump(process, capture.feed, call.deadline)
        finally:
            end(process)
        code = process.returncode
        return call.completed(128 - code if code < 0 else code, capture, -code if code < 0 else None)

    def put(self, local: Path, remote: str, *, mode: int = 0o644, progress: Progress | None = None) -> bool:
        """See `Transport.put`."""
        if not local.is_file():
            raise InputError(f"{local} is not a file.")
        try:
            return self._put(local, remote, mode, progress)
        except OSError as error:
            raise write_error(self.name, f"{error.filename or remote}: {error.strerror}") from error

    def _put(self, local: Path, remote: str, mode: int, progress: Progress | None) -> bool:
        target = Path(check_remote_path(remote))
        same_size = target.is_file() and target.stat().st_size == local.stat().st_size
        if same_size and sha256_file(target) == sha256_file(local):
            if target.stat().st_mode & 0o7777 != mode:
                target.chmod(mode)
            return False
        _copy(local, target, mode, progress)
        return True

    def get(self, remote: str, local: Path, *, progress: Progress | None = None) -> None:
        """See `Transport.get`."""
        source = Path(check_remote_path(remote))
        if not source.is_file():
            raise DeviceError(f"{remote} is not a file on {self.name}.")
        _copy(source, local, 0o644, progress)

    def shell(self, argv: Sequence[str] | None = None) -> int:
        """See `Transport.shell`."""
        return subprocess.run(check_argv(argv) if argv else (os.environ.get("SHELL", "sh"),), check=False).returncode

    def close(self) -> None:
        """Nothing to end."""


def _copy(source: Path, target: Path, mode: int, progress: Progress | None) -> None:
    """Copies atomically: a hidden neighbour is written, verified, and renamed.

    Raises:
        VerifyError: What was written reads back differently.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        raise DeviceError(f"{target} is a folder.", "Name the file to write.")
    with replacing(target) as temporary:
        with source.open("rb") as reader, temporary.open("wb") as writer:
            _stream(reader, writer, source.stat().st_size, progress)
        temporary.chmod(mode)
        if sha256_file(temporary) != sha256_file(source):
            raise VerifyError(f"{target} reads back differently from what was written.", "Check the disk.")


def _stream(reader: IO[bytes], writer: IO[bytes], total: int, progress: Progress | None) -> None:
    done = 0
    if progress is None:
        shutil.copyfileobj(reader, writer, BLOCK)
    else:
        progress(0, total)
        while block := reader.read(BLOCK):
            writer.write(block)
            done += len(block)
            progress(done, total)
    writer.flush()
    os.fsync(writer.fileno())
