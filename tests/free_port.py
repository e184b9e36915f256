"""A port for a server of a test's own."""

from __future__ import annotations

import random
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """Returns a loopback port on which nothing listens, and that no outgoing connection is given meanwhile.

    What `bind(0)` returns may be taken before the server starts, or while it is down for a moment, by the next
    connection of any neighbour: the kernel takes both from the same range.
    """
    first = int(_RANGE.read_text().split()[0]) if _RANGE.is_file() else 32768
    for _ in range(200):
        port = random.SystemRandom().randrange(min(10_000, first - 1), first) if first > 2000 else 0
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise RuntimeError("no free port")
