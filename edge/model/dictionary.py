"""The dictionary of a recogniser: which character each of its classes is."""

from __future__ import annotations

import shlex
from pathlib import Path

from edge.base.errors import InputError


def read_dictionary(path: Path) -> list[str]:
    """Reads a dictionary: UTF-8, one character a line, a line may be a single space.

    Returns:
        The characters of classes 1, 2, ...

    Raises:
        InputError: Not a file, not UTF-8, or an empty or over-long line.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file.", "A dictionary is a text file with one character a line.")
    raw = path.read_bytes()
    try:
        # Without the byte order mark that some editors put before a text.
        lines = raw.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8: {error}.", _encoding_hint(raw, path)) from error
    if lines and lines[-1] == "":
        lines.pop()
    lines = [line.rstrip("\r") for line in lines]
    if not lines:
        raise InputError(f"{path} is empty.", "A dictionary is a text file with one character a line.")
    for number, line in enumerate(lines, 1):
        where = f"{path}, line {number}"
        if line.strip("<>[]-").lower() == "blank":
            raise InputError(
                f"{where}: {line!r} is not a character.", "Delete the line: class 0, the blank, comes before the dictionary."
            )
        if line == "" or len(line) > 8:
            hint = "Delete the line, or write the character that the model was trained with; a space is a line with a space."
            raise InputError(f"{where}: {line[:20]!r} is not one character.", hint if line == "" else "")
    return lines


def _encoding_hint(raw: bytes, path: Path) -> str:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return f"It is UTF-16: `iconv -f UTF-16 -t UTF-8 {shlex.quote(str(path))}` turns it into UTF-8."
    try:
        raw.decode("gb18030")
    except UnicodeDecodeError:
        return "Save it as UTF-8."
    return f"It may be GBK: `iconv -f GB18030 -t UTF-8 {shlex.quote(str(path))}` turns it into UTF-8."
