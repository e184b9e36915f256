"""adb through the real `adb` client: an Android phone or board on USB or TCP."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from edge.base.errors import DeviceError, HostError, LinkError
from edge.base.progress import Progress
from edge.device.board import Device
from edge.protocol import transfer
from edge.protocol.base import AccessError, Call, CompletedCommand, check_argv
from edge.protocol.capture import Capture
from edge.protocol.child import end, pump
from edge.protocol.framing import Frame, new_marker, split_code, wrap

# adbd removes a file whose push broke, so what must survive a break is pushed in pieces of this many bytes.
PIECE = 4 << 20
CLIENT_TIMEOUT = 30.0
# Slowest link that is waited for, USB 1.1 and a busy phone (bytes a second).
SLOWEST = 100_000


class AdbTransport(transfer.Carrier):
    """One Android device."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.name = device.name
        self._features: frozenset[str] | None = None

    def _run(self, call: Call) -> CompletedCommand:
        self._ready()
        # The first contact may take longer than the program may; its time begins here.
        call = replace(call, started=time.monotonic())
        marker = new_marker()
        streams = (_Streams if self._has("shell_v2") else _OneStream)(marker, call.capture())
        line = wrap(call, marker, one_stream=isinstance(streams, _OneStream))
        process = self._start(["shell", *self._shell_options(), line])
        try:
            pump(process, streams.feed, call.deadline)
        finally:
            # Closing the input (without shell v2: the terminal) is what ends the program on the board; see `framing`.
            end(process, grace=2.0 if self._has("shell_v2") else 0.0)
        if streams.code is None:
            raise self._no_answer(call.argv, streams.noise)
        code, ended_by = split_code(streams.code)
        return call.completed(code, streams.capture, ended_by)

    def close(self) -> None:
        """Forgets what is known of the device; the adb server of this host goes on."""
        self._features = None

    def shell(self, argv: Sequence[str] | None = None) -> int:
        """See `Transport.shell`."""
        import shlex

        self._ready()
        words = ["shell", *(["-t", shlex.join(check_argv(argv))] if argv else [])]
        return subprocess.run([*self._client(), *words], check=False).returncode

    def send(self, local: Path, offset: int, remote: str, progress: Progress | None) -> None:
        """See `transfer.Carrier.send`: pieces are pushed one by one, and appended there."""
        total = local.stat().st_size
        piece_there = f"{remote}.piece"
        with local.open("rb") as reader, tempfile.TemporaryDirectory(prefix="plate-edge-") as folder:
            reader.seek(offset)
            piece_here = Path(folder) / "piece"
            while True:
                piece_here.write_bytes(reader.read(PIECE))
                try:
                    self._push(piece_here, piece_there)
                    script = 'cat "$1" >>"$2" || exit 73; rm -f "$1"'
                    answer = self.run(["sh", "-c", script, "sh", piece_there, remote], timeout=transfer.SCRIPT_TIMEOUT)
                    if answer.code != 0:
                        raise transfer.append_error(self.name, answer.code, answer.stderr)
                except DeviceError:
                    # A full disk is not left full.
                    self.run(["rm", "-f", piece_there, remote], timeout=CLIENT_TIMEOUT)
                    raise
                offset = min(total, offset + PIECE)
                if progress is not None:
                    progress(offset, total)
                if offset >= total:
                    return

    def receive(self, remote: str, offset: int, local: Path, progress: Progress | None, total: int) -> None:
        """See `transfer.Carrier.receive`; adb brings whole files, so what is there already is brought again."""
        size_limit = CLIENT_TIMEOUT + total / SLOWEST
        self._call(["pull", remote, str(local)], timeout=size_limit)
        if progress is not None:
            progress(total, total)

    def _push(self, local: Path, remote: str) -> None:
        answer = self._call(
            ["push", str(local), remote], timeout=CLIENT_TIMEOUT + local.stat().st_size / SLOWEST, raw=True
        )
        if answer.returncode == 0:
            return
        text = (answer.stderr or answer.stdout).decode("utf-8", "replace").strip()
        if "remote" in text and not self._lost(text):
            raise transfer.append_error(self.name, answer.returncode, text)
        raise self._client_error(text)

    def _shell_options(self) -> list[str]:
        # Without a terminal: output as it is, and the input's end reaches the program.
        return ["-T"] if self._has("shell_v2") else []

    def _has(self, feature: str) -> bool:
        return self._features is not None and feature in self._features

    def _client(self) -> list[str]:
        return ["adb", *(["-s", self.device.serial] if self.device.serial else [])]

    def _start(self, words: list[str]) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        return subprocess.Popen([*self._client(), *words], stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)

    def _call(self, words: list[str], *, timeout: float, raw: bool = False) -> subprocess.CompletedProcess[bytes]:
        """Runs the adb client once.

        Args:
            words: Its command.
            timeout: Seconds.
            raw: Return failures, too.

        Raises:
            LinkError: It failed, or did not end in time.
        """
        try:
            answer = subprocess.run(
                [*self._client(), *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            self._features = None
            raise LinkError(f"{self.name} no longer answers adb.", "Re-plug it, then run it again.") from None
        if answer.returncode != 0 and not raw:
            raise self._client_error((answer.stderr or answer.stdout).decode("utf-8", "replace").strip())
        return answer

    def _ready(self) -> None:
        """Makes sure that the device is there and accepts us; looks again only after something failed.

        Raises:
            HostError: There is no adb client.
            LinkError: No device, or it is offline.
            AccessError: It is not authorised, or it is not clear which device is meant.
        """
        if self._features is not None:
            return
        if shutil.which("adb") is None:
            raise HostError(
                "The adb client is not installed.", "Debian and Ubuntu: apt install adb. Else: platform-tools."
            )
        # The server must not inherit our pipes, or whoever reads them waits for ever.
        null = subprocess.DEVNULL
        with _answering():
            subprocess.run(["adb", "start-server"], stdout=null, stderr=null, timeout=CLIENT_TIMEOUT, check=False)
        serial = self.device.serial
        states = _states()
        if ":" in serial and states.get(serial) != "device":
            if serial in states:
                # Of a connection that broke, the server says "already connected" for a while.
                _adb("disconnect", serial)
            self._connect(serial)
            states = _states()
        self._check_state(states)
        features = self._call(["features"], timeout=CLIENT_TIMEOUT, raw=True)
        self._features = frozenset(features.stdout.decode().split()) if features.returncode == 0 else frozenset()

    def _connect(self, serial: str) -> None:
        text = _adb("connect", serial)
        if "connected to" not in text and "authenticate" not in text:
            raise LinkError(
                f"{self.name}: adb cannot connect to {serial}: {text[:200] or 'no reason given'}.",
                "Is it on the network, with network debugging on? Or run `adb tcpip 5555` over USB first.",
            )

    def _check_state(self, states: Mapping[str, str]) -> None:
        serial = self.device.serial
        attached = ", ".join(f"{name} ({state})" for name, state in states.items()) or "nothing"
        if not serial and len(states) > 1:
            raise AccessError(
                f"adb sees several devices, and {self.name} does not say which: {attached}.",
                f"Write `adb: SERIAL` for {self.name} in {self.device.where or 'devices.yml'}.",
            )
        state = states.get(serial, "") if serial else next(iter(states.values()), "")
        if not state:
            raise LinkError(
                f"adb does not see {serial or 'any device'}; attached: {attached}.",
                "Plug it in, switch USB debugging on (Developer options), and check `adb devices`.",
            )
        if state in ("unauthorized", "authorizing"):
            raise AccessError(
                f"{self.name} has not authorised this computer.",
                "Unlock its screen, confirm “Allow USB debugging”, then run the same command again.",
            )
        if state.startswith("no permissions"):
            raise AccessError(
                f"This user may not open {self.name}'s USB device.",
                "Add a udev rule for it (Debian: apt install android-sdk-platform-tools-common), then re-plug.",
            )
        if state != "device":
            raise LinkError(
                f"{self.name} is {state}.",
                "Re-plug it, or wait for it to start; if that fails: adb kill-server, then run the same command again.",
            )

    def _no_answer(self, argv: Sequence[str], noise: bytes) -> LinkError | DeviceError:
        text = noise.decode("utf-8", "replace").strip()
        self._features = None
        try:
            self._ready()
        except LinkError as error:
            return error
        if text and not self._lost(text):
            return DeviceError(f"{self.name} runs no programs for adb: {text[-300:]}")
        return LinkError(f"The link to {self.name} broke while `{argv[0]}` ran there.", "Run the same command again.")

    def _client_error(self, text: str) -> LinkError:
        """Returns the error for what the adb client said; the device's state says it better where it can."""
        self._features = None
        try:
            self._ready()
        except LinkError as error:
            return error
        last = text.splitlines()[-1][-200:] if text else "no reason given"
        return LinkError(f"The link to {self.name} broke: {last}.", "Run the same command again.")

    def _lost(self, text: str) -> bool:
        words = ("offline", "not found", "closed", "no devices", "protocol fault", "connection reset", "broken pipe")
        return any(word in text.lower() for word in words)


class _Streams:
    """Output and error of a program in two streams, as shell v2 gives them."""

    def __init__(self, marker: str, capture: Capture) -> None:
        self.capture = capture
        self._frames = Frame(marker), Frame(marker)

    def feed(self, stream: int, data: bytes) -> bool:
        self.capture.feed(stream, self._frames[stream - 1].feed(data))
        return all(frame.code is not None for frame in self._frames)

    @property
    def code(self) -> int | None:
        return self._frames[1].code

    @property
    def noise(self) -> bytes:
        return b"".join(frame.noise for frame in self._frames if not frame.begun)


class _OneStream(_Streams):
    """Both in one, one after the other, behind a terminal that ends lines with carriage return and line feed."""

    def __init__(self, marker: str, capture: Capture) -> None:
        super().__init__(marker, capture)
        self._frames = Frame(marker), Frame(marker, begun=True)
        self._pending = b""
        self._client_says = b""

    def feed(self, stream: int, data: bytes) -> bool:
        if stream == 2:
            self._client_says += data  # the adb client's own words
            return False
        data = self._pending + data
        self._pending = b"\r" if data.endswith(b"\r") else b""
        data = data.removesuffix(b"\r").replace(b"\r\n", b"\n")
        first, second = self._frames
        if first.code is None:
            self.capture.feed(1, first.feed(data))
            if first.code is None:
                return False
            data = first.after
        self.capture.feed(2, second.feed(data))
        return second.code is not None

    @property
    def noise(self) -> bytes:
        return super().noise + self._client_says


def _states() -> dict[str, str]:
    """Returns the state of every device that the adb server knows, by serial."""
    states = {}
    for line in _adb("devices").splitlines():
        serial, tab, state = line.partition("\t")
        if tab:
            states[serial] = state.strip()
    return states


@contextmanager
def _answering() -> Iterator[None]:
    """Ends the wait for a server that hangs, as adb's does at times after a cable was pulled; the client waits on."""
    try:
        yield
    except subprocess.TimeoutExpired:
        raise LinkError(
            "The adb server of this host does not answer.",
            "adb kill-server, then run it again; if that hangs too, end the process named adb.",
        ) from None


def _adb(*words: str) -> str:
    """Runs the adb client for no particular device and returns what it says."""
    with _answering():
        answer = subprocess.run(["adb", *words], capture_output=True, timeout=CLIENT_TIMEOUT, check=False)
    return (answer.stdout or answer.stderr).decode("utf-8", "replace").strip()
