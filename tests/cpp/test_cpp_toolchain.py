"""Building: skipped when nothing changed, cross-built without a library, and every failure explained."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import edge.bundle.toolchain as toolchain
from edge.base.errors import BuildError, HostError, InputError, UsageError
from edge.bundle.toolchain import build_cmake, build_program
from edge.runtime.elf import read_elf, version_key
from edge.runtime.wheel import STUB, python_symbols, wheel_library


def test_a_second_build_runs_nothing(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "_run", lambda *_: pytest.fail("something was run"))
    again = build_program("host")
    assert again.skipped and again.program == program


# What Debian 9's and Ubuntu 18.04's own programs ask for, and what of their libstdc++ (gcc 6 and 7) may be asked for.
FLOOR = {"GLIBC": "2.24", "GLIBCXX": "3.4.22", "CXXABI": "1.3.10"}


@pytest.mark.parametrize("abi", ["arm64", "armhf"])
def test_cross_builds_need_no_library_and_no_new_board(abi: str) -> None:
    compiler = {"arm64": "aarch64-linux-gnu-g++", "armhf": "arm-linux-gnueabihf-g++"}[abi]
    if shutil.which(compiler) is None:
        pytest.skip(f"no cross-compiler (Debian: g++-{compiler.removesuffix('-g++')})")
    result = build_program(abi, tests=True)
    facts = read_elf(result.program)
    assert facts.abi == abi
    assert "libpaddle_light_api_shared.so" in facts.needed
    assert str(Path.home()).encode() not in result.program.read_bytes()
    assert {"GLIBC", "GLIBCXX"} <= facts.versions.keys()
    too_new = {family: facts.versions[family] for family, floor in FLOOR.items()
               if version_key(facts.versions[family]) > version_key(floor)}  # fmt: skip
    assert not too_new, "bind the symbol to an older version in cpp/src/floor.cc"


@pytest.mark.parametrize("abi", ["host", "arm64"])
def test_no_compiler_names_the_package(abi: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cmake").symlink_to(shutil.which("cmake") or "/usr/bin/cmake")
    wheel_library()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(HostError) as caught:
        build_program(abi)
    assert "C++ compiler" in caught.value.message and "apt-get install g++" in caught.value.hint


def test_no_cmake_names_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wheel_library()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError) as caught:
        build_program("host")
    assert "apt-get install cmake" in caught.value.hint


def test_android_needs_the_ndk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ANDROID_NDK_HOME", raising=False)
    with pytest.raises(HostError) as caught:
        build_program("android-arm64")
    assert "ANDROID_NDK_HOME" in caught.value.hint
    monkeypatch.setenv("ANDROID_NDK_HOME", str(tmp_path))
    with pytest.raises(HostError, match="does not hold one"):
        build_program("android-armv7")


def test_unknown_abi_and_folder_without_library(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="mips"):
        build_program("mips")
    with pytest.raises(InputError, match="no Paddle Lite library"):
        build_program("host", runtime_dir=tmp_path)


@pytest.fixture
def project(own_cache: Path, tmp_path: Path) -> Path:
    """A CMake project of one file, apart from the cache."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "CMakeLists.txt").write_text("project(x CXX)\nadd_executable(x x.cc)\n")
    (folder / "x.cc").write_text("int main() { return 0; }\n")
    return folder


def test_a_compile_error_is_shown(project: Path) -> None:
    (project / "x.cc").write_text("int main() { return nothing_there; }\n")
    with pytest.raises(BuildError) as caught:
        build_cmake(project, "x", toolchain.host_abi(), {})
    assert "nothing_there" in caught.value.message and "build.log" in caught.value.hint
    assert len(caught.value.message.splitlines()) <= 6


def test_progress_counts_up_and_changed_sources_are_built_again(project: Path) -> None:
    seen: list[tuple[int, int]] = []

    def progress(text: str, done: int, total: int) -> None:
        seen.append((done, total))

    first = build_cmake(project, "x", toolchain.host_abi(), {}, progress=progress)
    assert not first.skipped and seen[-1][0] == seen[-1][1] > 0
    (project / "x.cc").write_text("int main() { return 1; }\n")
    assert not build_cmake(project, "x", toolchain.host_abi(), {}).skipped
    (project / "x.cc").write_text("int main() { return 0; }\n")
    assert build_cmake(project, "x", toolchain.host_abi(), {}).skipped


def test_the_command_prints_one_document(program: Path) -> None:
    argv = [sys.executable, "-m", "edge", "build", "--json"]
    told = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
    assert told["program"] == str(program) and told["skipped"] is True and told["bytes"] > 10_000
    both = subprocess.run([*argv, "--device", "rk3399", "--abi", "arm64"], capture_output=True, text=True, check=False)
    assert both.returncode == 2


def test_the_wheels_library_misses_nothing_beside_the_stub() -> None:
    wheel = wheel_library()
    wanted = {name for name, _ in python_symbols(wheel.library)}
    given = subprocess.run(
        ["nm", "-D", "--defined-only", str(wheel.folder / STUB)], capture_output=True, text=True, check=True
    ).stdout
    assert len(wanted) == 124
    assert wanted <= {line.split()[-1] for line in given.splitlines()}
    assert wheel.version == "v2.13-rc" and wheel.libraries[0][1] == wheel.library
    assert all(path.is_file() for _, path in wheel.libraries)
