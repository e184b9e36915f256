"""Reading photos as 8-bit BGR, with every way in which a file can be wrong told apart."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.errors import InputError
from edge.photodecode import MAX_PIXELS, can_read, decode_picture
from edge.photokinds import HEAD, kind_of

MAX_SCANS = 100
"""Progressive JPEGs with more scans are refused, as `plate_ocr` does (cpp/src/jpeg_scans.h says why)."""

_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"

Image = npt.NDArray[np.uint8]


def load_image(path: Path) -> Image:
    """Reads a photo, turned upright as its EXIF orientation says.

    Args:
        path: A photo of a kind that `edge.photodecode.can_read`; grey, 16-bit and transparent ones are converted.

    Returns:
        uint8 [height, width, 3], BGR.

    Raises:
        InputError: Missing, empty, no photo, damaged, larger than `MAX_PIXELS`, or with more scans than `MAX_SCANS`.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file.")
    return decode_image(path.read_bytes(), str(path))


def decode_image(data: bytes, where: str) -> Image:
    """Decodes the bytes of a photo; see `load_image`.

    Args:
        data: The whole file.
        where: Its name for messages.
    """
    import cv2

    if not data:
        raise InputError(f"{where} is empty (0 bytes).")
    size = image_size(data)
    if size is None:
        kind = kind_of(data[:HEAD], Path(where).suffix.lower())
        if can_read(kind):
            return decode_picture(data, kind, where)
        raise InputError(f"{where} is {kind.name}{', not a photo' if not kind.picture else ''}.", kind.advice)
    width, height = size
    if width * height > MAX_PIXELS:
        raise InputError(f"{where} is {width}x{height} pixels; at most {MAX_PIXELS} are read.")
    if _has_more_scans(data, MAX_SCANS):
        raise InputError(f"{where} is a JPEG of more than {MAX_SCANS} scans, which would take too long to decode.")
    try:
        image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # it has limits of its own, such as a million pixels a side
        image = None
    if image is None:
        raise InputError(f"{where} is damaged: it cannot be decoded.")
    decoded: Image = image
    return decoded


def image_size(data: bytes) -> tuple[int, int] | None:
    """Returns (width, height) in pixels from the header of a JPEG or PNG, (0, 0) when it is cut, None for others."""
    if data.startswith(_PNG):
        if len(data) < 24:
            return 0, 0
        width, height = struct.unpack(">II", data[16:24])
        return int(width), int(height)
    if data.startswith(_JPEG):
        return _jpeg_size(data)
    return None


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yields each segment's marker code and the offset of its length, up to the end-of-image marker.

    As in cpp/src/jpeg_scans.cc: what lies between two segments is looked through for the next marker, behind the head
    of a scan it is pixel data, and an EXIF thumbnail inside of a segment is passed over with it.
    """
    at = 2
    while (at := data.find(b"\xff", at)) >= 0:
        while at < len(data) and data[at] == 0xFF:  # Any number of fill bytes may stand before a marker's code.
            at += 1
        code = data[at] if at < len(data) else 0xD9
        if code <= 0x01 or 0xD0 <= code <= 0xD8:  # A stuffed byte of pixel data, TEM, RST0 to RST7, a start of image.
            continue
        if code == 0xD9:
            return
        yield code, at + 1
        at += 1 + int.from_bytes(data[at + 1 : at + 3], "big")


def _jpeg_size(data: bytes) -> tuple[int, int]:
    for code, at in _jpeg_segments(data):
        # SOF0..SOF15 without the tables DHT (C4), JPG (C8) and DAC (CC) hold the size.
        if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC) and at + 7 <= len(data):
            height, width = struct.unpack(">HH", data[at + 3 : at + 7])
            return int(width), int(height)
    return 0, 0


def _has_more_scans(data: bytes, most: int) -> bool:
    if not data.startswith(_JPEG) or data.count(b"\xff\xda") <= most:
        return False
    scans = (code for code, _ in _jpeg_segments(data) if code == 0xDA)
    return next(islice(scans, most, None), None) is not None
