"""ssh through Fabric: keys, agent, `~/.ssh/config` and jump hosts are its work; trust, programs and files are ours."""

from __future__ import annotations

import select
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import fabric
import paramiko

from edge.base.errors import DeviceError, LinkError
from edge.base.progress import Progress
from edge.device.board import Device
from edge.protocol import transfer
from edge.protocol.base import AccessError, Call, CompletedCommand, check_argv
from edge.protocol.capture import Capture, decode_message
from edge.protocol.child import DeadlinePassed
from edge.protocol.framing import Frame, new_marker, split_code, wrap
from edge.transport.host_keys import HostKeyError
from edge.transport.ssh_connection import CONNECT_TIMEOUT, DEAD_AFTER, explain, make_connection

KEEPALIVE = 10
# A login that said something and then nothing for this long, without running the program, waits for a person (seconds).
PROMPT_AFTER = 10.0
BLOCK = 1 << 18


class SshTransport(transfer.Carrier):
    """One board behind ssh. The connection is opened by the first call, kept, and opened again when it broke."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.name = device.name
        self._connection: fabric.Connection | None = None

    def _run(self, call: Call) -> CompletedCommand:
        marker = new_marker()
        line = wrap(call, marker)
        capture = call.capture()
        frames = Frame(marker), Frame(marker)
        channel = self._session()
        try:
            with self._link_errors():
                channel.exec_command(line.encode())
                self._pump(channel, frames, capture, call.deadline)
        except DeadlinePassed:
            if self._asks(frames):
                raise self._menu(frames) from None
            raise
        finally:
            # Closing our side is what ends the program on the board, whatever the reason; see `framing`.
            _end(channel)
        if frames[1].code is None:
            raise self._no_answer(call.argv, frames, channel)
        code, ended_by = split_code(frames[1].code)
        return call.completed(code, capture, ended_by)

    def open(self) -> None:
        """Opens the connection now; every other call does so by itself.

        Raises:
            LinkError: The board cannot be reached.
            AccessError: It refuses the login, or its host key is not trusted.
        """
        self._open()

    def close(self) -> None:
        """See `Transport.close`."""
        connection, self._connection = self._connection, None
        while isinstance(connection, fabric.Connection):
            # Fabric's own close leaves a client whose connection was refused (host key, user) open.
            for close in (connection.close, connection.client.close):
                with suppress(Exception):
                    close()
            connection = connection.gateway

    def send(self, local: Path, offset: int, remote: str, progress: Progress | None) -> None:
        """Appends a local file's bytes from `offset` on to a file on the board; see `transfer.Carrier`."""
        channel = self._session()
        total = local.stat().st_size
        try:
            with self._link_errors(), local.open("rb") as reader:
                channel.settimeout(DEAD_AFTER)
                channel.exec_command(transfer.append_command(remote).encode())
                reader.seek(offset)
                while block := reader.read(BLOCK):
                    channel.sendall(block)
                    offset += len(block)
                    if progress is not None:
                        progress(offset, total)
                channel.shutdown_write()
                self._await_append(channel)
        finally:
            _end(channel)

    def receive(self, remote: str, offset: int, local: Path, progress: Progress | None, total: int) -> None:
        """Appends a board file's bytes from `offset` on to a local file; see `transfer.Carrier`."""
        marker = new_marker()
        frame, errors = Frame(marker), Frame(marker)
        argv = ["tail", "-c", f"+{offset + 1}", remote]
        channel = self._session()
        try:
            with self._link_errors(), local.open("ab") as writer:
                channel.settimeout(DEAD_AFTER)
                channel.exec_command(wrap(Call(tuple(argv)), marker).encode())
                while frame.code is None and (block := channel.recv(BLOCK)):
                    data = frame.feed(block)
                    writer.write(data)
                    offset += len(data)
                    if progress is not None:
                        progress(offset, total)
        finally:
            _end(channel)
        if frame.code is None:
            raise self._no_answer(argv, (frame, errors), channel)

    def shell(self, argv: Sequence[str] | None = None) -> int:
        """Opens an interactive shell, or runs a command with this terminal attached; returns its exit code."""
        connection = self._open()
        with self._link_errors():
            if not argv:
                result = connection.shell(warn=True, hide=False)
            else:
                result = connection.run(shlex.join(check_argv(argv)), pty=True, warn=True, hide=False)
        return int(result.exited)

    def _pump(
        self, channel: paramiko.Channel, frames: tuple[Frame, Frame], capture: Capture, deadline: float | None
    ) -> None:
        """Hands output to `capture` until both streams said that the program ended.

        Raises:
            DeadlinePassed: The deadline passed.
            OutputOverflow: Too much output.
            LinkError: The server no longer answers.
            DeviceError: The login waits for somebody's answer.
        """
        readable = channel.fileno()
        heard = time.monotonic()
        while True:
            more = False
            if channel.recv_ready():
                capture.feed(1, frames[0].feed(channel.recv(BLOCK)))
                more = True
            if channel.recv_stderr_ready():
                capture.feed(2, frames[1].feed(channel.recv_stderr(BLOCK)))
                more = True
            if frames[0].code is not None and frames[1].code is not None:
                return
            if deadline is not None and time.monotonic() >= deadline:
                raise DeadlinePassed
            if more:
                heard = time.monotonic()
                continue
            if time.monotonic() - heard > PROMPT_AFTER and self._asks(frames):
                raise self._menu(frames)
            if time.monotonic() - heard > DEAD_AFTER:
                self._check_alive()
                heard = time.monotonic()
            if channel.closed or channel.eof_received:
                # What arrived between the two looks above and the end is still to be read.
                if channel.recv_ready() or channel.recv_stderr_ready():
                    continue
                return
            wait = 1.0 if deadline is None else min(1.0, max(0.0, deadline - time.monotonic()))
            select.select([readable], [], [], wait)

    def _asks(self, frames: tuple[Frame, Frame]) -> bool:
        return not any(frame.begun for frame in frames) and any(frame.noise.strip() for frame in frames)

    def _menu(self, frames: tuple[Frame, Frame]) -> DeviceError:
        noise = decode_message(frames[0].noise + frames[1].noise).strip().splitlines()
        return DeviceError(
            f"{self.name} accepted the login, but it waits for an answer and runs no program; it says "
            f"{noise[-1].strip()[-200:]!r}.",
            "A menu or a question in the login shell or its start-up files: give the account a plain POSIX shell "
            "(chsh -s /bin/sh), or ask only on a terminal ([ -t 0 ]).",
        )

    def _check_alive(self) -> None:
        """Makes sure that the server still answers; a silent program and a frozen link look the same from here.

        Raises:
            LinkError: It does not.
        """
        try:
            self._open().transport.open_session(timeout=CONNECT_TIMEOUT).close()
        except paramiko.ChannelException:
            pass  # it refuses another channel, so it is there
        except (paramiko.SSHException, OSError, EOFError) as error:
            self.close()
            raise LinkError(
                f"{self.name} no longer answers.",
                "Is it switched on and on the network? Then run the same command again.",
            ) from error

    def _await_append(self, channel: paramiko.Channel) -> None:
        errors = b""
        while block := channel.recv_stderr(BLOCK):
            errors += block
        code = channel.recv_exit_status()
        if code == -1:
            raise LinkError(f"The link to {self.name} broke during a transfer.", "Run the same command again.")
        if code != 0:
            raise transfer.append_error(self.name, code, decode_message(errors))

    def _no_answer(
        self, argv: Sequence[str], frames: tuple[Frame, Frame], channel: paramiko.Channel
    ) -> LinkError | DeviceError:
        if not self._active():
            return LinkError(
                f"The link to {self.name} broke while `{argv[0]}` ran there.",
                "The program was ended there too. Run the same command again.",
            )
        if not frames[0].begun and not frames[1].begun:
            noise = decode_message(frames[0].noise + frames[1].noise).strip()
            return DeviceError(
                f"{self.name} accepted the login but runs no programs: {noise[-300:].rstrip('.') or 'it answered nothing'}.",
                "The account needs a login shell that runs POSIX sh commands.",
            )
        return LinkError(
            f"`{argv[0]}` on {self.name} was ended from outside.",
            "The board may be restarting or out of memory (see `dmesg` there).",
        )

    def _active(self) -> bool:
        return self._connection is not None and bool(self._connection.is_connected)

    def _session(self) -> paramiko.Channel:
        """Returns a new channel, over a new connection when the old one broke."""
        if self._active():
            with suppress(paramiko.SSHException, OSError, EOFError):
                return self._open().transport.open_session(timeout=CONNECT_TIMEOUT)
            self.close()
        with self._link_errors():
            return self._open().transport.open_session(timeout=CONNECT_TIMEOUT)

    def _open(self) -> fabric.Connection:
        if self._active():
            return self._connection
        self.close()
        connection = make_connection(self.device)
        self._connection = connection
        with self._link_errors():
            connection.open()
        connection.transport.set_keepalive(KEEPALIVE)
        return connection

    @contextmanager
    def _link_errors(self) -> Iterator[None]:
        """Turns what Paramiko and sockets raise into sentences."""
        try:
            yield
        except (paramiko.BadHostKeyException, paramiko.SSHException, OSError, EOFError) as error:
            wrapped = explain(self.device, self._connection, error)
            # A link on which something went wrong may be half dead; the next call opens another.
            self.close()
            raise wrapped from error


def _end(channel: paramiko.Channel) -> None:
    with suppress(Exception):
        channel.shutdown_write()
    with suppress(Exception):
        channel.close()


def refusal_of(device: Device) -> HostKeyError | None:
    """Returns the first refusal of a host key on the way to a device, or None when all keys are trusted.

    Raises:
        LinkError: The device does not answer.
    """
    transport = SshTransport(device)
    try:
        transport.open()
    except HostKeyError as error:
        return error
    except AccessError:
        return None  # it refused the login, so its key was right
    finally:
        transport.close()
    return None
