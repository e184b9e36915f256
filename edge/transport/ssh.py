"""ssh through Fabric: keys, agent, `~/.ssh/config` and jump hosts are its work; trust, programs and files are ours."""

from __future__ import annotations

import logging
import select
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import fabric
import paramiko

from edge.board import Device, parse_ssh_address
from edge.errors import DeviceError, InputError, LinkError
from edge.transport import hostkeys, transfer
from edge.transport.base import AccessError, Lines, Progress, Result, check, check_argv
from edge.transport.capture import Capture, OutputOverflow
from edge.transport.framing import Frame, new_marker, split_code, wrap

# Paramiko logs the tracebacks of its thread; what they mean is said by `explain`.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

CONNECT_TIMEOUT = 10
# A board that answers nothing for this long, keep-alives included, is gone (seconds).
DEAD_AFTER = 30
KEEPALIVE = 10
BLOCK = 1 << 18
# GCM encrypts and authenticates in one pass: a third faster than Paramiko's default on the same link.
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")


class SshTransport:
    """One board behind ssh. The connection is opened by the first call, kept, and opened again when it broke."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.name = device.name
        self._connection: fabric.Connection | None = None

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        on_stdout: Lines | None = None,
        max_output: int = 64 << 20,
    ) -> Result:
        """See `Transport.run`."""
        command = check_argv(argv)
        marker = new_marker()
        line = wrap(command, marker, env, cwd)
        started = time.monotonic()
        capture = Capture(on_stdout, max_output)
        frames = Frame(marker), Frame(marker)
        channel = self._session()
        try:
            with self._link_errors():
                channel.exec_command(line.encode())
                self._pump(channel, frames, capture, None if timeout is None else started + timeout)
        except OutputOverflow:
            message = f"`{command[0]}` on {self.name} printed more than {max_output} bytes and was ended."
            raise DeviceError(message, "Is it in debug mode?") from None
        except TimeoutError:
            message = f"`{command[0]}` on {self.name} did not end within {timeout:g} s and was ended."
            raise DeviceError(message, "Give it more time, or see why it hangs.") from None
        finally:
            # Closing our side is what ends the program on the board, whatever the reason; see `framing`.
            _end(channel)
        stdout, stderr = capture.finish()
        code = frames[1].code
        if code is None:
            raise self._no_answer(command, frames, channel)
        code, ended_by = split_code(code)
        return Result(command, code, stdout, stderr, ended_by, time.monotonic() - started)

    def run_check(
        self,
        argv: Sequence[str],
        *,
        timeout: float | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        on_stdout: Lines | None = None,
        max_output: int = 64 << 20,
    ) -> Result:
        """See `Transport.run_check`."""
        return check(self.run(argv, timeout=timeout, env=env, cwd=cwd, on_stdout=on_stdout, max_output=max_output))

    def put(self, local: Path, remote: str, *, mode: int = 0o644, progress: Progress | None = None) -> bool:
        """See `Transport.put`. Goes on where a broken link left off, also in a later call."""
        return transfer.put(self, local, remote, mode, progress)

    def get(self, remote: str, local: Path, *, progress: Progress | None = None) -> None:
        """See `Transport.get`."""
        transfer.get(self, remote, local, progress)

    def open(self) -> None:
        """Opens the connection now; every other call does so by itself.

        Raises:
            LinkError: The board cannot be reached.
            AccessError: It does not let us in, or its host key is not trusted.
        """
        self._open()

    def close(self) -> None:
        """See `Transport.close`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()
            _close_gateways(connection)

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
            channel.close()

    def receive(self, remote: str, offset: int, local: Path, progress: Progress | None, total: int) -> None:
        """Appends a board file's bytes from `offset` on to a local file; see `transfer.Carrier`."""
        marker = new_marker()
        frame, errors = Frame(marker), Frame(marker)
        argv = ["tail", "-c", f"+{offset + 1}", remote]
        channel = self._session()
        try:
            with self._link_errors(), local.open("ab") as writer:
                channel.settimeout(DEAD_AFTER)
                channel.exec_command(wrap(argv, marker, None, None).encode())
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
        import shlex

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
            TimeoutError: The deadline passed.
            OutputOverflow: Too much output.
        """
        readable = channel.fileno()
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
                raise TimeoutError
            if more:
                continue
            if channel.closed or channel.eof_received:
                # What arrived between the two looks above and the end is still to be read.
                if channel.recv_ready() or channel.recv_stderr_ready():
                    continue
                return
            wait = 1.0 if deadline is None else min(1.0, max(0.0, deadline - time.monotonic()))
            select.select([readable], [], [], wait)

    def _await_append(self, channel: paramiko.Channel) -> None:
        errors = b""
        while block := channel.recv_stderr(BLOCK):
            errors += block
        code = channel.recv_exit_status()
        if code == -1:
            raise LinkError(f"The link to {self.name} broke during a transfer.", "Run the same command again.")
        if code != 0:
            raise transfer.append_error(self.name, code, errors.decode("utf-8", "replace"))

    def _no_answer(
        self, argv: Sequence[str], frames: tuple[Frame, Frame], channel: paramiko.Channel
    ) -> LinkError | DeviceError:
        if not self._active():
            return LinkError(
                f"The link to {self.name} broke while `{argv[0]}` ran there.",
                "The program was ended there too. Run the same command again.",
            )
        if not frames[0].begun and not frames[1].begun:
            noise = (frames[0].noise + frames[1].noise).decode("utf-8", "replace").strip()
            return DeviceError(
                f"{self.name} let us in but runs no programs: {noise[-300:] or 'it answered nothing'}.",
                "The account needs a login shell that runs POSIX sh commands.",
            )
        return LinkError(
            f"`{argv[0]}` on {self.name} was ended from outside.",
            "The board may be restarting or out of memory (`dmesg` there says).",
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
            if isinstance(error, TimeoutError) and not error.args and self._active():
                raise  # our own deadline
            raise explain(self.device, self._connection, error) from error


def make_connection(device: Device) -> fabric.Connection:
    """Returns a Fabric connection to a device, not opened yet, that trusts only known host keys, on every hop.

    Raises:
        InputError: The key file does not exist, or a jump host is malformed.
    """
    config = fabric.Config()
    options: dict[str, Any] = {"transport_factory": _transport, "banner_timeout": 15, "auth_timeout": 20}
    if device.key:
        path = Path(device.key).expanduser()
        if not path.is_file():
            raise InputError(f"The key file {path} of device {device.name} does not exist.", f"See {device.where}.")
        options["key_filename"] = [str(path)]
    target = fabric.Connection(
        device.host,
        user=device.user or None,
        port=device.port or None,
        config=config,
        connect_timeout=CONNECT_TIMEOUT,
        connect_kwargs=options,
        gateway=False,
    )
    jumps = device.jump or str(target.ssh_config.get("proxyjump", ""))
    if jumps and jumps != "none":
        target.gateway = _gateway(device, jumps, config)
    elif "proxycommand" in target.ssh_config:
        target.gateway = target.ssh_config["proxycommand"]
    _secure(device, target)
    return target


def _gateway(device: Device, jumps: str, config: fabric.Config) -> fabric.Connection:
    """Returns the last hop; each goes through the one before it, in the order in which ssh's -J takes them."""
    hop: fabric.Connection | None = None
    for text in jumps.split(","):
        user, host, port = parse_ssh_address(text.strip())
        hop = fabric.Connection(
            host,
            user=user or None,
            port=port or None,
            config=config,
            connect_timeout=CONNECT_TIMEOUT,
            connect_kwargs={"transport_factory": _transport, "banner_timeout": 15, "auth_timeout": 20},
            gateway=hop if hop is not None else False,
        )
        if device.key:
            # The board's key is a good guess for the jump host too; agent and ~/.ssh/config come after it.
            names = hop.connect_kwargs.get("key_filename", [])
            hop.connect_kwargs["key_filename"] = [str(Path(device.key).expanduser()), *names]
        _secure(device, hop)
    assert hop is not None
    return hop


def _secure(device: Device, connection: fabric.Connection) -> None:
    # Fabric accepts every new host by default.
    connection.client.set_missing_host_key_policy(hostkeys.Refuse(device.name, connection.host, connection.port))
    files = str(connection.ssh_config.get("userknownhostsfile", "")).split()
    hostkeys.load_known(connection.client.get_host_keys(), [*files, *hostkeys.USER_FILES])
    names = connection.connect_kwargs.get("key_filename")
    if names:
        # Files of ~/.ssh/config that do not exist are skipped, as ssh does; Paramiko would stop there.
        connection.connect_kwargs["key_filename"] = [name for name in names if Path(name).expanduser().is_file()]


def _transport(sock: Any, **options: Any) -> paramiko.Transport:
    """Makes Paramiko's transport with faster ciphers first and a socket that notices a dead link."""
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER * 1000)
    transport = paramiko.Transport(sock, **options)
    security = transport.get_security_options()
    security.ciphers = (*CIPHERS, *(name for name in security.ciphers if name not in CIPHERS))
    return transport


def explain(device: Device, connection: fabric.Connection | None, error: BaseException) -> LinkError:
    """Returns the sentence for what went wrong on the way to a device."""
    host = connection.host if connection is not None else device.host
    port = int(connection.port) if connection is not None else device.port or 22
    user = connection.user if connection is not None else device.user
    where = f"{device.name} ({hostkeys.label(host, port)})"
    again = "Is it switched on and on the network? Then run the same command again."
    if isinstance(error, LinkError):
        return error
    if isinstance(error, paramiko.BadHostKeyException):
        at = connection
        while isinstance(at, fabric.Connection) and at.host != error.hostname:
            at = at.gateway
        port = int(at.port) if isinstance(at, fabric.Connection) else port
        return hostkeys.changed(device.name, error.hostname, port, error.key, error.expected_key)
    if isinstance(error, paramiko.PasswordRequiredException):
        return AccessError(f"The ssh key for {where} has a passphrase.", "Load it into the agent first: ssh-add FILE")
    if isinstance(error, paramiko.AuthenticationException):
        option = f" -p {port}" if port != 22 else ""
        return AccessError(
            f"{where} does not let {user!r} in with the keys at hand.",
            f"Put your key there: ssh-copy-id{option} {user}@{host} - or name another with "
            f"`key:` for {device.name} in {device.where or 'devices.yml'}.",
        )
    if isinstance(error, socket.gaierror):
        return AccessError(f"The name {host!r} of {device.name} does not resolve.", f"See {device.where}.".strip())
    if isinstance(error, TimeoutError):
        return LinkError(f"{where} does not answer.", again)
    if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError | ConnectionRefusedError):
        return LinkError(f"{where} refuses the connection.", "Is sshd running there, on that port? Then run it again.")
    text = str(error) or type(error).__name__
    return LinkError(f"The link to {where} broke: {text}.", "Run the same command again; it goes on where it stopped.")


def _end(channel: paramiko.Channel) -> None:
    with suppress(Exception):
        channel.shutdown_write()
    with suppress(Exception):
        channel.close()


def _close_gateways(connection: fabric.Connection) -> None:
    hop = connection.gateway
    while isinstance(hop, fabric.Connection):
        with suppress(Exception):
            hop.close()
        hop = hop.gateway
