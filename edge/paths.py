"""Where the kit keeps what it builds and fetches: one folder a kind, all under one root that a user can move."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

KIT_ROOT = Path(__file__).resolve().parent.parent


def kit_source(name: str) -> Path:
    """Returns where something of the checkout's top folder lies, such as `cpp`, `LICENSE` or `NOTICE`.

    An installed kit has no such folder; `setup.py` puts copies into the wheel as `edge/_kit/`.

    Args:
        name: Path relative to the top folder.

    Returns:
        The path in the checkout when it is one, else in the installed package; it need not exist.
    """
    installed = Path(__file__).resolve().parent / "_kit"
    return installed / name if installed.is_dir() else KIT_ROOT / name


def cpp_dir() -> Path:
    """Returns the folder of the C++ program's sources, in a checkout or an installed kit."""
    return kit_source("cpp")


def cache_dir(kind: str) -> Path:
    """Returns (and makes) the folder for one kind of cached thing.

    Args:
        kind: `models`, `build`, `runtime`, `boards`, `virtual` ...

    Returns:
        `$PLATE_EDGE_CACHE/<kind>`, or `$XDG_CACHE_HOME/plate-edge/<kind>`, or `~/.cache/plate-edge/<kind>`.
    """
    root = os.environ.get("PLATE_EDGE_CACHE")
    if root is None:
        xdg = os.environ.get("XDG_CACHE_HOME")
        root = str((Path(xdg) if xdg else Path.home() / ".cache") / "plate-edge")
    path = Path(root) / kind
    path.mkdir(parents=True, exist_ok=True)
    return path


def config_dir() -> Path:
    """Returns the folder of the user's own settings: `$XDG_CONFIG_HOME/plate-edge` or `~/.config/plate-edge`."""
    xdg = os.environ.get("XDG_CONFIG_HOME")
    return (Path(xdg) if xdg else Path.home() / ".config") / "plate-edge"


def sha256_file(path: Path) -> str:
    """Returns the SHA-256 of a file as 64 hexadecimal digits, reading 1 MiB at a time."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_atomic(path: Path, data: bytes | str) -> None:
    """Writes a file so that a reader sees the old content or the whole new one, never a part.

    Args:
        path: The file; its folder is made when missing.
        data: Bytes, or text written as UTF-8.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = data.encode() if isinstance(data, str) else data
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(raw)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Lets one process at a time do what makes `path`; the others wait, and should then look whether it is there.

    The lock is a hidden file beside it, which stays: to remove a lock's file is to let two processes hold it.

    Args:
        path: What is made.
        waiting: Called once when another process holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
