"""Reading ELF files: real ones of four kinds, broken ones, and the comparison with a board."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edge.base.errors import InputError, VerifyError
from edge.runtime.elf import ElfFacts, check_abi, merge_versions, missing_needed, read_elf, version_key

COMPILERS = {"x86_64": "gcc", "arm64": "aarch64-linux-gnu-gcc", "armhf": "arm-linux-gnueabihf-gcc"}


def compile_library(abi: str, folder: Path, name: str = "libfoo.so", extra: tuple[str, ...] = ()) -> Path:
    compiler = shutil.which(COMPILERS[abi])
    if compiler is None:
        pytest.skip(f"no {COMPILERS[abi]}")
    source = folder / "foo.c"
    code = "double foo(double x) { return cos(x) + atoi(getenv(\"X\")); }\n"
    source.write_text("#include <math.h>\n#include <stdlib.h>\n" + code)
    out = folder / name
    links = ["-lm", f"-Wl,-soname,{name}", "-Wl,-rpath,$ORIGIN/libs", *extra]
    subprocess.run([compiler, "-shared", "-fPIC", "-o", out, source, *links], check=True)
    return out


@pytest.mark.parametrize("abi", COMPILERS)
def test_a_library_is_recognised(abi: str, tmp_path: Path) -> None:
    facts = read_elf(compile_library(abi, tmp_path))
    assert facts.abi == abi
    assert facts.kind == "library"
    assert facts.bits == (32 if abi == "armhf" else 64)
    assert facts.soname == "libfoo.so"
    assert {"libm.so.6", "libc.so.6"} <= set(facts.needed)
    assert facts.search == ("$ORIGIN/libs",)
    assert "GLIBC" in facts.versions


def test_a_program_has_an_interpreter() -> None:
    facts = read_elf(Path(shutil.which("ls") or "/bin/ls").resolve())
    assert facts.kind == "program"
    assert facts.interpreter and "ld-linux" in facts.interpreter


def test_the_wheels_runtime_is_read() -> None:
    import importlib.util

    spec = importlib.util.find_spec("paddlelite")
    assert spec and spec.submodule_search_locations
    facts = read_elf(Path(next(iter(spec.submodule_search_locations))) / "lite.so")
    assert facts.soname == "liblite_pybind.so"
    assert facts.abi == "x86_64"


def test_softfp_arm_is_not_hard_float(tmp_path: Path) -> None:
    # Android and old armel libraries carry no hard-float mark; on an armhf board they fail in ways hard to explain.
    path = compile_library("armhf", tmp_path)
    raw = bytearray(path.read_bytes())
    raw[0x24:0x28] = (0x05000200).to_bytes(4, "little")
    path.write_bytes(raw)
    assert read_elf(path).abi == "armel"


def test_wrong_arch_says_what_is_what(tmp_path: Path) -> None:
    facts = read_elf(compile_library("arm64", tmp_path))
    with pytest.raises(VerifyError, match=r"libfoo.so is an arm64 library, pi is armhf") as caught:
        check_abi(facts, "armhf", "pi")
    assert "armhf build" in caught.value.hint
    check_abi(facts, "arm64")


@pytest.mark.parametrize("keep", [3, 4, 20, 64, 200, 3000])
def test_a_truncated_file_is_an_input_error(keep: int, tmp_path: Path) -> None:
    path = compile_library("x86_64", tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError):
        read_elf(path)


def test_random_damage_never_escapes_as_another_error(tmp_path: Path) -> None:
    import random

    good = compile_library("x86_64", tmp_path).read_bytes()
    path = tmp_path / "bad.so"
    dice = random.Random(7)
    for _ in range(150):
        raw = bytearray(good)
        for _ in range(dice.randint(1, 40)):
            raw[dice.randrange(4, 1500)] = dice.randrange(256)
        path.write_bytes(raw)
        try:
            read_elf(path)
        except InputError:
            continue


def test_text_and_objects_are_refused(tmp_path: Path) -> None:
    stub = tmp_path / "libc.so"
    stub.write_text("/* GNU ld script */ GROUP ( libc.so.6 )")
    with pytest.raises(InputError, match="not an ELF file"):
        read_elf(stub)
    (tmp_path / "x.c").write_text("int x;")
    subprocess.run(["gcc", "-c", "-o", tmp_path / "x.o", tmp_path / "x.c"], check=True)
    with pytest.raises(InputError, match="neither a program nor a shared library"):
        read_elf(tmp_path / "x.o")


def facts_of(name: str, needed: tuple[str, ...] = (), abi: str = "arm64", **versions: str) -> ElfFacts:
    return ElfFacts(name, abi, abi, 64, "library", None, needed, (), None, versions)


def test_needed_closure() -> None:
    program = facts_of("plate_ocr", ("libpaddle_light_api_shared.so", "libc.so.6", "libgomp.so.1"))
    runtime = facts_of("libpaddle_light_api_shared.so", ("libm.so.6", "libstdc++.so.6"))
    missing = missing_needed([program, runtime], [runtime.name], ["libstdc++.so.6"])
    assert missing == {"libgomp.so.1": ["plate_ocr"]}
    assert missing_needed([program, runtime], [runtime.name, "libgomp.so.1"], ["libstdc++.so.6"]) == {}


def test_android_has_its_own_system_libraries() -> None:
    program = facts_of("plate_ocr", ("libc.so", "liblog.so", "libc++_shared.so"), abi="android-arm64")
    assert missing_needed([program], []) == {"libc++_shared.so": ["plate_ocr"]}


def test_versions_are_numbers_not_text() -> None:
    assert version_key("2.4") < version_key("2.34")
    files = [facts_of("a", GLIBC="2.17"), facts_of("b", GLIBC="2.34", GOMP="4.0"), facts_of("c", GLIBC="2.4")]
    assert merge_versions(files) == {"GLIBC": "2.34", "GOMP": "4.0"}
