"""Pictures that the board's program does not read, decoded on this host: BMP, WebP, TIFF, HEIC, AVIF."""

from __future__ import annotations

from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.base.errors import HostError, InputError
from edge.photo.kinds import AVIF, HEIC, TIFF, WEBP, FileKind, tiff_tags

if TYPE_CHECKING:  # A command that only lists photos starts without NumPy.
    import numpy as np
    import numpy.typing as npt

    Image = npt.NDArray[np.uint8]

MAX_PIXELS = 100_000_000
"""Photos with more pixels are refused before they are decoded: a header of a few bytes can ask for gigabytes."""

_ORIENTATION = 274


def can_read(kind: FileKind) -> bool:
    """Says whether a kind of picture is read here: by the board's program, or by this host."""
    if kind.reader == "extra":
        return _extra(kind) is not None
    return kind.reader in ("board", "host")


def decode_picture(data: bytes, kind: FileKind, where: str) -> Image:
    """Decodes a picture of a kind that the board's program does not read, turned upright.

    Args:
        data: The whole file.
        kind: Its kind, of which `can_read` is true.
        where: Its name for messages.

    Returns:
        uint8 [height, width, 3], BGR; of several pages or frames the first.

    Raises:
        InputError: Damaged, too large, or of a form that the decoder does not know.
        HostError: The extra `photos` is missing.
    """
    if kind.reader == "extra":
        return _by_extra(data, kind, where)
    import cv2
    import numpy as np

    if kind is WEBP and data[12:16] == b"VP8X" and data[20:21] and data[20] & 2:
        raise InputError(f"{where} is an animated WebP.", "Save one picture of it as JPEG.")
    size = _size(data, kind)
    if size is not None and size[0] * size[1] > MAX_PIXELS:
        raise InputError(f"{where} is {size[0]}x{size[1]} pixels; at most {MAX_PIXELS} are read.")
    image: Any
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # it has limits of its own, such as a million pixels a side
        image = None
    if image is None:
        raise InputError(f"{where} is {kind.name} that cannot be decoded: damaged, or of a rare form.", "Save it as JPEG.")
    # OpenCV turns a TIFF upright itself, and does not look at a WebP's EXIF part.
    return upright(image, _webp_orientation(data)) if kind is WEBP else image


def upright(image: Image, orientation: int) -> Image:
    """Turns a picture as its EXIF orientation (1 to 8) says; any other value leaves it as it is.

    Args:
        image: uint8 [height, width, 3].
        orientation: Of the EXIF tag of this name.
    """
    import numpy as np

    if orientation in (5, 6, 7, 8):
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)


def to_png(path: Path, kind: FileKind) -> bytes:
    """Returns a picture as a PNG of the same pixels, upright; see `decode_picture`.

    Raises:
        InputError: What `decode_picture` says, without the file's name.
    """
    import cv2

    image: Any = decode_picture(path.read_bytes(), kind, str(path))
    # Level 1: a link is faster than a better compression.
    done, data = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise InputError(f"{path} cannot be written as PNG.")
    return bytes(data.tobytes())


def _extra(kind: FileKind) -> Any:
    """Returns the module that decodes a kind, None where it is not installed."""
    try:
        if kind is HEIC:
            return import_module("pillow_heif")
        return import_module("PIL.Image") if import_module("PIL.features").check("avif") else None
    except ImportError:
        return None


def _by_extra(data: bytes, kind: FileKind, where: str) -> Image:
    import numpy as np

    module = _extra(kind)
    if module is None:
        raise HostError(f"{where} is {kind.name}, and its decoder is not installed.", f"Either {kind.advice}.")
    try:
        if kind is AVIF:
            from PIL import ImageOps

            with module.open(BytesIO(data)) as picture:
                _check_size(picture.size, where)
                rgb = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
        else:
            picture = module.open_heif(BytesIO(data), convert_hdr_to_8bit=True)
            _check_size(picture.size, where)
            rgb = np.asarray(picture.to_pillow().convert("RGB"))  # libheif has turned it upright
    except InputError:
        raise
    except Exception as error:  # These modules raise whatever their C libraries say.
        raise InputError(f"{where} is {kind.name} that cannot be decoded: {error}.", "Save it as JPEG.") from error
    return np.ascontiguousarray(rgb[:, :, ::-1])


def _check_size(size: tuple[int, int], where: str) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise InputError(f"{where} is {size[0]}x{size[1]} pixels; at most {MAX_PIXELS} are read.")


def _size(data: bytes, kind: FileKind) -> tuple[int, int] | None:
    """Returns (width, height) from a header, None where it does not stand at a known place."""
    if kind is TIFF:
        tags = tiff_tags(data)
        return (tags[256], tags[257]) if 256 in tags and 257 in tags else None
    if kind is WEBP:
        if data[12:16] == b"VP8X":
            return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
        if data[12:16] == b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    if len(data) >= 26 and int.from_bytes(data[14:18], "little") >= 40:
        return (
            abs(int.from_bytes(data[18:22], "little", signed=True)),
            abs(int.from_bytes(data[22:26], "little", signed=True)),
        )
    return None


def _webp_orientation(data: bytes) -> int:
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"EXIF":
            body = data[at + 8 : at + 8 + length]
            return tiff_tags(body.removeprefix(b"Exif\0\0")).get(_ORIENTATION, 1)
        at += 8 + length + length % 2
    return 1
