"""Checksums that a board can make itself, with whatever tool it has."""

from __future__ import annotations

import re
from pathlib import Path

from edge.base.errors import DeviceError
from edge.base.paths import sha256_file

BLOCK = 1 << 20
# Defines `digest SIZE`, which reads standard input of about so many bytes. For large files OpenSSL comes first: it uses
# the processor's SHA instructions, which `sha256sum` often does not (3 to 8 times as fast), but starts more slowly.
# `cksum` is POSIX and always there, but 32 bits against accidents only.
FUNCTION = """
if command -v sha256sum >/dev/null 2>&1; then small() { sha256sum; }
elif command -v shasum >/dev/null 2>&1; then small() { shasum -a 256; }
elif command -v openssl >/dev/null 2>&1; then small() { openssl dgst -sha256; }
elif busybox sha256sum </dev/null >/dev/null 2>&1; then small() { busybox sha256sum; }
elif toybox sha256sum </dev/null >/dev/null 2>&1; then small() { toybox sha256sum; }
elif command -v python3 >/dev/null 2>&1; then small() {
  python3 -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'; }
else small() { cksum; }
fi
digest() {
  if [ "$1" -gt 4000000 ] && command -v openssl >/dev/null 2>&1
  then openssl dgst -sha256 2>/dev/null || small; else small; fi
}
"""
REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


def parse_digest(text: str) -> str:
    """Returns what `digest` printed as 64 hexadecimal digits, or as `cksum:CRC:SIZE`.

    Raises:
        DeviceError: Neither.
    """
    match = re.search(r"\b[0-9a-f]{64}\b", text)
    if match:
        return match[0]
    match = re.match(r"\s*(\d+)\s+(\d+)\s*$", text)
    if match:
        return f"cksum:{match[1]}:{match[2]}"
    raise DeviceError(f"The board's checksum tool answered {text[:100]!r}.")


def digest_like(path: Path, like: str, size: int | None = None) -> str:
    """Returns the digest of a local file, or of its first `size` bytes, made as the board made `like`."""
    if not like.startswith("cksum:"):
        return sha256_file(path, size)
    return _cksum(path, path.stat().st_size if size is None else size)


def _cksum(path: Path, size: int) -> str:
    """POSIX `cksum` (IEEE Std 1003.1, utility cksum): CRC-32, most significant bit first, length appended.

    zlib's CRC is the same polynomial with the bits of every byte reversed, so bytes and result are reversed.
    """
    import zlib

    # zlib begins and ends by inverting; POSIX begins with 0.
    state = 0xFFFFFFFF
    left = size
    with path.open("rb") as stream:
        while left > 0 and (block := stream.read(min(left, BLOCK))):
            state = zlib.crc32(block.translate(REVERSED), state)
            left -= len(block)
    length = size.to_bytes((size.bit_length() + 7) // 8, "little")
    state = zlib.crc32(length.translate(REVERSED), state)
    value = int(f"{state ^ 0xFFFFFFFF:032b}"[::-1], 2) ^ 0xFFFFFFFF
    return f"cksum:{value}:{size}"
