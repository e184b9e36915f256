"""Text files that people bring: UTF-8, or an error that says what the file is instead and how to convert it."""

from __future__ import annotations

from pathlib import Path

from edge.base.errors import InputError

_MARKS = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_OTHERS = ("GBK", "GB18030", "BIG5")


def read_utf8(path: Path, form: str = "") -> str:
    """Reads a text file, with or without the byte order mark that editors on Windows put before it.

    Args:
        path: The file.
        form: What the file should hold; the hint when it is no text at all.

    Raises:
        InputError: It cannot be read, or is not UTF-8; names the encoding that it has, where its bytes tell.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    name = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "")
    if name:
        raise _other(path, f"it is {name}", name)
    if b"\0" in data[:4096]:
        for name, zeros in (("UTF-16LE", data[1:4096:2]), ("UTF-16BE", data[:4096:2])):
            if zeros.count(0) * 2 > len(zeros):
                raise _other(path, f"it looks like {name}", name)
        raise InputError(f"{path} is not a text file.", form)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        for name in _OTHERS:
            if _reads_as(data, name):
                raise _other(path, f"line {line} is not, and its bytes can be read as {name}", name) from error
        raise InputError(f"{path} is not UTF-8: line {line} is neither UTF-8 nor GBK.", form) from error


def _other(path: Path, what: str, name: str) -> InputError:
    return InputError(f"{path} is not UTF-8: {what}.", f"Convert it: iconv -f {name} -t UTF-8 OLD > NEW.")


def _reads_as(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
