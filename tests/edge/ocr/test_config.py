"""`plate.conf`: round trips, and every mistake is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.base.errors import InputError
from edge.ocr.config import PipelineConfig, dump_config, load_config, parse_config

TEXT = dump_config(PipelineConfig())


def test_defaults_round_trip(tmp_path: Path) -> None:
    (tmp_path / "plate.conf").write_text("# a comment\n\n" + TEXT)
    assert load_config(tmp_path / "plate.conf") == PipelineConfig()


@given(
    strip=st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=8),
    side=st.integers(32, 4096),
    grow=st.floats(0, 1),
    lengths=st.lists(st.integers(1, 64), max_size=3),
)
def test_any_values_round_trip(strip: str, side: int, grow: float, lengths: list[int]) -> None:
    config = PipelineConfig(text_strip=strip, det_limit_side=side, box_grow=grow, text_lengths=tuple(lengths))
    assert parse_config(dump_config(config)) == config


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("threads = 1", "threads = many", "line 5: threads = 'many'"),
        ("threads = 1", "threads = 0", "threads = 0 is out of range"),
        ("threads = 1\n", "", "missing keys: threads"),
        ("grammar = grammar.txt\n", "", "A file of an older kit lacks keys that came since"),  # As 0.1 wrote it.
        ("threads = 1", "thread = 1", "line 5: unknown key 'thread'"),
        ("threads = 1", "threads = 1\nthreads = 2", "line 6: threads is given twice"),
        ("threads = 1", "threads 1", "line 5: 'threads 1' is not `key = value`"),
        ("det_dilation = true", "det_dilation = yes", "neither true nor false"),
        ('text_strip = "·.- "', 'text_strip = "·', "no closing quote"),
        ("power_mode = high", "power_mode = turbo", "power_mode = 'turbo' is out of range"),
        ("det_std = 0.229,0.224,0.225", "det_std = 0.229,0,0.225", "det_std"),
    ],
)
def test_mistakes_are_named(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(InputError) as caught:
        parse_config(TEXT.replace(old, new), "plate.conf")
    assert message in str(caught.value) and "plate.conf" in str(caught.value)


def test_editors_of_windows_may_save_it(tmp_path: Path) -> None:
    (tmp_path / "plate.conf").write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    assert load_config(tmp_path / "plate.conf") == PipelineConfig()
    (tmp_path / "plate.conf").write_bytes(TEXT.replace("·", "京").encode("gbk"))
    with pytest.raises(InputError, match="is not UTF-8"):
        load_config(tmp_path / "plate.conf")


def test_a_folder_is_not_a_config(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a file"):
        load_config(tmp_path)
