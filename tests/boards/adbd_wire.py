"""A test adbd: speaks adb's wire protocol over TCP to the real adb client.

Written from the protocol's description in AOSP (packages/modules/adb/protocol.txt, SYNC.TXT, OVERVIEW.TXT): packets of
24 bytes of header and a payload; CNXN and AUTH at the beginning; streams that are opened, written with one packet in
flight a direction, and closed. What runs on top of a stream is in `adbd_services`.
"""

from __future__ import annotations

import base64
import os
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

A_CNXN, A_AUTH, A_OPEN, A_OKAY, A_CLSE, A_WRTE = (
    int.from_bytes(name, "little") for name in (b"CNXN", b"AUTH", b"OPEN", b"OKAY", b"CLSE", b"WRTE")
)
VERSION = 0x01000001
MAX_DATA = 256 * 1024
TOKEN, SIGNATURE, PUBLIC_KEY = 1, 2, 3
# DigestInfo of SHA-1 (RFC 8017, 9.2 note 1): adb signs the token as if it were a SHA-1 digest.
SHA1_INFO = bytes.fromhex("3021300906052b0e03021a05000414")


@dataclass
class Settings:
    """How the device behaves.

    Attributes:
        features: What it can do; without `shell_v2` it is an old Android.
        auth: `none`, `ask` (the person at the phone confirms every new key), or `refuse` (nobody confirms).
        mute: Takes connections and says nothing: adb then calls the device offline.
        cut_after: Closes every connection after this many bytes from the host; 0 for never.
    """

    features: tuple[str, ...] = ("shell_v2", "cmd", "stat_v2")
    auth: str = "none"
    mute: bool = False
    cut_after: int = 0
    keys: set[bytes] = field(default_factory=set)


class Stream:
    """One stream of a connection, as a service sees it."""

    def __init__(self, connection: Connection, local: int, remote: int) -> None:
        self._connection = connection
        self.local = local
        self.remote = remote
        self._acknowledged = threading.Semaphore(0)
        self._arrived = threading.Condition()
        self._incoming = bytearray()
        self.closed = False

    def write(self, data: bytes) -> None:
        """Sends bytes to the host, waiting for its acknowledgement of each packet."""
        for start in range(0, len(data), self._connection.max_data):
            if self.closed:
                raise ConnectionError("stream closed")
            self._connection.send(A_WRTE, self.local, self.remote, data[start : start + self._connection.max_data])
            self._acknowledged.acquire()

    def read(self, size: int) -> bytes:
        """Returns up to `size` bytes from the host; empty when it closed the stream."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._incoming or self.closed)
            data = bytes(self._incoming[:size])
            del self._incoming[:size]
            return data

    def read_exactly(self, size: int) -> bytes:
        """Returns exactly `size` bytes.

        Raises:
            ConnectionError: The stream was closed before.
        """
        data = b""
        while len(data) < size:
            more = self.read(size - len(data))
            if not more:
                raise ConnectionError("stream closed")
            data += more
        return data

    def close(self) -> None:
        """Closes the stream from this side."""
        if not self.closed:
            self.closed = True
            with suppress(OSError):
                self._connection.send(A_CLSE, self.local, self.remote)

    def on_write(self, data: bytes) -> None:
        with self._arrived:
            self._incoming += data
            self._arrived.notify_all()
        self._connection.send(A_OKAY, self.local, self.remote)

    def on_okay(self) -> None:
        self._acknowledged.release()

    def on_close(self) -> None:
        self.closed = True
        with self._arrived:
            self._arrived.notify_all()
        self._acknowledged.release()


class Connection(threading.Thread):
    """One connection of an adb server."""

    def __init__(
        self, sock: socket.socket, settings: Settings, serve: Callable[[Stream, str], None], banner: str
    ) -> None:
        super().__init__(daemon=True)
        self._sock = sock
        self._settings = settings
        self._serve = serve
        self._banner = banner
        self._lock = threading.Lock()
        self._streams: dict[int, Stream] = {}
        self._next = 1
        self._received = 0
        self._token = os.urandom(20)
        self.max_data = 4096

    def run(self) -> None:
        try:
            while True:
                self._handle(*self._receive())
        except (OSError, ConnectionError, struct.error):
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Ends the connection and all its streams."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        for stream in list(self._streams.values()):
            stream.on_close()

    def send(self, command: int, arg0: int, arg1: int, data: bytes = b"") -> None:
        head = struct.pack("<6I", command, arg0, arg1, len(data), sum(data) & 0xFFFFFFFF, command ^ 0xFFFFFFFF)
        with self._lock:
            self._sock.sendall(head + data)

    def _receive(self) -> tuple[int, int, int, bytes]:
        command, arg0, arg1, length, _, magic = struct.unpack("<6I", self._exactly(24))
        if magic != command ^ 0xFFFFFFFF or length > MAX_DATA:
            raise ConnectionError("not an adb packet")
        return command, arg0, arg1, self._exactly(length)

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            more = self._sock.recv(size - len(data))
            if not more:
                raise ConnectionError("closed")
            self._received += len(more)
            if self._settings.cut_after and self._received > self._settings.cut_after:
                raise ConnectionError("cut")
            data += more
        return bytes(data)

    def _handle(self, command: int, arg0: int, arg1: int, data: bytes) -> None:
        if self._settings.mute:
            return
        if command == A_CNXN:
            self.max_data = min(arg1, MAX_DATA)
            if self._settings.auth == "none":
                self._welcome()
            else:
                self.send(A_AUTH, TOKEN, 0, self._token)
        elif command == A_AUTH:
            self._authenticate(arg0, data)
        elif command == A_OPEN:
            stream = Stream(self, self._next, arg0)
            self._streams[self._next] = stream
            self._next += 1
            destination = data.rstrip(b"\0").decode("utf-8", "surrogateescape")
            threading.Thread(target=self._service, args=(stream, destination), daemon=True).start()
        else:
            stream_or_none = self._streams.get(arg1)
            if stream_or_none is not None:
                if command == A_WRTE:
                    stream_or_none.on_write(data)
                elif command == A_OKAY:
                    stream_or_none.on_okay()
                elif command == A_CLSE:
                    del self._streams[arg1]
                    stream_or_none.on_close()

    def _service(self, stream: Stream, destination: str) -> None:
        self.send(A_OKAY, stream.local, stream.remote)
        try:
            self._serve(stream, destination)
        except (OSError, ConnectionError, struct.error):
            pass
        finally:
            stream.close()

    def _welcome(self) -> None:
        features = f"features={','.join(self._settings.features)}" if self._settings.features else ""
        self.send(A_CNXN, VERSION, MAX_DATA, f"device::{self._banner}{features}".encode() + b"\0")

    def _authenticate(self, kind: int, data: bytes) -> None:
        if kind == SIGNATURE and any(verify(key, self._token, data) for key in self._settings.keys):
            self._welcome()
        elif kind == SIGNATURE:
            self._token = os.urandom(20)
            self.send(A_AUTH, TOKEN, 0, self._token)
        elif kind == PUBLIC_KEY and self._settings.auth == "ask":
            self._settings.keys.add(base64.b64decode(data.split(b" ")[0]))
            self._welcome()


def verify(key: bytes, token: bytes, signature: bytes) -> bool:
    """Checks a signature of a token with an Android public key (words, n0inv, n little-endian, rr, e)."""
    words = int.from_bytes(key[:4], "little")
    size = words * 4
    modulus = int.from_bytes(key[8 : 8 + size], "little")
    exponent = int.from_bytes(key[8 + 2 * size : 12 + 2 * size], "little")
    plain = pow(int.from_bytes(signature, "big"), exponent, modulus).to_bytes(size, "big")
    return plain.endswith(b"\x00" + SHA1_INFO + token) and plain.startswith(b"\x00\x01\xff")


class Listener:
    """The device's TCP port."""

    def __init__(self, settings: Settings, serve: Callable[[Stream, str], None], banner: str) -> None:
        self._settings = settings
        self._serve = serve
        self._banner = banner
        self._connections: list[Connection] = []
        self._socket: socket.socket | None = None
        self.port = 0
        self.accepted = 0

    def start(self) -> None:
        """Listens on the port it had before, or on a free one."""
        self._socket = socket.create_server(("127.0.0.1", self.port))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._socket,), daemon=True).start()

    def stop(self) -> None:
        """Stops listening and cuts all connections."""
        if self._socket is not None:
            # A blocked accept is only woken by a shutdown.
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            self.accepted += 1
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(sock, self._settings, self._serve, self._banner)
            self._connections.append(connection)
            connection.start()
