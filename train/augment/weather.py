"""What light, weather, lens and camera do to a picture. All functions take and return uint8 BGR arrays."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge.ocr.image import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


_CASTS = ((0.5, 1.05, 0.4), (0.35, 0.75, 1.1), (1.1, 0.95, 0.4))  # Green, brown, teal: BGR, as CCPD's photos have them.


def noise_field(rng: np.random.Generator, size: tuple[int, int], cells: tuple[float, ...] = (4.0, 9.0)) -> Floats:
    """Returns smooth noise in 0..1: octaves of random grids, enlarged and averaged.

    Args:
        rng: Source of chance.
        size: Width and height in pixels.
        cells: Grid cells across the width, an octave each; the first weighs most.
    """
    width, height = size
    total = np.zeros((height, width), np.float32)
    weight, sum_of_weights = 1.0, 0.0
    for count in cells:
        columns = max(2, round(count))
        rows = max(2, round(count * height / width))
        grid = rng.random((rows, columns), dtype=np.float32)
        total += weight * cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC)
        sum_of_weights += weight
        weight *= 0.6
    return np.clip(total / sum_of_weights, 0, 1)


def curve(image: Image, gain: tuple[float, float, float], gamma: float, offset: float) -> Image:
    """Applies exposure: per channel gain, gamma and an offset in grey levels, by look-up table."""
    ramp = (np.arange(256, dtype=np.float32) / 255) ** gamma * 255
    table = np.clip(np.outer(ramp, np.array(gain, np.float32)) + offset, 0, 255).astype(np.uint8)
    return cv2.LUT(image, table.reshape(256, 1, 3))


def exposure(rng: np.random.Generator, image: Image, strength: float = 1.0) -> Image:
    """Brightness, contrast and white balance as phone cameras get them wrong.

    Args:
        rng: Source of chance.
        image: Picture.
        strength: 1 is the spread of street photos.
    """
    level = float(np.clip(np.exp(rng.normal(0.02, 0.24 * strength)), 0.4, 1.45))
    cast = np.exp(rng.normal(0, 0.07 * strength, 3))
    if rng.random() < 0.12 * strength:
        strong = _CASTS[int(rng.integers(len(_CASTS)))]
        cast = cast * (1 + (np.array(strong) - 1) * rng.uniform(0.5, 1.1))
    gain = (float(level * cast[0]), float(level * cast[1]), float(level * cast[2]))
    return curve(image, gain, float(np.exp(rng.normal(-0.03, 0.18 * strength))), float(rng.normal(6, 9 * strength)))


def lighting(rng: np.random.Generator, image: Image, depth: float) -> Image:
    """Uneven light: a ramp in a random direction and, often, the hard edge of a shadow.

    Args:
        rng: Source of chance.
        image: Picture.
        depth: Largest darkening, 0..1.
    """
    height, width = image.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :]
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    along = np.cos(angle) * x + np.sin(angle) * y
    light = 1 - depth * rng.uniform(0.2, 1) * (along + 0.7) / 1.4
    if rng.random() < 0.3:
        edge = rng.uniform(-0.4, 0.4)
        steepness = rng.uniform(8, 60)
        light = light * (1 - depth * rng.uniform(0.4, 1) / (1 + np.exp(-steepness * (along - edge))))
    return multiply(image, light.astype(np.float32))


def multiply(image: Image, light: Floats) -> Image:
    """Multiplies by a field of height x width, saturating."""
    return cv2.multiply(image, cv2.merge((light, light, light)), dtype=cv2.CV_8U)


def glare(rng: np.random.Generator, image: Image) -> Image:
    """A soft bright spot: sun or a lamp mirrored in the paint."""
    height, width = image.shape[:2]
    spot = np.zeros((height, width), np.uint8)
    centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
    axes = (max(1, int(width * rng.uniform(0.03, 0.25))), max(1, int(height * rng.uniform(0.1, 0.5))))
    cv2.ellipse(spot, centre, axes, float(rng.uniform(0, 180)), 0, 360, int(rng.integers(60, 230)), -1)
    spot = cv2.GaussianBlur(spot, (0, 0), max(1.0, axes[0] * rng.uniform(0.3, 0.8)))
    return cv2.add(image, cv2.merge((spot, spot, spot)))


def dirt(rng: np.random.Generator, image: Image, amount: float) -> Image:
    """Dust and mud: noise above a threshold, mixed in as a dull brown.

    Args:
        rng: Source of chance.
        image: Picture.
        amount: 0 clean .. 1 mostly covered.
    """
    height, width = image.shape[:2]
    field = noise_field(rng, (width, height), (6.0, 17.0, 43.0))
    cover = np.clip((field - (0.72 - 0.35 * amount)) * 5, 0, 0.25 + 0.6 * amount).astype(np.float32)
    colour = np.array([rng.integers(60, 120), rng.integers(80, 135), rng.integers(95, 150)], np.float32)
    mixed = image + (colour - image) * cover[:, :, None]
    return mixed.astype(np.uint8)


def rain(rng: np.random.Generator, image: Image, drops: int) -> Image:
    """Bright slanted streaks, and the haze of wet air."""
    height, width = image.shape[:2]
    layer = np.zeros((height, width), np.uint8)
    slant = rng.uniform(-0.35, 0.35)
    for _ in range(drops):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        length = max(2, int(height * rng.uniform(0.015, 0.06)))
        grey = int(rng.integers(50, 150))
        cv2.line(layer, (x, y), (int(x + slant * length), y + length), grey, 1, cv2.LINE_AA)
    layer = cv2.GaussianBlur(layer, (3, 3), 0)
    hazy = cv2.addWeighted(image, 0.9, np.full_like(image, 150), 0.1, 0)
    return cv2.add(hazy, cv2.merge((layer, layer, layer)))


def snow(rng: np.random.Generator, image: Image, flakes: int) -> Image:
    """White blurred flakes of several sizes, near ones large."""
    height, width = image.shape[:2]
    layer = np.zeros((height, width), np.uint8)
    unit = max(1.0, width / 400)
    for _ in range(flakes):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        radius = max(1, int(unit * rng.choice((1, 1, 1, 2, 2, 4))))
        cv2.circle(layer, centre, radius, int(rng.integers(120, 255)), -1, cv2.LINE_AA)
    layer = cv2.GaussianBlur(layer, (0, 0), unit)
    cold = cv2.addWeighted(image, 0.92, np.full_like(image, 185), 0.08, 0)
    return cv2.add(cold, cv2.merge((layer, layer, layer)))


def night(rng: np.random.Generator, image: Image) -> Image:
    """Darkness with the colour of a street lamp, and the noise of a sensor at its limit."""
    warm = rng.random() < 0.6
    level = rng.uniform(0.18, 0.5)
    cast = (0.6, 0.8, 1.1) if warm else (1.15, 0.9, 0.7)
    dark = curve(image, (level * cast[0], level * cast[1], level * cast[2]), float(rng.uniform(1.0, 1.5)), 4.0)
    return grain(rng, dark, float(rng.uniform(3, 9)))


def grain(rng: np.random.Generator, image: Image, sigma: float) -> Image:
    """Adds sensor noise of a standard deviation in grey levels; part of it is common to the three channels.

    Drawn from a fixed bank of normal numbers at a random offset: drawing them anew would cost more than all
    other effects together.
    """
    size = image.size
    bank = _normal_bank()
    copies = -(-size // (len(bank) // 2))
    start = int(rng.integers(0, len(bank) // 2))
    flat = np.tile(bank[start : start + len(bank) // 2], copies)[:size] if copies > 1 else bank[start : start + size]
    return cv2.add(image, (flat.reshape(image.shape) * np.float32(sigma)), dtype=cv2.CV_8U)


@lru_cache(maxsize=1)
def _normal_bank() -> Floats:
    rng = np.random.default_rng(20_18)
    common = rng.standard_normal((700_001, 1), dtype=np.float32)
    own = rng.standard_normal((700_001, 3), dtype=np.float32)
    bank = (0.7 * common + 0.7 * own).reshape(-1)
    bank.setflags(write=False)
    return bank


def motion(rng: np.random.Generator, image: Image, length: int) -> Image:
    """Blurs along a straight line of `length` pixels in a random direction."""
    return image if length < 2 else blur_along(image, length | 1, rng.uniform(0, np.pi), cv2.BORDER_DEFAULT)


def blur_along(image: Image, length: int, angle: float, border: int) -> Image:
    """Blurs along a line of `length` pixels at an angle in radians; `border` is OpenCV's."""
    kernel = np.zeros((length, length), np.float32)
    half = (length - 1) / 2
    start = (round(half - half * np.cos(angle)), round(half - half * np.sin(angle)))
    end = (round(half + half * np.cos(angle)), round(half + half * np.sin(angle)))
    cv2.line(kernel, start, end, 1.0, 1)
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=border)


def defocus(image: Image, sigma: float) -> Image:
    """Gaussian blur of a standard deviation in pixels."""
    return image if sigma < 0.25 else cv2.GaussianBlur(image, (0, 0), sigma)


def coarse(image: Image, factor: float) -> Image:
    """Shrinks by a factor and enlarges again, as digital zoom and low resolution do."""
    height, width = image.shape[:2]
    small = cv2.resize(image, (max(8, int(width / factor)), max(4, int(height / factor))), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def jpeg(image: Image, quality: int) -> Image:
    """Encodes and decodes as JPEG."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
