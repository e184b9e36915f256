"""Where a build's libjpeg-turbo comes from, and what is said when it cannot be had."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import edge.bundle.jpeg_library as jpeg_library
from edge.bundle.jpeg_library import JpegLibrary, program_decoder

NOBODYS_PORT = "http://127.0.0.1:9/debian"


def find(abi: str, said: list[str] | None = None) -> JpegLibrary:
    return jpeg_library.jpeg_library(abi, "x86_64", (said if said is not None else []).append)


def fake_tools(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An apt-get that downloads a package and a dpkg-deb that unpacks it; both write down how they were called."""
    log = folder / "calls"
    scripts = {
        "apt-get": f'echo "$0 $*" >>{log}; case "$*" in *download*) : >a.deb;; esac',
        "dpkg-deb": f'echo "$0 $*" >>{log}; to="$3/usr/lib/aarch64-linux-gnu"; mkdir -p "$to"; : >"$to/libjpeg.a"',
    }
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return log


def test_a_boards_library_is_fetched_once_without_touching_the_host(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists, packages and sources are the kit's own folders; nothing asks for another architecture of the host."""
    log = fake_tools(tmp_path, monkeypatch)
    said: list[str] = []
    first, second = find("arm64", said), find("arm64", said)
    assert first == second and first.archive is not None and first.archive.is_file() and not first.why
    assert said == ["fetching libjpeg-turbo for arm64"]
    update, download, unpack = log.read_text().splitlines()
    for place in ("lists", "sources.list", "archives"):
        assert "/.bookworm-arm64." in update and place in update
    assert "APT::Architecture=arm64" in update and "download libjpeg62-turbo-dev" in download and "dpkg-deb -x" in unpack
    assert [path.name for path in first.archive.parents[4].iterdir() if not path.name.startswith(".")] == ["bookworm-arm64"]


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs apt")
def test_no_network_is_said_and_not_tried_at_each_command(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATE_EDGE_DEBIAN_MIRROR", NOBODYS_PORT)
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    said: list[str] = []
    first, second = find("arm64", said), find("arm64", said)
    assert first == second and first.archive is None and len(said) == 1
    assert first.why.startswith("libjpeg-turbo for arm64 cannot be fetched: E: ")
    # As soon as the reason is gone: the note of the failure is not for ever.
    monkeypatch.setattr(jpeg_library, "RETRY_S", -1.0)
    find("arm64", said)
    assert len(said) == 2


def test_what_has_no_package_says_so(own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find("android-arm64").why == "no package has libjpeg-turbo for android-arm64"
    monkeypatch.setenv("PATH", str(tmp_path))
    for _ in range(2):
        assert find("armhf").why == "libjpeg-turbo comes from Debian, and apt-get is not installed"
    # That is looked at again at once.
    (tmp_path / "apt-get").symlink_to("/bin/false")
    assert find("armhf").why == "libjpeg-turbo comes from Debian, and dpkg-deb is not installed"


def test_a_program_tells_its_decoder_without_running(tmp_path: Path) -> None:
    (tmp_path / "turbo").write_bytes(b"\x7fELF\0libjpeg-turbo 2.1.5\0stb_image\0")
    (tmp_path / "stb").write_bytes(b"\x7fELF\0stb_image\0")
    assert [program_decoder(tmp_path / name) for name in ("turbo", "stb")] == ["libjpeg-turbo 2.1.5", "stb_image"]
