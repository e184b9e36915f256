"""Reading photo files, the pipeline as a whole, its runtimes, and drawing."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.base.errors import InputError, ModelError
from edge.bundle.zoo import ModelPair
from edge.model.card import load_model
from edge.ocr.config import PipelineConfig
from edge.ocr.draw import COLOUR, draw_plates, label_font
from edge.ocr.image import image_size, load_image
from edge.ocr.reader import STAGES, Networks, Reader
from edge.photo.decode import MAX_PIXELS
from edge.photo.listing import SAMPLES
from edge.plate.answer import ReadPlate
from edge.plate.country import load_country
from edge.runtime.engines import open_network, open_networks
from edge.runtime.paddle_lite import LiteNetwork

CHARACTERS = tuple("皖A12345·")
CONFIG = PipelineConfig(det_limit_type="max", det_limit_side=640)


class WhiteFinder:
    """A detector that finds what is white."""

    def run(self, tensor: np.ndarray) -> np.ndarray:
        return (tensor[:, :1] > 1.5).astype(np.float32) * 0.9


class Speller:
    """A recogniser that always answers the same text, and keeps its inputs."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.inputs: list[np.ndarray] = []

    def run(self, tensor: np.ndarray) -> np.ndarray:
        self.inputs.append(tensor)
        matrix = np.zeros((1, 40, len(CHARACTERS) + 1), np.float32)
        matrix[:, :, 0] = 1
        for i, character in enumerate(self.text):
            matrix[0, 2 * i, 0] = 0.2
            matrix[0, 2 * i, CHARACTERS.index(character) + 1] = 0.8
        return matrix


def photo_with(boxes: list[tuple[int, int, int, int]], shape: tuple[int, int] = (480, 640)) -> np.ndarray:
    photo = np.zeros((*shape, 3), np.uint8)
    for x, y, width, height in boxes:
        photo[y : y + height, x : x + width] = 255
    return photo


def test_plates_are_read_where_they_are() -> None:
    speller = Speller("皖A·12345")
    reader = Reader(replace(CONFIG, det_unclip_ratio=0.0, box_grow=0.0, det_dilation=False), Networks(
        WhiteFinder(), speller, CHARACTERS))
    reading = reader.read(photo_with([(300, 200, 121, 41), (100, 50, 141, 41)]))
    assert [plate.text for plate in reading.plates] == ["皖A12345", "皖A12345"]
    assert reading.plates[0].box.tolist() == [[100, 50], [240, 50], [240, 90], [100, 90]]
    assert reading.plates[1].box.tolist() == [[300, 200], [420, 200], [420, 240], [300, 240]]
    assert reading.plates[0].score == pytest.approx(0.8)
    assert [tensor.shape for tensor in speller.inputs] == [(1, 3, 48, 320)] * 2
    assert set(reading.ms) == {*STAGES, "total"}
    assert reading.ms["total"] >= sum(reading.ms[stage] for stage in STAGES) * 0.99 > 0


def test_boxes_are_told_even_when_their_text_is_dropped() -> None:
    reader = Reader(CONFIG, Networks(WhiteFinder(), Speller("皖A1"), CHARACTERS))
    reading = reader.read(photo_with([(100, 50, 141, 41)]))
    assert reading.plates == () and len(reading.boxes) == 1


def test_both_decoders_read_a_plate() -> None:
    for decode in ("greedy", "plate"):
        config = replace(CONFIG, decode=decode)
        reading = Reader(config, Networks(WhiteFinder(), Speller("皖A·12345"), CHARACTERS)).read(
            photo_with([(100, 50, 141, 41)])
        )
        assert [plate.text for plate in reading.plates] == ["皖A12345"]


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\x02\0\0\0" + b"\0" * 20


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.jpg", b"", "empty"),
        ("text.jpg", b"this is a text", "a text file, not a photo"),
        ("huge.png", png(20_000, 20_000), "20000x20000"),
        ("cut.png", b"\x89PNG\r\n\x1a\n\0\0", "damaged"),
        ("cut.jpg", b"\xff\xd8\xff\xe0", "damaged"),
        ("broken.png", png(30, 30), "damaged"),
    ],
)
def test_bad_photos_are_told_apart(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_image(tmp_path / name)


def test_a_missing_photo(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a file"):
        load_image(tmp_path / "none.jpg")


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_sizes_come_from_headers(suffix: str) -> None:
    for width, height in ((1, 1), (37, 91), (640, 480)):
        encoded = cv2.imencode(suffix, np.zeros((height, width, 3), np.uint8))[1].tobytes()
        assert image_size(encoded) == (width, height)
    assert image_size(b"GIF89a") is None
    assert MAX_PIXELS >= 8000 * 6000


def test_one_pixel_photos_and_grey_ones_have_no_plates(tmp_path: Path) -> None:
    reader = Reader(CONFIG, Networks(WhiteFinder(), Speller("皖A12345"), CHARACTERS))
    for name, pixels in (("one.png", np.zeros((1, 1, 3), np.uint8)), ("grey.png", np.zeros((30, 50), np.uint16))):
        cv2.imwrite(str(tmp_path / name), pixels)
        reading = reader.read_file(tmp_path / name)
        assert reading.plates == () and reading.ms["decode"] > 0


def test_exif_orientation_is_honoured(tmp_path: Path) -> None:
    photo = photo_with([(5, 5, 10, 4)], (20, 40))
    encoded = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    (tmp_path / "turned.jpg").write_bytes(encoded[:2] + segment + encoded[2:])
    turned = load_image(tmp_path / "turned.jpg")
    assert turned.shape == (40, 20, 3)
    assert np.abs(turned.astype(int) - np.rot90(photo, -1)).max() < 60


def test_drawing_marks_box_and_text_and_leaves_the_photo() -> None:
    photo = np.full((300, 400, 3), 128, np.uint8)
    plate = ReadPlate(np.array([[100.0, 100], [220, 100], [220, 140], [100, 140]]), "皖A12345", 0.98)
    font = label_font(load_country())
    drawn = draw_plates(photo, [plate], font)
    assert (photo == 128).all()
    assert np.abs(drawn[100, 160].astype(int) - COLOUR).max() < 20
    label = drawn[70:98, 100:200]
    assert (np.abs(label.astype(int) - COLOUR).max(axis=2) < 3).any() == (font is not None)
    assert (draw_plates(photo, []) == photo).all()


def test_labels_stay_inside_the_photo() -> None:
    photo = np.full((60, 80, 3), 128, np.uint8)
    plate = ReadPlate(np.array([[60.0, 2], [79, 2], [79, 12], [60, 12]]), "皖AD12345", 1.0)
    assert draw_plates(photo, [plate], label_font(load_country())).shape == photo.shape


def test_paddle_lite_reads_the_samples(ocr_models: ModelPair) -> None:
    import json

    labels = json.loads((SAMPLES / "labels.json").read_text(encoding="utf-8"))
    reader = Reader(CONFIG, open_networks(ocr_models.det.folder, ocr_models.rec.folder))
    read = {name: [plate.text for plate in reader.read_file(SAMPLES / name).plates] for name in labels}
    right = sum(read[name] == [item["text"] for item in labels[name]] for name in labels)
    assert right >= len(labels) - 2, read


def test_truncated_and_foreign_models_are_refused(ocr_models: ModelPair, tmp_path: Path) -> None:
    whole = ocr_models.det.file(".nb").read_bytes()
    (tmp_path / "cut.nb").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="cannot load"):
        LiteNetwork(tmp_path / "cut.nb")
    with pytest.raises(ModelError, match="missing"):
        LiteNetwork(tmp_path / "none.nb")
    model = load_model(ocr_models.det.folder)
    foreign = replace(model, card=replace(model.card, target="arm"))
    with pytest.raises(ModelError, match="for arm"):
        open_network(foreign)
    with pytest.raises(ModelError, match="a det model is needed"):
        open_networks(ocr_models.rec.folder, ocr_models.det.folder)
