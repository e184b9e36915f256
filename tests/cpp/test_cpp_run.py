"""`plate_ocr run`, `infer` and `version` with the real runtime: answers, their form, and every kind of bad input."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from cpp_program import FAST, clean_environment, config_for, lines, refused, run

from edge.base.errors import InputError
from edge.bundle.zoo import ModelPair
from edge.model.card import load_model
from edge.ocr.config import PipelineConfig
from edge.ocr.detect import det_pre, det_size
from edge.ocr.image import load_image
from edge.ocr.reader import STAGES
from edge.photo.listing import SAMPLES
from edge.runtime.paddle_lite import LiteNetwork

PHOTOS = sorted(SAMPLES.glob("*.jpg"))


def test_samples_are_read(program: Path, conf: Path) -> None:
    truth = json.loads((SAMPLES / "labels.json").read_text(encoding="utf-8"))
    result = run(program, "run", "--config", conf, *FAST, *PHOTOS, env=clean_environment())
    assert result.returncode == 0, result.stderr
    answers = lines(result)
    assert [answer["image"] for answer in answers] == [str(photo) for photo in PHOTOS]
    right = sum(
        truth[Path(answer["image"]).name][0]["text"] in [plate["text"] for plate in answer["plates"]] for answer in answers
    )
    assert right >= len(PHOTOS) - 1
    for answer in answers:
        image = load_image(Path(answer["image"]))
        assert answer["size"] == [image.shape[1], image.shape[0]]
        assert answer["det_input"] == list(reversed(det_size(*image.shape[:2], "max", 640)))
        assert answer["boxes"] >= len(answer["plates"])
        assert list(answer["ms"]) == [*STAGES, "total"]
        stages = sum(answer["ms"][stage] for stage in STAGES)
        assert stages == pytest.approx(answer["ms"]["total"], rel=0.02, abs=0.5)
        for plate in answer["plates"]:
            (left, top), (right_x, _), (_, bottom), _ = plate["box"]
            assert left < right_x and top < bottom and 0 <= plate["score"] <= 1


def test_the_header_fits_the_library(program: Path, ocr_models: ModelPair, tmp_path: Path) -> None:
    """Both models run through the kit's own declarations, and give what Paddle Lite's Python interface gives."""
    rng = np.random.default_rng(0)
    for model, shape in ((ocr_models.det, (1, 3, 64, 96)), (ocr_models.rec, (1, 3, 48, 320))):
        tensor = rng.normal(size=shape).astype(np.float32)
        tensor.tofile(tmp_path / "in.f32")
        words = ["--model", model.file(".nb"), "--shape", ",".join(map(str, shape)), "--input", tmp_path / "in.f32"]
        result = run(program, "infer", *words, "--output", tmp_path / "out.f32", "--repeats", "2")
        assert result.returncode == 0, result.stderr
        told = lines(result)[0]
        expected = LiteNetwork(model.file(".nb")).run(tensor)
        found = np.fromfile(tmp_path / "out.f32", np.float32).reshape(told["shape"])
        np.testing.assert_allclose(found, expected, atol=1e-6)
        assert told["nan"] == 0 and told["max"] == pytest.approx(expected.max()) and len(told["ms"]) == 2
        assert told["runtime"].startswith("v2.13")


def test_exif_orientation_is_honoured(program: Path, conf: Path, tmp_path: Path) -> None:
    """A photo stored sideways, with the tag that says so, is read like the upright one."""
    photo = PHOTOS[0]
    sideways = cv2.rotate(cv2.imread(str(photo)), cv2.ROTATE_90_COUNTERCLOCKWISE)
    _, plain = cv2.imencode(".jpg", sideways, [cv2.IMWRITE_JPEG_QUALITY, 97])
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    segment = b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff
    (tmp_path / "turned.jpg").write_bytes(plain.tobytes()[:2] + segment + plain.tobytes()[2:])
    upright, turned = lines(run(program, "run", "--config", conf, *FAST, photo, tmp_path / "turned.jpg"))
    assert turned["plates"][0]["text"] == upright["plates"][0]["text"]
    np.testing.assert_allclose(turned["plates"][0]["box"], upright["plates"][0]["box"], atol=8)


def test_bad_pictures_are_told_and_the_others_read(program: Path, conf: Path, tmp_path: Path) -> None:
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBBI", 13, b"IHDR", 20000, 20000, 8, 2, 0, 0, 0, 0)
    bad = {
        "text.jpg": (b"this is text\n" * 50, "neither a JPEG nor a PNG"),
        "empty.jpg": (b"", "empty"),
        "huge.png": (header + bytes(100), "20000x20000"),
        "cut.png": (header[:20], "damaged"),
    }
    for name, (content, _) in bad.items():
        (tmp_path / name).write_bytes(content)
    cv2.imwrite(str(tmp_path / "one.png"), np.zeros((1, 1, 3), np.uint8))
    paths = [*(tmp_path / name for name in bad), tmp_path, tmp_path / "missing.jpg", tmp_path / "one.png", PHOTOS[0]]
    (tmp_path / "list.txt").write_text("\n".join(map(str, paths)) + "\n\n")
    result = run(program, "run", "--config", conf, *FAST, "--list", tmp_path / "list.txt")
    assert "6 of 8 images could not be read" in refused(result, 5)
    answers = lines(result)
    for answer, (_, reason) in zip(answers, bad.values(), strict=False):
        assert reason in answer["error"] and "plates" not in answer
    assert "No such file" in answers[5]["error"] and "error" in answers[4]
    assert answers[6]["plates"] == []
    assert answers[7]["plates"]


def test_a_huge_header_allocates_nothing(program: Path, conf: Path, tmp_path: Path) -> None:
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBBI", 13, b"IHDR", 20000, 20000, 8, 6, 0, 0, 0, 0)
    (tmp_path / "huge.png").write_bytes(header + bytes(1000))
    words = ["--config", str(conf), *FAST, "--repeats", "1", "--warmup", "0"]
    result = run(program, "bench", *words, tmp_path / "huge.png", PHOTOS[0])
    end = lines(result)[-1]
    assert end["event"] == "end" and end["hwm_kb"] < 500_000


def png(width: int, height: int, packed: bytes) -> bytes:
    """An RGB picture with these compressed rows."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", packed), (b"IEND", b"")]
    out = b"\x89PNG\r\n\x1a\n"
    for kind, data in parts:
        out += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return out


def test_a_picture_that_unpacks_to_a_gigabyte_is_refused(program: Path, conf: Path, tmp_path: Path) -> None:
    """One pixel by its header; its rows go on for 900 MB, which a megabyte holds."""
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(bytes(4 << 20)) for _ in range(225)) + packer.flush()
    (tmp_path / "bomb.png").write_bytes(png(1, 1, packed))
    words = ["--config", str(conf), *FAST, "--repeats", "1", "--warmup", "0"]
    error, *_, end = lines(run(program, "bench", *words, tmp_path / "bomb.png", PHOTOS[0]))[2:]
    assert error["event"] == "error" and "cannot be decoded" in error["error"]
    assert end["event"] == "end" and end["hwm_kb"] < 500_000


@pytest.mark.parametrize("size", [(3_000_000, 1), (1, 6_000_000)])
def test_a_photo_of_a_single_row_is_refused_and_the_next_read(
    program: Path, conf: Path, size: tuple[int, int], tmp_path: Path
) -> None:
    """Enlarged until its shorter side suits the detector, it would have more pixels a side than an int holds."""
    (tmp_path / "row.png").write_bytes(png(*size, zlib.compress(bytes((3 * size[0] + 1) * size[1]), 1)))
    row, photo = lines(run(program, "run", "--config", conf, "--det-limit-side", "736", tmp_path / "row.png", PHOTOS[0]))
    assert "needs a detector input of" in row["error"]
    assert photo["plates"]
    with pytest.raises(InputError, match=r"needs a detector input of|cannot be decoded"):
        det_pre(load_image(tmp_path / "row.png"), PipelineConfig())


@pytest.mark.parametrize("task", ["det", "rec"])
def test_damaged_and_foreign_models_are_refused(
    program: Path, conf: Path, ocr_models: ModelPair, task: str, tmp_path: Path
) -> None:
    nb = getattr(ocr_models, task).file(".nb").read_bytes()
    other = (ocr_models.rec if task == "det" else ocr_models.det).file(".nb")
    option = f"--{task}_model"
    for length in (0, 10, 26, 5000, len(nb) // 2, len(nb) - 1):
        (tmp_path / "cut.nb").write_bytes(nb[:length])
        message = refused(run(program, "run", "--config", conf, option, tmp_path / "cut.nb", PHOTOS[0]), 4)
        assert "cut.nb is cut off or damaged" in message
    (tmp_path / "text.nb").write_text("no model at all, and longer than a header is")
    assert "is not a Paddle Lite model" in refused(
        run(program, "run", "--config", conf, option, tmp_path / "text.nb", PHOTOS[0]), 4
    )
    assert "No such file" in refused(run(program, "run", "--config", conf, option, "/none.nb", PHOTOS[0]), 4)
    # The other model of the pair is whole, and wrong in this place.
    refused(run(program, "run", "--config", conf, *FAST, option, other, PHOTOS[0]), 4)


def test_models_for_arm_are_refused_on_x86(program: Path, conf: Path, ocr_models: ModelPair, tmp_path: Path) -> None:
    """The library would load the file and compute nothing, without a word."""
    nb = ocr_models.det.file(".nb").read_bytes()
    foreign = nb.replace(b"conv2d/def/2/1/1\0", b"conv2d/def/4/1/1\0")
    assert foreign != nb
    (tmp_path / "arm.nb").write_bytes(foreign)
    message = refused(run(program, "run", "--config", conf, "--det-model", tmp_path / "arm.nb", PHOTOS[0]), 4)
    assert "was made for arm" in message and "--target x86" in message


def test_a_dictionary_of_another_length_is_refused(program: Path, conf: Path, ocr_models: ModelPair, tmp_path: Path) -> None:
    dictionary = ocr_models.rec.dictionary
    assert dictionary is not None
    (tmp_path / "short.txt").write_text("".join(dictionary.read_text(encoding="utf-8").splitlines(True)[:-1]))
    message = refused(run(program, "run", "--config", conf, *FAST, "--dict", tmp_path / "short.txt", PHOTOS[0]), 4)
    classes = ocr_models.rec.card.charset.classes if ocr_models.rec.card.charset else 0
    assert f"has {classes} classes" in message and f"gives {classes - 1}" in message
    message = refused(run(program, "run", "--config", conf, "--dict", "/none.txt", PHOTOS[0]), 3)
    assert "cannot open dictionary /none.txt" in message


def test_usage_and_config_faults_have_their_codes(program: Path, conf: Path, tmp_path: Path) -> None:
    assert "no image is given" in refused(run(program, "run", "--config", conf), 2)
    assert "--config is missing" in refused(run(program, "run", "a.jpg"), 2)
    assert "unknown option --det_thres" in refused(run(program, "run", "--config", conf, "--det-thres", "1", "a"), 2)
    assert "threads is out of range" in refused(run(program, "run", "--config", conf, "--threads", "0", "a"), 2)
    refused(run(program, "frobnicate"), 2)
    refused(run(program), 2)
    broken = tmp_path / "broken.conf"
    broken.write_text(conf.read_text(encoding="utf-8").replace("box_flip = true", "box_flop = true"))
    assert f"{broken}, line" in refused(run(program, "run", "--config", broken, "a.jpg"), 3)
    assert "cannot open list /none" in refused(run(program, "run", "--config", conf, "--list", "/none"), 3)
    assert "--threads: more than 64" in refused(
        run(program, "infer", "--model", "a", "--shape", "1,3,32,32", "--input", "b", "--threads", "1000000000"), 2
    )
    # A name may hold a line's end and what clears a terminal.
    assert "/?[2J?no.conf" in refused(run(program, "run", "--config", "/\x1b[2J\nno.conf", "a.jpg"), 3)


def test_output_that_nobody_takes_is_an_error(program: Path, conf: Path) -> None:
    words = [str(program), "run", "--config", str(conf), *FAST, str(PHOTOS[0])]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 6 and "No space left" in result.stderr
    with Path("/dev/full").open("w") as full:
        assert subprocess.run([str(program), "help"], stdout=full, stderr=subprocess.PIPE, check=False).returncode == 6
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert result.returncode == 6 and "Broken pipe" in result.stderr


def test_output_of_infer_that_cannot_be_written(program: Path, ocr_models: ModelPair, tmp_path: Path) -> None:
    np.zeros((1, 3, 32, 32), np.float32).tofile(tmp_path / "in.f32")
    words = ["--model", ocr_models.det.file(".nb"), "--shape", "1,3,32,32", "--input", tmp_path / "in.f32"]
    assert "cannot write" in refused(run(program, "infer", *words, "--output", "/nonexistent/out.f32"), 6)
    words[3] = "1,3,32,64"
    assert "does not hold exactly 6144" in refused(run(program, "infer", *words), 3)
    words[3] = "65536,65536,65536,65536"
    assert "more than 2^30 values" in refused(run(program, "infer", *words), 2)


def test_names_that_are_no_utf8_and_spaces_come_through(program: Path, conf: Path, tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/a \xff\"'$(x)\n.jpg"
    Path(os.fsdecode(odd)).write_bytes(PHOTOS[0].read_bytes())
    result = subprocess.run(
        [os.fsencode(program), b"run", b"--config", os.fsencode(conf), *map(os.fsencode, FAST), odd],
        capture_output=True,
        check=False,
    )
    assert result.returncode == 0
    answer = json.loads(result.stdout.decode())
    assert answer["image"].endswith("/a \ufffd\"'$(x)\n.jpg") and answer["plates"]


def test_relative_paths_are_beside_the_config(program: Path, ocr_models: ModelPair, tmp_path: Path) -> None:
    for name, source in (
        ("det.nb", ocr_models.det.file(".nb")),
        ("rec.nb", ocr_models.rec.file(".nb")),
        ("dict.txt", ocr_models.rec.dictionary),
    ):
        (tmp_path / name).symlink_to(Path(str(source)).resolve())
    config = config_for(tmp_path / "plate.conf", ocr_models, det_model="det.nb", rec_model="rec.nb", dict="dict.txt")
    assert run(program, "run", "--config", config, *FAST, PHOTOS[0], cwd="/").returncode == 0


def test_version_tells_what_it_is(program: Path, ocr_models: ModelPair) -> None:
    told = lines(run(program, "version", "--model", ocr_models.rec.file(".nb")))[0]
    assert told["program"] == "plate_ocr" and told["abi"] == "x86_64" and "-O3" in told["build_flags"]
    assert told["runtime"].startswith("v2.13") and told["compiler"] and "sse2" in told["cpu_features"]
    without = lines(run(program, "version"))[0]
    assert without["runtime"] is None
    assert "--model" in without["why"]
    assert load_model(ocr_models.rec.folder).card.task == "rec"


def test_every_key_of_the_reference_is_an_option(program: Path, conf: Path) -> None:
    """The config of both sides is one: all keys, with the values that the reference writes."""
    from dataclasses import fields

    start = lines(run(program, "bench", "--config", conf, *FAST, "--repeats", "1", "--warmup", "0", PHOTOS[0]))[0]
    default = PipelineConfig()
    assert list(start["config"]) == [item.name for item in fields(PipelineConfig)]
    for item in fields(PipelineConfig):
        if item.name in ("det_model", "rec_model", "dict", "grammar", "det_limit_type", "det_limit_side"):
            continue
        value = getattr(default, item.name)
        found = start["config"][item.name]
        assert found == (pytest.approx(list(value)) if isinstance(value, tuple) else value), item.name
