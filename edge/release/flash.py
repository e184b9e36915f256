"""Installs a release on a board: verified there, tried there, then switched on by one rename.

Until the rename, the release that runs is not touched; an attempt that ends anywhere before it leaves files that the
next one uses. See `edge.release.scripts` for what runs on the board, and docs/faults.md for what was tried.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge.base.errors import EdgeError, VerifyError
from edge.base.plural import counted
from edge.base.progress import Progress, Say
from edge.bundle.bundle import Bundle, tar_entry
from edge.bundle.manifest import MANIFEST_NAME, BundleFile
from edge.photo.labels import LABELS_NAME, read_labels
from edge.plate.answer import Answer
from edge.protocol.base import CommandError, Transport
from edge.protocol.transfer import FULL
from edge.release.lock import Lock, board_lock
from edge.release.preflight import check_board
from edge.release.releases import SUMS_NAME, Release, damaged_files, look, parse_look
from edge.release.scripts import PUBLISH, REUSE, SWEEP, SWITCH, UNPACK
from edge.release.smoke import SmokeResult, smoke

PACK_NAME = ".pack.tar"
SMALL = 256 << 10
NO_SAMPLES = "The kit has no sample photos of these models' country, so none was read on the board before the switch."
REPLAY_NOTE = "The runtime is the tests' replay: it repeats recorded answers, and none of its times is valid."


@dataclass
class FlashResult:
    """What a flash did.

    Attributes:
        release: What is switched on now.
        previous: Hash of what was switched on before; empty when nothing was.
        sent_files: Files whose content went over the link.
        sent_bytes: Their bytes.
        reused_files: Files that the board had already, in this or another release.
        already: Whether the release was installed and switched on before.
        smoke: Result of the trial run per variant; empty when there was none.
        seconds: Per step.
        notes: Sentences that a user should know.
    """

    release: Release
    previous: str = ""
    sent_files: int = 0
    sent_bytes: int = 0
    reused_files: int = 0
    already: bool = False
    smoke: dict[str, SmokeResult] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def total_seconds(self) -> float:
        """Wall time of all steps."""
        return sum(self.seconds.values())


def flash(
    transport: Transport,
    root: str,
    bundle: Bundle,
    *,
    expected: Mapping[str, Answer] | None = None,
    force: bool = False,
    wait: float = 0.0,
    break_lock: bool = False,
    smoke_timeout: float = 180.0,
    report: Say = lambda text: None,
    progress: Progress | None = None,
) -> FlashResult:
    """Installs and switches on a bundle.

    Args:
        transport: The board.
        root: The kit's folder on it, absolute (`edge.transport.connect.device_root`).
        bundle: What to install.
        expected: Per variant the host's answer for the first sample photo, with which the board's is compared.
        force: Switch on although the board's answer differs from the host's, or reads no sample photo.
        wait: Seconds to wait for another's lock.
        break_lock: Take the lock whoever holds it.
        smoke_timeout: Seconds for the trial run of one variant.
        report: Called with one line before each step; its first word is the step.
        progress: Called with bytes sent and bytes to send.

    Returns:
        What was done.

    Raises:
        BusyError: Another flash is running.
        LinkError: The link broke; run the same command again.
        DeviceError: The board lacks something (room, libraries, a writable folder), or the program fails there.
        VerifyError: What arrived is not what was sent, the board reads other plates than the host, or
            no sample photo.
    """
    return _Flash(transport, root, bundle, report, progress).run(
        dict(expected or {}), force=force, wait=wait, break_lock=break_lock, smoke_timeout=smoke_timeout
    )


def sample_texts(bundle: Bundle) -> dict[str, tuple[str, ...]]:
    """Returns what stands in a bundle's sample photos, by their names; those without a label are missing."""
    labels = bundle.sources.get(f"samples/{LABELS_NAME}")
    if labels is None:
        return {}
    plates = read_labels(labels, note=lambda text: None)
    return {name: tuple(str(plate["text"]) for plate in listed) for name, listed in plates.items() if listed}


class _Flash:
    """One attempt; its methods are the steps, in order."""

    def __init__(
        self, transport: Transport, root: str, bundle: Bundle, report: Say, progress: Progress | None
    ) -> None:
        self.transport, self.root, self.bundle = transport, root, bundle
        self.manifest = bundle.manifest
        self.report, self.progress = report, progress
        self.name = bundle.hash
        self.result = FlashResult(Release(f"{root}/releases/{self.name}", self.manifest))
        self.lease = 0
        self._began: tuple[str, float] | None = None

    def run(
        self, expected: dict[str, Answer], *, force: bool, wait: float, break_lock: bool, smoke_timeout: float
    ) -> FlashResult:
        """Does everything; see `flash`."""
        # The longest silence: the trial run of all variants.
        self.lease = 60 + int(smoke_timeout * len(self.manifest.variants))
        self._step("look at the board")
        state = look(self.transport, self.root)
        self.result.previous = state.current
        if state.current == self.name and not state.lock:
            self._step("verify what is installed")
            if not damaged_files(self.transport, self.result.release.path, self.manifest, self.bundle.sources):
                self._end()
                self.result.already = True
                self.result.reused_files = len(self.manifest.files)
                return self.result
        self._step("lock the board")
        with board_lock(self.transport, self.root, wait=wait, force=break_lock, report=self.report) as lock:
            self._install(lock, expected, force, smoke_timeout)
        self._end()
        return self.result

    def _install(self, lock: Lock, expected: dict[str, Answer], force: bool, smoke_timeout: float) -> None:
        # Looked at again: another flash may have ended between the first look and the lock.
        state = parse_look(lock.seen)
        self.result.previous = state.current
        installed = self.name in state.releases
        folder = self.result.release.path if installed else f"{self.root}/staging/{self.name}.{lock.token}"
        missing: list[BundleFile] = []
        if not installed:
            self._step("reuse what the board has")
            missing = self._reuse(lock, folder)
        self._step("preflight: check that the board can run it")
        # Only what is still to come needs room.
        self.result.notes += check_board(self.transport, replace(self.manifest, files=tuple(missing)), self.root)
        if self.manifest.runtime.get("replay"):
            self.result.notes.append(REPLAY_NOTE)
        try:
            if not installed:
                self._step(f"push {counted(len(missing), 'file')}, {sum(item.size for item in missing)} bytes")
                self._push(lock, folder, missing)
            self._step("verify on the board")
            self._verify(lock, folder)
        except EdgeError as error:
            if any(words in error.message.lower() for words in FULL):
                with suppress(EdgeError):  # A full disk is not left full because of this attempt.
                    lock.run(SWEEP, "sweep", timeout=300, lease=300)
            raise
        self._step("smoke: try it on the board")
        lock.keep("smoke", self.lease)
        trial = Release(folder, self.manifest)
        truth = sample_texts(self.bundle)
        self.result.smoke = smoke(self.transport, trial, expected, truth=truth, timeout=smoke_timeout, force=force)
        if not self.result.smoke:
            self.result.notes.append(NO_SAMPLES)
        self._step("publish: write everything to the disk")
        lock.run(PUBLISH, "publish", self.name, folder, lease=300, timeout=300)
        self._step("switch")
        lock.run(SWITCH, "switch", self.name)
        self._step("sweep what earlier attempts left")
        lock.run(SWEEP, "sweep", timeout=300, lease=300)

    def _reuse(self, lock: Lock, folder: str) -> list[BundleFile]:
        """Links what the board has; returns what has to be sent, each content once."""
        missing = self._link(lock, folder)
        unique: dict[str, BundleFile] = {}
        for item in self.manifest.files:
            if item.path in missing:
                unique.setdefault(item.sha256, item)
        self.result.reused_files = len(self.manifest.files) - len(unique)
        return list(unique.values())

    def _push(self, lock: Lock, folder: str, missing: list[BundleFile]) -> None:
        total = sum(item.size for item in missing)
        small = [item for item in missing if item.size <= SMALL]
        with tempfile.TemporaryDirectory(prefix="plate-edge-") as scratch:
            pack = self._pack(Path(scratch) / PACK_NAME, small)
            self.transport.put(pack, f"{folder}/{PACK_NAME}")
            try:
                inside = [SUMS_NAME, MANIFEST_NAME, *(item.path for item in small)]
                lock.run(UNPACK, "push", folder, PACK_NAME, *inside, lease=self.lease + 120)
            except CommandError:  # no tar on this board
                self.transport.run_check(["rm", "-f", f"{folder}/{PACK_NAME}"], timeout=60)
                self._push_notes(folder, Path(scratch))
                small = []
            else:
                self.result.sent_files += len(small)
                self.result.sent_bytes += sum(item.size for item in small)
        done = sum(item.size for item in small)
        for item in missing:
            if item in small:
                continue
            if item.size > SMALL:
                lock.keep(f"push:{item.path.replace(' ', '_')}", 30 + item.size // 100_000)
            if self._send(item, folder, done, total):
                self.result.sent_files += 1
                self.result.sent_bytes += item.size
            done += item.size
        if len({item.sha256 for item in self.manifest.files}) < len(self.manifest.files):
            self._link(lock, folder)  # files whose content was sent under another name

    def _pack(self, out: Path, small: list[BundleFile]) -> Path:
        """Small files travel together: a round trip each would cost more than their bytes."""
        with tarfile.open(out, "w", format=tarfile.USTAR_FORMAT) as tar:
            for name, text in ((SUMS_NAME, self._sums()), (MANIFEST_NAME, self.manifest.dump())):
                tar.addfile(tar_entry(name, len(text.encode()), 0o644), io.BytesIO(text.encode()))
            for item in small:
                with self.bundle.source(item).open("rb") as stream:
                    tar.addfile(tar_entry(item.path, item.size, item.mode), stream)
        return out

    def _push_notes(self, folder: str, scratch: Path) -> None:
        for name, text in ((SUMS_NAME, self._sums()), (MANIFEST_NAME, self.manifest.dump())):
            (scratch / name).write_text(text, encoding="utf-8")
            self.transport.put(scratch / name, f"{folder}/{name}")

    def _sums(self) -> str:
        """As `sha256sum -c` reads it; by it, later releases find what they need not send again."""
        return "".join(f"{item.sha256}  {item.path}\n" for item in self.manifest.files)

    def _send(self, item: BundleFile, folder: str, done: int = 0, total: int = 0) -> bool:
        tell: Progress | None = None
        if self.progress is not None and total:
            outer = self.progress

            def tell(sent: int, size: int) -> None:
                outer(done + sent, total)

        return self.transport.put(self.bundle.source(item), f"{folder}/{item.path}", mode=item.mode, progress=tell)

    def _link(self, lock: Lock, folder: str) -> set[str]:
        """Links every file whose content lies somewhere on the board; returns the paths of the others."""
        wanted: list[str] = []
        for item in self.manifest.files:
            wanted += [item.sha256, f"{item.mode:o}", item.path]
        lines = lock.run(REUSE, "reuse", self.name, folder, *wanted, lease=300, timeout=300)
        return {line[8:] for line in lines if line.startswith("missing ")}

    def _verify(self, lock: Lock, folder: str) -> None:
        """Compares every file; what differs is sent once more, and must then be right."""
        lock.keep("verify", self.lease)
        damaged = damaged_files(self.transport, folder, self.manifest, self.bundle.sources)
        if not damaged:
            return
        self.result.notes.append(f"{len(damaged)} damaged or missing files were sent again: {', '.join(damaged[:3])}.")
        files = {item.path: item for item in self.manifest.files}
        for path in damaged:
            lock.keep("repair", 30 + files[path].size // 100_000)
            # `put` renames a new file into the place, so that a hard link is cut from the damage that it shared.
            self._send(files[path], folder)
            self.result.sent_files += 1
            self.result.sent_bytes += files[path].size
        lock.keep("verify", self.lease)
        still = damaged_files(self.transport, folder, self.manifest, self.bundle.sources)
        if still:
            self.bundle.source(files[still[0]], verify=True)
            raise VerifyError(
                f"{still[0]} arrived damaged on {self.transport.name}, twice.",
                "Check the board's disk and memory. The release that was running is still switched on.",
            )

    def _step(self, text: str) -> None:
        self._end()
        self._began = (text.split(" ")[0].rstrip(":"), time.monotonic())
        self.report(text)

    def _end(self) -> None:
        if self._began is not None:
            name, began = self._began
            self.result.seconds[name] = self.result.seconds.get(name, 0.0) + time.monotonic() - began
            self._began = None
