"""Whole photos for the detector: a plate on a car in a street, 720 x 1160, annotated as CCPD does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge.ocr.image import Image
from edge.plate.ccpd import CcpdName, Quad, format_name
from edge.plate.country import Country
from train.augment import weather as effects
from train.synth import geometry
from train.synth.car import HEIGHT, WIDTH, Car, render_car
from train.synth.plate import render_plate
from train.synth.street import render_street, stamp
from train.synth.text import in_ccpd, random_kind, random_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

PHOTO_SIZE = (720, 1160)
WEATHERS = ("day", "night", "rain", "snow")


@dataclass(frozen=True)
class Conditions:
    """How a scene is photographed; None leaves it to chance.

    Attributes:
        kind: Kind of plate.
        text: The plate.
        weather: One of `WEATHERS`.
        pose: Yaw, pitch, roll of the car in radians.
        plate_width: Width of the plate in the photo in pixels.
        spoil: Strength of blur, noise and wrong exposure; 1 is the spread of CCPD, 0 leaves them out.
    """

    kind: str | None = None
    text: str | None = None
    weather: str | None = None
    pose: tuple[float, float, float] | None = None
    plate_width: float | None = None
    spoil: float = 1.0


@dataclass(frozen=True)
class Scene:
    """A rendered photo.

    Attributes:
        image: uint8 BGR, 1160 x 720.
        name: Its annotation; `edge.plate.ccpd.format_name` makes the file name.
        kind: Kind of plate.
        weather: One of `WEATHERS`.
    """

    image: Image = field(repr=False)
    name: CcpdName
    kind: str
    weather: str

    @property
    def file_name(self) -> str:
        """The CCPD file name, `.jpg`."""
        return format_name(self.name)


def render_scene(rng: np.random.Generator, country: Country, conditions: Conditions | None = None) -> Scene:
    """Renders one photo.

    Args:
        rng: Source of chance; the same state gives the same photo.
        country: Of the plate.
        conditions: What is asked for; None leaves all to chance.

    Raises:
        UsageError: An unknown kind, or a text that does not fit it.
    """
    wanted = conditions or Conditions()
    kind = country.kind(wanted.kind) if wanted.kind else random_kind(rng, country)
    text = wanted.text or random_text(rng, country, kind, plain=in_ccpd(country))
    weather = wanted.weather or str(rng.choice(WEATHERS, p=(0.62, 0.14, 0.14, 0.10)))
    car = render_car(rng, country)
    _mount(rng, car.image, car.plate_centre, render_plate(rng, text, kind, country))

    width, height = map(float, kind.layout.size_mm)
    plate_size = (width, height)
    matrix = _pose(rng, wanted, plate_size, car.plate_centre)
    photo = _compose(rng, car, matrix, country)
    x, y = car.plate_centre
    corner = np.array([[1, 0, x - width / 2], [0, 1, y - height / 2], [0, 0, 1]])
    quad = geometry.corners(matrix @ corner, plate_size)
    photo = _photograph(rng, photo, quad, weather, wanted.spoil)
    if rng.random() < 0.25:
        stamp(rng, photo, country)
    return Scene(photo, _annotate(photo, quad, text), kind.name, weather)


def _mount(rng: np.random.Generator, car: Image, centre: tuple[float, float], plate: Image) -> None:
    height, width = plate.shape[:2]
    x, y = int(centre[0] - width / 2), int(centre[1] - height / 2)
    if rng.random() < 0.3:
        plate = effects.dirt(rng, plate, float(rng.uniform(0, 0.5)))
    if rng.random() < 0.5:
        plate = effects.lighting(rng, plate, float(rng.uniform(0.1, 0.45)))
    shadow = car[y + 6 : y + height + 12, x + 4 : x + width + 8]
    shadow[:] = (shadow * 0.45).astype(np.uint8)
    # Rounded corners: the car shows where the plate is cut away.
    mask = np.zeros((height, width), np.uint8)
    cv2.rectangle(mask, (10, 0), (width - 11, height - 1), 255, -1)
    cv2.rectangle(mask, (0, 10), (width - 1, height - 11), 255, -1)
    for corner in ((10, 10), (width - 11, 10), (width - 11, height - 11), (10, height - 11)):
        cv2.circle(mask, corner, 10, 255, -1)
    cv2.copyTo(plate, mask, car[y : y + height, x : x + width])


def _pose(
    rng: np.random.Generator, wanted: Conditions, plate: tuple[float, float], mounted: tuple[float, float]
) -> NDArray[np.float64]:
    """Homography from the car's canvas to the photo, with the plate wholly inside the photo."""
    angles = wanted.pose if wanted.pose is not None else geometry.random_pose(rng)
    pose = geometry.project(plate, angles, float(rng.uniform(2600, 6000)))
    wide = wanted.plate_width or float(np.clip(rng.normal(235, 55), 130, 400))
    native = geometry.edge_lengths(geometry.corners(pose, plate))[0]
    width, height = PHOTO_SIZE
    centre = (width * rng.uniform(0.40, 0.60), height * rng.uniform(0.36, 0.56))
    matrix = geometry.place(pose, wide / native, centre)
    quad = geometry.corners(matrix, plate)
    low, high = quad.min(axis=0), quad.max(axis=0)
    shift = np.maximum(8 - low, 0) - np.maximum(high - (width - 8, height - 8), 0)
    to_plate = np.array([[1, 0, plate[0] / 2 - mounted[0]], [0, 1, plate[1] / 2 - mounted[1]], [0, 0, 1]])
    return np.asarray(np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]]) @ matrix @ to_plate)


def _compose(rng: np.random.Generator, drawn: Car, matrix: NDArray[np.float64], country: Country) -> Image:
    car, alpha = drawn.image, drawn.alpha
    photo = render_street(rng, PHOTO_SIZE, country)
    if rng.random() < 0.4:
        _neighbour(rng, photo, country)
    photo = effects.defocus(photo, float(rng.uniform(0.5, 2.0)))
    # Shrinking by more than two aliases: halve the canvas first when the car is far.
    left = cv2.perspectiveTransform(np.array([[[0.0, HEIGHT / 2], [WIDTH, HEIGHT / 2]]]), matrix)[0]
    if abs(left[1][0] - left[0][0]) < WIDTH * 0.6:
        car = cv2.resize(car, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        alpha = cv2.resize(alpha, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        # Pixel centres: a small pixel x covers 2x and 2x + 1 of the large canvas.
        matrix = matrix @ np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]])
    warped = cv2.warpPerspective(car, matrix, PHOTO_SIZE, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpPerspective(alpha, matrix, PHOTO_SIZE, flags=cv2.INTER_LINEAR)
    ground = cv2.GaussianBlur(cv2.warpAffine(mask, np.array([[1, 0, 0], [0, 1, 26]], np.float32), PHOTO_SIZE), (0, 0), 16)
    photo = effects.multiply(photo, (1 - ground.astype(np.float32) / 255 * 0.6))
    weight = cv2.merge((mask, mask, mask))
    behind = cv2.multiply(photo, cv2.bitwise_not(weight), scale=1 / 255)
    return cv2.add(behind, cv2.multiply(warped, weight, scale=1 / 255))


def _neighbour(rng: np.random.Generator, photo: Image, country: Country) -> None:
    """A parked car further off, at the edge of the photo, its plate out of sight; in place."""
    other = render_car(rng, country)
    scale = float(rng.uniform(0.12, 0.26))
    car, alpha = (
        cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for part in (other.image, other.alpha)
    )
    height, width = alpha.shape
    top = int(PHOTO_SIZE[1] * rng.uniform(0.16, 0.34))
    left = int(rng.choice((rng.uniform(-0.7, -0.2) * width, PHOTO_SIZE[0] - rng.uniform(0.3, 0.8) * width)))
    start, stop = max(0, left), min(PHOTO_SIZE[0], left + width)
    area = photo[top : top + height, start:stop]
    cv2.copyTo(car[:, start - left : stop - left], alpha[:, start - left : stop - left], area)


def _photograph(rng: np.random.Generator, photo: Image, quad: geometry.Quad, weather: str, spoil: float) -> Image:
    width = PHOTO_SIZE[0]
    if weather == "night":
        photo = _headlights(rng, photo, quad)
    elif weather == "rain":
        photo = effects.rain(rng, effects.curve(photo, (0.8, 0.78, 0.76), 1.0, 0), int(rng.integers(200, 900)))
    elif weather == "snow":
        photo = effects.snow(rng, photo, int(rng.integers(80, 500)))
    else:
        photo = effects.lighting(rng, photo, float(rng.uniform(0.05, 0.45)))
        if rng.random() < 0.35:
            photo = _dapple(rng, photo)
    if spoil <= 0:
        return photo if weather == "night" else _auto_exposure(rng, photo)
    if weather != "night":
        photo = effects.exposure(rng, _auto_exposure(rng, photo), 0.5 * spoil)
    if rng.random() < 0.12 * spoil:
        photo = effects.glare(rng, photo)
    blur = rng.random()
    if blur < 0.6:
        photo = effects.defocus(photo, float(rng.gamma(2.0, 0.45)) * spoil * width / 720)
    elif blur < 0.75:
        photo = effects.motion(rng, photo, int(rng.integers(2, 2 + int(9 * spoil))))
    return effects.grain(rng, photo, float(rng.gamma(2.0, 1.5)) * spoil)


def _auto_exposure(rng: np.random.Generator, photo: Image) -> Image:
    """What a phone does by itself: brings the mean to a middle grey (as CCPD's photos have it) and adds contrast."""
    mean = float(photo.mean())
    target = float(np.clip(rng.normal(116, 13), 85, 145))
    contrast = float(rng.uniform(1.0, 1.25))
    ramp = np.arange(256, dtype=np.float32) * np.clip(target / max(mean, 1.0), 0.6, 2.0)
    table = np.clip(target + (ramp - target) * contrast, 0, 255).astype(np.uint8)
    return cv2.LUT(photo, table)


def _dapple(rng: np.random.Generator, photo: Image) -> Image:
    """Sun through leaves: soft-edged patches of light and shade."""
    leaves = effects.noise_field(rng, PHOTO_SIZE, (6.0, 15.0, 40.0))
    shade = rng.uniform(0.5, 0.8)
    light = shade + (1.08 - shade) / (1 + np.exp(-(leaves - rng.uniform(0.4, 0.55)) * rng.uniform(15, 40)))
    return effects.multiply(photo, light.astype(np.float32))


def _headlights(rng: np.random.Generator, photo: Image, quad: geometry.Quad) -> Image:
    """Night: the street is dark and the lamp or flash lights the plate and what is near it."""
    width, height = PHOTO_SIZE
    centre = quad.mean(axis=0)
    x = (np.arange(width, dtype=np.float32)[None, :] - centre[0]) / (width * rng.uniform(0.25, 0.6))
    y = (np.arange(height, dtype=np.float32)[:, None] - centre[1]) / (height * rng.uniform(0.12, 0.35))
    light = rng.uniform(0.06, 0.25) + rng.uniform(0.45, 0.85) * np.exp(-(x**2 + y**2))
    dark = effects.multiply(photo, light.astype(np.float32))
    tint = (0.8, 0.95, 1.1) if rng.random() < 0.5 else (1.1, 1.0, 0.85)
    return effects.grain(rng, effects.curve(dark, tint, float(rng.uniform(0.85, 1.2)), 3.0), float(rng.uniform(2, 6)))


def _annotate(photo: Image, quad: geometry.Quad, text: str) -> CcpdName:
    width, height = PHOTO_SIZE
    points = [(round(float(x)), round(float(y))) for x, y in quad]
    tl, tr, br, bl = ((min(max(x, 0), width - 1), min(max(y, 0), height - 1)) for x, y in points)
    vertices: Quad = (tl, tr, br, bl)
    box = cv2.boundingRect(np.array(vertices, np.int32))
    region = cv2.cvtColor(photo[box[1] : box[1] + box[3], box[0] : box[0] + box[2]], cv2.COLOR_BGR2GRAY)
    share = cv2.contourArea(np.array(vertices, np.float32)) / (width * height)
    level = np.degrees(np.arctan2(tr[1] - tl[1], tr[0] - tl[0]))
    upright = np.degrees(np.arctan2(bl[0] - tl[0], bl[1] - tl[1]))
    return CcpdName(
        area=f"{share:.12f}".split(".")[1],
        tilt=(round(90 + float(level)), round(90 + float(upright))),
        box=((box[0], box[1]), (box[0] + box[2] - 1, box[1] + box[3] - 1)),
        vertices=vertices,
        text=text,
        brightness=int(region.mean()),
        blur=int(cv2.Laplacian(region, cv2.CV_64F).var()),
    )
