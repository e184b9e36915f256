"""Names of CCPD photos: the whole annotation of a photo is written in its file name.

CCPD2019 (blue plates, 7 characters) and CCPD2020 (green plates, 8 characters) share seven fields joined by `-`:
area, tilt, bounding box, four vertices, plate indices, brightness, blur, as in
`025-95_113-154&383_386&473-386&473_177&454_154&383_363&402-0_0_22_27_27_33_16-37-15.jpg` (皖AY339S).

The rule says that the vertices start at the bottom right and run clockwise; real names break it now and then, so
they are sorted here. The last entry of each character table is the letter O, "no character": it is never on a plate.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from edge.base.errors import InputError
from edge.base.plural import counted

PROVINCES: tuple[str, ...] = tuple("皖沪津渝冀晋蒙辽吉黑苏浙京闽赣鲁豫鄂湘粤桂琼川贵云藏陕甘青宁新警学O")
LETTERS: tuple[str, ...] = tuple("ABCDEFGHJKLMNPQRSTUVWXYZO")
SYMBOLS: tuple[str, ...] = tuple("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789O")
PLACEHOLDER = "O"
FIELDS = ("area", "tilt", "bounding box", "vertices", "plate", "brightness", "blur")

Point = tuple[int, int]
Quad = tuple[Point, Point, Point, Point]

_NUMBER = re.compile(r"-?[0-9]{1,9}", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,32}", re.ASCII)


@dataclass(frozen=True)
class CcpdName:
    """What one CCPD file name says.

    Attributes:
        area: Plate area as a fraction of the photo: the digits after "0." as written, such as `025`.
        tilt: Horizontal and vertical tilt in degrees as written (CCPD2018 names count from 0, later ones from 90).
        box: Left top and right bottom corner of the bounding box, pixels.
        vertices: The plate's corners clockwise from top left, pixels.
        text: The plate, 7 or 8 characters.
        brightness: Brightness of the plate's region as written, 0 to 255.
        blur: Blur of the plate's region as written.
    """

    area: str
    tilt: tuple[int, int]
    box: tuple[Point, Point]
    vertices: Quad
    text: str
    brightness: int
    blur: int


def parse_name(name: str | PurePath, size: tuple[int, int] | None = None) -> CcpdName:
    """Reads a CCPD file name, checking every field.

    Args:
        name: File name or path; folder and extension are ignored.
        size: Width and height of the photo in pixels when known; vertices must then lie within it.

    Returns:
        The fields, vertices clockwise from top left.

    Raises:
        InputError: Names the file, the field and what is wrong with it.
    """
    stem = PurePath(name).stem
    fields = stem.split("-")
    if len(fields) != len(FIELDS):
        raise InputError(
            f"{stem!r} is not a CCPD name: {len(fields)} fields joined by '-', expected {len(FIELDS)}.",
            f"The fields are {', '.join(FIELDS)}.",
        )
    area, tilt, box, vertices, plate, brightness, blur = fields
    if not _DIGITS.fullmatch(area):
        raise _bad(stem, "area", area, "digits only")
    tilts = _numbers(stem, "tilt", tilt, 2)
    corners = _points(stem, "bounding box", box, 2)
    if corners[0][0] >= corners[1][0] or corners[0][1] >= corners[1][1]:
        raise _bad(stem, "bounding box", box, "left top before right bottom")
    quad = _quad(stem, vertices)
    if size is not None:
        check_inside(quad, size, stem)
    return CcpdName(
        area=area,
        tilt=(tilts[0], tilts[1]),
        box=(corners[0], corners[1]),
        vertices=quad,
        text=decode_plate(plate, stem),
        brightness=_numbers(stem, "brightness", brightness, 1)[0],
        blur=_numbers(stem, "blur", blur, 1)[0],
    )


def format_name(name: CcpdName, suffix: str = ".jpg") -> str:
    """Returns the file name of an annotation; the inverse of `parse_name`.

    Raises:
        InputError: A character of the plate has no CCPD index.
    """
    top_left, top_right, bottom_right, bottom_left = name.vertices
    fields = (
        name.area,
        "_".join(str(angle) for angle in name.tilt),
        _join(name.box),
        _join((bottom_right, bottom_left, top_left, top_right)),
        encode_plate(name.text),
        str(name.brightness),
        str(name.blur),
    )
    return "-".join(fields) + suffix


def _table(position: int) -> tuple[str, ...]:
    return (PROVINCES, LETTERS)[position] if position < 2 else SYMBOLS


def can_write(characters: Sequence[str]) -> bool:
    """Whether `encode_plate` takes every text that has, at each position, one of the given characters."""
    places = enumerate(characters)
    return len(characters) in (7, 8) and all(set(marks) <= {*_table(at)} - {PLACEHOLDER} for at, marks in places)


def decode_plate(indices: str, where: str = "plate") -> str:
    """Turns `0_0_22_27_27_33_16` into `皖AY339S`.

    Args:
        indices: Seven or eight table indices joined by `_`.
        where: Named in errors.

    Raises:
        InputError: Wrong count, an index outside its table, or the placeholder O.
    """
    numbers = _numbers(where, "plate", indices, None)
    if len(numbers) not in (7, 8):
        raise _bad(where, "plate", indices, "7 or 8 indices")
    text = ""
    for position, number in enumerate(numbers):
        table = _table(position)
        if not 0 <= number < len(table):
            raise _bad(where, "plate", indices, f"index {position + 1} between 0 and {len(table) - 2}, not {number}")
        if table[number] == PLACEHOLDER:
            raise _bad(where, "plate", indices, f"a character at position {position + 1}, not the placeholder O")
        text += table[number]
    return text


def encode_plate(text: str) -> str:
    """Turns `皖AY339S` into `0_0_22_27_27_33_16`.

    Raises:
        InputError: Not 7 or 8 characters, or a character that CCPD's tables do not hold (such as 港 or 警 at the end).
    """
    if len(text) not in (7, 8):
        raise InputError(f"{text!r} has {len(text)} characters; a plate in a CCPD name has 7 or 8.")
    out = []
    for position, mark in enumerate(text):
        table = _table(position)
        if mark == PLACEHOLDER or mark not in table:
            raise InputError(f"{text!r}: {mark!r} at position {position + 1} has no index in CCPD's tables.")
        out.append(str(table.index(mark)))
    return "_".join(out)


def sort_vertices(points: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    """Orders four points clockwise (y down), starting at the one that is top left when the text is read.

    The start is the one whose order leaves the plate the least turned: of the four cyclic orders the one whose top
    and bottom edges point right and whose side edges point down the most. Right for turns below 45 degrees.

    Args:
        points: Four (x, y).

    Returns:
        The same points as top left, top right, bottom right, bottom left.
    """
    middle_x = sum(point[0] for point in points) / len(points)
    middle_y = sum(point[1] for point in points) / len(points)
    ring = sorted(((p[0], p[1]) for p in points), key=lambda p: math.atan2(p[1] - middle_y, p[0] - middle_x))

    def upright(start: int) -> float:
        tl, tr, br, bl = (ring[(start + step) % 4] for step in range(4))
        return (tr[0] - tl[0]) + (br[0] - bl[0]) + (bl[1] - tl[1]) + (br[1] - tr[1])

    best = max(range(4), key=upright)
    return tuple(ring[(best + step) % 4] for step in range(4))


def check_inside(quad: Quad, size: tuple[int, int], where: str) -> None:
    """Checks that all vertices lie in the photo; the far edges themselves count as inside.

    Args:
        quad: Vertices, pixels.
        size: Width and height, pixels.
        where: Named in the error.

    Raises:
        InputError: Names the first vertex outside.
    """
    width, height = size
    for x, y in quad:
        if not (0 <= x <= width and 0 <= y <= height):
            raise InputError(
                f"{where!r}: vertex ({x}, {y}) lies outside the photo of {width}x{height} pixels.",
                "Was the photo resized after it was annotated?",
            )


def is_convex(points: Sequence[Sequence[float]]) -> bool:
    """Whether four points, in this order, make a convex quadrilateral of some area, clockwise with y down."""
    for index in range(4):
        (ax, ay), (bx, by), (cx, cy) = (points[(index + step) % 4] for step in range(3))
        if (bx - ax) * (cy - by) - (by - ay) * (cx - bx) <= 0:
            return False
    return True


def _quad(stem: str, text: str) -> Quad:
    points = _points(stem, "vertices", text, 4)
    tl, tr, br, bl = ((int(x), int(y)) for x, y in sort_vertices(points))
    if not is_convex((tl, tr, br, bl)):
        raise _bad(stem, "vertices", text, "four corners of a convex quadrilateral")
    return tl, tr, br, bl


def _points(stem: str, field: str, text: str, count: int) -> list[Point]:
    parts = text.split("_")
    pairs = [part.split("&") for part in parts]
    if len(pairs) != count or any(
        len(pair) != 2 or not all(_NUMBER.fullmatch(item) for item in pair) for pair in pairs
    ):
        raise _bad(stem, field, text, f"{count} points x&y joined by '_'")
    return [(int(x), int(y)) for x, y in pairs]


def _numbers(stem: str, field: str, text: str, count: int | None) -> list[int]:
    parts = text.split("_")
    if (count is not None and len(parts) != count) or not all(_NUMBER.fullmatch(part) for part in parts):
        wanted = "whole numbers joined by '_'" if count is None else counted(count, "whole number")
        raise _bad(stem, field, text, wanted)
    return [int(part) for part in parts]


def _join(points: Sequence[Point]) -> str:
    return "_".join(f"{x}&{y}" for x, y in points)


def _bad(stem: str, field: str, value: str, wanted: str) -> InputError:
    return InputError(f"{stem!r}: {field} field {value[:60]!r}: expected {wanted}.")
