"""One CCPD photo: decode, check, cut the plate out, write the crop, describe it in a row of the table."""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.base.errors import InputError
from edge.ocr.crop import crop_plate
from edge.ocr.image import Image, decode_image, image_size
from edge.photo.decode import MAX_PIXELS
from edge.plate.ccpd import FIELDS, CcpdName, check_inside, encode_plate, parse_name
from edge.plate.country import load_country
from train.labels.jpeg import shorten

if TYPE_CHECKING:
    from numpy.typing import NDArray



class BadPhoto(InputError):
    """A photo that cannot be labelled.

    Args:
        reason: Its class of fault, by which faults are counted.
        message: What is wrong with it.
        hint: The next step.
    """

    def __init__(self, reason: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.reason = reason

    def __reduce__(self) -> tuple[type[BadPhoto], tuple[str, str, str]]:
        """Comes back from another process as it was (Python would give the message alone)."""
        return BadPhoto, (self.reason, self.message, self.hint)


_ORIENTATION = 0x0112  # EXIF tag.
_AROUND = 6  # Pixels kept around a window.


@dataclass(frozen=True)
class PhotoRow:
    """What is known of a labelled photo; a line of `table.csv`.

    Attributes:
        photo: Path relative to the data set's folder.
        crop: Path of the crop relative to the output folder.
        text: The plate.
        kind: Name of its kind of plate.
        width: Of the photo, pixels.
        height: Of the photo, pixels.
        crop_width: Pixels.
        crop_height: Pixels.
        area: Plate area / photo area, from the vertices.
        tilt_horizontal: Degrees, as the name says.
        tilt_vertical: Degrees, as the name says.
        brightness: As the name says.
        blur: As the name says.
        grey: Mean grey level of the crop, 0..255, measured.
        sharpness: Variance of the Laplacian of the grey crop, measured; small is blurred.
    """

    photo: str
    crop: str
    text: str
    kind: str
    width: int
    height: int
    crop_width: int
    crop_height: int
    area: float
    tilt_horizontal: int
    tilt_vertical: int
    brightness: int
    blur: int
    grey: float
    sharpness: float


TABLE_COLUMNS = tuple(item.name for item in fields(PhotoRow))


def crop_name(index: int, name: CcpdName) -> str:
    """Returns a crop's file name as the application note (docs/glossary.md) writes it: running number and plate indices."""
    return f"{index}_{encode_plate(name.text)}.jpg"


def read_name(photo: str) -> CcpdName:
    """Reads the name of a photo and checks that a label file can hold its path.

    Raises:
        BadPhoto: It is not a CCPD name, or holds a tab or a line break, or is not UTF-8.
    """
    if any(mark in photo for mark in "\t\r\n") or os.fsencode(photo).decode("utf-8", "replace") != photo:
        raise BadPhoto(
            "path", f"{photo!r} has a tab, a line break or bytes that are not UTF-8; label files cannot hold it."
        )
    try:
        return parse_name(photo)
    except InputError as error:
        other = Path(photo).stem.count("-") != len(FIELDS) - 1
        raise BadPhoto("not a CCPD name" if other else "bad field", error.message, error.hint) from None


def label_photo(root: Path, photo: str, out: Path, crop: str) -> tuple[PhotoRow, CcpdName]:
    """Cuts one plate out and writes its crop.

    Args:
        root: Folder of the data set.
        photo: Path of the photo relative to `root`.
        out: Output folder.
        crop: Path of the crop relative to `out`; written over what is there.

    Returns:
        The photo's row, and its name.

    Raises:
        BadPhoto: Bad name, missing or unreadable photo, vertices outside it.
        OSError: The crop cannot be written.
    """
    import cv2

    name = read_name(photo)
    quad = np.array(name.vertices, np.float64)
    image = read_photo(root / photo, window=(quad.min(axis=0), quad.max(axis=0)))
    height, width = image.shape[:2]
    try:
        check_inside(name.vertices, (width, height), photo)
    except InputError as error:
        raise BadPhoto("vertex outside the photo", error.message, error.hint) from None
    kind = load_country().kind_of(name.text)
    plate = np.ascontiguousarray(crop_plate(image, quad)[:, :, ::-1])
    done, data = cv2.imencode(".jpg", plate)
    if not done:
        raise BadPhoto("unreadable", f"{photo}: the crop of {plate.shape[1]}x{plate.shape[0]} cannot be encoded.")
    (out / crop).write_bytes(data.tobytes())
    grey = cv2.cvtColor(plate, cv2.COLOR_BGR2GRAY)
    row = PhotoRow(
        photo=photo,
        crop=crop,
        text=name.text,
        kind=kind.name if kind else "",
        width=width,
        height=height,
        crop_width=plate.shape[1],
        crop_height=plate.shape[0],
        area=round(cv2.contourArea(quad.astype(np.float32)) / (width * height), 6),
        tilt_horizontal=name.tilt[0],
        tilt_vertical=name.tilt[1],
        brightness=name.brightness,
        blur=name.blur,
        grey=round(float(grey.mean()), 2),
        sharpness=round(float(cv2.Laplacian(grey, cv2.CV_64F).var()), 2),
    )
    return row, name


def read_photo(path: Path, window: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None) -> Image:
    """Reads a photo as RGB, with the same pixels as `cv2.imread` in another order.

    Plain colour JPEGs go through Pillow, whose libjpeg-turbo is about twice as fast as the one in OpenCV's wheels and
    which notices files that were cut off; everything else (PNG, grey, EXIF-turned) goes through OpenCV.

    Args:
        path: The photo.
        window: Left top and right bottom (x, y): only what lies between (and a few pixels around, for cubic
            interpolation) is needed, the rest may stay black. It saves decoding and copying the whole photo.

    Returns:
        uint8 array [height, width, 3], RGB.

    Raises:
        BadPhoto: Missing, empty, damaged, cut off, or not an image.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # A pipe would be waited for without end.
            raise BadPhoto("unreadable", f"{path} is not a photo but a folder, a pipe or the like.")
        data = path.read_bytes()
    except FileNotFoundError:
        raise BadPhoto("missing", f"{path} is missing.") from None
    except OSError as error:
        raise BadPhoto("unreadable", f"{path} cannot be read: {error.strerror}.") from None
    fast = _read_jpeg(data, str(path), window)
    if fast is not None:
        return fast
    try:
        return decode_image(data, str(path))[:, :, ::-1]
    except InputError as error:
        raise BadPhoto("unreadable", error.message, error.hint) from None


def _read_jpeg(data: bytes, name: str, window: tuple[NDArray[np.float64], NDArray[np.float64]] | None) -> Image | None:
    from PIL import Image as Pillow

    size = image_size(data) if data.startswith(b"\xff\xd8\xff") else None
    if size is None or size == (0, 0) or size[0] * size[1] > MAX_PIXELS:
        return None
    width, height = size
    if window is not None:
        data = shorten(data, int(window[1][1]) + _AROUND)
    try:
        picture: Any = Pillow.open(io.BytesIO(data))
        if picture.mode != "RGB" or picture.getexif().get(_ORIENTATION, 1) != 1:
            return None
        picture.load()
    except (OSError, SyntaxError, ValueError, Pillow.DecompressionBombError) as error:
        raise BadPhoto("unreadable", f"{name} cannot be decoded: {error}.") from None
    if window is None:
        return np.asarray(picture)
    left, top = (max(0, int(edge) - _AROUND) for edge in window[0])
    right, bottom = min(width, int(window[1][0]) + _AROUND), min(height, int(window[1][1]) + _AROUND)
    pixels = np.zeros((height, width, 3), np.uint8)  # Pages that nobody touches cost nothing.
    if left < right and top < bottom:
        pixels[top:bottom, left:right] = np.asarray(picture.crop((left, top, right, bottom)))
    return pixels
