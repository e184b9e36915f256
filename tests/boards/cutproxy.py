"""A TCP proxy on loopback that cuts connections after a given number of bytes: a link that breaks on cue."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from contextlib import suppress


class CutProxy:
    """Forwards to a loopback port.

    Args:
        target: Port of the real server.
        cuts: For the first connection, the second, ...: bytes from client to server after which both sides are cut;
            None, and every connection after the last, is never cut.
    """

    def __init__(self, target: int, cuts: Iterable[int | None] = ()) -> None:
        self.target = target
        self.cuts = list(cuts)
        self.connections = 0
        self.sent: list[int] = []
        self._open: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stops, cutting what is open."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()

    def cut(self) -> None:
        """Cuts all open connections now."""
        for sock in self._open:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        self._open.clear()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            number = self.connections
            self.connections += 1
            self.sent.append(0)
            limit = self.cuts[number] if number < len(self.cuts) else None
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open += [client, server]
            threading.Thread(target=self._forward, args=(client, server, number, limit), daemon=True).start()
            threading.Thread(target=self._forward, args=(server, client, number, None), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, number: int, limit: int | None) -> None:
        count = 0
        with suppress(OSError):
            while data := source.recv(65536):
                if limit is not None and count + len(data) >= limit:
                    sink.sendall(data[: limit - count])
                    break
                sink.sendall(data)
                count += len(data)
                if limit is not None:
                    self.sent[number] = count
        for sock in (source, sink):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
