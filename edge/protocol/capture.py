"""What a program prints: kept up to a cap, handed on line by line as it arrives."""

from __future__ import annotations

import codecs
from contextlib import suppress

from edge.base.progress import Say


class OutputOverflow(Exception):
    """A program printed more than its cap; the transport ends it and says so."""


class Capture:
    """Collects standard output and standard error of one program.

    Args:
        on_stdout: Called with every line of standard output.
        max_output: Bytes of both together that are kept.
    """

    def __init__(self, on_stdout: Say | None, max_output: int) -> None:
        self._on_stdout = on_stdout
        self._left = max_output
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._output: list[str] = []
        self._error = b""
        self._line: list[str] = []

    def feed(self, stream: int, data: bytes) -> bool:
        """Takes bytes of stream 1 (output) or 2 (error); returns False: it never has enough.

        Raises:
            OutputOverflow: The cap is reached; what fits was kept.
        """
        kept = data[: self._left]
        self._left -= len(kept)
        if stream == 1:
            self._add(self._decoder.decode(kept))
        else:
            self._error += kept
        if len(kept) < len(data):
            raise OutputOverflow
        return False

    def finish(self) -> tuple[str, str]:
        """Ends both streams, hands on a last line without end, returns output and error."""
        self._add(self._decoder.decode(b"", final=True))
        if self._line and self._on_stdout is not None:
            line, self._line = "".join(self._line), []
            self._on_stdout(line.removesuffix("\r"))
        return "".join(self._output), decode_message(self._error)

    def _add(self, text: str) -> None:
        if not text:
            return
        self._output.append(text)
        if self._on_stdout is None:
            return
        *lines, rest = text.split("\n")
        for line in lines:
            self._line.append(line)
            whole, self._line = "".join(self._line), []
            self._on_stdout(whole.removesuffix("\r"))
        if rest:
            self._line.append(rest)


def decode_message(raw: bytes) -> str:
    """Decodes the complaints of a board's programs: UTF-8, or GBK, which older Chinese systems write."""
    for encoding in ("utf-8", "gb18030"):
        with suppress(UnicodeDecodeError):
            return raw.decode(encoding)
    return raw.decode("utf-8", "replace")
