"""Unpacks archives that come from elsewhere, and trusts nothing that they say.

Everything is looked at before anything is written: a plan of all members is made from the headers, refused as a whole
when one member is hostile, then written into a temporary folder beside the destination, and renamed at the end. A
refused or broken archive therefore leaves nothing behind. Links are made last, so that no file is written through one.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import secrets
import shutil
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from edge.base.errors import InputError, VerifyError
from edge.base.progress import Progress

BLOCK = 1 << 20
DAMAGE = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, ValueError)


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may cost at most; the official ones need a tenth of it.

    Attributes:
        files: Members.
        total: Bytes of all files together.
        ratio: Unpacked bytes per packed byte; looked at beyond the first 64 MiB.
        header: Bytes of one header (a pax header may otherwise claim gigabytes of memory).
    """

    files: int = 50_000
    total: int = 4 << 30
    ratio: int = 200
    header: int = 1 << 20


@dataclass(frozen=True)
class _Member:
    """One thing to write: `kind` is `file`, `folder`, `symlink` or `hardlink`; `source` is the archive's own entry."""

    path: PurePosixPath
    kind: str
    size: int
    executable: bool
    target: str
    source: Any


def extract(
    archive: Path,
    out: Path,
    *,
    limits: ArchiveLimits | None = None,
    progress: Progress | None = None,
) -> Path:
    """Unpacks a `.tar`, `.tar.gz`, `.tar.bz2`, `.tar.xz` or `.zip` archive (told by content, not by name).

    Args:
        archive: The archive.
        out: Folder to make; it must not exist.
        limits: What the archive may cost.
        progress: Called with bytes written and bytes in all.

    Returns:
        `out`.

    Raises:
        InputError: Not an archive, cut short, or `out` exists.
        VerifyError: A hostile member; names it and says what is wrong with it.
    """
    if not archive.is_file():
        raise InputError(f"{archive} is not a file.")
    if out.exists() or out.is_symlink():
        raise InputError(f"{out} exists already.", "Remove it, or choose another folder.")
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with _opened(archive, limits or ArchiveLimits()) as (members, read):
            _check_tree(archive, members)
            temporary.mkdir()
            _write(temporary, members, read, progress)
        _check_links(archive, temporary, members)
        temporary.rename(out)
    except DAMAGE as error:
        raise InputError(f"{archive} is damaged: {error}.", "Get it again.") from error
    except NotImplementedError as error:  # zip: packed in a way that Python cannot unpack
        raise InputError(f"{archive} cannot be unpacked here: {error}.", "Pack it again, as .tar.gz.") from error
    except OSError as error:
        # bz2 and gzip report damage without a number; in a damaged zip, parts begin before the file does.
        if error.errno is None or (error.errno == errno.EINVAL and error.filename is None):
            raise InputError(f"{archive} is damaged: {error}.", "Get it again.") from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return out


def is_archive(path: Path) -> bool:
    """Whether a file begins like an archive that `extract` knows."""
    with path.open("rb") as stream:
        head = stream.read(265)
    return _kind(head) is not None


def _kind(head: bytes) -> str | None:
    for magic, name in ((b"\x1f\x8b", "gz"), (b"BZh", "bz2"), (b"\xfd7zXZ\x00", "xz"), (b"PK\x03\x04", "zip")):
        if head.startswith(magic):
            return name
    return "tar" if head[257:262] == b"ustar" else None


class _Guard(io.RawIOBase):
    """A read-only stream that refuses to give more than the limits allow, in all or at once."""

    def __init__(self, stream: IO[bytes], packed: int, limits: ArchiveLimits, where: Path) -> None:
        self._stream, self._limits, self._where = stream, limits, where
        # Room for headers and padding: two blocks a member.
        self._most = min(limits.total + limits.files * 1024, max(64 << 20, packed * limits.ratio))

    def _check(self, position: int) -> None:
        if position > self._most:
            raise VerifyError(
                f"{self._where} unpacks to more than {self._most >> 20} MiB: a decompression bomb.",
                "Nothing was unpacked.",
            )

    def read(self, size: int = -1) -> bytes:
        """Reads at most one header's or one block's worth."""
        if size < 0 or size > max(self._limits.header, BLOCK):
            raise VerifyError(f"{self._where} has a header of {size} bytes.", "Nothing was unpacked.")
        data = self._stream.read(size)
        self._check(self._stream.tell())
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Moves on in steps, so that a bomb is noticed before all of it went through the decompressor."""
        assert whence == 0
        self._check(offset)
        return self._stream.seek(offset)

    def tell(self) -> int:
        """Position in unpacked bytes."""
        return self._stream.tell()


Reader = Callable[[_Member], IO[bytes]]


@contextmanager
def _opened(archive: Path, limits: ArchiveLimits) -> Iterator[tuple[list[_Member], Reader]]:
    with archive.open("rb") as raw:
        kind = _kind(raw.read(265))
        raw.seek(0)
        if kind is None:
            raise InputError(
                f"{archive} is not an archive that can be unpacked here (tar, tar.gz, tar.bz2, tar.xz, zip).",
                "Was an HTML page saved in its place?",
            )
        if kind == "zip":
            with zipfile.ZipFile(raw) as bundle:
                members = _plan_zip(archive, bundle, limits)
                yield members, lambda member: bundle.open(member.source)
            return
        stream: Any = raw
        if kind == "gz":
            stream = gzip.GzipFile(fileobj=raw)
        elif kind == "bz2":
            stream = bz2.BZ2File(raw)
        elif kind == "xz":
            stream = lzma.LZMAFile(raw)  # noqa: SIM115  (closed with `raw`)
        guard = _Guard(stream, archive.stat().st_size, limits, archive)
        with tarfile.open(fileobj=cast(IO[bytes], guard), mode="r:", errors="surrogateescape") as tar:
            members = _plan_tar(archive, tar, limits)
            # tarfile takes a damaged header for the end; a real end is a block of zeros.
            guard.seek(tar.offset)
            if guard.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise EOFError("it ends in the middle")
            while guard.read(BLOCK):
                pass  # to the very end, where gzip and xz keep their checksums
            yield members, lambda member: cast(IO[bytes], tar.extractfile(member.source))


def _plan_tar(archive: Path, tar: tarfile.TarFile, limits: ArchiveLimits) -> list[_Member]:
    members: list[_Member] = []
    total = 0
    for info in tar:
        path = _safe_path(archive, info.name)
        if info.issparse():
            _refuse(archive, info.name, "is a sparse file")
        if info.isdir():
            kind = "folder"
        elif info.issym():
            kind = "symlink"
        elif info.islnk():
            kind = "hardlink"
        elif info.isreg():
            kind = "file"
        else:
            kind = ""
            _refuse(archive, info.name, "is a device, a pipe or another special file")
        if kind == "file" and info.mode & (stat.S_ISUID | stat.S_ISGID):
            _refuse(archive, info.name, "has the set-user-ID or set-group-ID bit")
        size = info.size if kind == "file" else 0
        total = _add(archive, info.name, total, size, len(members), limits)
        if path is not None:
            members.append(_Member(path, kind, size, bool(info.mode & 0o111), info.linkname, info))
    return members


def _plan_zip(archive: Path, bundle: zipfile.ZipFile, limits: ArchiveLimits) -> list[_Member]:
    members: list[_Member] = []
    total = 0
    packed = archive.stat().st_size
    for info in bundle.infolist():
        path = _safe_path(archive, info.filename)
        mode = info.external_attr >> 16
        kind = "folder" if info.is_dir() else "file"
        if info.flag_bits & 1:
            _refuse(archive, info.filename, "is encrypted")
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
            _refuse(archive, info.filename, "is a device, a pipe or another special file")
        if kind == "file" and mode & (stat.S_ISUID | stat.S_ISGID):
            _refuse(archive, info.filename, "has the set-user-ID or set-group-ID bit")
        target = ""
        if stat.S_ISLNK(mode):
            kind = "symlink"
            if info.file_size > 4096:
                _refuse(archive, info.filename, "is a link with an absurdly long target")
            target = bundle.read(info).decode("utf-8", "surrogateescape")
        size = info.file_size if kind == "file" else 0
        total = _add(archive, info.filename, total, size, len(members), limits)
        if total > max(64 << 20, packed * limits.ratio):
            _refuse(archive, info.filename, f"makes it more than {limits.ratio} times its packed size")
        if path is not None:
            members.append(_Member(path, kind, size, bool(mode & 0o111), target, info))
    return members


def _add(archive: Path, name: str, total: int, size: int, count: int, limits: ArchiveLimits) -> int:
    if size < 0 or total + size > limits.total:
        _refuse(archive, name, f"brings the size to more than {limits.total} bytes")
    if count >= limits.files:
        _refuse(archive, name, f"is one of more than {limits.files} members")
    return total + size


def _refuse(archive: Path, name: str, why: str) -> None:
    shown = name[:120].encode("unicode_escape").decode("ascii")
    raise VerifyError(
        f"{archive.name}: member `{shown}` {why}.", "The archive is not to be trusted; nothing was unpacked."
    )


def _safe_path(archive: Path, name: str) -> PurePosixPath | None:
    """Checks a member's name; None stands for the top folder itself."""
    if any(unicodedata.category(mark) in ("Cc", "Cs", "Cf") for mark in name):
        _refuse(archive, name, "has control characters or undecodable bytes in its name")
    if name.startswith("/"):
        _refuse(archive, name, "has an absolute path")
    if "\\" in name or (len(name) > 1 and name[1] == ":"):
        _refuse(archive, name, "has a Windows path")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        _refuse(archive, name, "leaves the folder with `..`")
    if len(name.encode()) > 1024 or any(len(part.encode()) > 255 for part in parts):
        _refuse(archive, name, "has an absurdly long name")
    return PurePosixPath(*parts) if parts else None


def _check_tree(archive: Path, members: list[_Member]) -> None:
    """Refuses names that collide: twice, differing in case or normal form only, or below what is not a folder."""
    kinds: dict[str, str] = {}
    files: set[PurePosixPath] = set()
    for member in members:
        key = unicodedata.normalize("NFC", str(member.path)).casefold()
        if key in kinds and not (kinds[key] == member.kind == "folder"):
            _refuse(archive, str(member.path), "occurs twice (or differs from another in upper and lower case only)")
        kinds[key] = member.kind
        if member.kind == "hardlink":
            target = _safe_path(archive, member.target)
            if target not in files:
                _refuse(archive, str(member.path), "is a hard link to something that is not a file of the archive")
        if member.kind in ("file", "hardlink"):
            files.add(member.path)
        if member.kind == "symlink" and (member.target.startswith("/") or not member.target):
            _refuse(archive, str(member.path), "is a link out of the folder")
    for member in members:
        for parent in list(member.path.parents)[:-1]:
            key = unicodedata.normalize("NFC", str(parent)).casefold()
            if kinds.get(key, "folder") != "folder":
                _refuse(archive, str(member.path), "lies below something that is not a folder")


def _write(
    root: Path, members: list[_Member], read: Reader, progress: Progress | None
) -> None:
    total = sum(member.size for member in members)
    written = 0
    for member in members:
        path = root / member.path
        if member.kind == "folder":
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if member.kind == "hardlink":
            path.hardlink_to(root / PurePosixPath(member.target))
        elif member.kind == "file":
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755 if member.executable else 0o644)
            with os.fdopen(handle, "wb") as out, read(member) as source:
                left = member.size
                while block := source.read(min(BLOCK, left)):
                    out.write(block)
                    left -= len(block)
                    written += len(block)
                    if progress:
                        progress(written, total)
                if left:
                    raise EOFError(f"{member.path} is {left} bytes shorter than its header says")
    for member in members:
        if member.kind == "symlink":
            (root / member.path).symlink_to(member.target)


def _check_links(archive: Path, root: Path, members: list[_Member]) -> None:
    """Looks where the links really lead, now that all are there: a chain of harmless ones can leave the folder."""
    real = root.resolve()
    for member in members:
        if member.kind == "symlink":
            try:
                where = (root / member.path).resolve()
            except (OSError, RuntimeError):  # RuntimeError: a loop of links
                where = Path("/")
            if where != real and real not in where.parents:
                _refuse(archive, str(member.path), "is a link out of the folder")
