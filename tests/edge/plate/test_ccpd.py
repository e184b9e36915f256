"""CCPD names: what is read, what is refused and why."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.base.errors import InputError
from edge.plate.ccpd import (
    LETTERS,
    PROVINCES,
    SYMBOLS,
    CcpdName,
    decode_plate,
    encode_plate,
    format_name,
    parse_name,
    sort_vertices,
)

NOTE = "025-95_113-154&383_386&473-386&473_177&454_154&383_363&402-0_0_22_27_27_33_16-37-15.jpg"
GREEN = "04131106321839081-92_258-159&509_530&611-527&611_172&599_159&509_530&525-0_0_3_32_30_31_30_30-109-106.jpg"


def test_the_example_of_the_note():
    name = parse_name(NOTE)
    assert name.text == "皖AY339S"
    assert name.vertices == ((154, 383), (363, 402), (386, 473), (177, 454))
    assert name.box == ((154, 383), (386, 473))
    assert (name.area, name.tilt, name.brightness, name.blur) == ("025", (95, 113), 37, 15)


def test_the_new_energy_example_of_the_note():
    name = parse_name(Path("some folder") / GREEN, size=(720, 1160))
    assert name.text == "皖AD86766"


@pytest.mark.parametrize("example", [NOTE, GREEN])
def test_formatting_is_the_inverse(example):
    assert format_name(parse_name(example)) == example


def test_vertices_in_any_order_give_the_same_quad():
    vertices = ["386&473", "177&454", "154&383", "363&402"]
    expected = parse_name(NOTE).vertices
    for order in itertools.permutations(vertices):
        assert parse_name(NOTE.replace("_".join(vertices), "_".join(order))).vertices == expected


def test_a_steeply_tilted_plate_starts_at_its_reading_corner():
    # Turned by 40 degrees: the corner nearest the photo's top left is the plate's bottom left, not its top left.
    assert sort_vertices([(100, 100), (253, 229), (227, 259), (74, 131)])[0] == (100, 100)
    assert sort_vertices([(100, 229), (253, 100), (279, 131), (126, 259)])[0] == (100, 229)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("-15.jpg", ".jpg", "6 fields joined by '-', expected 7"),
        ("-15.jpg", "-15-3.jpg", "8 fields"),
        ("025-", "abc-", "area field 'abc'"),
        ("95_113", "95", "tilt field '95': expected 2 whole numbers"),
        ("95_113", "95_x", "tilt field '95_x'"),
        ("154&383_386&473-", "154&383-", "bounding box field"),
        ("154&383_386&473-", "386&473_154&383-", "left top before right bottom"),
        ("386&473_177&454_154&383_363&402", "386&473_177&454_154&383", "vertices field"),
        ("386&473_177&454_154&383_363&402", "386&473_177&454_154&383_363x402", "vertices field"),
        ("386&473_177&454_154&383_363&402", "1&1_2&2_3&3_4&4", "convex quadrilateral"),
        ("386&473_177&454_154&383_363&402", "5&5_5&5_5&5_5&5", "convex quadrilateral"),
        ("386&473_177&454_154&383_363&402", "0&0_100&0_50&100_50&20", "convex quadrilateral"),
        ("0_0_22_27_27_33_16", "34_0_22_27_27_33_16", "index 1 between 0 and 32, not 34"),
        ("0_0_22_27_27_33_16", "0_25_22_27_27_33_16", "index 2 between 0 and 23, not 25"),
        ("0_0_22_27_27_33_16", "0_0_22_27_27_33_35", "index 7 between 0 and 33, not 35"),
        ("0_0_22_27_27_33_16", "33_0_22_27_27_33_16", "position 1, not the placeholder O"),
        ("0_0_22_27_27_33_16", "0_0_22_27_27_33_34", "position 7, not the placeholder O"),
        ("0_0_22_27_27_33_16", "0_0_22_27_27_33", "7 or 8 indices"),
        ("0_0_22_27_27_33_16", "0_0_22_27_27_33_1_2_3", "7 or 8 indices"),
        ("0_0_22_27_27_33_16", "0_0_22_27_27_33_", "whole numbers"),
        ("0_0_22_27_27_33_16", "0_0_22_27_27_33_１", "whole numbers"),
        ("-37-", "-bright-", "brightness field 'bright'"),
        ("-15.jpg", "-.jpg", "blur field ''"),
    ],
)
def test_every_field_is_checked(old, new, message):
    assert old in NOTE
    with pytest.raises(InputError) as error:
        parse_name(NOTE.replace(old, new, 1))
    assert message in error.value.message


def test_vertices_outside_the_photo_are_refused_when_its_size_is_known():
    assert parse_name(NOTE, size=(386, 473)).text == "皖AY339S"
    with pytest.raises(InputError, match=r"vertex \(363, 402\) lies outside the photo of 320x1160"):
        parse_name(NOTE, size=(320, 1160))


@pytest.mark.parametrize("name", ["", ".jpg", "photo.jpg", "IMG-2020-01-01.jpg", "------.jpg", "0" * 5000 + ".jpg"])
def test_other_names_are_input_errors(name):
    with pytest.raises(InputError):
        parse_name(name)


@pytest.mark.parametrize("text", ["皖A1234", "皖A123456", "港A12345", "皖AI2345", "皖A1234警", "皖AO2345", "皖O12345"])
def test_plates_without_ccpd_indices_are_refused(text):
    if text == "皖A123456":
        assert decode_plate(encode_plate(text)) == text
        return
    with pytest.raises(InputError):
        encode_plate(text)


plates = st.builds(
    lambda province, letter, rest: province + letter + "".join(rest),
    st.sampled_from(PROVINCES[:-1]),
    st.sampled_from(LETTERS[:-1]),
    st.lists(st.sampled_from(SYMBOLS[:-1]), min_size=5, max_size=6),
)


@given(plates, st.integers(0, 200), st.integers(0, 200), st.integers(40, 400), st.integers(10, 100))
def test_any_annotation_survives_the_round_trip(text, x, y, width, height):
    quad = ((x, y), (x + width, y + 3), (x + width + 2, y + height + 4), (x + 1, y + height))
    name = CcpdName("0123", (90, 91), ((x, y), (x + width, y + height)), quad, text, 100, 20)
    assert parse_name(format_name(name)) == name


def test_all_real_names_are_read(real_data):
    photos = sorted(real_data.glob("full/*/*.jpg"))
    assert len(photos) == 177
    lengths = [len(parse_name(photo, size=(720, 1160)).text) for photo in photos]
    assert lengths.count(8) > 20 and lengths.count(7) > 100
