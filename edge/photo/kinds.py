"""What kind of file this is, by its content: a suffix says what somebody called it, not what it is."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

HEAD = 4096
"""Bytes of a file that are enough to name its kind."""

Reader = Literal["board", "host", "extra", "nobody"]


@dataclass(frozen=True)
class FileKind:
    """A kind of file.

    Attributes:
        name: For messages, with its article where it has one: `WebP`, `an HTML page`.
        reader: Who reads it: the program on the `board`, this `host` for the board, this host with the `extra`
            `photos`, or `nobody`.
        picture: Whether it is a picture or a film at all, so that leaving it out may surprise.
        advice: What to do about it where nobody reads it; a part of a sentence.
    """

    name: str
    reader: Reader = "nobody"
    picture: bool = False
    advice: str = ""


JPEG = FileKind("JPEG", "board", True)
PNG = FileKind("PNG", "board", True)
BMP = FileKind("BMP", "host", True)
WEBP = FileKind("WebP", "host", True)
TIFF = FileKind("TIFF", "host", True)
_INSTALL = "install {} (the kit's extra `photos`), or save it as JPEG"
HEIC = FileKind("HEIC", "extra", True, _INSTALL.format("pillow-heif"))
AVIF = FileKind("AVIF", "extra", True, _INSTALL.format("Pillow 11.3 or later"))
EMPTY = FileKind("empty")
ZEROS = FileKind("nothing but zero bytes", advice="copy it again; the card or the copy is damaged")
TEXT = FileKind("a text file")
UNKNOWN = FileKind("a file of an unknown format")

_SAVE = "save it as JPEG"
_DEVELOP = "develop it, or take the JPEG beside it"
_FRAMES = "extract frames, for example with `ffmpeg -i FILE frame-%04d.jpg`"
_RAW = FileKind("a RAW photo", picture=True, advice=_DEVELOP)
_VIDEO = FileKind("a video", picture=True, advice=_FRAMES)
_HTML = FileKind("an HTML page", advice="download the photo itself")
_LFS = FileKind("a Git LFS pointer", advice="fetch the photo with `git lfs pull`")
_JXL = FileKind("JPEG XL", picture=True, advice=_SAVE)
_JP2 = FileKind("JPEG 2000", picture=True, advice=_SAVE)
_GIF = FileKind("GIF", picture=True, advice=_SAVE)
_ZIP = FileKind("a ZIP archive", advice="unpack it")
_COMPRESSED = FileKind("a compressed file", advice="unpack it")

_STARTS: tuple[tuple[bytes, FileKind], ...] = (
    (b"\xff\xd8\xff\xf7", FileKind("JPEG-LS", picture=True, advice=_SAVE)),
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"GIF87a", _GIF),
    (b"GIF89a", _GIF),
    (b"\xff\x0a", _JXL),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", _JXL),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", _JP2),
    (b"\xff\x4f\xff\x51", _JP2),
    (b"II\xbc\x01", FileKind("JPEG XR", picture=True, advice=_SAVE)),
    (b"FUJIFILMCCD-RAW", _RAW),
    (b"FOVb", _RAW),
    (b"\x00MRM", _RAW),
    (b"IIU\x00", _RAW),
    (b"IIRO", _RAW),
    (b"IIRS", _RAW),
    (b"MMOR", _RAW),
    (b"8BPS", FileKind("a Photoshop file", picture=True, advice=_SAVE)),
    (b"gimp xcf", FileKind("a GIMP file", picture=True, advice=_SAVE)),
    (b"BPG\xfb", FileKind("BPG", picture=True, advice=_SAVE)),
    (b"qoif", FileKind("QOI", picture=True, advice=_SAVE)),
    (b"DDS ", FileKind("a DDS texture", picture=True, advice=_SAVE)),
    (b"\x76\x2f\x31\x01", FileKind("OpenEXR", picture=True, advice=_SAVE)),
    (b"#?RADIANCE", FileKind("Radiance HDR", picture=True, advice=_SAVE)),
    (b"\x00\x00\x01\x00", FileKind("an icon file", picture=True, advice=_SAVE)),
    (b"%PDF", FileKind("a PDF document", advice="extract its pictures, for example with `pdfimages -all`")),
    (b"%!PS", FileKind("a PostScript document")),
    (b"\x1aE\xdf\xa3", _VIDEO),
    (b"FLV\x01", _VIDEO),
    (b"\x00\x00\x01\xba", _VIDEO),
    (b"\x00\x00\x01\xb3", _VIDEO),
    (b"0&\xb2u\x8ef\xcf\x11", _VIDEO),
    (b"\x00\x00\x00\x01\x67", _VIDEO),
    (b"\x00\x00\x00\x01\x40", _VIDEO),
    (b"DHAV", _VIDEO),
    (b"PK\x03\x04", _ZIP),
    (b"PK\x05\x06", _ZIP),
    (b"7z\xbc\xaf\x27\x1c", FileKind("a 7z archive", advice="unpack it")),
    (b"Rar!\x1a\x07", FileKind("a RAR archive", advice="unpack it")),
    (b"\x1f\x8b", _COMPRESSED),
    (b"BZh", _COMPRESSED),
    (b"\xfd7zXZ\x00", _COMPRESSED),
    (b"\x28\xb5\x2f\xfd", _COMPRESSED),
    (b"\x93NUMPY", FileKind("a NumPy array")),
    (b"SQLite format 3\x00", FileKind("a SQLite database")),
    (b"\x7fELF", FileKind("a program")),
    (b"MZ", FileKind("a program")),
    (b"\x00\x05\x16\x07", FileKind("an AppleDouble file", advice="take the photo of the same name without `._`")),
    (b"ID3", FileKind("a sound file")),
    (b"OggS", FileKind("an Ogg file")),
)

_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), AVIF),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"), HEIC),
    b"crx ": _RAW,
}
"""Of an ISO media file's `ftyp` box; every other brand is a film's."""

RAW_SUFFIXES = (
    ".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos", ".nef", ".nrw", ".orf", ".pef",
    ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
)  # fmt: skip
"""Most cameras' RAW files are TIFF inside, and what a TIFF reader finds in them is a thumbnail."""

_LINK = re.compile(r"[^\s:*?\"<>|]{1,250}\.(jpe?g|jfif|png|bmp|webp|tiff?|heic|avif)")
"""What a symbolic link to a photo is in an archive or a checkout that cannot hold links."""

_DNG_VERSION, _CFA = 50706, 32803


def file_kind(path: Path) -> FileKind:
    """Names the kind of a file.

    Raises:
        OSError: It cannot be opened or read.
    """
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    return kind_of(head, path.suffix.lower())


def kind_of(head: bytes, suffix: str = "") -> FileKind:
    """Names the kind of a file from its first bytes.

    Args:
        head: At least `HEAD` bytes, or the whole file.
        suffix: In lower case; only asked where the content leaves it open, as with a camera's RAW file.
    """
    if not head:
        return EMPTY
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _RAW if head[8:10] == b"CR" or suffix in RAW_SUFFIXES or _is_raw_tiff(head) else TIFF
    if head[:4] == b"RIFF":
        return {b"WEBP": WEBP, b"AVI ": _VIDEO}.get(head[8:12], FileKind("a sound file"))
    if head[:2] == b"BM" and len(head) >= 18 and struct.unpack("<I", head[14:18])[0] in (12, 16, 40, 52, 56, 64, 108, 124):
        return BMP
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    if head[4:8] in (b"moov", b"mdat", b"wide", b"pnot"):
        return _VIDEO
    if head[:1] == b"P" and head[1:2] in b"1234567" and head[2:3].isspace():
        return FileKind("a Netpbm picture", picture=True, advice=_SAVE)
    if head[257:262] == b"ustar":
        return FileKind("a tar archive", advice="unpack it")
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:
        return _VIDEO
    if not head.strip(b"\0"):
        return ZEROS
    return _text_kind(head)


def _iso_media(head: bytes) -> FileKind:
    length = min(max(16, int.from_bytes(head[:4], "big")), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, length - 3, 4))]
    # The first brand decides; `mif1` and `msf1` only say that it is a picture, and which one stands behind them.
    for brand in brands:
        if brand in _BRANDS:
            return _BRANDS[brand]
    return FileKind("HEIF", picture=True, advice=_SAVE) if brands[0] in (b"mif1", b"msf1", b"mif2") else _VIDEO


def tiff_tags(data: bytes) -> dict[int, int]:
    """Returns tag and value of the entries of a classic TIFF structure's first directory; nothing for other data.

    Of a value of several numbers, or one that lies elsewhere, only what the entry itself holds.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8:
        return {}
    magic, at = struct.unpack(order + "HI", data[2:8])
    if magic != 42 or at + 2 > len(data):
        return {}
    count = struct.unpack(order + "H", data[at : at + 2])[0]
    entries = (data[at + 2 + 12 * i : at + 14 + 12 * i] for i in range(count))
    found = {}
    for entry in entries:
        if len(entry) < 12:
            break
        tag, form = struct.unpack(order + "HH", entry[:4])
        found[tag] = int(struct.unpack(order + ("I" if form == 4 else "H2x"), entry[8:12])[0])
    return found


def _is_raw_tiff(head: bytes) -> bool:
    tags = tiff_tags(head)
    return _DNG_VERSION in tags or tags.get(262) == _CFA


def _text_kind(head: bytes) -> FileKind:
    for code, mark in (("utf-16", b"\xff\xfe"), ("utf-16", b"\xfe\xff"), ("utf-8", b"")):
        if head.startswith(mark):
            text = head.decode(code, "replace").lstrip("\ufeff").lstrip().lower()
            break
    if text.startswith("version https://git-lfs"):
        return _LFS
    if text.startswith(("<!doctype html", "<html", "<head", "<body")) or "<html" in text[:1000]:
        return _HTML
    if text.startswith(("<?xml", "<svg", "<!doctype svg")):
        return FileKind("SVG", picture=True, advice=_SAVE) if "<svg" in text else FileKind("an XML file")
    if text.startswith("data:image/"):
        return FileKind("a data URI", advice="decode its Base64 part")
    if text.startswith(("/9j/", "ivborw0kggo")):
        return FileKind("Base64 text", advice="decode it with `base64 -d`")
    if _LINK.fullmatch(text):
        return FileKind("a symbolic link that was copied as text", advice="copy what it leads to, for example with `cp -L`")
    if text.startswith(("{", "[{")):
        return FileKind("a JSON file")
    # Even cut in the middle of a character, ordinary text has hardly a byte that is not text.
    strange = sum(mark == "\ufffd" or (mark < " " and mark not in "\t\n\r\f") for mark in text)
    return TEXT if strange <= len(text) // 100 + 1 and "\0" not in text else UNKNOWN
