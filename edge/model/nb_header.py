"""The first 18 bytes of an `.nb` file: which `opt` wrote it. The one place that knows them, for boards and conversion.

Format (Paddle Lite, lite/model_parser/model_parser.cc): a little-endian uint16 meta version, then 16 characters of the
opt version, ended by NUL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edge.base.errors import ModelError

LENGTH = 18


@dataclass(frozen=True)
class NbHeader:
    """Meta version (2 since Paddle Lite 2.6) and opt version: `v2.13-rc`, or the commit hash of a source build."""

    meta_version: int
    opt_version: str

    def newer_than(self, runtime: str) -> bool:
        """Whether this file was made by a later release than `runtime`; False where either is not a release."""
        own, other = _release(self.opt_version), _release(runtime)
        return own is not None and other is not None and own > other


def parse_nb_header(content: bytes | memoryview) -> NbHeader:
    """Splits the first `LENGTH` bytes of a file, whatever they say."""
    version = bytes(content[2:LENGTH]).split(b"\0")[0]
    return NbHeader(int.from_bytes(content[:2], "little"), version.decode("ascii", "replace"))


def read_nb_header(path: Path) -> NbHeader:
    """Reads the header of an `.nb`.

    Raises:
        ModelError: Too short, or not an `.nb`.
    """
    with path.open("rb") as stream:
        raw = stream.read(LENGTH)
    if len(raw) < LENGTH:
        raise ModelError(f"{path} is not a .nb model: it has only {len(raw)} bytes.", "Convert it again.")
    header = parse_nb_header(raw)
    if header.meta_version > 16 or not re.fullmatch(r"[\w.+-]+", header.opt_version, re.ASCII):
        raise ModelError(f"{path} does not begin like an .nb model.", "Convert it with `edge convert nb MODEL`.")
    return header


def tidy_nb_header(content: bytes) -> bytes:
    """Zeroes what follows the version's NUL.

    opt writes a `char[16]` of which it has set only the string; the rest is whatever lay in its memory, and made equal
    models differ.
    """
    version = content[2:LENGTH].split(b"\0", 1)[0]
    return content[:2] + version.ljust(LENGTH - 2, b"\0") + content[LENGTH:]


def _release(version: str) -> tuple[int, ...] | None:
    """Turns "v2.13-rc" into (2, 13, 0, 0) and "v2.13" into (2, 13, 0, 1): a candidate comes before its release."""
    match = re.fullmatch(r"v?(\d+)\.(\d+)(?:\.(\d+))?(-?(?:rc|beta|alpha)\d*)?", version)
    if match is None:
        return None
    return int(match[1]), int(match[2]), int(match[3] or 0), 0 if match[4] else 1
