"""Reading photos as 8-bit BGR, telling apart every way in which a file can be wrong."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.base.errors import InputError
from edge.photo.decode import MAX_PIXELS, can_read, decode_picture
from edge.photo.kinds import HEAD, kind_of

MAX_SCANS = 100
"""Progressive JPEGs with more scans are refused, as `plate_ocr` does (cpp/src/jpeg_scans.h says why)."""

MOST_MISSING = 0.25
"""Share of a JPEG's rows that may be missing at its end, as for `plate_ocr` (cpp/src/jpeg_turbo.cc)."""

_JPEG = b"\xff\xd8\xff"
_END = b"\xff\xd9"
_PNG = b"\x89PNG\r\n\x1a\n"

# SOF0..SOF15 without the tables DHT (C4), JPG (C8) and DAC (CC) hold the size and say how the picture is coded.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Scans, what may stand between two of them (tables, numbers of lines, comments, applications' own), and the end.
_BETWEEN_SCANS = frozenset((0xC4, 0xCC, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)))

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Photo:
    """A photo as it was decoded.

    Attributes:
        bgr: uint8 [height, width, 3], upright.
        size: Height and width in the photo's own pixels, upright.
        scale: The fraction of them that was decoded: 1, 2 or 4.
    """

    bgr: Image
    size: tuple[int, int]
    scale: int = 1


def load_image(path: Path) -> Image:
    """Reads a photo, turned upright as its EXIF orientation says.

    Args:
        path: A photo of a kind that `edge.photo.decode.can_read`; grey, 16-bit and transparent ones are converted.

    Returns:
        uint8 [height, width, 3], BGR.

    Raises:
        InputError: Missing, empty, not a photo, damaged, of a kind that is not read, larger than `MAX_PIXELS`, or with more
            scans than `MAX_SCANS`.
    """
    return load_photo(path).bgr


def load_photo(path: Path, rule: Callable[[int, int], int] = lambda height, width: 1) -> Photo:
    """Reads a photo as `load_image` does, a JPEG at the fraction of its sides that a rule asks for.

    Args:
        path: A JPEG or PNG file.
        rule: Called with height and width of a JPEG; returns 1, 2 or 4.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file.")
    data = path.read_bytes()
    width, height = image_size(data) or (0, 0)
    scale = rule(height, width) if data.startswith(_JPEG) and width and height else 1
    bgr = decode_image(data, str(path), scale)
    if scale == 1:
        return Photo(bgr, (bgr.shape[0], bgr.shape[1]))
    turned = bgr.shape[:2] != (-(-height // scale), -(-width // scale))
    return Photo(bgr, (width, height) if turned else (height, width), scale)


def decode_image(data: bytes, where: str, scale: int = 1) -> Image:
    """Decodes the bytes of a photo; see `load_image`.

    Args:
        data: The whole file.
        where: Its name for messages.
        scale: Of a JPEG: 1, 2 or 4 for whole, half or quarter sides, rounded up.
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
    is_jpeg = data.startswith(_JPEG)
    if is_jpeg:
        _check_jpeg(data, where)
    elif not _sums_fit(data):
        raise InputError(f"{where} is damaged: a checksum (CRC) of the PNG does not fit.")
    flag = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}[scale if is_jpeg else 1]
    # Where the end is missing OpenCV repeats a row; behind an end, nothing is read.
    whole = data + _END if is_jpeg else data
    try:
        image: Any = cv2.imdecode(np.frombuffer(whole, np.uint8), flag)
    except cv2.error:  # it has limits of its own, such as a million pixels a side
        image = None
    if image is None:
        raise InputError(f"{where} is damaged: it cannot be decoded.")
    decoded: Image = image
    missing = _missing(decoded) if is_jpeg else 0.0
    if missing > MOST_MISSING and _breaks_off(data):
        raise InputError(f"{where} is damaged: the last {100 * missing:.0f} % of its rows are missing.")
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
    """Yields each segment's marker code and the offset of its length, up to the end-of-image marker, which is the last.

    As in cpp/src/jpeg_scans.cc: what lies between two segments is looked through for the next marker, behind the head
    of a scan it is pixel data, and an EXIF thumbnail inside a segment is passed over with it.
    """
    at = 2
    while (at := data.find(b"\xff", at)) >= 0:
        while at < len(data) and data[at] == 0xFF:  # Any number of fill bytes may stand before a marker's code.
            at += 1
        if at == len(data):
            return
        code = data[at]
        if code <= 0x01 or 0xD0 <= code <= 0xD8:  # A stuffed byte of pixel data, TEM, RST0 to RST7, a start of image.
            continue
        yield code, at + 1
        if code == 0xD9:
            return
        at += 1 + int.from_bytes(data[at + 1 : at + 3], "big")


def _jpeg_size(data: bytes) -> tuple[int, int]:
    for code, at in _jpeg_segments(data):
        if code in _FRAMES and at + 7 <= len(data):
            height, width = struct.unpack(">HH", data[at + 3 : at + 7])
            return int(width), int(height)
    return 0, 0


def _check_jpeg(data: bytes, where: str) -> None:
    """Names kinds of JPEG that are sound and yet not read.

    Raises:
        InputError: More than 8 bits a sample, without loss, hierarchical, or of more scans than `MAX_SCANS`.
    """
    if _has_more_scans(data, MAX_SCANS):
        raise InputError(f"{where} is a JPEG of more than {MAX_SCANS} scans, which would take too long to decode.")
    frame = next(((code, at) for code, at in _jpeg_segments(data) if code in _FRAMES), None)
    if frame is None or frame[1] + 2 >= len(data):
        return
    code, bits = frame[0], data[frame[1] + 2]
    kind = "lossless" if code & 3 == 3 else "hierarchical" if code & 4 else ""
    if kind or bits != 8:
        kind = f"a {kind} JPEG, which is not read" if kind else f"a JPEG of {bits} bits a sample; only 8 are read"
        raise InputError(f"{where} is {kind}.", "Save it again as an ordinary JPEG.")


def _missing(image: Image) -> float:
    """Returns the share of a picture that is nothing but the grey of what was not there (65: of CMYK), at one side.

    At the lower one as the file has it; turned upright, that may be any.
    """
    shares = [0.0]
    for turned in (np.rot90(image, turns) for turns in range(4)):
        if turned[-1, -1, 0] in (65, 128):
            rows = (turned == turned[-1, -1, 0]).all(axis=(1, 2))[::-1]
            shares.append(1.0 if rows.all() else int(rows.argmin()) / len(rows))
    return max(shares)


def _breaks_off(data: bytes) -> bool:
    """Whether a JPEG lacks its end, or has between its scans what does not belong there."""
    codes = [code for code, _ in _jpeg_segments(data)]
    scans = codes[codes.index(0xDA) :] if 0xDA in codes else []
    return not scans or scans[-1] != 0xD9 or not _BETWEEN_SCANS.issuperset(scans)


def _sums_fit(data: bytes) -> bool:
    """Whether a PNG's checksums fit, of the chunks that a picture is made of; their names begin with a capital."""
    at = len(_PNG)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        name, end = data[at + 4 : at + 8], at + 8 + length
        if end + 4 > len(data):
            break  # cut off: the decoder says so
        if not name[0] & 0x20 and zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return False
        if name == b"IEND":
            break
        at = end + 4
    return True


def _has_more_scans(data: bytes, most: int) -> bool:
    if data.count(b"\xff\xda") <= most:
        return False
    scans = (code for code, _ in _jpeg_segments(data) if code == 0xDA)
    return next(islice(scans, most, None), None) is not None
