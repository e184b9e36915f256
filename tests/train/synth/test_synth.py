"""Rendered plates: valid, annotated where they are, the same for the same seed, fast enough."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tracemalloc

import cv2
import numpy as np
import pytest
from calls import count_calls
from invented import PLATE_YML, write_invented

from edge.base.errors import EdgeError, InputError, UsageError
from edge.plate.ccpd import PROVINCES, parse_name
from edge.plate.country import load_country
from train.synth.crop import render_crop
from train.synth.folder import SynthOptions, make_synth
from train.synth.glyphs import glyph, text_mask
from train.synth.plate import render_plate
from train.synth.samples import render_sample, sample_list
from train.synth.scene import WEATHERS, Conditions, render_scene
from train.synth.text import random_text

CN = load_country("cn")
KINDS = [kind.name for kind in CN.kinds]


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("kind", KINDS)
def test_characters_stand_where_ga36_puts_them(kind):
    layout = CN.kind(kind).layout
    width, height = layout.size_mm
    boxes = [(box.x, int(box.width)) for box in layout.boxes]
    # 15.5 mm at both ends; the rest adds up to the plate's width.
    assert boxes[0][0] == 15.5 and sum(boxes[-1]) == width - 15.5
    assert boxes[2][0] - sum(boxes[1]) == (49 if kind == "green" else 34)
    plate = render_plate(rng(2), random_text(rng(1), CN, CN.kind(kind)), CN.kind(kind), CN)
    assert plate.shape == (height, width, 3)
    background = np.median(plate[30:110], axis=0)
    for left, width in boxes:
        ink = np.abs(plate[25:115, int(left) : int(left) + width].astype(int) - background[int(left) + width // 2]).sum(
            2
        )
        assert (ink > 150).mean() > 0.08, "a character is missing"


def test_every_character_has_a_glyph_of_its_own():
    marks = [*PROVINCES[:33], *"ABCDEFGHJKLMNPQRSTUVWXYZ0123456789港澳领"]
    masks = {mark: glyph(mark, CN) for mark in marks}
    for mask in masks.values():
        assert mask.shape == (90, 45) and 0.08 < (mask > 127).mean() < 0.75
    flat = np.array([mask.reshape(-1) for mask in masks.values()], np.float32) / 255
    distance = np.abs(flat[:, None] - flat[None]).mean(2) + np.eye(len(marks))
    first, second = np.unravel_index(distance.argmin(), distance.shape)
    assert distance.min() > 0.03, f"{marks[first]} looks like {marks[second]}"


def test_a_host_without_chinese_fonts_is_told_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr("edge.plate.country.FONT_ROOT", tmp_path)
    shutil.copytree(CN.folder, tmp_path / "cn")
    with pytest.raises(EdgeError, match="No font with the characters of mainland China") as error:
        text_mask("皖", 20, load_country(tmp_path / "cn"))
    assert "apt-get install fonts-noto-cjk" in error.value.hint
    yml = tmp_path / "cn" / "plate.yml"
    yml.write_text(yml.read_text(encoding="utf-8").replace("font_package: fonts-noto-cjk", ""), encoding="utf-8")
    with pytest.raises(EdgeError, match="No font") as error:
        text_mask("皖", 20, load_country(tmp_path / "cn"))
    assert f"`fonts` of {yml}" in error.value.hint


@pytest.mark.parametrize("kind", KINDS)
def test_texts_follow_the_grammar_of_plates(kind):
    random = rng(5)
    texts = [random_text(random, CN, CN.kind(kind)) for _ in range(400)]
    is_plate = CN.grammar.is_plate
    assert all(map(is_plate, texts)), [text for text in texts if not is_plate(text)][:3]
    found = {CN.kind_of(text).name for text in texts}
    assert kind in found and found <= {kind, "blue"}, "ordinary texts stand on plates of several colours"
    endings = [sum(text[-1] not in CN.classes["S"] for text in texts) / 400, {"yellow": 0.35}.get(kind, 0.8)]
    assert kind in ("blue", "green") or abs(endings[0] - endings[1]) < 0.08
    plain = [random_text(random, CN, CN.kind(kind), plain=True) for _ in range(100)]
    assert all(mark in CN.classes["P"] + CN.classes["S"] for text in plain for mark in text)
    if kind != "black":
        counts = [sum(text[0] == province for text in texts) for province in PROVINCES[:31]]
        assert min(counts) > 0 and max(counts) < 40


def test_crops_are_the_same_for_the_same_state_and_differ_otherwise():
    first, second, third = (render_crop(rng(seed), CN) for seed in (7, 7, 8))
    assert first[1] == second[1] and np.array_equal(first[0], second[0])
    assert first[1] != third[1]


def test_crops_take_text_kind_and_size():
    image, text = render_crop(rng(), CN, "藏A12345", "yellow", (160, 48))
    assert text == "藏A12345" and image.shape == (48, 160, 3) and image.dtype == np.uint8
    assert render_crop(rng(), CN, "粤BD18564")[1] == "粤BD18564"
    sizes = [render_crop(rng(seed), CN)[0].shape for seed in range(60)]
    widths = [width for _, width, _ in sizes]
    assert min(widths) < 130 < 200 < max(widths) and all(20 <= height <= 260 for height, _, _ in sizes)


@pytest.mark.parametrize(
    ("text", "kind"), [("皖A1234", "blue"), ("皖AD12345", "blue"), ("皖A12345", "green"), (None, "red")]
)
def test_texts_that_do_not_fit_the_kind_are_refused(text, kind):
    with pytest.raises(UsageError):
        render_crop(rng(), CN, text, kind)


def test_crops_are_drawn_with_little_work_to_train_on():
    """A hundred and more a second on one core, in counts: few calls, and no picture of many times a crop's size."""
    random = rng(1)
    render_crop(random, CN)
    calls = count_calls(lambda: [render_crop(random, CN) for _ in range(60)]) / 60
    tracemalloc.start()
    for _ in range(60):
        render_crop(random, CN)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"{calls:.0f} calls, {peak / 1e6:.1f} MB at most")
    assert calls < 1200
    assert peak < 6e6


@pytest.mark.parametrize("weather", WEATHERS)
def test_the_annotation_lies_on_the_plate(weather):
    kind = "yellow" if weather == "night" else "blue"
    conditions = Conditions(kind, None, weather, (0.3, 0.1, 0.08), 300, spoil=0)
    scene = render_scene(rng(11), CN, conditions)
    assert scene.image.shape == (1160, 720, 3)
    name = parse_name(scene.file_name, size=(720, 1160))
    assert name == scene.name and name.text == scene.name.text
    inside = np.zeros((1160, 720), np.uint8)
    cv2.fillConvexPoly(inside, np.array(name.vertices, np.int32), 1)
    around = cv2.dilate(inside, np.ones((31, 31))) - cv2.dilate(inside, np.ones((7, 7)))
    core = cv2.erode(inside, np.ones((7, 7)))
    blue, _, red = (scene.image[:, :, channel].astype(float) for channel in range(3))
    hue = (red - blue) if kind == "yellow" else (blue - red)
    assert hue[core > 0].mean() > hue[around > 0].mean() + 20


def test_a_flat_plate_is_annotated_to_the_pixel():
    """Without turn the plate is an upright rectangle, and its frame's colour ends at the annotated corners."""
    scene = render_scene(rng(4), CN, Conditions("yellow", "皖A12345", "day", (0.0, 0.0, 0.0), 352, spoil=0))
    tl, tr, br, bl = scene.name.vertices
    assert tl[0] == bl[0] and tr[0] == br[0] and tl[1] == tr[1] and bl[1] == br[1]
    assert abs((tr[0] - tl[0]) - 352) <= 1 and abs((bl[1] - tl[1]) - 112) <= 1
    yellow = scene.image[:, :, 2].astype(int) - scene.image[:, :, 0] > 60
    middle = (tl[1] + bl[1]) // 2
    columns = np.flatnonzero(yellow[middle - 40 : middle + 40].mean(axis=0) > 0.6)
    assert abs(columns.min() - tl[0]) <= 2 and abs(columns.max() - tr[0]) <= 2


def test_the_committed_samples_are_what_the_kit_renders():
    labels = json.loads((CN.samples / "labels.json").read_text(encoding="utf-8"))
    photos = sorted(CN.samples.glob("*.jpg"))
    assert [photo.name for photo in photos] == sorted(labels)
    assert 6 <= len(photos) <= 8 and sum(photo.stat().st_size for photo in photos) < 1_500_000
    assert {len(plates[0]["text"]) for plates in labels.values()} == {7, 8}
    for name in sample_list(CN):
        scene = render_sample(name)
        (plate,) = labels[f"{name}.jpg"]
        assert plate == {"text": scene.name.text, "box": [list(point) for point in scene.name.vertices]}
        photo = cv2.imread(str(CN.samples / f"{name}.jpg"))
        # Another font version moves some pixels; the photo is the same.
        assert np.abs(photo.astype(int) - scene.image).mean() < 6


def test_sets_have_ccpd_names_and_balanced_provinces(tmp_path):
    state = make_synth(tmp_path / "set", SynthOptions(31, seed=2, crops=True, jobs=1))
    lines = (tmp_path / "set" / "rec.txt").read_text(encoding="utf-8").splitlines()
    texts = [line.split("\t")[1] for line in lines]
    assert state["done"] == len(texts) == 31
    others = [text for text in texts if not text.startswith("粤Z")]
    assert len({text[0] for text in others}) >= len(others) - 1
    photos = make_synth(tmp_path / "photos", SynthOptions(3, kinds=("green",), weathers=("snow",), jobs=1))
    for name, text in photos["files"]:
        assert parse_name(name, size=(720, 1160)).text == text and len(text) == 8
        assert cv2.imread(str(tmp_path / "photos" / name)).shape == (1160, 720, 3)


def test_a_set_is_the_same_on_any_number_of_processes_and_goes_on_after_a_stop(tmp_path, monkeypatch):
    import train.synth.folder

    def content(folder):
        return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    whole = make_synth(tmp_path / "whole", SynthOptions(70, seed=9, crops=True, jobs=2))
    monkeypatch.setattr(train.synth.folder, "_CHUNK", 8)

    def stop(title, done, total):
        if done == 20:
            raise KeyboardInterrupt

    options = SynthOptions(70, seed=9, crops=True, jobs=1)
    with pytest.raises(KeyboardInterrupt):
        make_synth(tmp_path / "part", options, progress=stop)
    assert not (tmp_path / "part" / "rec.txt").exists()
    (tmp_path / "part" / "crops" / "000003.jpg").write_bytes(b"")
    assert make_synth(tmp_path / "part", options) == whole
    assert content(tmp_path / "part") == content(tmp_path / "whole")
    before = (tmp_path / "part" / "crops" / "000001.jpg").stat().st_mtime_ns
    make_synth(tmp_path / "part", options)
    assert (tmp_path / "part" / "crops" / "000001.jpg").stat().st_mtime_ns == before


def test_sets_are_not_overwritten_silently(tmp_path):
    make_synth(tmp_path / "set", SynthOptions(2, crops=True, jobs=1))
    with pytest.raises(InputError, match="other options") as error:
        make_synth(tmp_path / "set", SynthOptions(2, seed=1, crops=True, jobs=1))
    assert "--force" in error.value.hint
    make_synth(tmp_path / "set", SynthOptions(1, seed=1, crops=True, jobs=1), force=True)
    assert len(list((tmp_path / "set" / "crops").iterdir())) == 1
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(InputError, match="is not empty"):
        make_synth(tmp_path / "mine", SynthOptions(1, jobs=1), force=True)
    for bad in (SynthOptions(0), SynthOptions(1, kinds=("pink",)), SynthOptions(1, weathers=("fog",))):
        with pytest.raises(EdgeError):
            make_synth(tmp_path / "bad", bad)
    assert not (tmp_path / "bad").exists()


def test_an_edited_country_is_another_set(tmp_path):
    def crop(folder, force=False):
        make_synth(tmp_path / "set", SynthOptions(1, crops=True, country=str(folder)), force=force)
        return (tmp_path / "set" / "crops" / "000000.jpg").read_bytes()

    country = write_invented(tmp_path)
    before = crop(country)
    assert crop(country) == before
    colours = {"#D0F0D0": "#400000", "#C0E0C0": "#500000", "#FFFFFF": "#600000", "#204080": "#700000"}
    (tmp_path / "other").mkdir()
    edited = write_invented(tmp_path / "other")  # Another country of the same name.
    text = PLATE_YML
    for old, new in colours.items():
        text = text.replace(old, new)
    (edited / "plate.yml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"other options, or .*plate\.yml has changed since") as error:
        crop(edited)
    assert "--force" in error.value.hint
    (country / "plate.yml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="has changed since"):
        crop(country)
    assert crop(country, force=True) != before


def test_a_set_that_was_begun_before_countries_goes_on(tmp_path):
    options = SynthOptions(2, crops=True, jobs=1)
    whole = make_synth(tmp_path / "set", options)
    state = {**whole, "options": {key: value for key, value in whole["options"].items() if key != "country"}}
    (tmp_path / "set" / "synth.json").write_text(json.dumps({**state, "done": 1, "files": state["files"][:1]}))
    assert make_synth(tmp_path / "set", options) == whole


@pytest.mark.parametrize(("key", "value"), [("options", None), ("files", {}), ("files", [None]), ("files", [[1, 2]])])
def test_a_damaged_state_is_named(tmp_path, key, value):
    state = {"schema": "plate-edge/synth/1", "options": {}, "done": 0, "files": [], key: value}
    (tmp_path / "synth.json").write_text(json.dumps(state))
    for force in (False, True):
        with pytest.raises(InputError, match=rf"synth\.json is damaged: `{key}`"):
            make_synth(tmp_path, SynthOptions(1, crops=True), force=force)


def test_the_command_line(tmp_path):
    command = [sys.executable, "-m", "edge", "train", "synth", "--out", str(tmp_path / "set"), "--count", "2"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["done"] == 2
    other = subprocess.run([*command, "--seed", "4"], capture_output=True, text=True, check=False)
    assert other.returncode == 3 and other.stderr.startswith("error:") and "hint:" in other.stderr
    wrong = subprocess.run([*command[:-1], "0"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
