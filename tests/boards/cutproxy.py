"""A TCP proxy that cuts its connections after so many bytes, as a bad cable or a lost Wi-Fi does."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress


class CutProxy:
    """Forwards to a loopback port; every number of `cuts` is used up by one cut.

    Attributes:
        port: Where it listens.
        cuts: Bytes from the client after which the connection of the moment is cut; the first comes first.
        done: How many cuts were made.
        connections: How many were taken.
        up: Bytes that came from the client.
        down: Bytes that came from the board.
    """

    def __init__(self, target: int, cuts: Sequence[int] = ()) -> None:
        self.target, self.cuts, self.done, self.connections = target, list(cuts), 0, 0
        self.up = self.down = 0
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Cuts all open connections now."""
        for sock in self._open:
            _reset(sock)
        self._open.clear()

    def close(self) -> None:
        """Ends everything."""
        with suppress(OSError):
            # A blocked accept is only woken by a shutdown.
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            try:
                board = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                _reset(client)
                continue
            for sock in (client, board):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open += [client, board]
            threading.Thread(target=self._up, args=(client, board), daemon=True).start()
            threading.Thread(target=self._down, args=(client, board), daemon=True).start()

    def _up(self, client: socket.socket, board: socket.socket) -> None:
        passed = 0
        with suppress(OSError):
            while data := client.recv(4096):
                with self._lock:
                    self.up += len(data)
                    passed += len(data)
                    if self.cuts and passed >= self.cuts[0]:
                        self.cuts.pop(0)
                        self.done += 1
                        break
                board.sendall(data)
        _reset(client)
        _reset(board)

    def _down(self, client: socket.socket, board: socket.socket) -> None:
        with suppress(OSError):
            while data := board.recv(65536):
                with self._lock:
                    self.down += len(data)
                client.sendall(data)
        _reset(client)


def _reset(sock: socket.socket) -> None:
    """Closes with a reset, not with a goodbye."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
