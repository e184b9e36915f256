"""The host's runtime: the library inside the Python package `paddlelite`, made usable for a C++ program.

The wheel's `lite.so` is a Python extension that also exports Paddle Lite's whole C++ interface. Two things keep a
program from being linked with it as it is: its SONAME is another name than its file's, and it refers to the symbols of
a Python interpreter, which must exist at load time although the program never calls them. Here it gets a
second name, and beside it a small library that defines those symbols.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edge.base.errors import BuildError, HostError
from edge.base.paths import cache_dir, cached_sha256

SONAME = "liblite_pybind.so"
STUB = "libplate_python_stub.so"
# Folder beside the library in which it looks for these two itself (its RUNPATH is $ORIGIN/libs/).
COMPANIONS = "libs"


@dataclass(frozen=True)
class WheelRuntime:
    """The host's runtime folder.

    Attributes:
        folder: `liblite_pybind.so`, the stub, and `libs/`; links into the installed package.
        library: `liblite_pybind.so` in it.
        libraries: Every file that a program needs, with its place below a bundle's `lib`; `library` is the first.
        version: Version of the Python package.
        sha256: Of the library.
    """

    folder: Path
    library: Path
    libraries: tuple[tuple[str, Path], ...]
    version: str
    sha256: str


def wheel_library() -> WheelRuntime:
    """Returns the host's runtime; made once for each installed version of the package.

    Raises:
        HostError: The package is not installed, or there is no C compiler for the stub.
        BuildError: The stub cannot be built.
    """
    source = package_folder() / "lite.so"
    digest = cached_sha256(source)
    folder = cache_dir("runtime") / f"wheel-{digest[:16]}"
    if not (folder / STUB).is_file() or (folder / SONAME).resolve() != source.resolve():
        _make(source, folder)
    companions = sorted((folder / COMPANIONS).resolve().glob("*.so"))
    return WheelRuntime(
        folder=folder,
        library=folder / SONAME,
        libraries=(
            (SONAME, folder / SONAME),
            (STUB, folder / STUB),
            *((f"{COMPANIONS}/{path.name}", path) for path in companions),
        ),
        version=package_version(),
        sha256=digest,
    )


def package_folder() -> Path:
    """Returns the folder of the installed Python package `paddlelite`, without importing it.

    Raises:
        HostError: It is not installed, or holds no library.
    """
    spec = importlib.util.find_spec("paddlelite")
    folder = Path(spec.origin).parent if spec and spec.origin else None
    if folder is None or not (folder / "lite.so").is_file():
        raise HostError(
            "The Python package paddlelite, whose library the host uses, is not installed.",
            "Run `make setup`, or `pip install paddlelite==2.13rc0` with CPython 3.10 on x86-64 Linux.",
        )
    return folder


def package_version() -> str:
    """Returns the installed package's version in the form of Paddle Lite's tags: `2.13rc0` is `v2.13-rc`."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("paddlelite")
    except PackageNotFoundError:
        return ""
    release, mark, _ = number.partition("rc")
    return f"v{release}-rc" if mark else f"v{release}"


def python_symbols(library: Path) -> list[tuple[str, str]]:
    """Lists what a Python extension needs from the interpreter.

    Args:
        library: An ELF shared library.

    Returns:
        Name and ELF type of its undefined symbols that start with `Py` or `_Py`, sorted. A type is mostly
        `STT_NOTYPE`, since an undefined symbol need not say whether it is a function or data.
    """
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import SymbolTableSection

    found: set[tuple[str, str]] = set()
    with library.open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".dynsym")
        symbols = table.iter_symbols() if isinstance(table, SymbolTableSection) else ()
        for symbol in symbols:
            if symbol["st_shndx"] == "SHN_UNDEF" and symbol.name.startswith(("Py", "_Py")):
                found.add((symbol.name, symbol["st_info"]["type"]))
    return sorted(found)


def stub_source(symbols: list[tuple[str, str]]) -> str:
    """Returns C source that defines each symbol as zeroed memory, large enough for any of Python's static objects."""
    lines = ["/* Generated: stands for the Python interpreter that lite.so refers to and never calls here. */"]
    lines += [f"char {name}[1024] __attribute__((aligned(64)));" for name, _ in symbols]
    return "\n".join(lines) + "\n"


def _make(source: Path, folder: Path) -> None:
    temporary = Path(tempfile.mkdtemp(prefix=".wheel-", dir=folder.parent))
    try:
        (temporary / SONAME).symlink_to(source)
        (temporary / COMPANIONS).symlink_to(source.parent / COMPANIONS)
        _compile_stub(source, temporary / STUB)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            temporary.rename(folder)
        except OSError:
            # Another process was faster with the same content.
            if not (folder / STUB).is_file():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _compile_stub(library: Path, out: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise HostError("There is no C compiler on this machine.", "apt-get install g++")
    argv = [compiler, "-x", "c", "-shared", "-fPIC", "-s", f"-Wl,-soname,{STUB}", "-o", str(out), "-"]
    result = subprocess.run(
        argv, input=stub_source(python_symbols(library)), capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise BuildError(f"The Python stub library could not be built: {result.stderr.strip()[:500]}")
