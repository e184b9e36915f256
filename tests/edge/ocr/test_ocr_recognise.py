"""Crops and greedy CTC against OpenCV, numpy and PaddleOCR's own decoder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.base.errors import ModelError
from edge.ocr.config import PipelineConfig
from edge.ocr.crop import crop_plate, crop_size
from edge.ocr.recognise import ctc_greedy, keep_text, rec_post, rec_pre, strip_text

CHARACTERS = [*"皖A0123456789·", " "]
CONFIG = PipelineConfig()


def probabilities(classes: list[int], certainty: float = 0.9) -> np.ndarray:
    """float32 [T, classes] whose likeliest classes are the given ones."""
    count = len(CHARACTERS) + 1
    matrix = np.full((len(classes), count), (1 - certainty) / (count - 1), np.float32)
    matrix[np.arange(len(classes)), classes] = certainty
    return matrix


def box_of(x: float, y: float, width: float, height: float) -> np.ndarray:
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])


def test_an_upright_crop_is_the_photos_pixels() -> None:
    photo = np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    assert (crop_plate(photo, box_of(10, 20, 30, 15)) == photo[20:35, 10:40]).all()


def test_a_turned_plate_comes_out_straight() -> None:
    plate = np.zeros((40, 120, 3), np.uint8)
    plate[:, :60] = (255, 0, 0)
    plate[:20, 60:] = (0, 255, 0)
    plate[20:, 60:] = (0, 0, 255)
    corners = np.array([[50, 40], [160, 70], [150, 110], [40, 80]], np.float32)
    matrix = cv2.getPerspectiveTransform(np.array([[0, 0], [120, 0], [120, 40], [0, 40]], np.float32), corners)
    photo = cv2.warpPerspective(plate, matrix, (200, 150))
    crop = crop_plate(photo, corners.astype(np.float64))
    height, width = crop.shape[:2]
    assert (width, height) == crop_size(corners.astype(np.float64)) == (114, 41)
    for x, y, colour in ((0.25, 0.5, (255, 0, 0)), (0.75, 0.25, (0, 255, 0)), (0.75, 0.75, (0, 0, 255))):
        assert np.abs(crop[int(y * height), int(x * width)].astype(int) - colour).max() < 10


def test_an_upright_standing_crop_is_turned_counter_clockwise() -> None:
    photo = np.random.default_rng(2).integers(0, 256, (80, 60, 3), dtype=np.uint8)
    assert (crop_plate(photo, box_of(5, 10, 20, 30)) == np.rot90(photo[10:40, 5:25])).all()
    assert crop_plate(photo, box_of(5, 10, 21, 30)).shape == (30, 21, 3)  # 30 / 21 is under 1.5


def test_a_crop_of_nothing_has_one_pixel() -> None:
    photo = np.full((10, 10, 3), 77, np.uint8)
    assert crop_plate(photo, np.full((4, 2), 3.0)).shape == (1, 1, 3)


def test_padding_keeps_the_ratio_and_stretching_fills() -> None:
    crop = np.full((40, 120, 3), 255, np.uint8)
    padded = rec_pre(crop, replace(CONFIG, rec_resize="pad"))
    assert padded.shape == (1, 3, 48, 320) and padded.dtype == np.float32
    assert padded[0, :, :, :144] == pytest.approx(1.0) and (padded[0, :, :, 144:] == 0).all()
    assert rec_pre(crop, replace(CONFIG, rec_resize="stretch")) == pytest.approx(1.0)
    wide = np.full((20, 400, 3), 255, np.uint8)
    assert rec_pre(wide, replace(CONFIG, rec_resize="pad")) == pytest.approx(1.0)
    # 48 * 100 / 47 = 102.1: the width is rounded up.
    assert (rec_pre(np.full((47, 100, 3), 255, np.uint8), replace(CONFIG, rec_resize="pad"))[0, 0, 0] != 0).sum() == 103


@pytest.mark.parametrize(
    ("classes", "text"),
    [
        ([0, 1, 1, 0, 2, 0, 4, 4, 4, 0], "皖A1"),
        ([4, 4, 0, 4], "11"),
        ([4, 5, 4], "121"),
        ([0, 0, 0], ""),
        ([14, 14], " "),
        ([1, 13, 2], "皖·A"),
    ],
)
def test_greedy_merges_repeats_and_drops_blanks(classes: list[int], text: str) -> None:
    assert ctc_greedy(probabilities(classes), CHARACTERS)[0] == text


def test_greedy_takes_the_first_of_equal_classes() -> None:
    assert ctc_greedy(np.full((3, 15), 1 / 15, np.float32), CHARACTERS) == ("", 0.0)


def test_greedy_equals_paddleocrs_decoder(tmp_path: Path) -> None:
    __import__("zlib")
    reference = pytest.importorskip("paddleocr.ppocr.postprocess.rec_postprocess")
    dictionary = tmp_path / "dict.txt"
    dictionary.write_text("\n".join(CHARACTERS[:-1]) + "\n", encoding="utf-8")
    decoder = reference.CTCLabelDecode(str(dictionary), use_space_char=True)
    rng = np.random.default_rng(3)
    for _ in range(50):
        matrix = rng.dirichlet(np.full(15, 0.1), 20).astype(np.float32)
        matrix[rng.random(20) < 0.5, 0] = 1
        theirs = decoder(matrix[None])[0]
        ours = ctc_greedy(matrix, CHARACTERS)
        assert ours[0] == theirs[0] and ours[1] == pytest.approx(theirs[1], abs=1e-6)


def test_stripping_and_filters() -> None:
    assert strip_text("皖A·D-86 7.66", CONFIG.text_strip) == "皖AD86766"
    assert keep_text("皖AD86766", 0.5, CONFIG) and keep_text("皖A12345", 0.5, CONFIG)
    assert not keep_text("皖A1234", 0.5, CONFIG) and not keep_text("皖AD867661", 0.5, CONFIG)
    free = replace(CONFIG, text_lengths=())
    assert keep_text("x", 0.5, free) and not keep_text("", 1, free)
    assert not keep_text("皖A12345", 0.49, replace(CONFIG, score_thresh=0.5))


def test_post_processing_refuses_a_foreign_dictionary_and_nan() -> None:
    good = probabilities([0, 1, 2])
    assert rec_post(good[None], CHARACTERS, CONFIG) == ("皖A", pytest.approx(0.9))
    with pytest.raises(ModelError, match=r"15 classes.*13 characters"):
        rec_post(good, CHARACTERS[:-1], CONFIG)
    good[1, 1] = np.nan
    with pytest.raises(ModelError, match="not finite"):
        rec_post(good, CHARACTERS, CONFIG)
