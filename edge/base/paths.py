"""Where the kit keeps what it builds and fetches: one folder a kind, all under one root that a user can move."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.base.errors import HostError

KIT_ROOT = Path(__file__).resolve().parents[2]


def kit_source(name: str) -> Path:
    """Returns where something of the checkout's top folder lies, such as `cpp`, `LICENSE` or `NOTICE`.

    An installed kit has no such folder; `setup.py` puts copies into the wheel as `edge/_kit/`.

    Args:
        name: Path relative to the top folder.

    Returns:
        The path in the checkout when it is one, else in the installed package; it need not exist.
    """
    installed = Path(__file__).resolve().parents[1] / "_kit"
    return installed / name if installed.is_dir() else KIT_ROOT / name


def cpp_dir() -> Path:
    """Returns the folder of the C++ program's sources, in a checkout or an installed kit."""
    return kit_source("cpp")


def cache_dir(kind: str) -> Path:
    """Returns (and makes) the folder for one kind of cached thing.

    Args:
        kind: `models`, `build`, `runtime`, `boards`, `virtual` ...

    Returns:
        `$PLATE_EDGE_CACHE/<kind>`, or `$XDG_CACHE_HOME/plate-edge/<kind>`, or `~/.cache/plate-edge/<kind>`; absolute.

    Raises:
        HostError: None of them says where, or it cannot be made.
    """
    own = os.environ.get("PLATE_EDGE_CACHE")
    # A relative one is meant from here, whatever folder a program that is given the path runs in.
    path = (Path(own).absolute() if own else _user_dir("XDG_CACHE_HOME", ".cache")) / kind
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint = "Point PLATE_EDGE_CACHE at a writable folder."
        raise HostError(f"The cache folder {path} cannot be made: {error.strerror}.", hint) from error
    return path


def config_dir() -> Path:
    """Returns the folder of the user's own settings: `$XDG_CONFIG_HOME/plate-edge` or `~/.config/plate-edge`."""
    return _user_dir("XDG_CONFIG_HOME", ".config")


def _user_dir(variable: str, below_home: str) -> Path:
    """Returns the kit's folder below `$variable`, or below the user's home."""
    given = Path(os.environ.get(variable, ""))
    # The XDG specification wants relative ones ignored.
    if given.is_absolute():
        return given / "plate-edge"
    try:
        return Path.home() / below_home / "plate-edge"
    except RuntimeError as error:
        # A container may run as a number that has no user.
        raise HostError(
            f"This user ({os.getuid()}) has no home folder.", f"Set HOME, or {variable}, to a writable folder."
        ) from error


def sha256_file(path: Path, size: int | None = None) -> str:
    """Returns the SHA-256 of a file, or of its first `size` bytes, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    left = 1 << 62 if size is None else size
    with path.open("rb") as stream:
        while block := stream.read(min(left, 1 << 20)):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def cached_sha256(path: Path) -> str:
    """Returns a file's SHA-256, remembered under its path, size and times: the wheel's libraries have 175 MB."""
    facts = path.stat()
    key = f"{path.resolve()}\0{facts.st_size}\0{facts.st_mtime_ns}\0{facts.st_ctime_ns}\0{facts.st_ino}"
    note = cache_dir("hashes") / hashlib.sha256(key.encode()).hexdigest()[:32]
    if note.is_file() and len(known := note.read_text(encoding="ascii")) == 64:
        return known
    digest = sha256_file(path)
    if facts.st_size >= 1 << 20:
        write_atomic(note, digest)
    return digest


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a hidden neighbour that takes a file's place when the block ends well, and vanishes when not."""
    # Two threads of a process may write the same file too.
    temporary = path.with_name(f".{path.name[:200]}.{os.getpid()}.{threading.get_ident():x}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomic(path: Path, data: bytes | str) -> None:
    """Writes a file so that a reader sees the old content or the whole new one, never a part.

    Args:
        path: The file; its folder is made when missing.
        data: Bytes, or text written as UTF-8.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = data.encode() if isinstance(data, str) else data
    with replacing(path) as temporary, temporary.open("wb") as stream:
        stream.write(raw)
        stream.flush()
        os.fsync(stream.fileno())


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
