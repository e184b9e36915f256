"""Releases on a board: which there are, which one is current, how to run it, go back, and tidy up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.base.errors import DeviceError, InputError, UsageError, VerifyError
from edge.bundle.manifest import HASH_DIGITS, MANIFEST_NAME, Manifest, parse_manifest
from edge.protocol.base import Transport
from edge.protocol.digest import digest_like
from edge.release.lock import board_lock
from edge.release.scripts import FORGET, LOOK, REMOVE, SWEEP, SWITCH, digests, run_script

SUMS_NAME = "SHA256SUMS"
_PROGRAM_READS = (".jpg", ".jpeg", ".png")
_NAME = re.compile(rf"[0-9a-f]{{{HASH_DIGITS}}}")


@dataclass(frozen=True)
class Release:
    """A release that is installed on a board.

    Attributes:
        path: Its folder there, absolute.
        manifest: What it consists of.
    """

    path: str
    manifest: Manifest

    @property
    def hash(self) -> str:
        """Its name."""
        return self.manifest.hash

    @property
    def variants(self) -> list[str]:
        """Names of its pairs of models."""
        return sorted(self.manifest.variants)

    @property
    def env(self) -> dict[str, str]:
        """Environment in which its program finds its libraries."""
        return {"LD_LIBRARY_PATH": f"{self.path}/lib"}

    def command(self, variant: str, subcommand: str, *args: str) -> tuple[list[str], dict[str, str]]:
        """Returns what to run on the board.

        Args:
            variant: Such as `ppocrv3-int8`; chooses the config. `version` and `infer` take none.
            subcommand: Of `plate_ocr`: `run`, `bench`, `infer` or `version`.
            args: Further arguments.

        Returns:
            Command and environment, for `Transport.run`.

        Raises:
            UsageError: The release has no such variant.
        """
        argv = [f"{self.path}/bin/plate_ocr", subcommand]
        if subcommand in ("run", "bench"):
            argv += ["--config", f"{self.path}/{self.variant(variant)['config']}"]
        return [*argv, *args], self.env

    def variant(self, name: str) -> dict[str, object]:
        """Returns a variant's entry in the manifest.

        Raises:
            UsageError: There is none of that name.
        """
        if name not in self.manifest.variants:
            raise UsageError(
                f"The release has no variant {name!r}.",
                f"It has {', '.join(self.variants)}; `edge flash` brings others.",
            )
        return self.manifest.variants[name]

    @property
    def samples(self) -> list[str]:
        """Paths of its sample photos on the board, of those that its program reads without the host's help."""
        photos = (item.path for item in self.manifest.files if item.kind == "sample")
        return [f"{self.path}/{path}" for path in photos if path.lower().endswith(_PROGRAM_READS)]


@dataclass(frozen=True)
class BoardState:
    """What the kit's folder on a board looks like.

    Attributes:
        current: Hash of the release that `current` points to; empty when there is none.
        releases: Hashes of all that are installed.
        history: Hashes in the order in which they were switched on.
        lock: Who holds the lock; empty when nobody does.
        free: Bytes free on the disk; -1 when not known.
    """

    current: str
    releases: tuple[str, ...]
    history: tuple[str, ...]
    lock: str
    free: int

    @property
    def previous(self) -> str:
        """The release that ran before the current one and is still there; empty when there is none."""
        others = [name for name in self.history if name != self.current and name in self.releases]
        return others[-1] if others else ""


def look(transport: Transport, root: str) -> BoardState:
    """Looks at the kit's folder on a board; one round trip, changes nothing."""
    return parse_look(run_script(transport, LOOK, root, timeout=60).stdout.splitlines())


def parse_look(lines: Iterable[str]) -> BoardState:
    """Reads what the script `LOOK` printed; taking the lock prints it too."""
    current, lock, free = "", "", -1
    releases: list[str] = []
    history: list[str] = []
    for line in lines:
        key, _, value = line.partition(" ")
        if key == "current":
            name = value.rpartition("/")[2]
            current = name if _NAME.fullmatch(name) else ""
        elif key in ("release", "history") and _NAME.fullmatch(value):
            (releases if key == "release" else history).append(value)
        elif key == "locked":
            lock = value or "unknown"
        elif key == "df":
            # Before the percentage; names of file systems may hold blanks.
            match = re.search(r" ([0-9]{1,15})\s+[0-9]{1,3}% ", value)
            free = int(match[1]) * 1024 if match else free
    return BoardState(current, tuple(releases), tuple(history), lock, free)


def current_release(transport: Transport, root: str) -> Release | None:
    """Returns the release that a board runs, None when it has none.

    Raises:
        LinkError: The board cannot be reached.
        DeviceError: `current` leads nowhere or to something damaged.
    """
    state = look(transport, root)
    if not state.current:
        return None
    return read_release(transport, root, state.current)


def read_release(transport: Transport, root: str, name: str) -> Release:
    """Reads the manifest of an installed release.

    Raises:
        DeviceError: It is missing or damaged.
    """
    path = f"{root}/releases/{name}"
    result = transport.run(["cat", f"{path}/{MANIFEST_NAME}"], timeout=60)
    try:
        if result.code != 0:
            raise InputError(f"{path}/{MANIFEST_NAME} cannot be read")
        manifest = parse_manifest(result.stdout, MANIFEST_NAME)
        if manifest.hash != name:
            raise VerifyError(f"its manifest is of another release ({manifest.hash})")
    except (InputError, VerifyError) as error:
        raise DeviceError(
            f"Release {name} on {transport.name} is damaged: {error.message}",
            "Flash again; it repairs what is damaged.",
        ) from error
    return Release(path, manifest)


def damaged_files(
    transport: Transport, folder: str, manifest: Manifest, sources: Mapping[str, Path] | None = None
) -> list[str]:
    """Hashes a release on the board, in one command.

    Args:
        transport: The board.
        folder: Of the release there, absolute.
        manifest: What it should be.
        sources: The files on this host; needed only for boards that cannot compute SHA-256.

    Returns:
        Paths of the files that are missing or are not what the manifest says.
    """
    found = digests(transport, folder, [item.path for item in manifest.files], manifest.size)
    damaged = []
    for item in manifest.files:
        real = found.get(item.path, "")
        if real.startswith("cksum:"):
            source = (sources or {}).get(item.path)
            # Without the sources a board with nothing but cksum can at least tell the size.
            wrong = digest_like(source, real) != real if source else real.rpartition(":")[2] != str(item.size)
        else:
            wrong = real != item.sha256
        if wrong:
            damaged.append(item.path)
    return damaged


def rollback(transport: Transport, root: str, *, to: str = "", wait: float = 0.0) -> tuple[str, str]:
    """Switches a board back to the release that ran before.

    Args:
        transport: The board.
        root: The kit's folder on it.
        to: Beginning of the hash of another release; empty for the one before.
        wait: Seconds to wait for another's lock.

    Returns:
        Hash of the release that ran until now, and of the one that runs now.

    Raises:
        UsageError: There is none to go back to, or `to` names none.
        VerifyError: The release to go back to is damaged; the current one stays.
    """
    with board_lock(transport, root, wait=wait) as lock:
        state = parse_look(lock.seen)
        target = _choose(state, to)
        release = read_release(transport, root, target)
        lock.keep("verify", 300)
        damaged = damaged_files(transport, release.path, release.manifest)
        if damaged:
            raise VerifyError(
                f"Release {target} on {transport.name} is damaged: {', '.join(damaged[:3])}.",
                f"{state.current or 'Nothing'} stays switched on. Flash the release you want again.",
            )
        lock.run(SWITCH, "switch", target)
    return state.current, target


def _few(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more (`edge status` lists them)" if len(names) > most else ""
    return f"{', '.join(names[:most]) or 'none'}{more}"


def _choose(state: BoardState, to: str) -> str:
    if to:
        found = [name for name in state.releases if name.startswith(to)]
        if len(found) == 1:
            return found[0]
        raise UsageError(
            f"{to!r} names {'no' if not found else 'more than one'} release on the board.",
            f"There are: {_few(state.releases)}.",
        )
    if not state.previous:
        raise UsageError(
            "There is no earlier release to go back to.",
            "`edge status` shows what is installed; `edge flash` installs.",
        )
    return state.previous


def clean(transport: Transport, root: str, keep: int = 2, *, wait: float = 0.0) -> list[str]:
    """Removes old releases, and what broken-off attempts left.

    Args:
        transport: The board.
        root: The kit's folder on it.
        keep: How many to keep, the current one among them; at least 1.
        wait: Seconds to wait for another's lock.

    Returns:
        Hashes of the releases that were removed. The current one never is.

    Raises:
        UsageError: `keep` is less than 1.
    """
    if keep < 1:
        raise UsageError(f"--keep {keep}: the current release always stays.", "Use 1 or more.")
    with board_lock(transport, root, wait=wait) as lock:
        doomed = expendable(parse_look(lock.seen), keep)
        if doomed:
            lock.run(REMOVE, "clean", *doomed, timeout=300, lease=300)
        lock.run(FORGET, "clean", timeout=300, lease=300)
        lock.run(SWEEP, "clean", timeout=300, lease=300)
    return doomed


def expendable(state: BoardState, keep: int) -> list[str]:
    """Returns the releases beyond the `keep` most recently used ones."""
    order: list[str] = [state.current] if state.current else []
    for name in [*reversed(state.history), *state.releases]:
        if name in state.releases and name not in order:
            order.append(name)
    return order[keep:]
