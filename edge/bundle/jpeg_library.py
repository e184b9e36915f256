"""Finding libjpeg-turbo for a build: Debian's static library, the host's own or one that apt fetches into the cache.

Boards get the library of one Debian release, whatever this host runs: a newer one would ask for a newer glibc than theirs,
and the same sources must give the same program everywhere. It is fetched with apt's own checks into folders of the
kit's: no root is needed, and neither the host's packages nor its architectures change.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from edge.base.download import DEBIAN_MIRROR, DEBIAN_MIRROR_ENV, DEBIAN_SUITE
from edge.base.paths import cache_dir, locked, write_atomic
from edge.base.progress import Say

PACKAGE = "libjpeg62-turbo-dev"
# ABI: Debian's architecture, and its triplet in paths.
_DEBIAN = {
    "x86_64": ("amd64", "x86_64-linux-gnu"),
    "arm64": ("arm64", "aarch64-linux-gnu"),
    "armhf": ("armhf", "arm-linux-gnueabihf"),
}
_KEYRINGS = ("/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp")
# A fetch that failed is not tried again at each command.
RETRY_S = 3600.0
_PROGRAM_NAME = re.compile(rb"libjpeg-turbo \d[\w.]*")


@dataclass(frozen=True)
class JpegLibrary:
    """What a program is to decode JPEGs with.

    Attributes:
        archive: `libjpeg.a`; None when there is none, and the program decodes with stb_image.
        includes: Folders of its headers, beside those where the compiler looks by itself.
        why: Why there is none, and what to do; empty when there is one.
    """

    archive: Path | None
    includes: tuple[Path, ...] = ()
    why: str = ""


def jpeg_library(abi: str, host: str, report: Say = lambda text: None) -> JpegLibrary:
    """Finds the library for an ABI, fetching it when it is not there.

    Args:
        abi: Such as `arm64`.
        host: The ABI of this machine.
        report: Called with one line before a fetch.

    Returns:
        The library, or why there is none; never an error, since a program without it reads most photos.
    """
    if abi not in _DEBIAN:
        return JpegLibrary(None, why=f"no package has libjpeg-turbo for {abi}")
    arch, triplet = _DEBIAN[abi]
    if abi == host and (archive := host_library(abi)):
        return JpegLibrary(archive)
    folder = cache_dir("jpeg") / f"{DEBIAN_SUITE}-{arch}"
    failed = folder.with_name(f"{folder.name}.failed")
    with locked(folder):
        if not folder.is_dir():
            if failed.is_file() and time.time() - failed.stat().st_mtime < RETRY_S:
                return JpegLibrary(None, why=failed.read_text(encoding="utf-8"))
            missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
            if missing:
                return JpegLibrary(None, why=f"libjpeg-turbo comes from Debian, and {missing[0]} is not installed")
            report(f"fetching libjpeg-turbo for {abi}")
            why = _fetch(arch, folder)
            if why:
                advice = "; apt-get install libjpeg-dev" if abi == host else ""
                write_atomic(failed, f"{why}{advice}")
                return JpegLibrary(None, why=f"{why}{advice}")
            failed.unlink(missing_ok=True)
    include = folder / "usr/include"
    return JpegLibrary(folder / "usr/lib" / triplet / "libjpeg.a", (include, include / triplet))


def host_library(abi: str) -> Path | None:
    """Returns the library that the host's package for developers (`libjpeg-dev`) installed; None without it."""
    archive = Path("/usr/lib", _DEBIAN.get(abi, ("", "none"))[1], "libjpeg.a")
    return archive if archive.is_file() and Path("/usr/include/jpeglib.h").is_file() else None


def program_decoder(program: Path) -> str:
    """Returns what a built `plate_ocr` decodes JPEGs with, as its `version` command says: it need not run here."""
    found = _PROGRAM_NAME.search(program.read_bytes())
    return found[0].decode() if found else "stb_image"


def _fetch(arch: str, folder: Path) -> str:
    """Unpacks the package into `folder`; returns why that failed, empty when it did not."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
        place = Path(scratch)
        for name in ("lists/partial", "archives/partial", "etc"):
            (place / name).mkdir(parents=True)
        (place / "sources.list").write_text(f"{_source()}\n", encoding="utf-8")
        settings = {
            "APT::Architecture": arch,
            "APT::Architectures": arch,
            "APT::Sandbox::User": "root",
            "APT::Update::Error-Mode": "any",
            "Acquire::Languages": "none",
            "Acquire::Retries": "1",
            "Acquire::http::Timeout": "20",
            "Dir::State::lists": str(place / "lists"),
            "Dir::State::status": "/dev/null",
            "Dir::Cache": str(place),
            "Dir::Cache::archives": str(place / "archives"),
            "Dir::Etc::sourcelist": str(place / "sources.list"),
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
        }
        options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
        for command in (["apt-get", "-q", *options, "update"], ["apt-get", "-q", *options, "download", PACKAGE]):
            why = _run(command, place)
            if why:
                return f"libjpeg-turbo for {arch} cannot be fetched: {why}"
        packages = sorted(place.glob("*.deb"))
        unpacked = place / "root"
        why = _run(["dpkg-deb", "-x", str(packages[0]), str(unpacked)], place) if packages else "no package came"
        if why or not list(unpacked.glob("usr/lib/*/libjpeg.a")):
            return f"libjpeg-turbo for {arch} cannot be unpacked: {why or 'its package has no libjpeg.a'}"
        unpacked.rename(folder)
    return ""


def _source() -> str:
    """The line of a sources.list: the mirror from which virtual boards are made too."""
    mirror = os.environ.get(DEBIAN_MIRROR_ENV) or DEBIAN_MIRROR
    if mirror.startswith("deb "):
        return mirror
    keyring = next((path for path in _KEYRINGS if Path(path).is_file()), "")
    return f"deb {f'[signed-by={keyring}] ' if keyring else ''}{mirror} {DEBIAN_SUITE} main"


def _run(command: list[str], folder: Path) -> str:
    """Runs a command there; returns its last words when it fails."""
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", timeout=300, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"{command[0]} did not end within 300 s"
    if done.returncode == 0:
        return ""
    said = [line for line in (done.stderr + done.stdout).splitlines() if line.startswith(("E:", "dpkg-deb:"))]
    return (said or done.stderr.strip().splitlines() or ["no reason was given"])[0][:300]
