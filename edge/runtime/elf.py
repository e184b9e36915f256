"""What an ELF file says about where it can run, and whether a board is such a place.

A library of the wrong kind is the commonest reason why a program does not start on a board, and the loader's own
message ("No such file or directory" for a missing interpreter, "wrong ELF class") names neither the file nor the
remedy. Therefore everything that the loader will ask is read here, before anything is pushed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.base.errors import InputError, VerifyError

MACHINES = {
    "EM_X86_64": "x86_64",
    "EM_AARCH64": "arm64",
    "EM_ARM": "arm",
    "EM_386": "i386",
    "EM_RISCV": "riscv",
    "EM_PPC64": "ppc64",
    "EM_MIPS": "mips",
    "EM_LOONGARCH": "loongarch",
}
EF_ARM_ABI_FLOAT_HARD = 0x400
# Version families of the GNU userland that a binary can ask for, and the library that answers for each.
FAMILIES = {
    "GLIBC": "libc.so.6",
    "GLIBCXX": "libstdc++.so.6",
    "CXXABI": "libstdc++.so.6",
    "GOMP": "libgomp.so.1",
    "GCC": "libgcc_s.so.1",
}
# Libraries of the C library itself: wherever glibc (or bionic) is, these are.
SYSTEM_LINUX = frozenset(
    (
        *(f"lib{name}.so.6" for name in ("c", "m")),
        *(f"lib{name}.so.2" for name in ("dl", "util")),
        *(f"lib{name}.so.1" for name in ("pthread", "rt", "dl", "util", "resolv", "anl")),
        "libdl.so.2",
        "libpthread.so.0",
        "ld-linux-x86-64.so.2",
        "ld-linux-aarch64.so.1",
        "ld-linux-armhf.so.3",
        "ld-linux.so.3",
        "linux-vdso.so.1",
    )
)
SYSTEM_ANDROID = frozenset(f"lib{name}.so" for name in ("c", "m", "dl", "log", "android", "z", "EGL", "GLESv2"))


@dataclass(frozen=True)
class ElfFacts:
    """The facts about one ELF file that matter here.

    Attributes:
        name: File name, for messages.
        abi: `x86_64`, `arm64`, `armhf`, `armel`, `android-arm64`, `android-armv7`, or the bare machine name.
        machine: `x86_64`, `arm64`, `arm` ...
        bits: 32 or 64.
        kind: `program` (has an interpreter, or is ET_EXEC) or `library`.
        soname: DT_SONAME, None when there is none.
        needed: DT_NEEDED, in order.
        search: DT_RUNPATH or DT_RPATH, split at colons.
        interpreter: Path of the loader, None for a library.
        versions: Highest version asked for in each family of `FAMILIES`, for example `{"GLIBC": "2.34"}`.
    """

    name: str
    abi: str
    machine: str
    bits: int
    kind: str
    soname: str | None
    needed: tuple[str, ...]
    search: tuple[str, ...]
    interpreter: str | None
    versions: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """The facts as they stand in a bundle's manifest."""
        return {
            "abi": self.abi,
            "kind": self.kind,
            "soname": self.soname,
            "needed": list(self.needed),
            "search": list(self.search),
            "interpreter": self.interpreter,
            "versions": dict(sorted(self.versions.items())),
        }


def is_elf(path: Path) -> bool:
    """Whether a file begins with the ELF magic number."""
    with path.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


def exports(path: Path, word: str) -> bool:
    """Whether a shared library defines a symbol for others with a word in its (mangled) name."""
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as stream:
        symbols: Any = ELFFile(stream).get_section_by_name(".dynsym")
        if symbols is None:
            return False
        return any(word in symbol.name and symbol["st_shndx"] != "SHN_UNDEF" for symbol in symbols.iter_symbols())


def read_elf(path: Path) -> ElfFacts:
    """Reads the facts of an ELF program or shared library.

    Raises:
        InputError: Not a file, not ELF, cut short, or an object file that no loader loads.
    """
    from elftools.elf.elffile import ELFFile

    if not path.is_file():
        raise InputError(f"{path} is not a file.")
    with path.open("rb") as stream:
        if stream.read(4) != b"\x7fELF":
            raise InputError(f"{path} is not an ELF file.", "Was a linker script or an HTML page saved in its place?")
        try:
            return _facts(path, ELFFile(stream))
        except InputError:
            raise
        except Exception as error:  # pyelftools raises whatever its parser trips over
            raise InputError(f"{path} is a damaged ELF file ({type(error).__name__}).", "Get it again.") from error


def _facts(path: Path, elf: Any) -> ElfFacts:
    from elftools.elf.dynamic import DynamicSegment

    if elf["e_type"] not in ("ET_EXEC", "ET_DYN"):
        raise InputError(f"{path} is an ELF {elf['e_type']} file, neither a program nor a shared library.")
    interpreter, soname, needed, search, android = None, None, [], [], False
    versions: dict[str, str] = {}
    for segment in elf.iter_segments():
        kind = segment["p_type"]
        if kind == "PT_INTERP":
            interpreter = segment.get_interp_name()
        elif kind == "PT_NOTE":
            android = android or any(note["n_name"] == "Android" for note in segment.iter_notes())
        elif kind == "PT_LOAD" and segment["p_offset"] + segment["p_filesz"] > elf.stream_len:
            raise InputError(f"{path} is truncated: its header promises more bytes than the file has.", "Get it again.")
        elif isinstance(segment, DynamicSegment):
            tag: Any  # needed, soname, runpath and rpath are set at run time
            for tag in segment.iter_tags():
                if tag.entry.d_tag == "DT_NEEDED":
                    needed.append(tag.needed)
                elif tag.entry.d_tag == "DT_SONAME":
                    soname = tag.soname
                elif tag.entry.d_tag == "DT_RUNPATH":
                    search = tag.runpath.split(":")
                elif tag.entry.d_tag == "DT_RPATH" and not search:
                    search = tag.rpath.split(":")
    section = elf.get_section_by_name(".gnu.version_r")
    if section is not None:
        for _, auxiliaries in section.iter_versions():
            for auxiliary in auxiliaries:
                _note_version(versions, auxiliary.name)
    machine = MACHINES.get(elf["e_machine"], str(elf["e_machine"]))
    android = android or bool(interpreter and interpreter.startswith("/system/"))
    android = android or ("libc.so" in needed and "libc.so.6" not in needed)
    return ElfFacts(
        name=path.name,
        abi=_abi(machine, elf["e_flags"], android),
        machine=machine,
        bits=elf.elfclass,
        kind="program" if interpreter or elf["e_type"] == "ET_EXEC" else "library",
        soname=soname,
        needed=tuple(needed),
        search=tuple(search),
        interpreter=interpreter,
        versions=versions,
    )


def _abi(machine: str, flags: int, android: bool) -> str:
    if machine == "arm":
        hard = bool(flags & EF_ARM_ABI_FLOAT_HARD)
        return "android-armv7" if android else ("armhf" if hard else "armel")
    if machine == "arm64" and android:
        return "android-arm64"
    return machine


def _note_version(versions: dict[str, str], name: str) -> None:
    match = re.fullmatch(r"([A-Z]+)_(\d+(?:\.\d+)*)", name)
    if match and match[1] in FAMILIES:
        family, version = match.groups()
        if family not in versions or version_key(version) > version_key(versions[family]):
            versions[family] = version


def version_key(version: str) -> tuple[int, ...]:
    """Turns "2.34" into (2, 34), so that 2.4 < 2.34; text after the numbers is ignored."""
    return tuple(int(part) for part in re.findall(r"\d+", version.split("-")[0]))


def merge_versions(facts: Iterable[ElfFacts]) -> dict[str, str]:
    """Returns the highest version of each family that any of several files asks for."""
    highest: dict[str, str] = {}
    for item in facts:
        for family, version in item.versions.items():
            if family not in highest or version_key(version) > version_key(highest[family]):
                highest[family] = version
    return highest


def check_abi(facts: ElfFacts, abi: str, board: str = "the board") -> None:
    """Refuses a file that is for another kind of board.

    Args:
        facts: Of the file.
        abi: Of the board.
        board: Its name, for the message.

    Raises:
        VerifyError: Says what the file is, what the board is, and which build is needed.
    """
    if facts.abi == abi:
        return
    what = "program" if facts.kind == "program" else "library"
    raise VerifyError(
        f"{facts.name} is {_article(facts.abi)} {facts.abi} {what}, {board} is {abi}.",
        f"Get the {abi} build: `edge build` makes the program, `edge runtime get` or `edge runtime add` the library.",
    )


def _article(word: str) -> str:
    return "an" if word[0] in "aeioux" else "a"  # "x" is spoken "ex"


def missing_needed(
    facts: Iterable[ElfFacts], provided: Iterable[str], system: Iterable[str] = ()
) -> dict[str, list[str]]:
    """Finds libraries that nothing provides.

    Args:
        facts: The files of a bundle: program and libraries.
        provided: File names in the bundle's library folder.
        system: File names that the board is known to have, beyond its C library.

    Returns:
        Missing library to the files that need it; empty when the closure is complete.
    """
    files = list(facts)
    have = set(provided) | set(system) | {item.soname for item in files if item.soname}
    missing: dict[str, list[str]] = {}
    for item in files:
        known = SYSTEM_ANDROID if item.abi.startswith("android") else SYSTEM_LINUX
        for name in item.needed:
            if name not in have and name not in known:
                missing.setdefault(name, []).append(item.name)
    return missing
