"""Decoding only the upper rows of a JPEG.

A baseline JPEG stores its rows of blocks from top to bottom in one scan, so a decoder that is told of fewer rows in
the header stops early and gives the same pixels for those. Plates lie half way up a photo: it saves a third of the
time of making labels.
"""

from __future__ import annotations

import struct

_SOI = b"\xff\xd8"
_EOI = b"\xff\xd9"
_BASELINE = (0xC0, 0xC1)
_SCAN = 0xDA
_BLOCK_ROWS = 16  # The largest height of a row of blocks (4:2:0).


def shorten(data: bytes, rows: int) -> bytes:
    """Returns a JPEG that claims to be only as high as needed for its first rows.

    Args:
        data: A whole JPEG file.
        rows: Rows of pixels that must come out as in the whole file.

    Returns:
        The same bytes with a smaller height in the header; `data` itself where that is not safe: progressive,
        several scans, cut off at its end, or no gain.
    """
    if not data.startswith(_SOI) or _EOI not in data[-256:]:
        return data
    frame = _frame(data)
    if frame is None:
        return data
    (height,) = struct.unpack_from(">H", data, frame + 5)
    # One more row of blocks: chroma is interpolated between neighbouring rows.
    wanted = (max(rows, 1) + _BLOCK_ROWS - 1) // _BLOCK_ROWS * _BLOCK_ROWS + _BLOCK_ROWS
    if wanted >= height:
        return data
    return data[: frame + 5] + struct.pack(">H", wanted) + data[frame + 7 :]


def _frame(data: bytes) -> int | None:
    """Returns the position of the frame header when the file is baseline with one scan of all components."""
    position, frame, components = 2, None, 0
    while position + 12 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker in _BASELINE:
            frame, components = position, data[position + 9]
        elif marker == _SCAN:
            return frame if data[position + 4] == components else None
        elif 0xC2 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return None
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return None
