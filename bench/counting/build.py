"""What a binary was built with, as far as it tells: counts hold for one build of the library only."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge.base.errors import VerifyError
from edge.base.paths import sha256_file

_COMMENT = ".comment"
_SWITCHES = (".GCC.command.line", ".gcc.command.line")


@dataclass(frozen=True)
class Build:
    """A binary's build.

    Attributes:
        file: File name.
        bytes: Of the file.
        sha256: Of the file.
        compilers: From its `.comment` section, such as `GCC: (Debian 12.2.0-14) 12.2.0`; empty when that was stripped.
        flags: Compiler switches that were recorded (-frecord-gcc-switches); None when none were.
    """

    file: str
    bytes: int
    sha256: str
    compilers: tuple[str, ...]
    flags: str | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """One line for people."""
        compilers = " and ".join(self.compilers) or "compiler unknown"
        flags = self.flags or "flags not recorded"
        return f"{self.file}, {self.bytes:,} bytes, SHA-256 {self.sha256}, {compilers}, {flags}"


def read_build(path: Path) -> Build:
    """Reads what a binary says about its build.

    Args:
        path: A program or library.

    Raises:
        VerifyError: It is not an ELF file.
    """
    from elftools.elf.elffile import ELFFile

    try:
        with path.open("rb") as stream:
            elf = ELFFile(stream)
            comment = elf.get_section_by_name(_COMMENT)
            compilers = _texts(comment.data()) if comment is not None else ()
            sections = [elf.get_section_by_name(name) for name in _SWITCHES]
            switches = [text for section in sections if section is not None for text in _texts(section.data())]
    except Exception as error:  # pyelftools meets damage with whatever its parser trips over
        raise VerifyError(f"{path} cannot be read as a program or library ({type(error).__name__}).") from error
    return Build(path.name, path.stat().st_size, sha256_file(path), compilers, " ".join(switches) or None)


def _texts(raw: bytes) -> tuple[str, ...]:
    parts = [part.decode("utf-8", "replace").strip() for part in raw.split(b"\0")]
    return tuple(dict.fromkeys(part for part in parts if part))
