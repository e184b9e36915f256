"""Which ssh host keys are trusted: the kit's own `known_hosts`, then the user's; anything else is refused.

A key is stored only after a person confirmed its fingerprint (`edge device trust`). A changed key is never accepted
silently: a reinstalled board and somebody in between look the same from here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import paramiko
from paramiko.hostkeys import HostKeyEntry, HostKeys

from edge.base.errors import LinkError
from edge.base.paths import config_dir, locked, write_atomic
from edge.protocol.base import AccessError

USER_FILES = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2", "/etc/ssh/ssh_known_hosts")
# What Paramiko can verify; other entries (security keys, certificates) would only confuse its negotiation.
KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")


class HostKeyError(AccessError):
    """A host key is unknown or changed; keeps what is needed to trust it.

    Attributes:
        host: Host as it was connected to.
        port: Port.
        key: The key that the host showed.
        expected: The key that was known, None for an unknown host.
    """

    def __init__(
        self, message: str, hint: str, host: str, port: int, key: paramiko.PKey, expected: paramiko.PKey | None
    ) -> None:
        super().__init__(message, hint)
        self.host = host
        self.port = port
        self.key = key
        self.expected = expected


def own_known_hosts(where: str = "") -> Path:
    """Returns the kit's own file of trusted keys, in OpenSSH's format: it lies beside the inventory.

    Args:
        where: `file:line` of the device's entry; empty for the usual inventory.
    """
    return Path(where.rpartition(":")[0]).with_name("known_hosts") if where else config_dir() / "known_hosts"


def label(host: str, port: int) -> str:
    """Returns how `known_hosts` writes a host: `host`, or `[host]:port` where the port is not 22."""
    return host if port == 22 else f"[{host}]:{port}"


def fingerprint(key: paramiko.PKey) -> str:
    """Returns `SHA256:...` as `ssh-keygen -l` prints it."""
    return str(key.fingerprint)


class RevokedKeyError(LinkError):
    """A host shows a key that was withdrawn; it cannot be trusted by confirming it."""

    transient = False


def load_known(
    keys: HostKeys, host: str, port: int, user_files: Iterable[str] = USER_FILES, where: str = ""
) -> frozenset[str]:
    """Adds the trusted keys of one host to `keys`; the kit's own come first and win.

    Args:
        keys: Added to.
        host: Host.
        port: Port.
        user_files: Files of keys beside the kit's own.
        where: See `own_known_hosts`; keys beside the usual inventory count for others as well.

    Returns:
        The keys, in base64, that the files mark as `@revoked`, for whatever host; none of them is trusted.
    """
    name = label(host, port)
    lines: list[str] = []
    for path in [own_known_hosts(where), own_known_hosts(), *map(Path, user_files)]:
        # RuntimeError: a user without a home folder has no files there.
        with suppress(OSError, RuntimeError):
            lines += path.expanduser().read_text(encoding="utf-8", errors="replace").splitlines()
    marked = (line.split() for line in lines if line.startswith("@revoked"))
    revoked = frozenset(words[3] for words in marked if len(words) > 3)
    for line in lines:
        words = line.split(maxsplit=1)
        if not words or not any(_names(word, name) for word in words[0].split(",")):
            continue
        entry = _entry(line)
        if entry is None or entry.key.get_base64() in revoked:
            continue
        # `add` replaces a key of the same type, and the first one read is the one to keep.
        if entry.key.get_name() not in (keys.lookup(name) or {}):
            keys.add(name, entry.key.get_name(), entry.key)
    return revoked


def _names(word: str, name: str) -> bool:
    """Whether a name in `known_hosts`, plain or hashed, is this one."""
    if not word.startswith("|1|"):
        return word == name
    try:
        return bool(HostKeys.hash_host(name, word) == word)
    except (ValueError, AssertionError):
        return False


def _entry(line: str) -> HostKeyEntry | None:
    """Reads one line; None for comments, `@revoked` and certificate lines, and what Paramiko does not understand."""
    line = line.strip()
    if not line or line.startswith(("#", "@")):
        return None
    try:
        entry = HostKeyEntry.from_line(line)
    except Exception:  # a damaged line of the user's file must not stop anybody; Paramiko raises many kinds
        return None
    return entry if entry is not None and entry.key is not None and entry.key.get_name() in KEY_TYPES else None


def remember(host: str, port: int, key: paramiko.PKey, where: str = "") -> Path:
    """Stores a key as trusted for a host in the kit's own files, in place of any they had for that host.

    A host is the same whichever inventory names it, so the key goes beside the usual inventory too.

    Args:
        host: Host.
        port: Port.
        key: Its key.
        where: See `own_known_hosts`.

    Returns:
        The file beside the inventory, or the usual one where that cannot be written.
    """
    usual, beside = own_known_hosts(), own_known_hosts(where)
    _store(usual, host, port, key)
    if beside == usual:
        return usual
    try:
        _store(beside, host, port, key)
    except OSError:  # an inventory that others keep, in a folder that is not ours
        return usual
    return beside


def _store(path: Path, host: str, port: int, key: paramiko.PKey) -> None:
    with locked(path):
        text = "".join(_others(path, host, port))
        if text and not text.endswith("\n"):
            text += "\n"
        write_atomic(path, f"{text}{label(host, port)} {key.get_name()} {key.get_base64()}\n")


def forget(host: str, port: int) -> None:
    """Removes all keys of a host from the kit's own file."""
    path = own_known_hosts()
    if not path.exists():
        return
    with locked(path):
        kept = "".join(_others(path, host, port))
        if kept != path.read_text(encoding="utf-8"):
            write_atomic(path, kept)


def _others(path: Path, host: str, port: int) -> list[str]:
    """Returns the lines of a file that are not about a host; none when there is no file."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    name = label(host, port)
    return [line for line in lines if line.startswith("#") or name not in re.split(r"[,\s]", line)[:1]]


def unknown(device: str, host: str, port: int, key: paramiko.PKey) -> HostKeyError:
    """Returns the refusal of a host that was never seen."""
    print_ = fingerprint(key)
    return HostKeyError(
        f"{label(host, port)} is not known yet. It shows the {key.get_name()} host key {print_}.",
        f"Compare with `ssh-keygen -lf /etc/ssh/ssh_host_*.pub` on the board; then: "
        f"edge device trust {device} --fingerprint {print_}",
        host,
        port,
        key,
        None,
    )


def changed(device: str, host: str, port: int, key: paramiko.PKey, expected: paramiko.PKey) -> HostKeyError:
    """Returns the refusal of a host whose key is not the one that was trusted."""
    print_ = fingerprint(key)
    return HostKeyError(
        f"The host key of {label(host, port)} has CHANGED: it was {expected.get_name()} {fingerprint(expected)}, "
        f"and is now {key.get_name()} {print_}.",
        "If the board was not reinstalled, somebody may be in between: stop here. "
        f"If it was: edge device trust {device} --fingerprint {print_}",
        host,
        port,
        key,
        expected,
    )


class Refuse(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]  # Paramiko has no types
    """Refuses hosts that are not known, with their fingerprint and the next step.

    Args:
        device: Name of the device, for the next step.
        host: Host that is connected to.
        port: Port that is connected to.
        revoked: Keys that `load_known` found withdrawn.
    """

    def __init__(self, device: str, host: str, port: int, revoked: frozenset[str] = frozenset()) -> None:
        self.device = device
        self.revoked = revoked
        self.host = host
        self.port = port

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """See Paramiko's policy; always raises `HostKeyError`, or `RevokedKeyError`."""
        if key.get_base64() in self.revoked:
            raise RevokedKeyError(
                f"{label(self.host, self.port)} shows the key {fingerprint(key)}, which your known_hosts marks as @revoked.",
                "Whoever has its private half can pass for the board: give the board a new host key.",
            )
        raise unknown(self.device, self.host, self.port, key)
