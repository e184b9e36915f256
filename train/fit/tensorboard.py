"""A run's log as TensorBoard reads it: an `events.out.tfevents` file of scalars, without TensorFlow.

The file is a list of records (length, checksum, data, checksum; TensorFlow's `record_writer.h`), each record an `Event`
message (`event.proto`): time, step, and a summary with one value a scalar.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from pathlib import Path

from edge.base.paths import write_atomic

FILE = "events.out.tfevents.{first}.plate-edge"
_POLYNOMIAL = 0x82F63B78  # CRC-32C (Castagnoli), reflected; RFC 3720, appendix B.4.
_DOUBLE, _VARINT, _BYTES, _FLOAT = 1, 0, 2, 5  # Wire types of protobuf.


class EventLog:
    """Appends the figures of a step to an event file.

    A resumed run drops what a killed one wrote after its last checkpoint, so that no step is there twice.

    Args:
        folder: Folder of the run.
        step: Steps done; the file of this start is named after it.
    """

    def __init__(self, folder: Path, step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob(FILE.format(first="*")):
            kept = [data for data in read_records(path.read_bytes()) if _step(data) <= step]
            write_atomic(path, b"".join(_record(data) for data in kept))
        self.path = folder / FILE.format(first=f"{step:010d}")
        if not self.path.is_file():
            self.path.write_bytes(_record(_field(1, _DOUBLE, time.time()) + _field(3, _BYTES, b"brain.Event:2")))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Appends one event.

        Args:
            step: Its step.
            values: Tag to scalar.
        """
        summary = b"".join(
            _field(1, _BYTES, _field(1, _BYTES, tag.encode()) + _field(2, _FLOAT, value)) for tag, value in values.items()
        )
        event = _field(1, _DOUBLE, time.time()) + _field(2, _VARINT, step) + _field(5, _BYTES, summary)
        with self.path.open("ab") as stream:
            stream.write(_record(event))


def read_records(data: bytes) -> list[bytes]:
    """Returns the whole records of an event file; one that a kill cut short, and what follows it, is left out."""
    records, at = [], 0
    while at + 12 <= len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        end = at + 12 + length + 4
        if end > len(data) or data[at : at + 12] != _head(length):
            break
        records.append(data[at + 12 : end - 4])
        at = end
    return records


def masked_crc(data: bytes) -> int:
    """CRC-32C, rotated and offset as TensorFlow's records have it."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    value ^= 0xFFFFFFFF
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def _head(length: int) -> bytes:
    size = struct.pack("<Q", length)
    return size + struct.pack("<I", masked_crc(size))


def _record(data: bytes) -> bytes:
    return _head(len(data)) + data + struct.pack("<I", masked_crc(data))


def _field(number: int, kind: int, value: float | int | bytes) -> bytes:
    start = _varint(number << 3 | kind)
    if kind == _DOUBLE:
        return start + struct.pack("<d", value)
    if kind == _FLOAT:
        return start + struct.pack("<f", value)
    if isinstance(value, bytes):
        return start + _varint(len(value)) + value
    return start + _varint(int(value))


def _varint(value: int) -> bytes:
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


def _step(event: bytes) -> int:
    """Step of an event written by this module: the field after the time, 0 for the file's first."""
    if len(event) < 11 or event[9] != (2 << 3 | _VARINT):
        return 0
    step = shift = 0
    for byte in event[10:]:
        step |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return step
