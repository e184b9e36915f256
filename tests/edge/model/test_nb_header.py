"""The header of a `.nb` file: read, refused, and made the same for the same model."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.base.errors import ModelError
from edge.model.nb_header import NbHeader, parse_nb_header, read_nb_header, tidy_nb_header


def test_a_real_nb_header_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.nb"
    path.write_bytes(b"\x02\x00v2.13-rc\0\0\0\0\0\0\0\0" + bytes(100))
    assert read_nb_header(path) == NbHeader(2, "v2.13-rc")
    for bad in (b"", b"\x02\x00v2.13", b"<html>this is no model at all", bytes(40)):
        path.write_bytes(bad)
        with pytest.raises(ModelError):
            read_nb_header(path)


def test_what_lay_in_opts_memory_behind_the_version_goes() -> None:
    start, end = b"\x02\x00v2.13-rc", bytes(range(40))
    once, again = (tidy_nb_header(start + b"\0" + rest + end) for rest in (b"garbage", b"\0others"))
    assert once == again == start + bytes(8) + end
    assert parse_nb_header(once) == NbHeader(2, "v2.13-rc")
