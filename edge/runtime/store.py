"""Where Paddle Lite's library and headers for a board come from: the wheel, a folder, an archive, or a URL.

Every library is kept in the cache under the SHA-256 of its content, and pinned by it in a lock file in the user's
settings: what was taken on first use is what is used ever after, until the user says otherwise with `--update`.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.base.archive import extract, is_archive
from edge.base.download import download
from edge.base.errors import HostError, InputError, UsageError, VerifyError
from edge.base.paths import cache_dir, config_dir, sha256_file, write_atomic
from edge.base.progress import Progress
from edge.device.board import Board, list_profiles, load_profile
from edge.runtime.elf import SYSTEM_ANDROID, SYSTEM_LINUX, ElfFacts, exports, is_elf, read_elf

SCHEMA = "plate-edge/runtime-lock/1"
RELEASE = "v2.13-rc"
# What every program that uses the library is linked with; a part of the mangled name.
API = "CreatePaddlePredictor"
MIRROR_ENV = "PLATE_EDGE_RUNTIME_MIRROR"
OFFICIAL = "https://github.com/PaddlePaddle/Paddle-Lite/releases/download"
# The light library runs .nb files; the full one can, too, and the wheel is such a one.
NAMES = ("libpaddle_light_api_shared.so", "libpaddle_lite_jni.so", "liblite_pybind.so", "libpaddle_full_api_shared.so")


@dataclass(frozen=True)
class Runtime:
    """Paddle Lite for one kind of board.

    Attributes:
        build: Name of the build, as in a board's profile; `wheel` for the host's.
        folder: Where its files lie.
        library: The library that programs are linked with.
        libraries: Files for the board's `lib` folder with their places in it; `library` is the first.
        include: Folder with `paddle_api.h`; None where there are no headers (the wheel).
        version: Version string found in the library, empty when there is none (source builds keep a commit hash).
        source: `wheel`, or the folder, archive or URL that it was taken from.
        sha256: Of the content (archive, or folder listing).
        elf: Facts of `library`.
    """

    build: str
    folder: Path
    library: Path
    libraries: tuple[tuple[str, Path], ...]
    include: Path | None
    version: str
    source: str
    sha256: str
    elf: ElfFacts

    @property
    def replay(self) -> bool:
        """Whether this is the tests' stand-in, whose results are never valid measurements."""
        return "replay" in self.version


def runtime_for(board: Board) -> Runtime:
    """Returns the library that fits a board, from the wheel or the cache; fetches nothing.

    Raises:
        HostError: It is not there; says how to get it.
        VerifyError: What lies in the cache is not what was pinned.
    """
    if board.runtime.source == "wheel":
        return wheel_runtime()
    build = board.runtime.build
    if build not in read_lock():
        raise HostError(
            f"Paddle Lite's library for {board.name} ({build}) is not here yet.",
            f"Get it: `edge runtime get {board.name}`; without a network: `edge runtime add FOLDER_OR_ARCHIVE`, or build it "
            "from source: docs/howto/offline.md.",
        )
    return load_runtime(build)


def wheel_runtime() -> Runtime:
    """Returns the host's runtime: the library inside the Python package `paddlelite`.

    Raises:
        HostError: The package is not installed.
    """
    from edge.runtime.wheel import wheel_library

    wheel = wheel_library()
    return Runtime(
        build="wheel",
        folder=wheel.folder,
        library=wheel.library,
        libraries=wheel.libraries,
        include=None,
        version=wheel.version,
        source="wheel",
        sha256=wheel.sha256,
        elf=read_elf(wheel.library),
    )


def lock_path() -> Path:
    """The lock file: which content is to be used for each build."""
    return config_dir() / "runtime.lock.json"


def read_lock() -> dict[str, dict[str, Any]]:
    """Reads the lock file.

    Returns:
        Build to `sha256`, `source` and `url`; empty when there is no lock file yet.

    Raises:
        InputError: It is damaged or of another schema.
    """
    path = lock_path()
    if not path.exists():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            raise KeyError("schema")
        return dict(document["builds"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}).", "Remove it and get the libraries again.") from error


def _pin(build: str, entry: dict[str, Any]) -> None:
    builds = {**read_lock(), build: entry}
    write_atomic(lock_path(), json.dumps({"schema": SCHEMA, "builds": builds}, indent=2, sort_keys=True) + "\n")


def release_url(build: str, mirror: str | None = None) -> str:
    """Returns the address of an official archive.

    Args:
        build: Name of the archive without `.tar.gz`.
        mirror: Replaces the address up to the release's tag; None for `$PLATE_EDGE_RUNTIME_MIRROR` or GitHub.
    """
    base = mirror or os.environ.get(MIRROR_ENV) or OFFICIAL
    return f"{base.rstrip('/')}/{RELEASE}/{build}.tar.gz"


def get_runtime(
    build: str,
    *,
    mirror: str | None = None,
    update: bool = False,
    timeout: float = 30.0,
    progress: Progress | None = None,
) -> Runtime:
    """Returns an official build, downloading it when it is not in the cache.

    Args:
        build: As in a profile.
        mirror: See `release_url`.
        update: Accept content that differs from what is pinned.
        timeout: See `edge.base.download.download`.
        progress: Called with bytes so far and in all.

    Raises:
        InputError: No such file on the server, or not an archive of a runtime.
        LinkError: The server cannot be reached.
        VerifyError: The content is not what was pinned on first use, or hostile.
    """
    if build == "wheel":
        return wheel_runtime()
    if build in read_lock() and not update:
        try:
            return load_runtime(build)
        except HostError:
            pass  # pinned, but gone from the cache: fetched again and compared
    url = release_url(build, mirror)
    archive = download(url, cache_dir("runtime") / f"{build}.tar.gz", timeout=timeout, progress=progress)
    try:
        return add_runtime(archive, build=build, source=url, update=update)
    finally:
        archive.unlink(missing_ok=True)


def add_runtime(path: Path, *, build: str | None = None, source: str = "", update: bool = False) -> Runtime:
    """Takes a runtime from a folder or an archive into the cache, and pins it.

    Args:
        path: Folder or archive with the library and, if possible, `paddle_api.h`.
        build: The build that it stands for; None for the one that generic boards of its ABI use.
        source: Where it comes from; `path` when empty.
        update: Replace what is pinned for this build.

    Raises:
        InputError: Not there, no library in it, or several; a damaged one, one that is not Paddle Lite's, or one for
            another kind of board than the build.
        VerifyError: Other content is pinned for this build, or the archive is hostile.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist.", "Give a folder or an archive with Paddle Lite's library.")
    if path.is_file() and not is_archive(path):
        raise InputError(f"{path} is neither a folder nor an archive.", "Give the folder that holds the library.")
    digest = sha256_file(path) if path.is_file() else _hash_folder(path)
    folder = cache_dir("runtime") / digest[:20]
    if not folder.is_dir():
        temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            if path.is_file():
                extract(path, temporary)
            else:
                _copy_folder(path, temporary)
            _check_api(_inspect(temporary, "?", digest, str(path)).library)
            temporary.rename(folder)
        except InputError as error:
            # Blame the user's file, not our copy of it.
            raise InputError(error.message.replace(str(temporary), str(path)), error.hint) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    runtime = _inspect(folder, build or "?", digest, source or str(path))
    build = build or default_build(runtime.elf.abi)
    _check_kind(runtime, build, path)
    pinned = read_lock().get(build, {}).get("sha256")
    if pinned not in (None, digest) and not update:
        raise VerifyError(
            f"{source or path} has SHA-256 {digest[:16]}..., but {build} is pinned to {pinned[:16]}... here.",
            "If you expect the change, repeat the command with --update; otherwise do not trust this file.",
        )
    _pin(build, {"sha256": digest, "source": source or str(path.resolve()), "files": _digests(runtime)})
    return load_runtime(build)


def _check_api(library: Path) -> None:
    """Refuses a library that has only the name of Paddle Lite's."""
    if not exports(library, API):
        raise InputError(
            f"{library} is not Paddle Lite's library: it does not export {API}.",
            "Give the C++ library of a Paddle Lite build (cxx/lib in the official archives).",
        )


def _check_kind(runtime: Runtime, build: str, path: Path) -> None:
    """Refuses a library for another kind of board than the build's."""
    boards = [board for board in map(load_profile, list_profiles()) if board.runtime.build == build]
    wanted = sorted({board.abi for board in boards})
    have = runtime.elf
    if wanted and have.abi not in wanted:
        names = ", ".join(board.name for board in boards[:3])
        raise InputError(
            f"{path} holds a library for {have.abi} ({have.machine}, {have.bits} bit); {build} is for "
            f"{' and '.join(wanted)} boards ({names}).",
            f"Leave --build out to take it for {have.abi} boards, or give the library for {wanted[0]}.",
        )


def load_runtime(build: str) -> Runtime:
    """Loads a pinned runtime from the cache, verified against its pin.

    Raises:
        UsageError: It is not pinned.
        HostError: It is pinned, but not in the cache.
        VerifyError: A file in the cache was changed.
    """
    lock = read_lock()
    if build not in lock:
        raise UsageError(f"there is no runtime {build!r}.", "`edge runtime list` shows them.")
    entry = lock[build]
    folder = cache_dir("runtime") / str(entry["sha256"])[:20]
    if not folder.is_dir():
        raise HostError(f"The library of {build} is gone from the cache.", f"Get it again: `edge runtime get {build}`.")
    runtime = _inspect(folder, build, str(entry["sha256"]), str(entry["source"]))
    if _digests(runtime) != entry["files"]:
        raise VerifyError(
            f"The library of {build} in {folder} is not the one that was pinned.",
            "Remove that folder and get the library again.",
        )
    return runtime


def default_build(abi: str) -> str:
    """Returns the build that boards of an ABI (as `edge.runtime.elf` names it) use.

    Raises:
        InputError: No board profile is of that ABI.
    """
    names = sorted(list_profiles(), key=lambda name: (not name.startswith("generic"), name))
    for name in names:
        board = load_profile(name)
        if board.abi == abi and board.runtime.source == "archive":
            return board.runtime.build
    raise InputError(f"No board profile is {abi}.", "Name the build that this library stands for with --build.")


def library_version(path: Path) -> str:
    """Finds the release that a library was built from, such as `v2.13-rc`; empty when it does not say."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        match = re.search(rb"\0(v?2\.\d{1,2}(?:\.\d{1,2})?(?:-[a-z0-9.+-]{1,24})?)\0", content)
        return match[1].decode() if match else ""


def _inspect(folder: Path, build: str, digest: str, source: str) -> Runtime:
    library = _find_library(folder)
    headers = sorted(folder.rglob("paddle_api.h"), key=lambda path: (len(path.parts), str(path)))
    libraries = [(library.name, library), *_companions(library)]
    return Runtime(
        build=build,
        folder=folder,
        library=library,
        libraries=tuple(libraries),
        include=headers[0].parent if headers else None,
        version=library_version(library),
        source=source,
        sha256=digest,
        elf=read_elf(library),
    )


def _find_library(folder: Path) -> Path:
    """Finds the library in a folder."""
    others: list[Path] = []
    for name in NAMES:
        named = [path for path in folder.rglob(name) if path.is_file()]
        found = [path for path in named if is_elf(path)]
        others += [path for path in named if path not in found]
        # An archive may hold the same library for C++ and for Java; the C++ one lies in cxx/lib.
        found.sort(key=lambda path: ("cxx" not in path.parts, len(path.parts), str(path)))
        abis = {read_elf(path).abi for path in found}
        if len(abis) > 1:
            kinds = ", ".join(sorted(abis))
            raise InputError(f"{folder} holds {name} for {kinds}.", "Give the folder of one of them.")
        if found:
            return found[0]
    if others:
        what, hint = _instead_of_elf(others[0])
        raise InputError(f"{others[0]} is {what}, not a library.", hint)
    raise InputError(f"There is no Paddle Lite library in {folder}.", f"Looked for {', '.join(NAMES)}.")


def _instead_of_elf(path: Path) -> tuple[str, str]:
    """Says what lies in a library's place, and what to do."""
    with path.open("rb") as stream:
        begin = stream.read(512)
    again = "Download it again, and look at it before you add it."
    if not begin:
        return "an empty file", again
    if begin.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer", "Get its content where it was cloned: git lfs pull"
    if begin.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a saved web page", again
    if b"\0" not in begin:
        return "a text file", again
    return "no ELF file", again


def _companions(library: Path) -> list[tuple[str, Path]]:
    """Libraries beside the runtime that it needs and that are not part of the C library, nearest first."""
    out: list[tuple[str, Path]] = []
    queue = [read_elf(library)]
    while queue:
        for name in queue.pop().needed:
            path = library.parent / name
            if path.is_file() and name not in SYSTEM_LINUX | SYSTEM_ANDROID and (name, path) not in out:
                out.append((name, path))
                queue.append(read_elf(path))
    return out


def _digests(runtime: Runtime) -> dict[str, str]:
    files = [path for _, path in runtime.libraries]
    if runtime.include:
        files += sorted(runtime.include.glob("*.h"))
    return {str(path.relative_to(runtime.folder)): sha256_file(path) for path in files}


def _relevant(folder: Path) -> list[Path]:
    """Libraries and headers of a folder; demos, static libraries and sources stay behind."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(path for path in files if path.suffix == ".h" or ".so" in path.suffixes)


def _hash_folder(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in _relevant(folder):
        digest.update(f"{path.relative_to(folder)}\0{sha256_file(path)}\n".encode())
    return digest.hexdigest()


def _copy_folder(folder: Path, out: Path) -> None:
    for path in _relevant(folder):
        target = out / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    out.mkdir(parents=True, exist_ok=True)
