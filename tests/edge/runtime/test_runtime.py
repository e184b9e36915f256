"""Runtimes: the wheel, folders, archives and a server; pinned on first use, refused when they change."""

from __future__ import annotations

import re
import shutil
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.base.download import download
from edge.base.errors import EdgeError, HostError, InputError, LinkError, VerifyError
from edge.commands.runtime import runtime as runtime_command
from edge.device.board import load_profile
from edge.runtime.store import (
    add_runtime,
    default_build,
    get_runtime,
    library_version,
    load_runtime,
    read_lock,
    release_url,
    runtime_for,
    wheel_runtime,
)

ARM = "inference_lite_lib.armlinux.armv8.gcc.with_extra.with_cv"
SOURCE = 'const char *version(void) { return "%s"; }\nint CreatePaddlePredictor(void) { return 0; }\n'


def make_archive_folder(folder: Path, version: str = "v2.13-rc", compiler: str = "aarch64-linux-gnu-gcc") -> Path:
    """A folder as an official archive unpacks to, with a real (if empty) library for ARM."""
    import subprocess

    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    top = folder / ARM
    for part in ("cxx/include", "cxx/lib", "demo/cxx"):
        (top / part).mkdir(parents=True)
    source = folder / "lib.c"
    source.write_text(SOURCE % version)
    library = top / "cxx/lib/libpaddle_light_api_shared.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", f"-Wl,-soname,{library.name}", "-o", library, source, "-lm"], check=True
    )
    (top / "cxx/include/paddle_api.h").write_text("#pragma once\n")
    (top / "cxx/lib/libpaddle_api_light_bundled.a").write_bytes(b"!<arch>\n")
    (top / "demo/cxx/README.md").write_text("demo")
    return top


def pack(folder: Path, out: Path) -> Path:
    with tarfile.open(out, "w:gz") as tar:
        tar.add(folder, arcname=folder.name)
    return out


def test_the_wheel_is_the_hosts_runtime() -> None:
    runtime = runtime_for(load_profile("local"))
    assert runtime.build == "wheel"
    assert runtime.library.is_file()
    assert runtime.elf.soname == "liblite_pybind.so"
    assert runtime.version.startswith("v2.13")
    assert library_version(wheel_runtime().library) == runtime.version
    places = [place for place, _ in runtime.libraries]
    assert "libs/libiomp5.so" in places


def test_a_missing_runtime_says_how_to_get_it(own_cache: Path) -> None:
    with pytest.raises(HostError, match="rk3399") as caught:
        runtime_for(load_profile("rk3399"))
    assert "edge runtime get rk3399" in caught.value.hint
    assert "edge runtime add" in caught.value.hint


def test_a_folder_is_taken_pinned_and_found_by_boards(own_cache: Path, tmp_path: Path) -> None:
    folder = make_archive_folder(tmp_path / "in")
    runtime = add_runtime(folder.parent)
    assert runtime.build == ARM == default_build("arm64")
    assert runtime.version == "v2.13-rc"
    assert runtime.elf.abi == "arm64"
    assert runtime.include is not None and (runtime.include / "paddle_api.h").is_file()
    # The kit's copy: what happens to the folder afterwards is no matter.
    shutil.rmtree(folder)
    for name in ("rk3399", "rpi4", "generic-arm64"):
        found = runtime_for(load_profile(name))
        assert found.sha256 == runtime.sha256
        assert found.library.is_file()
    assert not list(runtime.folder.rglob("*.a"))


def test_an_archive_and_its_change(own_cache: Path, tmp_path: Path) -> None:
    first = pack(make_archive_folder(tmp_path / "one"), tmp_path / "one.tar.gz")
    second = pack(make_archive_folder(tmp_path / "two", "v2.12"), tmp_path / "two.tar.gz")
    pinned = add_runtime(first)
    assert add_runtime(first).sha256 == pinned.sha256
    with pytest.raises(VerifyError, match="is pinned to") as caught:
        add_runtime(second)
    assert "--update" in caught.value.hint
    assert load_runtime(ARM).sha256 == pinned.sha256
    assert add_runtime(second, update=True).version == "v2.12"
    assert load_runtime(ARM).version == "v2.12"


def test_a_changed_cache_is_noticed(own_cache: Path, tmp_path: Path) -> None:
    runtime = add_runtime(make_archive_folder(tmp_path / "in"))
    with runtime.library.open("ab") as out:
        out.write(b"x")
    with pytest.raises(VerifyError, match="not the one that was pinned"):
        load_runtime(ARM)
    shutil.rmtree(runtime.folder)
    with pytest.raises(HostError, match="gone from the cache"):
        load_runtime(ARM)


def test_libraries_beside_it_come_along(own_cache: Path, tmp_path: Path) -> None:
    import subprocess

    top = make_archive_folder(tmp_path / "in")
    lib = top / "cxx/lib"
    (tmp_path / "gomp.c").write_text("int omp(void) { return 1; }\n")
    (tmp_path / "lite.c").write_text("int omp(void); int CreatePaddlePredictor(void) { return omp(); }\n")
    gcc = "aarch64-linux-gnu-gcc"
    gomp = lib / "libgomp.so.1"
    subprocess.run([gcc, "-shared", "-Wl,-soname,libgomp.so.1", "-o", gomp, tmp_path / "gomp.c"], check=True)
    library = lib / "libpaddle_light_api_shared.so"
    soname = f"-Wl,-soname,{library.name}"
    subprocess.run([gcc, "-shared", "-fPIC", soname, "-o", library, tmp_path / "lite.c", gomp], check=True)
    assert [place for place, _ in add_runtime(top).libraries] == [library.name, "libgomp.so.1"]


def test_what_is_no_runtime_is_refused(own_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no Paddle Lite library"):
        add_runtime(tmp_path / "empty")
    page = tmp_path / "page.tar.gz"
    page.write_text("<html>")
    with pytest.raises(InputError, match="neither a folder nor an archive"):
        add_runtime(page)
    stub = tmp_path / "stub"
    stub.mkdir()
    (stub / "libpaddle_light_api_shared.so").write_bytes(b"\x7fELF" + bytes(30))
    with pytest.raises(InputError, match="damaged ELF"):
        add_runtime(stub)
    hostile = tmp_path / "evil.tar.gz"
    with tarfile.open(hostile, "w:gz") as tar:
        info = tarfile.TarInfo("../../evil")
        tar.addfile(info)
    with pytest.raises(VerifyError, match="leaves the folder"):
        add_runtime(hostile)
    assert read_lock() == {}
    assert [path for path in (own_cache / "runtime").rglob("*") if path.is_file()] == []


class Server(ThreadingHTTPServer):
    """Serves one file, with what can go wrong: it breaks off, changes the file, stalls, lies about its length."""

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.tag = '"one"'
        self.cut_at: list[int] = []
        self.requests: list[str] = []
        self.ranges: list[str] = []
        self.status = 200
        self.hang = threading.Event()
        self.hang.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the test."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        server.requests.append(self.path)
        asked = self.headers.get("Range", "")
        server.ranges.append(asked)
        if server.status != 200:
            self.send_error(server.status)
            return
        start = 0
        if asked and self.headers.get("If-Range") == server.tag:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        else:
            self.send_response(200)
        self.send_header("ETag", server.tag)
        self.send_header("Content-Length", str(len(server.content) - start))
        self.end_headers()
        end = server.cut_at.pop(0) if server.cut_at else len(server.content)
        self.wfile.write(server.content[start:end])
        self.wfile.flush()
        if end < len(server.content):
            self.connection.close()
        server.hang.wait(20)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(bytes(range(256)) * 2000)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.hang.set()
    server.shutdown()
    server.server_close()


def test_a_release_is_fetched_from_a_mirror_once(
    own_cache: Path, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.content = pack(make_archive_folder(tmp_path / "in"), tmp_path / "a.tar.gz").read_bytes()
    monkeypatch.setenv("PLATE_EDGE_RUNTIME_MIRROR", f"{server.url}/mirror/")
    seen: list[tuple[int, int]] = []
    runtime = get_runtime(ARM, progress=lambda done, total: seen.append((done, total)))
    assert server.requests == [f"/mirror/v2.13-rc/{ARM}.tar.gz"]
    assert seen[-1] == (len(server.content), len(server.content))
    assert runtime.source == f"{server.url}/mirror/v2.13-rc/{ARM}.tar.gz"
    get_runtime(ARM)
    assert len(server.requests) == 1
    # Gone from the cache: fetched again, and held against the pin.
    shutil.rmtree(runtime.folder)
    server.content = pack(make_archive_folder(tmp_path / "new", "v2.14-rc"), tmp_path / "b.tar.gz").read_bytes()
    with pytest.raises(VerifyError, match="is pinned to"):
        get_runtime(ARM)
    assert get_runtime(ARM, update=True).version == "v2.14-rc"


HARD = "arm-linux-gnueabihf-gcc"


@pytest.mark.parametrize("as_archive", [False, True], ids=["folder", "archive"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<!DOCTYPE html><title>404</title>", "is a saved web page, not a library"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "is a Git LFS pointer, not a library"),
        (b"not found\n", "is a text file, not a library"),
        (b"", "is an empty file, not a library"),
        (b"\x00\x01\x02", "is no ELF file, not a library"),
        (None, "is truncated|is a damaged ELF file"),
    ],
    ids=["page", "pointer", "text", "empty", "bytes", "cut"],
)
def test_what_lies_in_the_librarys_place_is_named(
    content: bytes | None, says: str, as_archive: bool, own_cache: Path, tmp_path: Path
) -> None:
    top = make_archive_folder(tmp_path / "in")
    library = top / "cxx/lib/libpaddle_light_api_shared.so"
    library.write_bytes(library.read_bytes()[:3000] if content is None else content)
    given = pack(top, tmp_path / "in.tar.gz") if as_archive else top
    with pytest.raises(InputError, match=says) as refusal:
        add_runtime(given)
    assert str(given) in refusal.value.message and str(own_cache) not in refusal.value.message
    assert read_lock() == {}


@pytest.mark.parametrize(("compiler", "has"), [(HARD, r"armhf \(arm, 32 bit\)"), ("gcc", r"x86_64 \(x86_64, 64 bit\)")])
def test_a_library_for_another_processor_is_refused(
    compiler: str, has: str, own_cache: Path, tmp_path: Path
) -> None:
    top = make_archive_folder(tmp_path / "in", compiler=compiler)
    answer = CliRunner().invoke(runtime_command, ["add", str(top), "--build", "virtual"])
    assert isinstance(answer.exception, InputError)
    assert re.search(f"holds a library for {has}; .* is for arm64 boards", answer.exception.message)
    assert read_lock() == {}


def test_a_library_that_only_has_the_name_is_refused(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It asks for the symbol, and does not have it.
    asks = "int CreatePaddlePredictor(void);\nint other(void) { return CreatePaddlePredictor(); } /* %s */\n"
    monkeypatch.setattr("test_runtime.SOURCE", asks)
    top = make_archive_folder(tmp_path / "in")
    with pytest.raises(InputError, match="does not export CreatePaddlePredictor") as refusal:
        add_runtime(top)
    assert str(top / "cxx/lib") in refusal.value.message


def test_official_addresses() -> None:
    base = "https://github.com/PaddlePaddle/Paddle-Lite/releases/download/v2.13-rc"
    assert release_url(ARM) == f"{base}/{ARM}.tar.gz"
    assert release_url(ARM, "http://host/x") == f"http://host/x/v2.13-rc/{ARM}.tar.gz"


def test_a_broken_download_goes_on_where_it_stopped(tmp_path: Path, server: Server) -> None:
    server.cut_at = [100_000, 300_000]
    out = download(f"{server.url}/a", tmp_path / "a", pause=0.01)
    assert out.read_bytes() == server.content
    assert server.ranges[0] == ""
    assert [int(text[6:-1]) for text in server.ranges[1:]] == sorted(int(text[6:-1]) for text in server.ranges[1:])
    assert all(0 < int(text[6:-1]) <= 300_000 for text in server.ranges[1:])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


def test_a_later_call_goes_on_too_unless_the_file_changed(tmp_path: Path, server: Server) -> None:
    server.cut_at = [100_000, 100_000, 100_000, 100_000]
    with pytest.raises(LinkError) as caught:
        download(f"{server.url}/a", tmp_path / "a", pause=0.01)
    assert "edge runtime add" in caught.value.hint
    assert not (tmp_path / "a").exists()
    server.content, server.tag = bytes(500_000), '"two"'
    assert download(f"{server.url}/a", tmp_path / "a", pause=0.01).read_bytes() == bytes(500_000)


def test_a_silent_server_is_given_up(tmp_path: Path, server: Server) -> None:
    server.cut_at = [1000] * 9
    server.hang.clear()
    with pytest.raises(LinkError, match="cannot be fetched"):
        download(f"{server.url}/a", tmp_path / "a", timeout=0.2, pause=0.01)


@pytest.mark.parametrize(("status", "kind"), [(404, InputError), (403, InputError), (503, LinkError)])
def test_what_the_server_says_is_told(status: int, kind: type[EdgeError], tmp_path: Path, server: Server) -> None:
    server.status = status
    with pytest.raises(kind, match=str(status)):
        download(f"{server.url}/a", tmp_path / "a", pause=0.01)
    assert len(server.requests) == (1 if status < 500 else 4)


def test_other_schemes_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    with pytest.raises(InputError, match="not an http"):
        download(secret.as_uri(), tmp_path / "a")


def test_the_command_line_lists_and_adds(own_cache: Path, tmp_path: Path) -> None:
    import json

    from edge.commands.runtime import runtime

    folder = make_archive_folder(tmp_path / "in")
    added = CliRunner().invoke(runtime, ["add", str(folder), "--json"], catch_exceptions=False)
    assert json.loads(added.stdout)["abi"] == "arm64"
    listed = CliRunner().invoke(runtime, ["list", "--json"], catch_exceptions=False)
    rows = {row["build"]: row for row in json.loads(listed.stdout)}
    assert rows[ARM]["here"] and "rk3399" in rows[ARM]["boards"]
    assert rows["wheel"]["version"].startswith("v2.13")
    text = CliRunner().invoke(runtime, ["list"], catch_exceptions=False).stdout
    assert "not here" in text
