"""What a fit is fed: labels that are checked, splits that hold, samples that can be drawn again."""

from __future__ import annotations

import json
import resource
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.base.errors import InputError
from edge.plate.country import load_country
from train.augment.geometry import cut_box, jittered_box, moved_corners, whole
from train.augment.photometric import CHANCES, photometric
from train.augment.scene import moved, square_crop, visible
from train.data.dataset import Sample, read_crops, read_image, read_photos, split
from train.data.det_batches import DetData
from train.data.rec_batches import RecData
from train.recipes.recipe import parse_recipe

QUAD = np.array([[60.0, 50.0], [160.0, 60.0], [158.0, 95.0], [58.0, 85.0]])
CCPD = "025-95_113-60&50_160&95-158&95_58&85_60&50_160&60-0_0_22_27_27_33_{}-37-15.jpg"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve small photos in CCPD form, twelve crops with labels, and a detection label file."""
    rng = np.random.default_rng(1)
    (tmp_path / "photos").mkdir()
    (tmp_path / "crops").mkdir()
    lines, det = [], []
    for index in range(12):
        photo = rng.integers(0, 255, (200, 240, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "photos" / CCPD.format(index)), photo)
        cv2.imwrite(str(tmp_path / "crops" / f"{index}.png"), photo[:35, :100])
        lines.append(f"crops/{index}.png\t皖A1234{index % 10}")
        plates = [{"points": QUAD.tolist(), "transcription": "###" if index == 3 else f"皖A1234{index % 10}"}]
        det.append(f"photos/{CCPD.format(index)}\t{json.dumps(plates)}")
    (tmp_path / "rec.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "det.txt").write_text("\n".join(det) + "\n", encoding="utf-8")
    return tmp_path


def _recipe(task: str, folder: Path, **data: object):  # type: ignore[no-untyped-def]
    sources = {"crops": ["rec.txt"]} if task == "rec" else {}
    wanted = {"root": str(folder), "photos": ["photos"], "size": 96, "scale": [96, 240], **sources, **data}
    return parse_recipe({"task": task, "model": {"width": 96}, "data": wanted}, "test")


def test_labels_of_both_kinds_give_the_same_corners(folder: Path) -> None:
    from_names, from_labels = read_photos(folder / "photos"), read_photos(folder / "det.txt")
    assert len(from_names) == len(from_labels) == 12
    by_name = {sample.path.name: sample for sample in from_names}
    for sample in from_labels:
        np.testing.assert_allclose(sample.plates[0].quad, by_name[sample.path.name].plates[0].quad)
    assert [sample.plates[0].ignored for sample in from_labels].count(True) == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("crops/99.png\t皖A12345", "99.png is missing"),
        ("crops/1.png 皖A12345", "line 2"),
        ("crops/1.png\t", "line 2"),
    ],
)
def test_bad_crop_labels_name_the_line(folder: Path, line: str, said: str) -> None:
    (folder / "rec.txt").write_text(f"crops/0.png\t皖A12345\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match=said) as caught:
        read_crops(folder / "rec.txt")
    assert "line 2" in str(caught.value)


@pytest.mark.parametrize(
    "label",
    [
        '[{"points": [[0, 0], [1, 1]], "transcription": "a"}]',
        "{",
        '[{"points": 3}]',
        "[1]",
        '[{"points": [[0, 0], [1e18, 0], [1e18, 9], [0, 9]], "transcription": "a"}]',
        '[{"points": [[0, 0], [1e999, 0], [9, 9], [0, 9]], "transcription": "a"}]',
        '[{"points": [[0, 0], [1%s, 0], [9, 9], [0, 9]], "transcription": "a"}]' % ("0" * 400),
        "[" * 100_000,
        '[{"points": [[0,0],[1,NaN],[2,2]], "transcription": "a"}]',
    ],
)
def test_bad_detection_labels_are_refused(folder: Path, label: str) -> None:
    (folder / "det.txt").write_text(f"photos/{CCPD.format(0)}\t{label}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"det\.txt"):
        read_photos(folder / "det.txt")


def test_empty_and_missing_sources(folder: Path) -> None:
    (folder / "none").mkdir()
    (folder / "empty.txt").write_text("\n")
    for source in ("none", "empty.txt", "absent.txt"):
        with pytest.raises(InputError, match=source.split(".")[0]):
            read_photos(folder / source)
    with pytest.raises(InputError, match="nothing to train on"):
        RecData(_recipe("rec", folder, crops=[], photos=[]), "皖A12345")
    with pytest.raises(InputError, match="nothing to train on"):
        DetData(_recipe("det", folder, photos=[]))


def test_text_named_jpg_is_said_to_be_no_image(folder: Path) -> None:
    path = folder / "crops" / "0.png"
    path.write_text("hello")
    with pytest.raises(InputError, match="cannot be read as an image"):
        read_image(path)


def test_split_keeps_a_plate_on_one_side_and_is_the_same_everywhere(folder: Path) -> None:
    samples = read_crops(folder / "rec.txt")
    train, validation = split(samples, 0.4, 5)
    assert len(train) + len(validation) == 12 and train and validation
    assert not {sample.key for sample in train} & {sample.key for sample in validation}
    assert split(samples[::-1], 0.4, 5)[1] == validation[::-1]
    assert split(samples, 0.0, 5) == (samples, [])
    assert split(samples, 0.4, 6)[1] != validation


def test_batches_depend_on_seed_and_step_alone(folder: Path) -> None:
    for data in (RecData(_recipe("rec", folder, synth_share=1.0), "皖A0123456789Y"), DetData(_recipe("det", folder))):
        first, again, other = data.batch(1, 5, 4), data.batch(1, 5, 4), data.batch(1, 6, 4)
        assert first.images.tobytes() == again.images.tobytes()
        assert first.images.tobytes() != other.images.tobytes()
        assert first.images.dtype == np.float32


def test_rec_batches_are_what_the_network_and_the_loss_want(folder: Path) -> None:
    characters = "皖A0123456789Y"
    batch = RecData(_recipe("rec", folder), characters).batch(1, 0, 6)
    assert batch.images.shape == (6, 3, 48, 96)
    assert batch.images.min() >= -1 and batch.images.max() <= 1
    for labels, length, text in zip(batch.labels, batch.lengths, batch.texts, strict=True):
        assert "".join(characters[label - 1] for label in labels[:length]) == text
    assert batch.labels.dtype == np.int32 and batch.lengths.dtype == np.int64


def test_text_outside_the_charset_is_never_drawn_and_said_when_nothing_is_left(folder: Path) -> None:
    data = RecData(_recipe("rec", folder, photos=[]), "皖A1234567890")
    assert all("Y" not in text for step in range(3) for text in data.batch(1, step, 6).texts)
    with pytest.raises(InputError, match="written with this charset"):
        RecData(_recipe("rec", folder, photos=[]), "京").batch(1, 0, 1)


def test_det_samples_hold_a_plate_that_the_maps_mark(folder: Path) -> None:
    data = DetData(_recipe("det", folder, strength=0.0))
    seen = 0
    for index in range(20):
        image, maps = data.draw(np.random.default_rng(index))
        assert image.shape == (96, 96, 3) and maps.shape == (4, 96, 96)
        seen += maps[0].any()
    assert seen >= 12


@pytest.mark.parametrize("effect", [effect for effect, _ in CHANCES], ids=lambda effect: effect.__name__)
def test_effects_keep_shape_and_type_and_change_something(effect) -> None:  # type: ignore[no-untyped-def]
    image = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 255, (48, 160, 3), np.uint8), (0, 0), 2)
    changed = 0
    for seed in range(5):
        out = effect(image.copy(), np.random.default_rng(seed))
        assert out.shape == image.shape and out.dtype == np.uint8
        changed += (out != image).any()
        tiny = effect(np.full((4, 9, 3), 128, np.uint8), np.random.default_rng(seed))
        assert tiny.shape == (4, 9, 3)
    assert changed >= 4


def test_strength_0_changes_nothing() -> None:
    image = np.random.default_rng(2).integers(0, 255, (48, 160, 3), np.uint8)
    rng = np.random.default_rng(1)
    assert photometric(image, rng, 0.0) is image
    np.testing.assert_array_equal(moved_corners(whole(image), rng, 0.0, (-0.1, 0.1)), whole(image))
    np.testing.assert_array_equal(cut_box(image, whole(image), (160, 48)), image)


def test_jittered_boxes_still_hold_most_of_the_plate() -> None:
    for seed in range(200):
        box = jittered_box(QUAD, np.random.default_rng(seed))
        shared = cv2.intersectConvexConvex(box.astype(np.float32), QUAD.astype(np.float32))[0]
        assert shared / cv2.contourArea(QUAD.astype(np.float32)) > 0.8


def test_square_crops_move_the_plate_with_the_pixels() -> None:
    image = np.zeros((400, 500, 3), np.uint8)
    quad = np.array([[200.0, 150.0], [320.0, 150.0], [320.0, 190.0], [200.0, 190.0]])
    cv2.fillPoly(image, [quad.astype(np.int32)], (255, 255, 255))
    for seed in range(30):
        square, placed, cut = square_crop(image, [quad], np.random.default_rng(seed), 160, (200, 500), 1.0)
        if cut[0] or visible(placed[0], 160) < 0.999:
            continue
        drawn = np.zeros((160, 160), np.uint8)
        cv2.fillPoly(drawn, [placed[0].round().astype(np.int32)], 255)
        white = (square.min(axis=2) > 250) & (np.ptp(square, axis=2) < 5)
        if (white & (cv2.dilate(drawn, np.ones((9, 9))) == 0)).any():
            continue  # A filled border may be as white as the plate.
        shared, either = (white & (drawn > 0)).sum(), (white | (drawn > 0)).sum()
        assert shared / either > 0.75, seed


def test_visible_part_of_a_plate() -> None:
    box = np.array([[0.0, 0.0], [40.0, 0.0], [40.0, 20.0], [0.0, 20.0]])
    assert visible(box, 100) == pytest.approx(1)
    assert visible(box - np.array([10, 0]), 100) == pytest.approx(0.75)
    assert visible(box + np.array([200, 0]), 100) == 0
    assert visible(np.zeros((4, 2)), 100) == 0
    np.testing.assert_allclose(moved(box, np.eye(3)), box)


def test_texts_that_the_steps_cannot_hold_are_not_drawn(folder: Path) -> None:
    (folder / "rec.txt").write_text("crops/0.png\t皖A12345\ncrops/1.png\t皖A11111\n", encoding="utf-8")
    recipe = parse_recipe(
        {"task": "rec", "model": {"width": 64}, "data": {"root": str(folder), "crops": ["rec.txt"], "holdout": 0.0}}, "test"
    )
    assert set(RecData(recipe, "皖A12345").batch(1, 0, 24).texts) == {"皖A12345"}  # eight steps: the other needs eleven
    (folder / "rec.txt").write_text("crops/1.png\t皖A11111\n", encoding="utf-8")
    with pytest.raises(InputError, match="in 8 steps"):
        RecData(recipe, "皖A12345").batch(1, 0, 4)


def test_labels_from_windows_are_read(folder: Path) -> None:
    """A mark before the first line, backslashes between folders, line ends of two bytes; but no other encoding."""
    text = (folder / "rec.txt").read_text(encoding="utf-8").replace("crops/", "crops\\").replace("\n", "\r\n")
    windows = folder / "windows.txt"
    windows.write_text(text, encoding="utf-8-sig", newline="")
    assert [(s.path, s.text) for s in read_crops(windows)] == [(s.path, s.text) for s in read_crops(folder / "rec.txt")]
    windows.write_text(text, encoding="gbk", newline="")
    with pytest.raises(InputError, match=r"windows\.txt is not UTF-8"):
        read_crops(windows)


def test_an_illegible_plate_beside_a_legible_one_does_not_stand_for_it(folder: Path) -> None:
    name = f"photos/{CCPD.format(0)}"
    far = [[10, 150], [60, 150], [60, 170], [10, 170]]
    for mark in ("###", "*"):
        plates = [{"points": far, "transcription": mark}, {"points": QUAD.tolist(), "transcription": "皖A123456"}]
        (folder / "two.txt").write_text(f"{name}\t{json.dumps(plates)}\n", encoding="utf-8")
        (sample,) = read_photos(folder / "two.txt")
        assert [plate.ignored for plate in sample.plates] == [True, False]
        assert sample.key == sample.plate_text == "皖A123456"
        data = RecData(_recipe("rec", folder, photos=["two.txt"], crops=[], holdout=0.999, synth_share=1.0), "皖A123456")
        (batch,) = data.validation_batches(8)
        image = read_image(sample.path)
        wanted = cut_box(image, np.array(QUAD), (96, 48)).astype(np.float32).transpose(2, 0, 1) / 127.5 - 1
        assert batch.texts == ["皖A123456"] and np.abs(batch.images[0] - wanted).mean() < 0.3
    assert not Sample(Path("0001.jpg")).plate_text, "eight characters of a file's name are no plate"


def test_a_plate_outside_its_photo_keeps_its_text(folder: Path) -> None:
    outside = (QUAD + np.array([400, 0])).tolist()
    plates = [{"points": outside, "transcription": "皖A12345"}]
    (folder / "out.txt").write_text(f"photos/{CCPD.format(0)}\t{json.dumps(plates)}\n", encoding="utf-8")
    recipe = _recipe("rec", folder, photos=["out.txt"], crops=[], holdout=0.0, swap=1.0)
    data = RecData(recipe, "皖A12345")
    assert {data.draw(np.random.default_rng(seed))[1] for seed in range(8)} == {"皖A12345"}


@pytest.mark.parametrize(
    "quad",
    [
        [[5.1, 5.2], [5.3, 5.2], [5.3, 5.3], [5.1, 5.3]],
        [[5, 5]] * 4,
        [[-32000, -32000], [32000, -32000], [32000, 32000], [-32000, 32000]],
        [[0, 0], [50, 0], [100, 0], [150, 0]],
    ],
)
@pytest.mark.parametrize("task", ["det", "rec"])
def test_a_plate_of_an_odd_size_stops_no_fit(folder: Path, task: str, quad: list[list[float]]) -> None:
    """Too small to be swapped, without area, or many times its photo: drawn like any other, in little memory and time."""
    label = json.dumps([{"points": quad, "transcription": "皖A12345"}])
    (folder / "odd.txt").write_text(f"photos/{CCPD.format(0)}\t{label}\n")
    more = {"photos": ["odd.txt"], "holdout": 0.0, "swap": 1.0, **({"crops": []} if task == "rec" else {})}
    recipe = _recipe(task, folder, **more)
    data = RecData(recipe, list(load_country().symbols)) if task == "rec" else DetData(recipe)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_used() + 2**30, limits[1]))
    try:
        assert np.isfinite(data.batch(1, 0, 1).images).all()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def _used() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def test_hidden_files_beside_the_photos_are_passed_over(folder: Path) -> None:
    photos = folder / "photos"
    (photos / f"._{CCPD.format(0)}").write_bytes(b"\0\5\x16\7")  # As macOS leaves them on foreign disks.
    (photos / ".thumbnails").mkdir()
    (photos / ".thumbnails" / "small.jpg").write_bytes(b"x")
    (photos / "a folder.jpg").mkdir()
    assert len(read_photos(photos)) == 12
    with pytest.raises(InputError, match="vertices lie outside any photo"):
        far = CCPD.format(0).replace("158&95_58&85_60&50_160&60", "40158&95_40058&85_40060&50_40160&60")
        (photos / CCPD.format(0)).rename(photos / far)
        read_photos(photos)
    (photos / far).rename(photos / "holiday.jpg")
    with pytest.raises(InputError, match="photos: 'holiday' is not a CCPD name") as caught:
        read_photos(photos)
    assert "edge train labels" in caught.value.hint


def test_an_image_that_claims_a_billion_pixels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    done, data = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))
    assert done
    raw = data.tobytes()
    head = raw[12:16] + (60000).to_bytes(4, "big") * 2 + raw[24:29]
    path.write_bytes(raw[:12] + head + zlib.crc32(head).to_bytes(4, "big") + raw[33:])
    with pytest.raises(InputError, match=r"bomb\.png cannot be read as an image"):
        read_image(path)
